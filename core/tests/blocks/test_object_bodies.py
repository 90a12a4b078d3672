"""The content of a response as a file."""

from __future__ import annotations

from contextlib import AbstractContextManager
from io import BytesIO

import pytest

from flowstone.blocks.object_stores import ObjectBody
from flowstone.errors import FlowstoneError, Unreachable, replace_errors


def find_error(error: Exception) -> FlowstoneError | None:
    if isinstance(error, ConnectionError):
        return Unreachable("shelf", "the connection broke", "Try again.")
    return None


def translate_errors() -> AbstractContextManager[None]:
    return replace_errors(find_error)


def test_content_is_read_in_pieces_and_to_its_end() -> None:
    body = ObjectBody(BytesIO(b"0123456789").read, translate_errors, length=10, etag="a")
    assert (body.length, body.etag, body.readable(), body.seekable()) == (10, "a", True, False)
    assert (body.read(3), body.read(), body.read(), body.read(5)) == (b"012", b"3456789", b"", b"")


def test_all_may_be_asked_for_as_none() -> None:
    assert ObjectBody(BytesIO(b"all").read, translate_errors).read(None) == b"all"


def test_calls_are_as_small_as_is_asked_for() -> None:
    sizes: list[int] = []

    def read(size: int) -> bytes:
        sizes.append(size)
        return b""

    body = ObjectBody(read, translate_errors, most_bytes=100)
    for size in (10, 1000, -1):
        body.read(size)
    assert sizes == [10, 100, -1]


def test_no_content_is_empty() -> None:
    with ObjectBody(None, translate_errors, etag="a") as body:
        assert body.read() == b""
        assert (body.length, body.etag) == (0, "a")


def test_an_error_of_the_service_is_translated() -> None:
    broken = ConnectionResetError("by peer")

    def read(size: int) -> bytes:
        raise broken

    with pytest.raises(Unreachable, match="shelf: the connection broke") as caught:
        ObjectBody(read, translate_errors).read(1)
    assert caught.value.__cause__ is broken


def test_an_error_of_somebody_else_stays() -> None:
    with pytest.raises(KeyError), translate_errors():
        raise KeyError("a")


def test_an_interrupt_stays() -> None:
    with pytest.raises(KeyboardInterrupt), replace_errors(lambda error: Unreachable("a", "b", "c")):
        raise KeyboardInterrupt


def test_it_is_closed_once() -> None:
    closed: list[str] = []
    body = ObjectBody(BytesIO(b"all").read, translate_errors, close=lambda: closed.append("it"))
    with body:
        assert not closed
    body.close()
    assert closed == ["it"]
    with pytest.raises(ValueError, match="closed"):
        body.read()
