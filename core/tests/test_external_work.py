"""Work that a run does elsewhere: handles, measures, and task runs that core did not call."""

from __future__ import annotations

import json
import logging
import math
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from flowstone import (
    find_recorded_task_runs,
    flow,
    record_external_end,
    record_external_start,
    record_measures,
    record_task_run,
    runtime,
    tags,
    task,
)
from flowstone.blocks import ShellOperation
from flowstone.cli.app import flowstone
from flowstone.context.external_work import find_open_handles, read_handles, sum_measures
from flowstone.errors import (
    ConfigurationError,
    JobError,
    JobFailed,
    MissingContextError,
    RunNotEnded,
)
from flowstone.flow_runs import cleanup_flow_run
from flowstone.records.events import LOG_WRITTEN, LogLine
from flowstone.records.redaction import register
from flowstone.records.runs import Run, RunQuery
from flowstone.records.states import Completed, Failed, Running, Skipped, StateType
from flowstone_testing.groups import is_group_alive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.context.current import Services
    from flowstone.records.events import ExternalHandle


@pytest.fixture
def sleeper(services: Services) -> Iterator[ShellOperation]:
    with ShellOperation(commands=["sleep 60"]) as job:
        job.save("sleeper")
        yield job


def only_run(services: Services) -> Run:
    [run] = services.runs.runs(RunQuery(listed=True))
    return run


def command(*arguments: str) -> Any:
    return CliRunner().invoke(flowstone, arguments)


# ---------------------------------------------------------------- handles


def leave(job: ShellOperation) -> str:
    """Run a flow that triggers a job and fails; return the job's handle."""
    handles: list[str] = []

    @flow
    def leave() -> None:
        handles.append(job.trigger().handle)
        raise ValueError("no")

    assert leave(return_state=True).is_failed()
    return handles[0]


def test_a_job_that_is_left_behind_is_told_and_cleaned_up(
    services: Services, sleeper: ShellOperation
) -> None:
    handle = leave(sleeper)
    run = only_run(services)
    assert [work.handle.id for work in find_open_handles(run)] == [handle]
    shown = command("run", "show", run.id).output
    told = f"job {handle} ('sleeper') may still be running: `flowstone run cleanup {run.id[-12:]}`"
    assert told in " ".join(shown.split())
    done = command("run", "cleanup", run.id)
    assert (done.exit_code, done.output) == (0, f"Cancelled job {handle} ('sleeper').\n")
    assert not is_group_alive(handle)
    assert not find_open_handles(run)
    assert command("run", "cleanup", run.id).output == "Nothing to clean up.\n"


def test_what_was_seen_to_end_was_not_left_behind(services: Services) -> None:
    job = ShellOperation(commands=["true"])
    bad = ShellOperation(commands=["exit 3"])

    @flow
    def finish() -> None:
        job.run()
        with pytest.raises(JobFailed):
            bad.run()
        with ShellOperation(commands=["sleep 60"]).trigger():
            pass

    finish()
    handles = read_handles(only_run(services).id)
    assert [ended for _, ended in handles] == [True, True, True]


def test_a_job_is_seen_to_end_by_whoever_waits_for_it(services: Services) -> None:
    @task
    def start() -> str:
        return ShellOperation(commands=["true"]).trigger().handle

    @flow
    def wait() -> None:
        run = ShellOperation(commands=["true"]).trigger()
        run.wait()
        start()

    wait()
    root = only_run(services)
    ended = [ended for _, ended in read_handles(root.id)]
    assert ended == [True, False]
    assert json.loads(command("run", "show", root.id, "--json").output)["external"][0]["ended"]


def test_a_block_that_was_not_saved_can_not_be_reached(services: Services) -> None:
    with ShellOperation(commands=["sleep 60"]) as job:
        handle = leave(job)
        run = only_run(services)
        done = command("run", "cleanup", run.id, "--json")
        assert done.exit_code == 1
        [told] = json.loads(done.output)
        assert (told["id"], told["ended"]) == (handle, False)
        assert (
            "it was started by an unsaved block of type 'shell-operation'. Cancel it in"
            in told["error"]
        )
        assert is_group_alive(handle)
        assert "Could not cancel job" in command("run", "cleanup", run.id).output


def test_a_run_that_goes_on_is_not_cleaned_up(services: Services) -> None:
    @flow
    def busy() -> None:
        with pytest.raises(RunNotEnded, match="Cancel it: `flowstone run cancel"):
            cleanup_flow_run(str(runtime.flow_run.id))

    busy()


def test_a_retry_ends_what_the_attempt_before_left_behind(
    services: Services, sleeper: ShellOperation
) -> None:
    handles: list[str] = []

    @task(retries=1)
    def start() -> None:
        handles.extend(sleeper.trigger().handle for _ in range(2))
        if len(handles) == 2:
            raise ValueError("again")

    @flow
    def run() -> None:
        start()

    run()
    assert [is_group_alive(handle) for handle in handles] == [False, False, True, True]


def test_a_retry_of_a_flow_ends_what_its_tasks_left_behind(
    services: Services, sleeper: ShellOperation
) -> None:
    handles: list[str] = []

    @task
    def start() -> None:
        handles.append(sleeper.trigger().handle)

    @flow(retries=1)
    def run() -> None:
        start()
        start()
        if len(handles) == 2:
            raise ValueError("again")

    run()
    assert [is_group_alive(handle) for handle in handles] == [False, False, True, True]


def test_a_retry_lets_be_what_has_ended(services: Services) -> None:
    job = ShellOperation(commands=["true"])
    attempts: list[int] = []

    @task(retries=1)
    def start() -> None:
        attempts.append(1)
        job.run()
        if len(attempts) == 1:
            raise ValueError("again")

    @flow
    def run() -> None:
        start()

    run()
    assert len(attempts) == 2
    assert "earlier attempt" not in command("run", "logs", only_run(services).id).output


def test_what_can_not_be_cancelled_does_not_stop_a_retry(services: Services) -> None:
    class Stubborn(ShellOperation):
        def cancel_external(self, handle: ExternalHandle) -> None:
            raise JobError(handle.block, "it is stuck", "Look at it.")

    handles: list[str] = []

    @task(retries=1)
    def start() -> None:
        handles.append(job.trigger().handle)
        if len(handles) == 1:
            raise ValueError("again")

    @flow
    def run() -> None:
        start()

    with Stubborn(commands=["sleep 60"]) as job:
        run()
    told = command("run", "logs", only_run(services).id).output
    assert f"could not cancel job {handles[0]}" in told
    assert "which may still be running: " in told


def test_outside_of_a_run_there_is_nothing_to_record(services: Services) -> None:
    record_external_end(record_external_start("query", "warehouse/main", "01ab"))
    record_measures(rows=1)
    assert services.runs.events() == []


# ---------------------------------------------------------------- measures


def test_measures_are_added_up_for_a_flow(services: Services) -> None:
    @task
    def load(rows: int) -> None:
        record_measures(rows_read=rows, bytes_billed=rows * 1000, queue_seconds=0.5)
        record_measures({"credits": 0.25})

    @flow
    def etl() -> None:
        load.map([10, 2000]).wait()
        record_measures(rows_read=1)

    etl()
    root = only_run(services)
    assert sum_measures(root.id) == {
        "rows_read": (2011, "rows"),
        "bytes_billed": (2_010_000, "bytes"),
        "queue_seconds": (1.0, "seconds"),
        "credits": (0.5, "credits"),
    }
    [first, _] = [r for r in services.runs.runs(RunQuery(root_id=root.id)) if not r.is_root]
    assert sum_measures(root.id, {first.id})["rows_read"] == (10, "rows")
    shown = command("run", "show", root.id).output
    for line in ("bytes_billed = 2.0 MB", "rows_read = 2,011", "credits = 0.5"):
        assert line in shown
    told = json.loads(command("run", "show", root.id, "--json").output)["measures"]
    assert told["rows_read"] == {"value": 2011, "unit": "rows"}


@pytest.mark.parametrize("value", [math.nan, math.inf, "3", True, None])
def test_a_measure_is_a_finite_number(services: Services, value: Any) -> None:
    @flow
    def bad() -> None:
        with pytest.raises(ConfigurationError, match=r"measure 'rows': .* Record an int or a"):
            record_measures(rows=value)

    bad()


# ---------------------------------------------------------------- task runs of others


def test_a_task_run_that_core_did_not_call_is_one_like_any_other(services: Services) -> None:
    @flow
    def build() -> None:
        orders = record_task_run(
            "orders",
            Completed(),
            started=100.0,
            ended=103.0,
            logs=["built"],
            measures={"rows_affected": 7},
        )
        bad = record_task_run("users", Failed("no table"), started=101.0, ended=102.0)
        record_task_run(
            "sums", Skipped("users failed"), started=102.0, ended=102.0, inputs=[orders, bad, bad]
        )

    build()
    root, *nodes = services.runs.runs(RunQuery(root_id=only_run(services).id))
    told = [(run.name, run.state.name, run.started, run.ended, run.attempt) for run in nodes]
    assert told == [
        ("orders", "Completed", 100.0, 103.0, 1),
        ("users", "Failed", 101.0, 102.0, 1),
        ("sums", "Skipped", None, 102.0, 0),
    ]
    assert nodes[2].inputs == (nodes[0].id, nodes[1].id)
    assert all(run.parent_id == root.id for run in nodes)
    assert sum_measures(root.id) == {"rows_affected": (7, "rows")}
    assert "built" in command("run", "logs", root.id).output
    assert "sums  Skipped  -  users failed" in command("run", "show", root.id).output
    assert "1/3, 1 skipped" in command("run", "ls").output
    [listed] = json.loads(command("run", "ls", "--json").output)
    assert listed["tasks"] == {"total": 3, "completed": 1, "failed": 1, "skipped": 1}
    assert command("run", "ls", "--state", "skipped").exit_code == 0


def test_a_recorded_run_has_parameters_and_lines_of_several_levels(services: Services) -> None:
    register("canary-of-a-parameter")

    @flow
    def build() -> None:
        with tags("nightly"):
            add()

    def add() -> None:
        record_task_run(
            "orders",
            Completed(),
            started=100.0,
            ended=103.0,
            logs=["built", (logging.DEBUG, "select 1"), (logging.ERROR, "no")],
            parameters={"id": "model.orders", "secret": ["canary-of-a-parameter"], "rows": 3},
        )

    build()
    _, node = services.runs.runs(RunQuery(root_id=only_run(services).id))
    assert node.tags == ("nightly",)
    assert node.parameters == {"id": "model.orders", "secret": ["********"], "rows": 3}
    lines = [
        (event.payload.level, event.payload.message)
        for _, event in services.runs.events(0, root_id=node.root_id, kinds=(LOG_WRITTEN,))
        if isinstance(event.payload, LogLine) and event.run_id == node.id
    ]
    assert lines == [(20, "built"), (10, "select 1"), (40, "no")]


def record(name: str) -> None:
    record_task_run(name, Completed(), started=1.0, ended=2.0, parameters={"id": name})


def list_found() -> list[str]:
    return [run.name for run in find_recorded_task_runs()]


def test_a_retry_of_a_task_finds_what_it_recorded_before(services: Services) -> None:
    found: list[list[str]] = []

    @task(retries=2)
    def build() -> None:
        number = len(found)
        record(f"node-{number}")
        found.append(list_found())
        record_task_run("no parameters", Completed(), started=1.0, ended=2.0)
        if number < 2:
            raise LookupError

    @flow
    def main() -> None:
        record("of the flow")
        build()

    main()
    assert found == [[], ["node-0"], ["node-0", "node-1"]]
    assert list_found() == []


def test_a_retry_of_a_flow_finds_what_its_tasks_recorded_before(services: Services) -> None:
    found: list[list[str]] = []

    @task
    def build(number: int) -> None:
        record(f"task-{number}")
        found.append(list_found())

    @flow(retries=1)
    def main() -> None:
        number = len(found)
        record(f"flow-{number}")
        build(number)
        if number == 0:
            raise LookupError

    main()
    assert found == [[], ["flow-0", "task-0"]]


def test_a_skipped_run_is_no_success(services: Services) -> None:
    @flow
    def decide() -> object:
        return Skipped("nothing new")

    state = decide(return_state=True)
    assert (state.type, state.name, state.message) == (
        StateType.CANCELLED,
        "Skipped",
        "nothing new",
    )
    with pytest.raises(ConfigurationError, match="Pass the reason why"):
        Skipped("")


def test_a_task_run_is_recorded_when_it_has_ended(services: Services) -> None:
    @flow
    def build() -> None:
        with pytest.raises(ConfigurationError, match="the state Running is not final"):
            record_task_run("a", Running(), started=1.0, ended=2.0)
        with pytest.raises(ConfigurationError, match="`ended` is before `started`"):
            record_task_run("a", Completed(), started=2.0, ended=1.0)

    build()
    with pytest.raises(MissingContextError):
        record_task_run("a", Completed(), started=1.0, ended=2.0)
