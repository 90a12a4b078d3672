"""Runs of deployments that are asked for: what they belong to, and what they say of their jobs."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from click.testing import CliRunner

from flowstone import flow
from flowstone.cli.app import flowstone
from flowstone.deployments import arun_deployment, run_deployment
from flowstone.deployments.documents import load_deployment, save_deployment
from flowstone.deployments.run_options import apply_options, find_options, forget_ended
from flowstone.deployments.waits import find_wait_reasons
from flowstone.errors import (
    CancelSignal,
    ConfigurationError,
    ObjectNotFound,
    RunNotFound,
    RunTimeout,
)
from flowstone.flow_runs import wait_for_flow_run
from flowstone.flow_runs.deletion import delete_flow_runs
from flowstone.flow_runs.executions import execute_scheduled_run
from flowstone.flow_runs.subruns import find_caller, find_tree, request_cancel
from flowstone.records.runs import RunQuery
from flowstone.records.states import CANCELLED, COMPLETED
from flowstone.workers import create_work_pool, set_work_queue

from . import flows
from .watching import deploy, wait_until

if TYPE_CHECKING:
    from flowstone.context.current import Services
    from flowstone_testing.conformance.clock import SteppedClock


def show(*arguments: str) -> str:
    done = CliRunner().invoke(flowstone, arguments, prog_name="flowstone", catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def read_json(*arguments: str) -> object:
    return json.loads(show(*arguments, "--json"))


@flow
def parent(as_subflow: bool = True) -> str:
    return run_deployment("x", timeout=0, as_subflow=as_subflow).id


@flow
def waiting_parent() -> None:
    run_deployment("x", poll_interval=0.01)


def test_a_run_that_a_flow_asks_for_is_a_part_of_it(services: Services) -> None:
    deploy(flows.etl)
    child_id = parent()
    state = execute_scheduled_run(child_id)
    assert state.type is COMPLETED
    (root,) = services.runs.runs(RunQuery(unit="parent"))
    assert find_caller(child_id) == root.id
    tree = find_tree(root.id)
    assert [run.unit for run in tree] == ["parent", "etl", "double"]
    assert tree[1].parent_id == root.id
    shown = read_json("run", "show", root.id)
    assert isinstance(shown, dict)
    assert shown["children"][0]["id"] == child_id
    graph = read_json("run", "graph", root.id)
    assert isinstance(graph, dict)
    assert [node["unit"] for node in graph["nodes"]] == ["parent", "etl", "double"]
    assert root.id in show("run", "show", child_id)


def test_one_that_is_no_part_of_it_stands_alone(services: Services) -> None:
    deploy(flows.etl)
    child_id = parent(as_subflow=False)
    (root,) = services.runs.runs(RunQuery(unit="parent"))
    assert (find_caller(child_id), len(find_tree(root.id))) == (None, 1)
    assert find_caller(run_deployment("x", timeout=0).id) is None


def test_a_cancel_of_the_parent_cancels_it(services: Services) -> None:
    deploy(flows.etl)
    ended: list[BaseException] = []

    def call() -> None:
        try:
            waiting_parent()
        except CancelSignal as signal:
            ended.append(signal)

    thread = threading.Thread(target=call)
    thread.start()
    wait_until(lambda: services.runs.runs(RunQuery(unit="etl")))
    (root,) = services.runs.runs(RunQuery(unit="waiting-parent"))
    request_cancel(root, "by hand")
    thread.join(60)
    ends = {run.unit: run.state.type for run in services.runs.runs(RunQuery())}
    assert ends == {"waiting-parent": CANCELLED, "etl": CANCELLED}
    assert len(ended) == 1


def test_an_async_flow_asks_without_blocking_its_loop(services: Services) -> None:
    deploy(flows.etl)

    async def ask() -> list[str]:
        begun = asyncio.create_task(arun_deployment("x", poll_interval=0.01))
        await asyncio.to_thread(wait_until, lambda: services.runs.runs(RunQuery(unit="etl")))
        (run,) = services.runs.runs(RunQuery(unit="etl"))
        await asyncio.to_thread(execute_scheduled_run, run.id)
        late = await arun_deployment("x", timeout=0)
        return [(await begun).state.name, late.state.name]

    assert asyncio.run(ask()) == ["Completed", "Scheduled"]


def test_a_coroutine_that_is_cancelled_cancels_it(services: Services) -> None:
    deploy(flows.etl)

    @flow
    async def ask() -> None:
        await arun_deployment("x", poll_interval=0.01)

    async def run() -> None:
        task = asyncio.create_task(ask())
        await asyncio.to_thread(wait_until, lambda: services.runs.runs(RunQuery(unit="etl")))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    (child,) = services.runs.runs(RunQuery(unit="etl"))
    assert child.state.type is CANCELLED


def test_one_idempotency_key_is_one_run_of_a_deployment(services: Services) -> None:
    deploy(flows.etl)
    deploy(flows.aetl)
    asked = [
        run_deployment(name, {"n": n}, timeout=0, idempotency_key="today")
        for name, n in (("etl/x", 1), ("etl/x", 2), ("aetl/x", 3))
    ]
    assert asked[0] == asked[1]
    assert asked[0].id != asked[2].id
    execute_scheduled_run(asked[0].id)
    again = run_deployment("etl/x", timeout=0, idempotency_key="today")
    assert (again.id, again.state.type) == (asked[0].id, COMPLETED)
    assert len(services.documents.find("idempotency-key")) == 2


def test_a_run_says_something_of_its_job_alone(services: Services) -> None:
    create_work_pool("p", job_variables={"env": {"A": "pool"}})
    set_work_queue("p", "urgent")
    deployment = deploy(flows.etl, work_pool_name="p", job_variables={"env": {"B": "deployed"}})
    run = run_deployment("x", timeout=0, job_variables={"env.A": "run"}, work_queue_name="urgent")
    applied = apply_options(load_deployment("x"), find_options("p", [run.id])[run.id])
    assert applied.job_variables == {"env": {"A": "run", "B": "deployed"}}
    assert (applied.work_queue_name, deployment.work_queue_name) == ("urgent", None)
    set_work_queue("p", "urgent", paused=True)
    reason = find_wait_reasons([run], services.clock.time())[run.id]
    assert reason.kind == "queue_paused"
    execute_scheduled_run(run.id)
    forget_ended("p", [run.id])
    assert find_options("p") == {}


def test_what_does_not_fit_the_pool_makes_no_run(services: Services) -> None:
    create_work_pool("p")
    deploy(flows.etl, work_pool_name="p")
    with pytest.raises(ConfigurationError, match="there is no 'workdir'"):
        run_deployment("etl/x", timeout=0, job_variables={"workdir": "/"})
    with pytest.raises(ObjectNotFound, match="queue"):
        run_deployment("etl/x", timeout=0, work_queue_name="none")
    deploy(flows.aetl)
    with pytest.raises(ConfigurationError, match="belongs to no work pool"):
        run_deployment("aetl/x", timeout=0, job_variables={"env": {"A": "b"}})
    with pytest.raises(ConfigurationError, match=r"'job_variable'.*job_variables"):
        run_deployment("etl/x", timeout=0, job_variable={})  # type: ignore[call-arg]
    assert services.runs.runs(RunQuery()) == []


def test_what_belongs_to_a_run_is_deleted_with_it(
    services: Services, stepped: SteppedClock
) -> None:
    create_work_pool("p")
    deploy(flows.etl, work_pool_name="p")
    child_id = parent()
    other = run_deployment("x", timeout=0, idempotency_key="k", job_variables={"env": {"A": "b"}})
    for run_id in (child_id, other.id):
        execute_scheduled_run(run_id)
    (root,) = services.runs.runs(RunQuery(unit="parent"))
    stepped.now = 4e9  # by the store's own clock, documents are of today
    delete_flow_runs([root.id, child_id, other.id])
    kinds = {each.kind for each in services.documents.find("", prefix=True)}
    assert not {kind for kind in kinds if kind.startswith(("subrun:", "run-options:", "idem"))}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"timeout": "x"}, "timeout='x' is not a number of seconds"),
        ({"timeout": -1}, "timeout=-1 is not a number of seconds"),
        ({"poll_interval": "x"}, "poll_interval='x' is not a number of seconds"),
        ({"scheduled_time": "tomorrow"}, "scheduled_time='tomorrow' is of the type str"),
        ({"flow_run_name": 3}, "flow_run_name=3 is of the type int"),
        ({"parameters": "n=1"}, "parameters='n=1' is of the type str"),
    ],
)
def test_options_of_other_types_make_no_run(
    services: Services, options: dict[str, Any], problem: str
) -> None:
    save_deployment(flows.etl.to_deployment("typed"))
    with pytest.raises(ConfigurationError, match=problem):
        run_deployment("typed", **{"timeout": 0, **options})
    assert services.runs.runs(RunQuery()) == []


def test_a_run_is_waited_for_by_its_id(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    deploy(flows.etl)
    run_id = run_deployment("x", timeout=0, flow_run_name="mine").id

    async def wait() -> None:
        waiting = asyncio.create_task(wait_for_flow_run(UUID(run_id), None, 0.01, log_states=True))
        scheduled = "run mine is Scheduled: requested by run_deployment"
        await asyncio.to_thread(wait_until, lambda: scheduled in caplog.messages)
        await asyncio.to_thread(execute_scheduled_run, run_id)
        assert (await waiting).state.type is COMPLETED

    asyncio.run(wait())
    assert caplog.messages[-1] == "run mine is Completed"
    assert services.runs.run(run_id).state.type is COMPLETED


def test_waiting_for_a_run_ends_at_the_timeout(services: Services) -> None:
    deploy(flows.etl)
    run = run_deployment("x", timeout=0, flow_run_name="mine")
    with pytest.raises(RunTimeout, match=r"waiting for mine.*The run continues") as caught:
        asyncio.run(wait_for_flow_run(run.id, timeout=0.02, poll_interval=0.01))
    assert isinstance(caught.value, TimeoutError)
    with pytest.raises(RunNotFound):
        asyncio.run(wait_for_flow_run("no-such-run"))
    with pytest.raises(ConfigurationError, match="poll_interval='x'"):
        asyncio.run(wait_for_flow_run(run.id, poll_interval="x"))  # type: ignore[arg-type]
