"""Pauses and suspensions, on services in memory: what waits, what it asks, who resumes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from enum import Enum
from threading import Event, Thread
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, SecretStr, field_validator

from flowstone import (
    apause_flow_run,
    aresume_flow_run,
    asuspend_flow_run,
    flow,
    pause_flow_run,
    resume_flow_run,
    suspend_flow_run,
    task,
)
from flowstone.context.current import Services, use_services
from flowstone.errors import (
    CancelSignal,
    ConfigurationError,
    InputInvalid,
    MissingContextError,
    NotPausable,
    NotPaused,
    NotRepeatable,
    PauseTimeout,
    SuspendedRun,
)
from flowstone.flow_runs import requests, retry_flow_run
from flowstone.input import RunInput
from flowstone.records.events import make_change_event
from flowstone.records.runs import Run, RunQuery
from flowstone.states import Cancelling, Resuming, State

got: list[object] = []
fails: list[bool] = []


@pytest.fixture(autouse=True)
def _clear(services: Services) -> None:
    got.clear()
    fails.clear()


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


class Approval(RunInput):
    by: str
    rows: int = Field(ge=1, description="how many")
    day: date = date(2020, 1, 2)
    mood: Mood = Mood.GOOD
    size: Literal["s", "m"] = "s"
    token: SecretStr = SecretStr("")
    note: str | None = None

    @field_validator("by")
    @classmethod
    def _known(cls, by: str) -> str:
        if by == "nobody":
            raise ValueError("nobody is no name")
        return by


class Apart:
    """A call on another thread."""

    def __init__(self, services: Services, call: Callable[[], Any]) -> None:
        self.services = services
        self.value: Any = None
        self.error: BaseException | None = None
        self._thread = Thread(target=self._run, args=(call,))
        self._thread.start()

    def _run(self, call: Callable[[], Any]) -> None:
        try:
            self.value = call()
            if asyncio.iscoroutine(self.value):
                self.value = asyncio.run(self.value)
        except BaseException as error:
            self.error = error

    def until(self, name: str) -> Run:
        """Return the run, once one is in that state."""
        pulse = Event()
        while self._thread.is_alive() or name in {"Completed", "Failed"}:
            for run in self.services.runs.runs(RunQuery(states=(name,))):
                if run.kind == "flow":
                    return run
            pulse.wait(0.01)
        raise AssertionError(f"it never was {name}: {self.error!r}")

    def end(self) -> Any:
        self._thread.join(300)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error
        return self.value


@flow
def asks() -> Any:
    return pause_flow_run(Approval, poll_interval=0.05)


@flow
async def asks_async() -> Any:
    return await apause_flow_run(Approval, poll_interval=0.05)


@pytest.mark.parametrize("unit", [asks, asks_async])
def test_a_paused_flow_gets_what_it_asked_for(
    services: Services, unit: Callable[[], object]
) -> None:
    apart = Apart(services, unit)
    run = apart.until("Paused")
    assert run.lease is not None
    assert "waits for input (by, rows, day, mood, size, token, note)" in (run.state.message or "")
    end = resume_flow_run(run.id, {"by": "Ann", "rows": "3", "mood": "bad"})
    assert isinstance(end, State)
    found = apart.end()
    assert found == Approval(by="Ann", rows=3, mood=Mood.BAD)
    after = services.runs.run(run.id)
    assert (after.state.name, after.attempt) == ("Completed", 1)
    states = [
        event.payload.state.name
        for _, event in services.runs.events(run_id=run.id)
        if hasattr(event.payload, "state")
    ]
    assert states == ["Running", "Paused", "Resuming", "Running", "Completed"]


def test_a_pause_without_input_is_resumed_without(services: Services) -> None:
    @flow
    def waits() -> str:
        assert pause_flow_run(poll_interval=0.05) is None
        return "went on"

    apart = Apart(services, waits)
    run = apart.until("Paused")
    with pytest.raises(InputInvalid, match="n: it asks for no input"):
        resume_flow_run(run.id, {"n": 1})
    resume_flow_run(run.name)
    assert apart.end() == "went on"


@pytest.mark.parametrize(
    ("wanted", "given", "value"),
    [
        (int, 5, 5),
        (int, {"value": "5"}, 5),
        (str, "x", "x"),
        (list[date], ["2020-01-02"], [date(2020, 1, 2)]),
        (bool | None, {"value": None}, None),
    ],
)
def test_any_type_can_be_asked_for(
    services: Services, wanted: type[object], given: object, value: object
) -> None:
    @flow
    def waits() -> Any:
        return pause_flow_run(wanted, poll_interval=0.05)

    apart = Apart(services, waits)
    resume_flow_run(apart.until("Paused").id, given)
    assert apart.end() == value


def test_what_does_not_fit_is_named_and_nothing_is_lost(services: Services) -> None:
    apart = Apart(services, asks)
    run = apart.until("Paused")
    wrong = {"rows": 0, "day": "soon", "mood": "sad", "size": "xl", "tokn": "x" * 9}
    with pytest.raises(InputInvalid) as caught:
        resume_flow_run(run.id, wrong)
    assert set(caught.value.problems) == {"by", "rows", "day", "mood", "size", "tokn"}
    assert "Did you mean 'token'" in caught.value.problems["tokn"]
    assert services.runs.run(run.id).state.name == "Paused"
    with pytest.raises(InputInvalid, match=r"by: .*nobody is no name"):
        resume_flow_run(run.id, {"by": "nobody", "rows": 1})
    again = services.runs.run(run.id)
    assert again.state.name == "Paused"
    assert "nobody is no name" in (again.state.message or "")
    resume_flow_run(run.id, Approval(by="Ann", rows=1))
    assert apart.end().by == "Ann"


def test_initial_data_and_words_reach_the_person(services: Services) -> None:
    @flow
    def waits() -> Any:
        model = Approval.with_initial_data("Is it **good**?", by="Ann", token=SecretStr("hush1234"))
        return pause_flow_run(model, poll_interval=0.05)

    apart = Apart(services, waits)
    run = apart.until("Paused")
    question = requests.find_open_question(run.id)
    assert question is not None
    assert question.description == "Is it **good**?"
    fields = {field.name: field for field in question.fields}
    assert (fields["by"].default, fields["by"].is_required) == ("Ann", False)
    assert fields["token"].is_secret
    assert fields["mood"].choices == ("good", "bad")
    assert fields["rows"].description == "how many"
    assert "hush1234" not in repr(services.documents.find("", prefix=True))
    resume_flow_run(run.id, {"rows": 2})
    found = apart.end()
    assert isinstance(found, Approval)
    assert (found.by, found.token.get_secret_value()) == ("Ann", "hush1234")


def test_initial_data_of_no_field_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"no field 'bye'.*Did you mean 'by'"):
        Approval.with_initial_data(bye="x")


def test_what_no_person_can_fill_in_is_refused(services: Services) -> None:
    class Odd(BaseModel):
        model_config = {"arbitrary_types_allowed": True}
        thread: Thread

    @flow
    def waits() -> None:
        pause_flow_run(Odd)

    with pytest.raises(ConfigurationError, match="wait_for_input=Odd"):
        waits()


def test_a_pause_has_its_time(services: Services) -> None:
    @flow
    def waits() -> str:
        with pytest.raises(TimeoutError, match="was not resumed"):
            pause_flow_run(timeout=0.05)
        return "went on"

    assert waits() == "went on"

    @flow
    def fails() -> None:
        pause_flow_run(timeout=0.05)

    end = fails(return_state=True)
    assert end.is_failed()
    assert "was not resumed" in (end.message or "")


def test_of_two_that_resume_one_wins(services: Services) -> None:
    @flow
    def waits() -> Any:
        return pause_flow_run(int, poll_interval=5)  # long enough for both

    apart = Apart(services, waits)
    run = apart.until("Paused")
    ends: list[object] = []

    def resume(number: int) -> None:
        try:
            resume_flow_run(run.id, number)
        except NotPaused as error:
            ends.append(str(error))
        else:
            ends.append(number)

    threads = [Thread(target=resume, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [end for end in ends if isinstance(end, int)]
    assert len(winners) == 1, ends
    assert apart.end() == winners[0]
    assert all("can't be resumed" in end for end in ends if isinstance(end, str))
    assert requests.find_open_question(run.id) is None
    question = requests.find_question(run.id, "0")
    assert question is not None
    assert len(question.answers) == 1


def test_an_answer_whose_event_was_not_kept_does_not_count(services: Services) -> None:
    """The resumer died between its two writes: the run still waits, and the next one is heard."""
    apart = Apart(services, asks)
    run = apart.until("Paused")
    question = requests.find_open_question(run.id)
    assert question is not None
    requests.answer(
        question, make_change_event(run, Resuming(), 1).id, {"by": "a ghost", "rows": 1}
    )
    resume_flow_run(run.id, {"by": "Ann", "rows": 1})
    assert apart.end().by == "Ann"


@pytest.mark.parametrize("unit", [asks, asks_async])
def test_a_paused_run_is_cancelled(services: Services, unit: Callable[[], object]) -> None:
    apart = Apart(services, unit)
    run = apart.until("Paused")
    services.runs.record(make_change_event(run, Cancelling(), run.attempt))
    with pytest.raises((CancelSignal, asyncio.CancelledError)):
        apart.end()
    assert services.runs.run(run.id).state.name == "Cancelled"
    with pytest.raises(NotPaused, match="flowstone run retry"):
        resume_flow_run(run.id)


def test_a_run_that_nobody_resumed_in_time_is_still_heard_and_held(services: Services) -> None:
    """A cancel that came into its second pause was for nobody, and nobody renewed its lease."""

    @flow
    def patient() -> None:
        with suppress(PauseTimeout):
            pause_flow_run(timeout=0.05, poll_interval=0.01)
        went_on.set()
        pause_flow_run(poll_interval=0.05)

    went_on = Event()
    apart = Apart(services, patient)
    assert went_on.wait(300)
    run = apart.until("Paused")
    services.runs.record(make_change_event(run, Cancelling(), run.attempt))
    with pytest.raises(CancelSignal):
        apart.end()


def test_a_nested_flow_is_paused_by_itself(services: Services) -> None:
    @flow
    def outer() -> Any:
        return asks().by + "!"

    apart = Apart(services, outer)
    run = apart.until("Paused")
    assert not run.is_root
    assert services.runs.run(run.root_id).state.name == "Running"
    resume_flow_run(run.id, {"by": "Ann", "rows": 1})
    assert apart.end() == "Ann!"


@flow
def twice() -> None:
    got.append(pause_flow_run(int, poll_interval=0.05))
    got.append(pause_flow_run(int, poll_interval=0.05, key="last"))
    if fails.pop():
        raise ValueError("not yet")


def test_what_was_answered_is_not_asked_again(services: Services) -> None:
    fails.append(True)
    apart = Apart(services, twice)
    for number in (1, 2):
        resume_flow_run(apart.until("Paused").id, number)
    with pytest.raises(ValueError, match="not yet"):
        apart.end()
    fails.append(False)
    assert retry_flow_run(the_run(services).id).is_completed()
    assert got == [1, 2, 1, 2]


def test_retries_in_one_process_do_not_ask_again_either(services: Services) -> None:
    fails.extend([False, True])
    apart = Apart(services, twice.with_options(retries=1))
    for number in (1, 2):
        resume_flow_run(apart.until("Paused").id, number)
    apart.end()
    assert got == [1, 2, 1, 2]


def test_only_a_flows_own_code_pauses_it(services: Services) -> None:
    @task
    def pauses() -> None:
        pause_flow_run()

    @flow
    def f() -> None:
        pauses()

    with pytest.raises(MissingContextError):
        pause_flow_run()
    with pytest.raises(NotPausable, match="in the task run 'pauses-0'"):
        f()

    @flow
    async def blocks() -> None:
        pause_flow_run()

    with pytest.raises(NotPausable, match="await apause_flow_run"):
        asyncio.run(blocks())


def test_a_flow_that_is_drawn_asks_nobody(services: Services) -> None:
    @task
    def publish(told: Approval) -> None: ...

    @flow
    def draws() -> None:
        pause_flow_run()
        publish(suspend_flow_run(Approval))

    assert "publish" in draws.generate_mermaid_graph()
    assert services.documents.find("", prefix=True) == []


# ------------------------------------------------------------ suspended


@task(persist_result=True)
def expensive() -> int:
    got.append("computed")
    return 20


@flow
def suspends() -> int:
    future = expensive.submit()
    found: Approval = suspend_flow_run(Approval)
    return future.result() + found.rows


@flow
async def suspends_async() -> int:
    expensive()
    found: int = await asuspend_flow_run(int)
    return found


def the_run(services: Services) -> Run:
    [run] = [each for each in services.runs.runs(RunQuery(listed=True)) if each.is_root]
    return run


def test_a_suspended_flow_is_executed_again_with_its_input(services: Services) -> None:
    with pytest.raises(SuspendedRun, match="flowstone run resume"):
        suspends()
    run = the_run(services)
    assert (run.state.name, run.lease) == ("Suspended", None)
    services.documents._now = lambda: run.created + 1e9  # type: ignore[attr-defined]
    assert services.runs.reap() == []
    assert got == ["computed"]  # what was submitted was waited for
    assert resume_flow_run(run.id, {"by": "Ann", "rows": 1}).result() == 21
    assert got == ["computed"]
    after = services.runs.run(run.id)
    assert (after.state.name, after.attempt) == ("Completed", 2)
    tree = services.runs.runs(RunQuery(root_id=run.id))
    assert [each.state.name for each in tree[1:]] == ["Completed", "Cached"]


def test_its_state_is_returned_where_that_is_asked_for(services: Services) -> None:
    end = suspends(return_state=True)
    assert end.is_paused()
    assert end.name == "Suspended"
    with pytest.raises(SuspendedRun):
        end.result()


def test_an_async_flow_is_suspended_and_resumed(services: Services) -> None:
    with pytest.raises(SuspendedRun):
        asyncio.run(suspends_async())
    assert asyncio.run(aresume_flow_run(the_run(services).id, 7)).result() == 7
    assert got == ["computed"]


def test_code_of_the_flow_does_not_swallow_it(services: Services) -> None:
    with pytest.raises(SuspendedRun):
        swallows()


@flow
def swallows() -> None:
    try:
        suspend_flow_run()
    except Exception:
        got.append("swallowed")


def test_a_suspended_run_that_is_asked_wrongly_still_waits(services: Services) -> None:
    suspends(return_state=True)
    run = the_run(services)
    with pytest.raises(InputInvalid, match=r"rows: .*required"):
        resume_flow_run(run.id, {"by": "Ann"})
    with pytest.raises(NotRepeatable, match="there is no file gone"):
        resume_flow_run(run.id, {"by": "Ann", "rows": 1}, entrypoint="gone.py:x")
    assert services.runs.run(run.id) == run
    # Only the model itself sees this one: the run is suspended again, and says why.
    end = resume_flow_run(run.id, {"by": "nobody", "rows": 1})
    assert end.name == "Suspended"
    assert "nobody is no name" in (end.message or "")
    assert resume_flow_run(run.id, {"by": "Ann", "rows": 1}).result() == 21


def test_what_was_answered_before_is_not_asked_when_others_suspend_it(services: Services) -> None:
    apart = Apart(services, asks_and_waits)
    resume_flow_run(apart.until("Paused").id, 5)
    run = apart.until("Running")
    going.wait(300)
    suspend_flow_run(flow_run_id=run.id)
    with pytest.raises(SuspendedRun):
        apart.end()
    going.clear()
    leave.set()
    assert requests.find_open_question(run.id) is None
    assert resume_flow_run(run.id).result() == 5


going, leave = Event(), Event()


@flow
def asks_and_waits() -> int:
    found: int = pause_flow_run(int, poll_interval=0.05)
    going.set()
    while not leave.wait(0.01):
        pass
    return found


def test_a_run_that_fails_after_it_was_resumed_is_not_asked_again(services: Services) -> None:
    stumbles(return_state=True)
    run = the_run(services)
    fails.extend([False, True])
    assert resume_flow_run(run.id, 7).is_failed()
    assert retry_flow_run(run.id).result() == 7
    assert services.runs.run(run.id).attempt == 3


@flow
def stumbles() -> int:
    found: int = suspend_flow_run(int)
    if fails.pop():
        raise ValueError("not yet")
    return found


def test_a_suspension_has_its_time(services: Services) -> None:
    with pytest.raises(SuspendedRun):
        hurried()
    run = the_run(services)
    with pytest.raises(PauseTimeout, match="Execute it again with `flowstone run retry`"):
        resume_flow_run(run.id)
    assert services.runs.run(run.id).state.name == "Failed"


@flow
def hurried() -> None:
    suspend_flow_run(timeout=-1)


def test_what_could_never_be_resumed_is_not_suspended(services: Services) -> None:
    @flow
    def inside() -> None:
        suspend_flow_run()

    with pytest.raises(NotPausable, match="could not be loaded again: it is defined inside"):
        inside()
    assert the_run(services).state.name == "Failed"

    @flow
    def outer() -> None:
        suspends()

    with pytest.raises(NotPausable, match="not an outermost flow run"):
        outer()


def test_a_run_suspended_here_can_be_resumed_by_other_services(services: Services) -> None:
    suspends(return_state=True)
    run = the_run(services)
    with use_services(services):
        assert resume_flow_run(run.id, {"by": "Ann", "rows": 2}).result() == 22
