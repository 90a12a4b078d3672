"""The messages for a call in another process: the call, its flow run, its end."""

from __future__ import annotations

import pickle
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from flowstone.context import current
from flowstone.context.deadlines import seconds_left
from flowstone.errors import FailedRun, NotSendable, RemoteTraceback
from flowstone.logging.tracebacks import format_traceback
from flowstone.records import redaction
from flowstone.task_runners.messages import pack, pack_error, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowstone.records.runs import Run
    from flowstone.settings import Settings

#: A larger argument of a flow, in bytes, is not sent with its tasks.
LARGE = 1_000_000


class SetupMessage(NamedTuple):
    """The setup of a process before its first call."""

    path: list[str]
    settings: Settings
    initializer: Callable[..., object] | None = None
    initargs: tuple[Any, ...] = ()


class FlowRunMessage(NamedTuple):
    """The flow run around the following calls; pickled arguments, None if unpicklable."""

    run: Run
    arguments: Mapping[str, bytes | None]


class CallMessage(NamedTuple):
    """One call.

    Attributes:
        run: its run.
        tags: the current tags of the caller.
        body: the pickled function and its arguments.
        seconds: the remaining seconds of its timeout and outer ones; None for no limit.
    """

    run: Run
    tags: frozenset[str]
    body: bytes
    seconds: float | None


def pack_call(
    fn: Callable[..., object],
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    run: Run,
    seconds: float | None,
) -> bytes:
    """Return a call as bytes. Raises `NotSendable`."""
    what = f"the function of {run.name!r}, or one of its arguments,"
    body = pack_if_possible((fn, args, kwargs), what)
    limits = [limit for limit in (seconds, seconds_left()) if limit is not None]
    run = replace(run, parameters=None)
    tags = current.tags.get()
    message = CallMessage(run, tags, body, min(limits, default=None))
    # `pack` is slow, and only needed for objects of the user: strings may be of a class of theirs.
    texts = (*tags, *run.tags, run.name, run.unit, run.unit_version or "")
    return pickle.dumps(message) if {str}.issuperset(map(type, texts)) else pack(message)


def pack_flow_run(run: Run) -> bytes:
    """Return a pickled flow run and its arguments, without unpicklable or large ones."""
    arguments: dict[str, bytes | None] = {}
    for name, value in (run.parameters or {}).items():
        content = None
        with suppress(Exception):  # a flow may have any arguments
            content = pack(value)
        arguments[name] = None if content is None or len(content) > LARGE else content
    return pack(FlowRunMessage(replace(run, parameters=None), arguments))


def pack_if_possible(value: object, what: str) -> bytes:
    """Return a value as bytes. Raises `NotSendable`, which calls it `what`."""
    try:
        return pack(value)
    except Exception as error:
        raise NotSendable(what, f"{type(error).__name__}: {error}") from error


def pack_raised(error: BaseException, name: str) -> bytes:
    """Return a pickled error, with its traceback as text, and a description."""
    text = redaction.redact(format_traceback(error))
    said = f"{type(error).__name__}: {error}"
    return pack((pack_error(error), name, said, text))


def revive_error(told: bytes) -> BaseException:
    """Return an error that was pickled elsewhere; its traceback there is the last cause."""
    content, name, said, text = unpacked(told)
    try:
        error = unpacked(content)
    except Exception:  # noqa: BLE001 - its class is not here, or it has not been packed at all
        error = FailedRun(name, said)
    last, seen = error, {error}
    while (cause := _find_cause(last)) is not None and cause not in seen:
        seen.add(last := cause)
    last.__cause__ = RemoteTraceback(text)
    assert isinstance(error, BaseException)
    return error


def _find_cause(error: BaseException) -> BaseException | None:
    """Return the exception that a traceback shows above this one."""
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)
