"""Background tasks, with a worker in this process that is stepped by hand."""

from __future__ import annotations

import asyncio
import json
import pickle
from threading import Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from pydantic import SecretStr

from flowstone import Task, allow_failure, flow, tags, task
from flowstone.background.keys import find_key
from flowstone.background.status_server import serve_status
from flowstone.calls.kept_calls import find_calls
from flowstone.deployments.waits import find_wait_reasons
from flowstone.errors import (
    CancelledRun,
    ConfigurationError,
    CrashedRun,
    FailedRun,
    MissingResult,
    NotSerializable,
    ParameterBindError,
    RunTimeout,
    UpstreamTaskError,
)
from flowstone.flow_runs.deletion import delete_flow_runs
from flowstone.flow_runs.executions import execute_scheduled_run
from flowstone.flow_runs.subruns import request_cancel
from flowstone.futures import (
    DistributedFuture,
    as_completed,
    resolve_futures_to_results,
    wait,
)
from flowstone.records.encoding import dumps
from flowstone.records.events import make_handover_event
from flowstone.records.limits import KIND as LIMIT
from flowstone.records.limits import Limit, encode_limit
from flowstone.records.runs import Lease
from flowstone.records.states import CANCELLED, COMPLETED, CRASHED, FAILED, Cancelled, Running
from flowstone.task_worker import TaskWorker

from . import tasks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flowstone.context.current import Services


def wait_until(condition: Callable[[], object]) -> None:
    until = monotonic() + 60
    while not condition():
        assert monotonic() < until, "it did not happen"
        sleep(0.01)


def work(worker: TaskWorker, *futures: DistributedFuture[Any]) -> list[Any]:
    """Step a worker until all of these have ended, and return what came of them."""

    def look() -> bool:
        worker.step()
        return all(future.done() for future in futures) and not worker.running

    wait_until(look)
    return [future.result(raise_on_failure=False) for future in futures]


def find_reason(services: Services, future: DistributedFuture[Any]) -> tuple[str, str]:
    run = services.runs.run(future.task_run_id)
    reason = find_wait_reasons([run], services.clock.time())[run.id]
    return reason.kind, reason.message


def test_a_call_waits_until_somebody_serves_its_task(services: Services) -> None:
    future = tasks.add.delay(1, b=5)
    assert (future.state.name, future.done()) == ("Scheduled", False)
    kind, message = find_reason(services, future)
    assert kind == "not_served"
    assert find_key(tasks.add) in message
    worker = TaskWorker(tasks.add, tasks.aadd)
    worker.step()
    assert find_key(tasks.add) == worker.keys[0]
    assert work(worker, future, tasks.aadd.delay(2)) == [6, 3]
    assert (future.state.type, future.result()) == (COMPLETED, 6)
    run = services.runs.run(future.task_run_id)
    assert (run.kind, run.parent_id, run.attempt, run.parameters) == ("task", None, 1, None)
    assert find_calls([run.id]) == {}
    worker.close()


def test_the_future_of_another_process_is_made_of_the_id(services: Services) -> None:
    future = tasks.add.delay(1)
    copy: DistributedFuture[int] = pickle.loads(pickle.dumps(future))
    other = DistributedFuture[int](future.task_run_id)
    with pytest.raises(RunTimeout):
        other.result(timeout=0)
    work(TaskWorker(tasks.add), future)
    assert (copy.result(), other.result(), copy.name) == (2, 2, future.name)


def test_a_failure_is_raised_where_the_result_is_asked_for(services: Services) -> None:
    future = tasks.fail.delay("word")
    (error,) = work(TaskWorker(tasks.fail), future)
    assert (type(error), str(error)) == (ValueError, "bad word")
    assert future.state.type is FAILED
    with pytest.raises(ValueError, match="bad word"):
        future.result()


def test_retries_are_the_task_s(services: Services, tmp_path: Path) -> None:
    future = tasks.flaky.delay(tmp_path / "mark")
    assert work(TaskWorker(tasks.flaky), future) == ["came back"]
    assert services.runs.run(future.task_run_id).attempt == 2


def test_results_are_cached_as_the_task_says(services: Services) -> None:
    first, second = tasks.expensive.delay(7), tasks.expensive.delay(7)
    worker = TaskWorker(tasks.expensive, limit=1)
    assert work(worker, first, second) == [49, 49]
    assert [first.state.name, second.state.name] == ["Completed", "Cached"]
    assert tasks.expensive(7, return_state=True).name == "Cached"


def test_a_value_that_can_t_be_written_fails_no_run(services: Services) -> None:
    future = tasks.make_function.delay()
    with pytest.raises(MissingResult):
        work(TaskWorker(tasks.make_function), future)
    assert future.state.type is COMPLETED


def test_one_idempotency_key_is_one_run(services: Services) -> None:
    futures = [tasks.add.apply_async((n,), idempotency_key="a") for n in (1, 2)]
    other = tasks.aadd.apply_async((3,), idempotency_key="a")
    assert futures[0].task_run_id == futures[1].task_run_id != other.task_run_id
    worker = TaskWorker(tasks.add, tasks.aadd)
    assert work(worker, *futures, other) == [2, 2, 4]
    again = tasks.add.apply_async((4,), idempotency_key="a")
    assert (again.result(), find_calls([again.task_run_id])) == (2, {})


def test_futures_of_background_tasks_are_waited_for_where_it_is_executed(
    services: Services,
) -> None:
    first = tasks.add.delay(1)
    second = tasks.aadd.delay(first, b=10)
    third = tasks.expensive.apply_async((3,), wait_for=[second], dependencies={"x": [first]})
    early = TaskWorker(tasks.aadd)
    early.step()
    assert (early.running, find_reason(services, second)[0]) == ([], "upstream")
    assert work(TaskWorker(tasks.add, tasks.aadd, tasks.expensive), first, second, third) == [
        2,
        12,
        9,
    ]
    inputs = services.runs.run(third.task_run_id).inputs
    assert inputs == (second.task_run_id, first.task_run_id)


def test_what_waits_for_a_failure_does_not_run(services: Services) -> None:
    bad = tasks.fail.delay("x")
    after = tasks.add.apply_async((1,), wait_for=[bad])
    given = tasks.add.delay(bad)
    allowed = tasks.add.apply_async((1,), wait_for=[allow_failure(bad)])
    _, *ends = work(TaskWorker(tasks.fail, tasks.add), bad, after, given, allowed)
    assert list(map(type, ends)) == [UpstreamTaskError, UpstreamTaskError, int]


def test_a_flow_sends_the_values_of_its_submitted_tasks(services: Services) -> None:
    @flow
    def send() -> str:
        value = tasks.add.submit(1)
        sent = tasks.add.apply_async((value,), wait_for=[value])
        assert services.runs.run(sent.task_run_id).inputs == (value.task_run_id,)
        return sent.task_run_id

    future = DistributedFuture[int](send())
    assert work(TaskWorker(tasks.add), future) == [3]


def test_on_an_event_loop_nothing_waits(services: Services) -> None:
    async def handle() -> list[DistributedFuture[int]]:
        with tags("web"):
            sent = tasks.add.delay(1)
        kept = await tasks.add.adelay(2)
        keyed = await tasks.add.aapply_async((3,), idempotency_key="k")
        with pytest.raises(ConfigurationError, match="event loop"):
            sent.wait()
        worker = TaskWorker(tasks.add)
        stepping = asyncio.create_task(asyncio.to_thread(work, worker, sent, kept, keyed))
        assert (await sent, await kept.result_async(60)) == (2, 3)
        await keyed.wait_async(60)
        await stepping
        return [sent, kept, keyed]

    sent, _, keyed = asyncio.run(handle())
    assert keyed.result() == 4
    assert services.runs.run(sent.task_run_id).tags == ("web",)


def test_a_full_limit_is_told(services: Services) -> None:
    services.documents.put(LIMIT, "tag:narrow", encode_limit(Limit("tag:narrow", 1)))
    worker = TaskWorker(tasks.narrow, tasks.add, limit=1)
    blocker = services.slot_queue.make_tag_request(["narrow"], "somebody", "")
    assert blocker.take() is None
    waiting, other = tasks.narrow.delay(1), tasks.add.delay(1)
    assert work(worker, other) == [2]
    kind, message = find_reason(services, waiting)
    assert (kind, "'narrow'" in message) == ("limit_full", True)
    blocker.give_back()
    assert work(worker, waiting) == [1]


def test_a_full_worker_is_told(services: Services) -> None:
    @task
    def hold() -> None:
        wait_until(lambda: is_free)

    is_free: list[bool] = []
    worker = TaskWorker(hold, limit=1)
    futures = [hold.delay() for _ in range(3)]
    worker.step()
    assert len(worker.running) == 1
    assert find_reason(services, futures[2])[0] == "limit_full"
    is_free.append(True)
    work(worker, *futures)


def test_arguments_are_sealed_in_the_store(services: Services) -> None:
    future = tasks.measure.delay(SecretStr("hunter2secret"), "plain-password")
    kept = dumps([dict(each.body) for each in services.documents.find("", prefix=True)])
    facts = repr(services.runs.events())
    for text in ("hunter2secret", "plain-password"):
        assert text not in kept
        assert text not in facts
    assert work(TaskWorker(tasks.measure), future) == [27]


def test_a_cancelled_call_is_not_executed(services: Services) -> None:
    future = tasks.add.delay(1)
    run = services.runs.run(future.task_run_id)
    services.runs.record(make_handover_event(run, Cancelled("by hand"), None))
    assert future.done()
    worker = TaskWorker(tasks.add)
    worker.step()
    assert (worker.running, find_calls([run.id]), future.state.type) == ([], {}, CANCELLED)


@pytest.mark.parametrize("name", ["hold", "ahold"])
def test_a_call_that_is_being_executed_is_cancelled(services: Services, name: str) -> None:
    @task
    def hold() -> None:
        has_begun.append(True)
        wait_until(lambda: False)

    @task
    async def ahold() -> None:
        has_begun.append(True)
        await asyncio.Event().wait()

    has_begun: list[bool] = []
    chosen: Task[[], Any] = hold if name == "hold" else ahold
    worker = TaskWorker(chosen, tasks.add)
    future = chosen.delay()
    worker.step()
    wait_until(lambda: has_begun)
    request_cancel(services.runs.run(future.task_run_id), "by hand")
    (error,) = work(worker, future)
    assert isinstance(error, CancelledRun)
    assert find_calls([future.task_run_id]) == {}
    assert work(worker, tasks.add.delay(1)) == [2]


def test_of_two_workers_one_executes_a_call(services: Services) -> None:
    executed: list[int] = []

    @task
    def count(n: int) -> None:
        executed.append(n)

    workers = [TaskWorker(count, limit=4) for _ in range(2)]
    futures = [count.delay(n) for n in range(30)]
    threads = [Thread(target=worker.start, kwargs={"timeout": 30}) for worker in workers]
    for thread in threads:
        thread.start()
    for future in futures:
        future.wait(60)
    for worker, thread in zip(workers, threads, strict=True):
        worker.stop()
        thread.join()
    assert sorted(executed) == list(range(30))
    assert {future.state.type for future in futures} == {COMPLETED}


def test_a_flow_that_is_drawn_sends_nothing(services: Services) -> None:
    @flow
    def send() -> None:
        tasks.add.apply_async((tasks.add.delay(1),))

    graph = send.visualize()
    assert [node.unit for node in graph.nodes] == ["send", "add", "add"]
    assert services.documents.find("background-call:", prefix=True) == []


def test_a_task_of_a_method_s_kind_keeps_what_it_is(services: Services) -> None:
    class Holder:
        @staticmethod
        @task
        def double(n: int) -> int:
            return 2 * n

    worker = TaskWorker(Holder.double)
    assert work(worker, Holder.double.delay(4)) == [8]


def test_helpers_of_futures_take_these_as_well(services: Services) -> None:
    sent: list[Any] = [tasks.add.delay(1), tasks.add.delay(2)]
    assert wait(sent, timeout=0).done == set()
    called: list[DistributedFuture[int]] = []
    sent[0].add_done_callback(called.append)
    work(TaskWorker(tasks.add), *sent)
    assert resolve_futures_to_results({"a": sent}) == {"a": [2, 3]}
    assert wait(sent).done == set(sent)
    assert set(as_completed(sent)) == set(sent)
    wait_until(lambda: called == sent[:1])


def test_answers_are_where_the_task_s_results_are(services: Services, tmp_path: Path) -> None:
    away = tasks.add.with_options(result_storage=tmp_path / "results")
    future = away.delay(1)
    assert work(TaskWorker(away), future) == [2]
    assert (tmp_path / "results" / future.task_run_id).exists()
    delete_flow_runs([future.task_run_id])
    assert services.documents.find("answer:", prefix=True) == []


def test_arguments_that_can_t_be_read_fail_the_run(services: Services) -> None:
    future = tasks.add.delay(1)
    (kept,) = services.documents.find("background-call:", prefix=True)
    services.documents.put(kept.kind, kept.name, {**kept.body, "sealed": "no token"})
    (error,) = work(TaskWorker(tasks.add), future)
    assert isinstance(error, FailedRun)
    assert "its arguments can't be read here: SecretUnreadable" in (future.state.message or "")
    assert find_calls([future.task_run_id]) == {}


def test_arguments_that_fit_no_more_fail_the_run(services: Services) -> None:
    future = tasks.add.delay(1, b=2)

    @task
    def changed(a: int) -> int:
        return a

    changed.fn.__module__, changed.fn.__qualname__ = tasks.add.fn.__module__, "add"
    (error,) = work(TaskWorker(changed), future)
    assert isinstance(error, TypeError)
    assert (future.state.type, find_calls([future.task_run_id])) == (FAILED, {})


def test_only_who_serves_it_executes_a_call(services: Services) -> None:
    future = tasks.add.delay(1)
    with pytest.raises(ConfigurationError, match=r"serve\(\)"):
        execute_scheduled_run(future.task_run_id)
    assert work(TaskWorker(tasks.add), future) == [2]


def test_what_a_dead_process_had_begun_is_executed_again(services: Services) -> None:
    future = tasks.add.delay(1)
    run = services.runs.run(future.task_run_id)
    gone = Lease("t", "elsewhere/1/x", seconds=-1.0)
    services.runs.record(make_handover_event(run, Running(), gone))
    assert [each.id for each in services.runs.reap()] == [run.id]
    assert services.runs.run(run.id).state.type is CRASHED
    assert not future.done()  # it has crashed, and its call is still there
    assert work(TaskWorker(tasks.add), future) == [2]
    kinds = [event.kind for _, event in services.runs.events(run_id=run.id)]
    assert kinds[:4] == [
        f"TaskRun{each}" for each in ("Scheduled", "Started", "Crashed", "Scheduled")
    ]


def test_a_call_that_crashes_each_time_is_given_up(services: Services) -> None:
    future = tasks.crash.delay()
    (error,) = work(TaskWorker(tasks.crash), future)
    assert isinstance(error, CrashedRun)
    assert services.runs.run(future.task_run_id).attempt == 5
    assert find_calls([future.task_run_id]) == {}


def test_stopping_lets_what_runs_end_and_begins_nothing(services: Services) -> None:
    @task
    def hold() -> str:
        wait_until(lambda: is_free)
        return "ended"

    is_free: list[bool] = []
    worker = TaskWorker(hold, limit=1)
    first, second = hold.delay(), hold.delay()
    worker.step()
    worker.stop()
    is_free.append(True)
    worker.run_until_stopped()
    assert (first.result(), second.done()) == ("ended", False)


def test_stopping_at_once_gives_the_call_to_others(services: Services) -> None:
    @task
    def hold() -> str:
        has_begun.append(True)
        wait_until(lambda: is_free)
        return "ended"

    has_begun: list[bool] = []
    is_free: list[bool] = []
    first = TaskWorker(hold)
    future = hold.delay()
    first.step()
    wait_until(lambda: has_begun)
    first.end_runs()
    first.run_until_stopped()
    assert services.runs.run(future.task_run_id).state.type is CRASHED
    is_free.append(True)
    assert work(TaskWorker(hold), future) == ["ended"]


def test_the_status_is_told_over_http(services: Services) -> None:
    worker = TaskWorker(tasks.add, limit=3)
    with serve_status(0, worker.describe_status) as port:
        with urlopen(f"http://127.0.0.1:{port}/status") as answer:
            told = json.load(answer)
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"http://127.0.0.1:{port}/other").close()
        with pytest.raises(ConfigurationError, match="can't be used"), serve_status(port, dict):
            pass
    assert told == {"tasks": worker.keys, "running": [], "limit": 3, "is_stopping": False}


def test_a_worker_ends_by_itself_when_its_time_is_over(services: Services) -> None:
    future = tasks.add.delay(1)
    TaskWorker(tasks.add, status_server_port=0).start(timeout=0)
    assert future.result(timeout=0) == 2
    asyncio.run(TaskWorker(tasks.add).astart(timeout=0))


def test_a_worker_on_a_loop_that_is_cancelled_lets_what_runs_end(services: Services) -> None:
    @task
    def hold() -> str:
        has_begun.append(True)
        wait_until(lambda: is_free)
        return "ended"

    has_begun: list[bool] = []
    is_free: list[bool] = []

    async def serve() -> None:
        serving = asyncio.create_task(worker.astart())
        await asyncio.to_thread(wait_until, lambda: has_begun)
        serving.cancel()
        await asyncio.sleep(0)
        is_free.append(True)
        with pytest.raises(asyncio.CancelledError):
            await serving

    worker = TaskWorker(hold)
    future = hold.delay()
    asyncio.run(serve())
    assert future.result(timeout=0) == "ended"
    assert services.slots.list_slots() == []


def test_what_can_t_be_sent_is_refused_at_the_call(services: Services) -> None:
    class Holder:
        @task
        def method(self) -> None: ...

    @task
    def local() -> None: ...

    with pytest.raises(ParameterBindError):
        tasks.add.delay()
    with pytest.raises(
        NotSerializable, match=r"'add' was not sent: its argument 'b' can't be pickled: .*generator"
    ) as caught:
        tasks.add.delay(1, (each for each in "x"))
    assert (caught.value.unit, caught.value.argument) == ("add", "b")
    with pytest.raises(ConfigurationError, match="method of an object"):
        Holder().method.delay()
    with pytest.raises(ConfigurationError, match="it is defined inside 'test_what_can_t_be"):
        local.delay()
    for wrong, what in (
        ({"args": "a@b"}, "args is of the type str"),
        ({"args": 1}, "args is of the type int"),
        ({"kwargs": "x"}, "kwargs is of the type str"),
        ({"wait_for": ["nofuture"]}, "wait_for has a value of the type str"),
        ({"wait_for": 3}, "wait_for is of the type int"),
    ):
        with pytest.raises(ConfigurationError, match=what):
            tasks.add.apply_async(**{"args": (1,), **wrong})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="is not a run"):
        tasks.add.apply_async((1,), dependencies={"x": [3]})
    assert services.documents.find("background-call:", prefix=True) == []


def test_what_can_t_be_served_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="nothing to serve"):
        TaskWorker()
    with pytest.raises(ConfigurationError, match="is not a task"):
        TaskWorker(tasks.add.fn)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="the same name"):
        TaskWorker(tasks.add, tasks.add.with_options(retries=2))
    with pytest.raises(ConfigurationError, match="'x' is not a whole number"):
        TaskWorker(tasks.add, limit="x")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="99999 is not a port"):
        TaskWorker(tasks.add, status_server_port=99999)
    with pytest.raises(ConfigurationError, match="timeout='x' is not a number of seconds"):
        TaskWorker(tasks.add).start(timeout="x")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="lets no run start"):
        TaskWorker(tasks.add, limit=0)
