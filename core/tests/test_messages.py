"""Calls of a port and their answers as bytes, and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstone.errors import Conflict, ObjectNotFound, RecordInvalid
from flowstone.records.events import make_birth_event
from flowstone.records.limits import Claim, Limit, Refusal, Slot
from flowstone.records.messages import (
    StoreCall,
    StoreReply,
    decode_call,
    decode_reply,
    encode_call,
    encode_reply,
)
from flowstone.records.runs import Fence, Lease, Run, RunQuery
from flowstone.records.states import RUNNING, State

RUN = Run("r", "flow", "n", "u", "r", None, lease=Lease("t", "h", seconds=30.0),
          state=State(RUNNING, at=1.0))  # fmt: skip
SLOT = Slot("db", "t", 1, "h", "me", None, 1.0, 31.0)
RECORDS = [
    RUN,
    make_birth_event(RUN),
    Fence("r", 1, "t"),
    RunQuery(tags=("a",)),
    Claim("t", ("db",), 1, "h", "me", None, 30.0, 1.5),
    SLOT,
    Refusal(Limit("db", 1), 1, (SLOT,), None),
]
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.just("\ud800")
    | st.sampled_from(RECORDS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.just("$record"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values, st.dictionaries(st.text(), values, max_size=2))
def test_a_call_and_its_answer_come_back(value: object, options: dict[str, object]) -> None:
    call = StoreCall("1", "append", (value, [value]), options)
    assert decode_call(encode_call(call)) == call
    assert decode_reply(encode_reply(StoreReply("1", value))) == StoreReply("1", value)


def test_an_error_is_an_answer() -> None:
    for error in (Conflict("n", 1, 2, RUN), ObjectNotFound("variable", "colour", ["color"])):
        again = decode_reply(encode_reply(StoreReply("1", error))).value
        assert type(again) is type(error)
        assert (str(again), vars(again)) == (str(error), vars(error))


def test_what_a_newer_version_adds_is_ignored() -> None:
    body = json.loads(encode_call(StoreCall("1", "run", (RUN,))))
    body["trace"] = "x"
    body["arguments"][0]["$record"]["queue"] = "default"
    assert decode_call(json.dumps(body).encode()) == StoreCall("1", "run", (RUN,))
    assert decode_reply(b'{"id": "1", "value": null, "cost": 3}') == StoreReply("1", None)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"method": "run"}', b"<html>"])
def test_what_is_no_message_is_refused(content: bytes) -> None:
    for decode in (decode_call, decode_reply):
        with pytest.raises(RecordInvalid, match="message"):
            decode(content)
