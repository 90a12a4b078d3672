"""Commands in a shell: what they may write, how they end, and who survives whom."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from flowstone import flow
from flowstone.blocks import JobStatus, ShellOperation
from flowstone.blocks.jobs.shell import ShellProvider
from flowstone.context.current import Services
from flowstone.errors import JobError, JobFailed, JobLost, ReferenceUnresolved
from flowstone.records.events import ExternalHandle, LogLine, make_change_event
from flowstone.records.runs import RunQuery
from flowstone.states import Cancelling
from flowstone.stores.sqlite import open_sqlite
from flowstone_testing.groups import is_group_alive

#: Patience with another process, in seconds; it seldom needs a hundredth.
LONG = 300.0


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def shell(*commands: str, **fields: object) -> ShellOperation:
    return ShellOperation(commands=list(commands), **fields)


def test_both_pipes_may_be_full(services: Services) -> None:
    size = 20_000_000
    line = f"yes {'0123456789' * 8} | head -c {size}"
    operation = shell(f"({line}) & ({line}) >&2; wait", stream_output=False, output="text")
    tracemalloc.start()
    run = operation.trigger()
    run.wait(LONG)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12_000_000
    assert len(run.result()) == size


@pytest.mark.parametrize("before", [16_380, 16_384, 3 * 16_384 - 7])
def test_a_secret_in_two_pieces_of_a_long_line_is_masked(services: Services, before: int) -> None:
    canary = f"canary-{secrets.token_hex(8)}"
    commands = f"printf '%0{before}d%s' 0 $CANARY; printf '%020000d' 0"
    operation = shell(commands, secret_env={"CANARY": canary})

    @flow
    def tell() -> list[str]:
        found: list[str] = operation.run()
        return found

    assert tell() == ["0" * before + "********" + "0" * 20_000]
    lines = [e.payload.message for _, e in services.runs.events() if isinstance(e.payload, LogLine)]
    assert "".join(lines).count("0") >= before + 20_000
    assert not [line for line in lines if canary[-8:] in line or canary[:6] in line]


def test_lines_end_where_the_shell_ends_them(services: Services) -> None:
    text = '{"a": "\u2028\x0c\x1c"}'
    assert shell(f"printf '%s\\n\\r\\n\\nend' '{text}'").run() == [text, "", "", "end"]
    assert shell("true").run() == []


def test_a_command_may_name_a_file_that_is_no_text(services: Services, tmp_path: Path) -> None:
    name = os.fsdecode(b"odd-\xff")
    (tmp_path / name).write_text("found")
    assert shell(f"cat {name}", working_dir=tmp_path).run() == ["found"]


def test_an_unusual_signal_is_told(services: Services) -> None:
    with pytest.raises(JobFailed, match=r"killed by signal 40\b"):
        shell("kill -40 $$").run()


def test_a_secret_that_cannot_be_read_leaves_no_script(services: Services) -> None:
    own = f".{secrets.token_hex(8)}"
    with pytest.raises(ReferenceUnresolved, match="NO_SUCH_VARIABLE"):
        shell("true", secret_env={"A": "env:NO_SUCH_VARIABLE"}, extension=own).trigger()
    assert not list(Path(tempfile.gettempdir()).glob(f"flowstone-*{own}"))


def test_a_line_without_end_is_taken_in_pieces(services: Services) -> None:
    commands = "yes ü | head -c 3000000 | tr -d '\\n'"
    assert shell(commands, output="text", stream_output=False).run() == "ü" * 1_000_000


def test_it_stops_at_the_first_that_fails(services: Services) -> None:
    with pytest.raises(JobFailed, match="exit code 7") as caught:
        shell("echo first", "echo why >&2", "exit 7", "echo second").run()
    assert "why" in str(caught.value)
    assert "second" not in str(caught.value)


def test_a_pipe_in_a_list_is_no_pipe(services: Services, tmp_path: Path) -> None:
    evil = f"; touch {tmp_path}/owned $(touch {tmp_path}/owned) | cat"
    assert shell("echo", evil, direct=True).run() == [evil]
    assert not list(tmp_path.iterdir())


def test_it_gets_its_environment_and_directory(services: Services, tmp_path: Path) -> None:
    operation = shell("echo $ONE", "pwd", env={"ONE": "eins"}, working_dir=tmp_path)
    assert operation.run() == ["eins", str(tmp_path)]
    assert shell("echo ${PATH:+inherited}", env={"ONE": "1"}).run() == ["inherited"]


def test_secrets_are_masked_in_what_it_writes(services: Services) -> None:
    secret = f"canary-{secrets.token_hex(12)}"
    run = shell("echo $TOKEN; echo $TOKEN >&2", secret_env={"TOKEN": secret}).trigger()
    assert run.result() == ["********"]
    assert run.logs() == ["********", "********"]
    arguments = Path("/proc/self/cmdline")
    peek = shell("tr '\\0' ' ' < /proc/$$/cmdline", secret_env={"TOKEN": secret})
    assert arguments.exists()
    assert secret not in "".join(peek.run())


def test_the_script_is_removed_and_nobody_elses(services: Services) -> None:
    run = shell("echo $0; stat -c %a $0", stream_output=False).trigger()
    path, mode = run.result()
    assert mode == "600"
    assert not Path(path).exists()


@pytest.mark.parametrize("fields", [{"shell": "no-such-shell"}, {"working_dir": "/no/such"}])
def test_what_can_not_start_says_why(services: Services, fields: dict[str, str]) -> None:
    with pytest.raises(JobError, match="can't be started"):
        shell("ls", **fields).trigger()
    with pytest.raises(JobError, match="no commands"):
        ShellOperation(commands=[]).trigger()


def test_a_child_in_the_background_holds_nobody(services: Services) -> None:
    run = shell("sleep 60 & echo over").trigger()
    try:
        assert run.result(LONG) == ["over"]
    finally:
        os.killpg(int(run.handle.split("/")[1]), signal.SIGKILL)


def test_who_does_not_want_to_end_is_killed(services: Services) -> None:
    run = shell("trap '' TERM", "(trap '' TERM; sleep 60; sleep 60)", term_seconds=0.3).trigger()
    until(lambda: is_group_alive(run.handle))
    run.cancel()
    assert not is_group_alive(run.handle)
    assert run.status() is JobStatus.CANCELLED


def test_killed_from_outside_is_no_success(services: Services) -> None:
    run = shell("kill -KILL $$").trigger()
    with pytest.raises(JobFailed, match="SIGKILL"):
        run.wait(LONG)


def test_closing_ends_what_still_runs(services: Services) -> None:
    with shell("sleep 60") as operation:
        runs = [operation.trigger(), operation.trigger()]
    assert [run.status() for run in runs] == [JobStatus.CANCELLED] * 2


def test_lines_come_while_it_runs(services: Services, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    seen: list[str] = []

    def written() -> bool:
        services.journal.flush()
        kept = [event.payload for _, event in services.runs.events()]
        seen[:] = [line.message for line in kept if isinstance(line, LogLine)]
        return "early" in seen

    @flow
    def follow() -> None:
        with shell("echo early", f"while [ ! -e {gate} ]; do sleep 0.01; done").trigger():
            until(written)
            gate.touch()

    follow()
    assert "early" in seen


SCRIPT = """
import sys
from flowstone import flow
from flowstone.blocks import ShellOperation

@flow
def follows():
    # The reader of the line may be killed before it is written.
    words = ["trap '' PIPE", "echo waiting || true", "sleep 300 & sleep 300"]
    run = ShellOperation(commands=words).trigger()
    print(run.handle, flush=True)
    run.wait()

follows()
"""


@pytest.fixture
def child(tmp_path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "FLOWSTONE_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def handle_of(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    with child.stdout:
        return child.stdout.readline().strip()


def test_after_kill_9_the_job_is_known_and_can_be_ended(
    child: subprocess.Popen[str], tmp_path: Path
) -> None:
    handle = handle_of(child)
    child.kill()
    child.wait()
    store = open_sqlite(tmp_path / "flowstone.db")
    kept = [event.payload for _, event in store.events()]
    assert ExternalHandle("job", "shell-operation", handle) in kept
    store.close()
    assert is_group_alive(handle)
    run = shell("irrelevant").attach(handle)
    assert run.status() is JobStatus.RUNNING
    run.cancel()
    assert not is_group_alive(handle)
    with pytest.raises(JobLost):
        shell("irrelevant").attach(handle)


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "run cancel"])
def test_the_end_of_the_run_ends_the_job(
    child: subprocess.Popen[str], tmp_path: Path, how: str
) -> None:
    handle = handle_of(child)
    assert is_group_alive(handle)
    store = open_sqlite(tmp_path / "flowstone.db")

    def waits() -> bool:  # who waits for a job logs its lines
        lines = [event.payload for _, event in store.events()]
        return "waiting" in [line.message for line in lines if isinstance(line, LogLine)]

    until(waits)
    if how == "run cancel":
        [run] = store.runs(RunQuery(listed=True))
        store.record(make_change_event(run, Cancelling("asked by a test"), run.attempt))
    else:
        child.send_signal(signal.Signals[how])
    store.close()
    assert child.wait(LONG) != 0
    end = time.monotonic() + LONG
    while is_group_alive(handle):  # a process that was killed takes a moment to be gone
        assert time.monotonic() < end


def test_a_job_whose_handle_can_not_be_kept_does_not_go_on(services: Services) -> None:
    started: list[str] = []

    class Watched(ShellOperation):
        def make_provider(self) -> ShellProvider:
            return ShellProvider(self, started)

        def _record(self, handle: str) -> NoReturn:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Watched(commands=["sleep 60"]).trigger()
    assert not is_group_alive(started[0])


def test_no_thread_stays(services: Services) -> None:
    shell("echo a").run()
    until(lambda: "flowstone-job" not in {thread.name for thread in threading.enumerate()})
