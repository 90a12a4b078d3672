"""The resolver: reads what references lead to, once for many, and remembers it for a while."""

from __future__ import annotations

import json
from contextvars import ContextVar
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from flowstone.errors import FlowstoneError, ReferenceUnresolved
from flowstone.records import redaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.ports import Clock
    from flowstone.secrets.reference import Wanted

#: What was read this many seconds ago, or less, is not read again because a login failed with it:
#: many that fail with one wrong secret ask for it once.
MOMENT = 5.0

Key = tuple[str, str, str, str | None]

#: What is being resolved above this code: a provider's own login may be by reference.
_above: ContextVar[tuple[Key, ...]] = ContextVar("flowstone.secrets.resolving", default=())


class _Remembered(NamedTuple):
    value: bytes
    read: float


class _Read:
    """One read, and those who wait for it."""

    def __init__(self) -> None:
        self.done = Event()
        self.value: bytes | None = None
        self.error: BaseException | None = None

    def result(self) -> bytes:
        self.done.wait()
        if self.value is None:
            assert self.error is not None
            raise self.error
        return self.value


class Resolver:
    """Fills the port `SecretReferences`; safe to use from several threads.

    Args:
        clock: tells how old a secret is.
        ttl_seconds: so long one is remembered.
    """

    def __init__(self, clock: Clock, ttl_seconds: float) -> None:
        self._clock, self._ttl = clock, ttl_seconds
        self._lock = Lock()
        self._kept: dict[Key, _Remembered] = {}
        self._reads: dict[Key, _Read] = {}
        self._renewed: dict[Key, float] = {}

    def resolve(self, reference: str, place: str = "") -> bytes:
        """Return the secret that a reference leads to.

        Raises:
            ReferenceUnresolved: it leads nowhere; its cause is the provider's own error.
        """
        try:
            key, kind, path = _parse(reference)
            value = _pick(self._value(key, kind), path)
        except ReferenceMismatch as error:
            problem, remedy = error.problem, error.remedy
            # What shows tracebacks with the variables of each frame would find the secret in there.
            cause = error.with_traceback(None)
            raise ReferenceUnresolved(reference, problem, remedy, place) from cause
        except ReferenceUnresolved:
            raise  # of what is above: the provider's own login
        except FlowstoneError as error:
            # Most of ours have three facts: where, what and what to do.
            problem = getattr(error, "problem", str(error).rstrip("."))
            where = getattr(error, "where", getattr(error, "what", ""))
            problem = f"{where}: {problem}" if where else problem
            told: str | None = getattr(error, "remedy", None)
            remedy = told or f"`flowstone secret check {reference}` tries it."
            raise ReferenceUnresolved(reference, problem, remedy, place) from error
        redaction.register(value.decode("utf-8", "backslashreplace"))
        return value

    def renew(self, references: Sequence[str], since: float) -> bool:
        """Forget the old ones of these; tell whether a call begun `since` may fare better now.

        It may where a secret was older than a moment, or was renewed by somebody else meanwhile.
        """
        now, better = self._clock.time(), False
        for reference in references:
            try:
                key, _, _ = _parse(reference)
            except (FlowstoneError, ReferenceMismatch):
                continue
            with self._lock:
                kept = self._kept.get(key)
                if kept is not None and kept.read < since and now - kept.read >= MOMENT:
                    del self._kept[key]
                    self._renewed[key] = now
                better = better or self._renewed.get(key, float("-inf")) >= since
        return better

    def _value(self, key: Key, kind: object) -> bytes:
        above = _above.get()
        if key in above:
            ring = " → ".join(_describe(each) for each in (*above, key))
            raise ReferenceMismatch(f"it needs itself: {ring}", "Give that login in another way.")
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and self._clock.time() - kept.read < self._ttl:
                return kept.value
            read = self._reads.get(key)
            is_mine = read is None
            if read is None:
                read = self._reads[key] = _Read()
        if is_mine:
            return self._read(read, key, kind)
        # Who holds up others must not wait for others: those might wait for it.
        return _fetch(key, kind) if above else read.result()

    def _read(self, read: _Read, key: Key, kind: Any) -> bytes:
        try:
            read.value = value = _fetch(key, kind)
        except BaseException as error:
            read.error = error
            raise
        else:
            with self._lock:
                self._kept[key] = _Remembered(value, self._clock.time())
            return value
        finally:
            with self._lock:
                del self._reads[key]
            read.done.set()


class ReferenceMismatch(Exception):
    """What is wrong with a reference, and what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(problem)


def _parse(reference: str) -> tuple[Key, Any, list[str]]:
    """Return what a reference asks of which provider, and the path in the JSON of that."""
    # Of this floor, and loaded with the first reference only: a process without blocks has none.
    from flowstone.secrets.reference import provider_type, split

    wanted: Wanted | None = split(reference)
    if wanted is None:
        problem = "it is no reference"
        raise ReferenceMismatch(problem, "Write env:NAME, file:PATH or PROVIDER:NAME.")
    kind = provider_type(wanted.provider)
    name, path, version = wanted.parts(versions=kind.versions)
    if not name:
        raise ReferenceMismatch("it names no secret", f"Write {wanted.provider}:NAME.")
    return (wanted.provider, wanted.block, name, version), kind, path


def _fetch(key: Key, kind: Any) -> bytes:
    _, block, name, version = key
    token = _above.set((*_above.get(), key))
    try:
        provider = kind.load(block) if block else kind()
        value: bytes = provider.read_secret(name, version)
    finally:
        _above.reset(token)
    # Whole too: an SDK may log what it was answered.
    redaction.register(value.decode("utf-8", "backslashreplace"))
    return value


def _pick(raw: bytes, path: list[str]) -> bytes:
    """Return what is at a path in JSON: a text as it is, other values as JSON."""
    if not path:
        return raw
    try:
        found, is_json = json.loads(raw), True
    except ValueError:
        found = is_json = False
    if not is_json:  # outside the `except`: the error of `json` has the secret in it
        problem = "it has a path, and the secret is no JSON"
        raise ReferenceMismatch(problem, "Leave out what is behind the #, or save JSON there.")
    for number, step in enumerate(path, 1):
        there = ".".join(path[:number])
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            # Names of keys are told, values never.
            has = f"; there are {', '.join(map(repr, found))}" if isinstance(found, dict) else ""
            raise ReferenceMismatch(f"its JSON has no {there!r}{has}", "Name a path that is there.")
    if found is None:
        raise ReferenceMismatch(f"its JSON has null at {'.'.join(path)!r}", "Put a value there.")
    return found.encode() if isinstance(found, str) else json.dumps(found).encode()


def _describe(key: Key) -> str:
    provider, block, name, version = key
    saved, tail = f"/{block}" if block else "", f"@{version}" if version else ""
    return f"{provider}{saved}:{name}{tail}"
