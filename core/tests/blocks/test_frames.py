"""No frame of ours holds a secret when an error leaves it: some reports show all variables."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pydantic
import pytest
from pydantic import SecretStr

from flowstone.blocks import (
    Block,
    SecretProvider,
    SecretStoreProvider,
    ShellOperation,
    Webhook,
)
from flowstone_testing.desks import web_desk

WORD = f"canary{secrets.token_hex(8)}"


class Guarded(Block):
    text: SecretStr = SecretStr("")
    number: pydantic.Secret[int] | None = None


class Framed(SecretProvider):
    """Secrets of many forms, by name."""

    def make_provider(self) -> FramedProvider:
        return FramedProvider()


class FramedProvider(SecretStoreProvider):
    where = "a frame"

    def read(self, name: str, version: str | None) -> bytes:
        known = {"json": json.dumps({"a": WORD}), "text": WORD}
        return known[name].encode() if name in known else WORD.encode() + b"\xff"

    def list_names(self, prefix: str) -> Iterator[str]:
        return iter(())


def variables(error: BaseException | None, seen: set[int]) -> Iterator[str]:
    """Yield what is in the frames of ours that an error has come through, and in its causes."""
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield f"{error!r} {vars(error)!r}"
        place = error.__traceback__
        while place is not None:
            frame = place.tb_frame
            if "/flowstone/" in frame.f_code.co_filename:
                yield f"{frame.f_code.co_qualname}: {frame.f_locals!r}"
            place = place.tb_next
        yield from variables(error.__context__, seen)
        error = error.__cause__


def locked(path: Path) -> str:
    path.write_text(WORD)
    path.chmod(0o666)
    return f"file:{path}"


def number(reference: str) -> int:
    block = Guarded(number=reference)
    assert block.number is not None
    return block.number.get_secret_value()


UNKNOWN: dict[str, object] = {"text": WORD, "nothing": 1}
WRONG: dict[str, Callable[[Path], object]] = {
    "no such field": lambda _: Guarded(**UNKNOWN),
    "of the wrong type": lambda _: Guarded(number=WORD),
    "assigned": lambda _: setattr(Guarded(), "text", {"a": WORD}),
    "assigned nowhere": lambda _: setattr(Guarded(), "nothing", WORD),
    "copied": lambda _: Guarded().model_copy(update={"text": {"a": WORD}}),
    "validated": lambda _: Guarded.model_validate({"text": WORD, "nothing": 1}),
    "no such path": lambda _: Guarded(text="framed:json#b").text.get_secret_value(),
    "no JSON": lambda _: Guarded(text="framed:text#b").text.get_secret_value(),
    "no text": lambda _: Guarded(text="framed:bytes").text.get_secret_value(),
    "no number": lambda _: number("framed:text"),
    "open to all": lambda path: Guarded(text=locked(path)).text.get_secret_value(),
    "no directory": lambda path: ShellOperation(
        commands=["true"], secret_env={"A": WORD}, working_dir=path / "nothing"
    ).run(),
    "no URL": lambda _: Webhook(url=f"nope://{WORD}/x").notify("a note"),
}


@pytest.mark.skipif(os.name != "posix", reason="who may write a file is told by its mode")
@pytest.mark.parametrize("what", WRONG)
def test_no_frame_has_it(tmp_path: Path, what: str) -> None:
    with pytest.raises(Exception) as caught:
        WRONG[what](tmp_path / "file")
    told = list(variables(caught.value, set()))
    assert not [each for each in told if WORD in each]
    assert told
    assert not isinstance(caught.value, AssertionError)


@pytest.mark.parametrize("before", [0, 200])
def test_no_half_of_a_secret_is_in_the_words_of_a_service(before: int) -> None:
    path = f"{WORD}{'-' * before}"
    with web_desk() as desk:
        desk.behave("refuses")  # and quotes the path
        with pytest.raises(Exception, match="it answered 400") as caught:
            Webhook(url=f"{desk.url}/{path}").notify("a note")
    assert WORD[:8] not in str(caught.value)
