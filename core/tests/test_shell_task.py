"""Shell commands as tasks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from flowstone import catalog, flow
from flowstone.builtin.shell_tasks import ashell_run_command, shell_run_command
from flowstone.context.current import Services
from flowstone.errors import JobFailed
from flowstone.records.events import LogLine


def test_it_gives_the_last_line_or_all(services: Services, tmp_path: Path) -> None:
    @flow
    def use() -> list[object]:
        return [
            shell_run_command("echo one; echo two"),
            shell_run_command("echo one; echo two", return_all=True),
            shell_run_command("true"),
            shell_run_command("pwd", cwd=str(tmp_path)),
            shell_run_command("pwd", helper_command=f"cd {tmp_path}", env={"A": "b"}),
            shell_run_command.submit("echo $A", env={"A": "b"}).result(),
            *shell_run_command.map(["echo 1", "echo 2"]).result(),
        ]

    assert use() == ["two", ["one", "two"], "", str(tmp_path), str(tmp_path), "b", "1", "2"]


def test_its_lines_are_of_its_own_run(services: Services) -> None:
    @flow
    def use() -> None:
        shell_run_command("echo hello; echo ouch >&2", stream_level=30)

    use()
    services.journal.flush()
    kept = [(event.run_id, event.payload) for _, event in services.runs.events()]
    lines = [(run, line) for run, line in kept if isinstance(line, LogLine) and line.level == 30]
    assert sorted(line.message for _, line in lines) == ["hello", "ouch"]
    (run,) = {run for run, _ in lines}
    assert services.runs.run(run).unit == "shell_run_command"


def test_a_failure_is_the_tasks(services: Services) -> None:
    @flow
    def use() -> None:
        shell_run_command("echo why >&2; exit 4")

    with pytest.raises(JobFailed, match=r"exit code 4.*why"):
        use()


def test_the_twin_lets_others_run(services: Services) -> None:
    @flow
    async def use() -> object:
        return await asyncio.gather(*(ashell_run_command(f"sleep 0.2; echo {n}") for n in "ab"))

    assert asyncio.run(use()) == ["a", "b"]


def test_it_is_in_the_catalog() -> None:
    assert catalog.load("task", "shell_run_command") is shell_run_command
