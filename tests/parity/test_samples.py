"""Each sample does what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flowstone import task
from flowstone.context import current
from flowstone.records.events import LogLine
from flowstone.records.runs import RunQuery

if TYPE_CHECKING:
    from tests.parity.conftest import HastyClock, Sample

    from flowstone.records.runs import Run


def _runs(unit: str) -> list[Run]:
    return current.services().runs.runs(RunQuery(unit=unit))


def _lines() -> list[str]:
    events = current.services().runs.events()
    return [event.payload.message for _, event in events if isinstance(event.payload, LogLine)]


def test_a_flow_of_tasks(sample: Sample, api: str) -> None:
    sample("github_stars", host=api)
    (run,) = _runs("GitHub Stars")
    assert run.state.is_completed()
    assert run.parameters == {"repos": ["PrefectHQ/Prefect"]}
    assert [task.state.name for task in _runs("get_stars")] == ["Completed"]
    assert "PrefectHQ/Prefect has 42 stars!" in _lines()


def test_dynamic_tasks(sample: Sample) -> None:
    made = sample("dynamic_tasks", get_customer_ids=lambda: ["ann", "bob", "eve"])
    assert made["main"]() == ["Processed ann", "Processed bob", "Processed eve"]
    assert [run.state.name for run in _runs("process_customer")] == ["Completed"] * 3


@pytest.mark.parametrize("failures", [0, 1, 3])
def test_retries(sample: Sample, clock: HastyClock, failures: int) -> None:
    answers = iter([*[ConnectionError("down")] * failures, "data"])

    def api_call() -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert sample("retries", api_call=api_call)["fetch_data"]() == "data"
    assert clock.slept == [60.0] * failures
    assert [run.attempt for run in _runs("fetch_data")] == [failures + 1]


def test_retries_come_to_an_end(sample: Sample, clock: HastyClock) -> None:
    def api_call() -> None:
        raise ConnectionError("down")

    with pytest.raises(ConnectionError, match="down"):
        sample("retries", api_call=api_call)["fetch_data"]()
    assert clock.slept == [60.0] * 3
    assert [run.state.name for run in _runs("fetch_data")] == ["Failed"]


def test_submit(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    @task
    def cool_task() -> str:
        return "cool"

    @task
    def what_did_cool_task_say(it_said: str) -> str:
        return f"it said {it_said}"

    stand_ins = {"cool_task": cool_task, "what_did_cool_task_say": what_did_cool_task_say}
    sample("submit", **stand_ins)["my_workflow"]()
    assert capsys.readouterr().out == "it said cool\n"
    (cool,), (said,) = _runs("cool_task"), _runs("what_did_cool_task_say")
    assert said.inputs == (cool.id,)


def test_a_pipeline_with_retries(sample: Sample, clock: HastyClock) -> None:
    answers = iter([OSError("no route"), OSError("no route"), "1, 2, 3"])
    written = {}

    def fetch_api_data(source: str) -> str:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return f"{source}: {answer}"

    made = sample(
        "etl",
        fetch_api_data=fetch_api_data,
        clean_and_transform=str.upper,
        write_to_database=lambda data, destination: written.update({destination: data}),
    )
    made["etl_pipeline"]()
    assert written == {"postgresql://db": "HTTPS://API.EXAMPLE.COM/DATA: 1, 2, 3"}
    assert clock.slept == [2.0, 4.0]
    assert [run.attempt for run in _runs("extract_data")] == [3]


def test_limits(sample: Sample) -> None:
    documents = current.services().documents
    documents.put("limit", "database", {"slots": 1})
    documents.put("limit", "rate-limited-api", {"slots": 2, "slot_decay_per_second": 100.0})
    documents.put("limit", "tag:small-table", {"slots": 1})
    assert sample("limits")["my_flow"]() == [3, 5, 7, 9, 1, 2]
    assert [run.state.name for run in _runs("fetch")] == ["Completed"] * 2
