from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from flowstone.errors import (
    Conflict,
    DocumentInvalid,
    FlowstoneError,
    ManifestInvalid,
    MissingResult,
    ObjectNotFound,
    RecordInvalid,
    RunNotFound,
    StoreBusy,
)
from flowstone.records import encoding, redaction
from flowstone.records.documents import Document
from flowstone.records.error_encoding import decode_error, encode_error
from flowstone.records.events import ArtifactVersion, Event, LogLine
from flowstone.records.limits import Claim, Limit, Refusal, Slot
from flowstone.records.runs import (
    Fence,
    Handover,
    Lease,
    RestartInfo,
    Run,
    RunQuery,
    StateChange,
)
from flowstone.records.states import COMPLETED, Completed, State, StateType

text = st.text()
moments = st.floats(allow_nan=False, allow_infinity=False)
states: st.SearchStrategy[State] = st.builds(
    State, st.sampled_from(StateType), st.text(min_size=1), st.none() | text, moments
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | moments | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
leases = st.none() | st.builds(Lease, text, text, moments)
recipes = st.builds(RestartInfo, st.none() | text, st.none() | text, st.lists(text).map(tuple))
runs = st.builds(
    Run,
    id=text,
    kind=st.sampled_from(["flow", "task"]),
    name=text,
    unit=text,
    root_id=text,
    parent_id=st.none() | text,
    state=states,
    version=st.integers(1),
    attempt=st.integers(0),
    created=moments,
    started=st.none() | moments,
    ended=st.none() | moments,
    tags=st.lists(text, max_size=3).map(tuple),
    unit_version=st.none() | text,
    parameters=st.none() | st.dictionaries(text, values, max_size=3),
    inputs=st.lists(text, max_size=3).map(tuple),
    lease=leases,
    recipe=st.none() | recipes,
)
payloads = (
    runs
    | st.builds(StateChange, st.integers(1), states, st.integers(0))
    | st.builds(Handover, st.integers(1), states, st.integers(0), leases)
    | st.builds(LogLine, st.integers(), text, text, st.none() | st.dictionaries(text, values))
    | st.builds(ArtifactVersion, text, text, st.none() | text, st.none() | text, values)
)
limits = st.builds(Limit, text, st.integers(), st.booleans(), moments)
slots = st.builds(
    Slot, text, text, st.integers(), text, text, st.none() | text, moments, moments, st.booleans()
)
events = st.builds(Event, text, text, text, text, moments, payloads)


@given(events)
def test_an_event_comes_back_from_json(event: Event) -> None:
    assert (
        encoding.decode_event(encoding.loads(encoding.dumps(encoding.encode_event(event)))) == event
    )


records = (
    payloads
    | leases.filter(bool)
    | st.builds(Fence, text, st.integers(), text)
    | st.builds(
        RunQuery,
        root_id=st.none() | text,
        states=st.lists(text, max_size=2).map(tuple),
        limit=st.none() | st.integers(),
    )
    | st.builds(
        Document, text, text, st.dictionaries(text, values), st.integers(), moments, moments
    )
    | limits
    | slots
    | st.builds(
        Claim,
        text,
        st.lists(text, max_size=2).map(tuple),
        st.integers(),
        text,
        text,
        seconds=moments,
        waited=moments,
    )
    | st.builds(Refusal, limits, st.integers(), st.lists(slots, max_size=2).map(tuple), moments)
)


@given(records)
def test_a_record_comes_back_from_json_that_says_its_type(record: object) -> None:
    body = encoding.loads(encoding.dumps(encoding.encode_record(record)))
    assert encoding.decode_record(body) == record
    assert encoding.decode_record({**body, "of a newer version": 1}) == record


def test_a_record_of_an_unknown_type_is_refused() -> None:
    for body in ({"type": "moon"}, {}, {"type": "run"}):
        with pytest.raises(RecordInvalid, match="upgrade with `pip install -U flowstone`"):
            encoding.decode_record(body)


#: As the first versions wrote payloads: told apart by their keys.
FIRST: dict[str, dict[str, Any]] = {
    "a run": {"run": {"id": "r", "kind": "flow", "name": "n", "unit": "u", "root_id": "r",
                      "parent_id": None, "state": {"type": "RUNNING", "name": "Running", "at": 1.0},
                      "version": 1, "attempt": 1, "created": 1.0, "started": 1.0, "ended": None,
                      "tags": ["a"], "unit_version": None, "parameters": {"n": 1}, "inputs": [],
                      "lease": {"token": "t", "holder": "h", "until": 2.0},
                      "recipe": {"entrypoint": "m:f", "obstacle": None, "lost": ["p"]}}},
    "a change": {"version": 2, "attempt": 1, "state": {"type": "FAILED", "name": "F", "at": 2.0}},
    "a handover": {"version": 2, "attempt": 1, "lease": None,
                   "state": {"type": "PAUSED", "name": "Suspended", "at": 2.0, "message": "m"}},
    "a line": {"level": 20, "logger": "l", "message": "m"},
    "an artifact": {"artifact": {"id": "a", "kind": "link", "key": None, "description": "d",
                                 "data": [1]}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("was", "payload"),
    [
        (
            "a run",
            Run(
                "r", "flow", "n", "u", "r", None, 1.0, ("a",), None, {"n": 1}, (),
                Lease("t", "h", 2.0), RestartInfo("m:f", None, ("p",)), None, None,
                State(StateType.RUNNING, "Running", None, 1.0), 1, 1, 1.0,
            ),
        ),
        ("a change", StateChange(2, State(StateType.FAILED, "F", None, 2.0), 1)),
        ("a handover", Handover(2, State(StateType.PAUSED, "Suspended", "m", 2.0), 1, None)),
        ("a line", LogLine(20, "l", "m")),
        ("an artifact", ArtifactVersion("a", "link", None, "d", [1])),
    ],
)  # fmt: skip
def test_facts_of_the_first_versions_are_read(was: str, payload: object) -> None:
    body = {"id": "e", "kind": "k", "run_id": "r", "root_id": "r", "at": 1.0, "payload": FIRST[was]}
    assert encoding.decode_event(body) == Event("e", "k", "r", "r", 1.0, cast("Any", payload))


ERRORS = [
    Conflict("calm-otter", 1, 2, Run("r", "flow", "n", "u", "r", None)),
    ObjectNotFound("variable", "colour", ["color", "city"]),
    RunNotFound("calm-oter", ["calm-otter"]),
    StoreBusy("/a/flowstone.db", 5.0),
    DocumentInvalid("block:x", "prod", {"user": "missing"}),
    ManifestInvalid(["a.toml:3: no", "b"]),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_comes_back_with_its_facts(error: FlowstoneError) -> None:
    again = decode_error(encoding.loads(encoding.dumps(encode_error(error))))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@dataclass
class Place:
    path: str


def test_a_fact_that_json_has_not_is_told() -> None:
    error = StoreBusy("a.db", 5.0)
    vars(error).update(place=Place("a.db"), places={Place("b.db").path}, by={1: [Place("c.db")]})
    again = vars(decode_error(encoding.loads(encoding.dumps(encode_error(error)))))
    assert again["place"] == {"path": "a.db"}
    assert again["places"] == ["b.db"]
    assert again["by"] == {"1": [{"path": "c.db"}]}


def test_a_document_is_sent_as_it_is() -> None:
    redaction.register("a registered secret")
    body = {"user": "a registered secret", "many": list(range(2 * encoding.MOST_ITEMS))}
    document = Document("block:x", "a", body, 1, 1.0, 1.0)
    assert encoding.decode_record(encoding.encode_record(document)) == document


def test_an_error_of_a_newer_version_is_a_plain_one() -> None:
    again = decode_error({"type": "MoonMissing", "args": ["there is no moon"]})
    assert type(again) is FlowstoneError
    assert str(again) == "there is no moon"
    assert type(decode_error({"type": "annotations", "args": []})) is FlowstoneError


@given(values)
def test_json_values_stay_as_they_are(value: object) -> None:
    assert encoding.describe_as_json(value) == value


@given(st.recursive(
    st.none() | st.binary() | st.floats() | st.complex_numbers() | st.dates() | text,
    lambda inner: st.frozensets(st.integers()) | st.tuples(inner, inner) | st.lists(inner)
    | st.dictionaries(st.integers(), inner),
))  # fmt: skip
def test_anything_has_a_json_form(value: object) -> None:
    json.dumps(encoding.describe_as_json(value), allow_nan=False)


def test_what_a_run_completed_with_is_not_sent() -> None:
    body = encoding.encode_state(Completed(data=object()))
    assert encoding.decode_state(body).type is COMPLETED
    with pytest.raises(MissingResult):
        encoding.decode_state(body).result()


class Colour(Enum):
    RED = "red"


@dataclass
class Login:
    user: str
    password: str = field(repr=False)


class Settings(BaseModel):
    url: str
    token: SecretStr


class Told:
    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (Colour.RED, "red"),
        (Login("ann", "hush"), {"user": "ann"}),
        (Settings(url="x", token=SecretStr("hush")), {"url": "x", "token": "**********"}),
        (Path("/a"), "/a"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (math.inf, "inf"),
        ({1: (2, 3)}, {"1": [2, 3]}),
        (Broken(), "<Broken, whose repr raised RuntimeError>"),
    ],
)
def test_a_value_is_told_to_a_person(value: object, form: object) -> None:
    assert encoding.describe_as_json(value) == form


def test_size_and_depth_are_bounded() -> None:
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    assert len(json.dumps(encoding.describe_as_json(deep))) < 2 * encoding.LONGEST_REPR
    assert (
        len(encoding.describe_as_json(list(range(10 * encoding.MOST_ITEMS)))) == encoding.MOST_ITEMS
    )
    assert len(encoding.describe_as_json(b"x" * 10_000)) == encoding.LONGEST_REPR + 1


def test_no_half_of_a_secret_is_left_where_a_value_is_cut() -> None:
    secret = "half-a-s3cret-value"
    redaction.register(secret)
    for before in range(encoding.LONGEST_REPR - len(secret) - 3, encoding.LONGEST_REPR):
        text = encoding.describe_as_json([Told("y" * before + secret)])[0]
        assert len(text) <= encoding.LONGEST_REPR + 1
        assert text.rstrip("…").rstrip("*").rstrip("y") == ""


def test_secrets_do_not_travel() -> None:
    secret = "wire-s3cret-value"
    redaction.register(secret)
    run = Run(
        "r", "flow", "n", "u", "r", None, state=State(StateType.FAILED, message=f"bad {secret}")
    )
    run = replace(run, parameters={"p": {"deep": [f"it is {secret}"]}, secret: 1})
    for payload in (run, StateChange(2, run.state, 1), LogLine(20, "x", f"log {secret}")):
        event = Event("e", "k", "r", "r", 0.0, payload)
        assert secret not in encoding.dumps(encoding.encode_event(event))
