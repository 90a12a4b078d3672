"""Every error of the tree: drawn, worded by itself, able to travel, and of use to who reads it."""

from __future__ import annotations

import inspect
import json
import pickle
import re
from collections.abc import Iterator
from typing import Any

import pytest

from flowstone import errors
from flowstone.records.error_encoding import decode_error, encode_error

#: What the parameters of the errors are given; a mapping or a list goes by its annotation.
FACTS: dict[str, Any] = {
    "actual": object(),
    "affected": ("s3-bucket/raw",),
    "code": -9,
    "expected": 1,
    "found": 9,
    "known": 3,
    "lengths": {"a": 1, "b": 2},
    "message": "the disk is full",
    "position": 3,
    "problem": "it is 'odd'",
    "problems": {"field": "it is odd"},
    "remedy": "Do the other thing.",
    "seconds": 2.5,
    "version": 2,
}
#: Words that tell somebody what to do, or where to look; one of them is in every message's end.
REMEDIES = re.compile(
    r"\b(add|ask|bring|call|check|choose|close|do|drop|give|is the package|it was ended|load|look|"
    r"fix|move|name|pass|pip install|point|put|read|return|run|save|see|set|show|shows|signature|"
    r"there are|upgrade|use|wait|wrap|write|lists them|did you mean)\b",
    re.IGNORECASE,
)
#: Roots of branches: caught, seldom raised.
BRANCHES = {"FlowstoneError", "ParameterError", "RunError", "StoreError", "DocumentError",
            "LimitError", "SecretError", "PluginError", "StopSignal"}  # fmt: skip
#: These only pass on what has ended a run; the cause is in the run's log.
ENDS = {"FailedRun", "CrashedRun", "CancelledRun", "RunTimeout", "TerminationSignal",
        "CancelSignal", "FencedRun", "SuspendSignal"}  # fmt: skip


def classes() -> list[type[BaseException]]:
    found = [getattr(errors, name) for name in errors.__all__]
    return [item for item in found if isinstance(item, type) and issubclass(item, BaseException)]


def made(kind: type[BaseException]) -> BaseException:
    """Return an error of a kind, made of facts."""
    if kind.__name__ in BRANCHES:
        return kind("something is wrong: fix it")
    parameters = inspect.signature(kind.__init__).parameters.values()
    facts = []
    for parameter in list(parameters)[1:]:
        value = FACTS.get(parameter.name, f"the-{parameter.name}")
        if parameter.name == "known" and "int" not in str(parameter.annotation):
            value = ["the-names", "other"]
        facts.append(value)
    return kind(*facts)


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_an_error_words_itself_and_says_what_to_do(kind: type[BaseException]) -> None:
    error = made(kind)
    text = str(error)
    assert kind.__doc__
    assert text
    assert "object at 0x" not in text
    if kind.__name__ not in BRANCHES | ENDS:
        last = re.split(r"(?<=[.:?])\s", text, maxsplit=1)[-1]
        assert REMEDIES.search(last), f"{text!r} does not say what to do next"


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_an_error_keeps_its_facts(kind: type[BaseException]) -> None:
    if kind.__name__ in BRANCHES:
        return
    error = made(kind)
    for name in list(inspect.signature(kind.__init__).parameters)[1:]:
        assert hasattr(error, name) or name in {"known", "note"}, name


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_an_error_travels_between_processes(kind: type[BaseException]) -> None:
    error = made(kind)
    error.__dict__.pop("actual", None)
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is kind
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_an_error_travels_as_json(kind: type[BaseException]) -> None:
    error = made(kind)
    if not isinstance(error, errors.FlowstoneError):
        return  # what stops a run does not leave its process
    vars(error).pop("actual", None)
    arrived = decode_error(json.loads(json.dumps(encode_error(error))))
    assert type(arrived) is kind
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


def test_the_tree_is_drawn_as_it_is() -> None:
    drawn = [line for line in (errors.__doc__ or "").splitlines() if line.strip()][1:]
    real = [*branch(errors.FlowstoneError, drawn), *branch(errors.StopSignal, drawn)]
    assert [cut(line) for line in drawn] == real


def cut(line: str) -> str:
    """Return a line of the drawing without its remark."""
    found = re.match(r"([├└│─ ]*)(\w+)( \([\w, ]+\))?", line)
    assert found, line
    return found.group(0).rstrip()


def branch(root: type[BaseException], drawn: list[str]) -> Iterator[str]:
    """Yield the lines of a tree, in the order that it is drawn in."""
    order = {re.sub(r"\W*(\w+).*", r"\1", line): place for place, line in enumerate(drawn)}

    def lines(kind: type[BaseException], first: str, then: str) -> Iterator[str]:
        yield first + kind.__name__ + builtin(kind)
        below = [item for item in kind.__subclasses__() if public(item)]
        below += [
            deeper
            for item in kind.__subclasses__()
            if item.__module__.startswith("flowstone.errors") and not public(item)
            for deeper in item.__subclasses__()
        ]
        below.sort(key=lambda item: order.get(item.__name__, len(order)))
        for item in below:
            last = item is below[-1]
            yield from lines(
                item, then + ("└── " if last else "├── "), then + ("    " if last else "│   ")
            )

    return lines(root, "", "")


def public(kind: type) -> bool:
    return kind.__module__.startswith("flowstone.errors") and not kind.__name__.startswith("_")


def builtin(kind: type[BaseException]) -> str:
    """Return the builtins that an error also is, as the drawing has them."""
    if kind is errors.StopSignal:
        return " (BaseException)"
    own = [base.__name__ for base in kind.__bases__ if base.__module__ == "builtins"]
    return f" ({', '.join(own)})" if own and own != ["Exception"] else ""
