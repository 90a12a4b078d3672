"""Flows that run by themselves, as people write that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.services.repositories import git

from flowstone.errors import ConfigurationError, ParameterTypeError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.parity.conftest import Program, Script

#: Asks for a run of what the program serves, tells how it ended, and stops the program.
ASKING = """
        import os, signal, threading
        from prefect.deployments import run_deployment
        from prefect.errors import ObjectNotFound

        def ask(deployment, parameters):
            try:
                run = run_when_served(deployment, parameters)
                print(deployment, run.state.name, run.parameters)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        def run_when_served(deployment, parameters):
            while True:
                try:
                    return run_deployment(deployment, parameters=parameters, poll_interval=0.1)
                except ObjectNotFound:
                    pass
"""


def test_a_flow_is_served_and_asked_for_a_run(script: Script) -> None:
    done = script(
        ASKING
        + """
        from prefect import flow

        @flow(log_prints=True)
        def hello(name: str = "world"):
            print(f"hello {name}")

        if __name__ == "__main__":
            threading.Thread(target=ask, args=("hello/first", {"name": "Marvin"})).start()
            hello.serve(name="first", tags=["onboarding"], parameters={"name": "Arthur"},
                        interval=3600, limit=2, pause_on_shutdown=False)
    """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "hello/first Completed {'name': 'Marvin'}"


def test_several_flows_are_served_by_one_program(script: Script) -> None:
    done = script(
        ASKING
        + """
        from prefect import flow, serve

        @flow
        def slow(sleep: int = 60) -> None: ...

        @flow
        def fast(x: int) -> int:
            return x

        if __name__ == "__main__":
            threading.Thread(target=ask, args=("fast/fast-deploy", {"x": 3})).start()
            slow_deploy = slow.to_deployment(name="sleeper", interval=45)
            fast_deploy = fast.to_deployment(name="fast-deploy")
            serve(slow_deploy, fast_deploy, print_starting_message=False)
    """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "fast/fast-deploy Completed {'x': 3}"


def test_a_program_serves_and_waits_on_its_event_loop(script: Script) -> None:
    done = script("""
        import asyncio
        from contextlib import suppress
        from prefect import aserve, flow
        from prefect.deployments import arun_deployment
        from prefect.errors import ObjectNotFound
        from prefect.flow_runs import wait_for_flow_run

        @flow
        def double(x: int) -> int:
            return 2 * x

        async def ask():
            while True:
                with suppress(ObjectNotFound):
                    return await arun_deployment("double/first", {"x": 4}, timeout=0)
                await asyncio.sleep(0.05)

        async def main():
            deployment = double.to_deployment("first")
            serving = asyncio.create_task(aserve(deployment, print_starting_message=False))
            asked = await ask()
            run = await wait_for_flow_run(asked.id, timeout=600, log_states=True)
            print(run.state.name, run.parameters)
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

        if __name__ == "__main__":
            asyncio.run(main())
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Completed {'x': 4}"
    assert "is Completed" in done.stderr


def test_schedules_are_said_in_each_way(program: Program) -> None:
    made = program("""
        from datetime import datetime, timedelta
        from prefect import flow
        from prefect.schedules import Cron, Interval, RRule

        @flow
        def my_flow(x: int = 0): ...

        each = [
            my_flow.to_deployment("a", cron="0 0 * * *"),
            my_flow.to_deployment("b", interval=timedelta(minutes=10), paused=True),
            my_flow.to_deployment("c", rrule="FREQ=WEEKLY;BYDAY=MO,WE,FR;UNTIL=20300101T000000Z"),
            my_flow.to_deployment("d", schedule=Cron("0 9 * * *", timezone="America/New_York")),
            my_flow.to_deployment("e", schedules=[
                Interval(timedelta(days=1), anchor_date=datetime(2026, 1, 1, 12, 30),
                         timezone="America/Chicago", parameters={"x": 1}, slug="mornings"),
                RRule("FREQ=MONTHLY;BYDAY=1MO", active=False),
                Cron("*/5 * * * *", day_or=False),
            ], description="many", version="1.2", enforce_parameter_schema=False),
        ]
    """)
    a, b, c, d, e = made.each
    assert [str(one.schedules[0]) for one in (a, b, d)] == [
        "cron '0 0 * * *'",
        "every 10m",
        "cron '0 9 * * *' in America/New_York",
    ]
    assert (a.paused, b.paused, len(c.schedules)) == (False, True, 1)
    assert [each.slug for each in e.schedules][:1] == ["mornings"]
    assert (e.description, e.version, e.enforce_parameter_schema) == ("many", "1.2", False)


def test_what_is_not_there_is_refused_by_name(program: Program) -> None:
    made = program("""
        from prefect import flow

        @flow
        def my_flow(x: int = 0): ...
    """)
    for option in ("triggers", "image", "build", "push", "global_limit"):
        with pytest.raises(
            ConfigurationError, match=f"there is no option '{option}'|{option}=… has"
        ):
            made.my_flow.to_deployment("a", **{option: "x"})
    with pytest.raises(ParameterTypeError, match="x"):
        made.my_flow.to_deployment("a", parameters={"x": "many"})


def test_code_comes_from_a_repository_or_a_directory(program: Program, tmp_path: Path) -> None:
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "etl.py").write_text(
        "from flowstone import flow\n\n\n@flow\ndef etl(n: int = 1) -> int:\n    return n\n"
    )
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=etl")
    made = program(
        """
        import asyncio
        from pathlib import Path
        from prefect import flow
        from prefect.blocks.system import Secret
        from prefect.deployments import GitRepository

        Secret(value="ghp_0123456789").save("github-token")
        repository = GitRepository(
            url=URL, branch="main", credentials={"access_token": Secret.load("github-token")},
        )
        found = [
            flow.from_source(source=repository, entrypoint="etl.py:etl"),
            flow.from_source(source=URL, entrypoint="etl.py:etl"),
            flow.from_source(source=str(Path("flows")), entrypoint="etl.py:etl"),
            asyncio.run(flow.afrom_source(source=Path("flows"), entrypoint="etl.py:etl")),
        ]
        each = [one.to_deployment("a", cron="0 0 * * *", parameters={"n": 2}) for one in found]
    """,
        URL=folder.as_uri(),
    )
    assert {one.full_name for one in made.each} == {"etl/a"}
    assert len({one.code.snapshot for one in made.each}) == 1
    assert made.found[0](n=3) == 3
