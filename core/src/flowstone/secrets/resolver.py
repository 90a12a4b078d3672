"""The resolver: reads the secrets that references name, and caches them for a while."""

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

#: A secret read at most this many seconds ago is not read again because credentials were refused:
#: many calls that fail with the same wrong secret cause one read.
MOMENT = 5.0

Key = tuple[str, str, str, str | None]

#: The references being resolved around this code: a provider's credentials may be references.
_above: ContextVar[tuple[Key, ...]] = ContextVar("flowstone.secrets.resolving", default=())


class _Remembered(NamedTuple):
    value: bytes
    read: float


class _Read:
    """One read, and the threads that wait for it."""

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
    """Implements the port `SecretReferences`; safe to use from several threads.

    Args:
        clock: measures the age of a secret.
        ttl_seconds: the number of seconds for which a secret is cached.
    """

    def __init__(self, clock: Clock, ttl_seconds: float) -> None:
        self._clock, self._ttl = clock, ttl_seconds
        self._lock = Lock()
        self._kept: dict[Key, _Remembered] = {}
        self._reads: dict[Key, _Read] = {}
        self._renewed: dict[Key, float] = {}

    def resolve(self, reference: str, place: str = "") -> bytes:
        """Return the secret that a reference names.

        Raises:
            ReferenceUnresolved: it can't be resolved; the cause is the provider's own error.
        """
        try:
            key, kind, path = _parse(reference)
            value = _pick(self._value(key, kind), path)
        except ReferenceMismatch as error:
            problem, remedy = error.problem, error.remedy
            # Tools that show tracebacks with local variables would reveal the secret.
            cause = error.with_traceback(None)
            raise ReferenceUnresolved(reference, problem, remedy, place) from cause
        except ReferenceUnresolved:
            raise  # from an outer reference: the provider's credentials
        except FlowstoneError as error:
            # Most Flowstone errors have three parts: where, what, and the remedy.
            problem = getattr(error, "problem", str(error).rstrip("."))
            where = getattr(error, "where", getattr(error, "what", ""))
            problem = f"{where}: {problem}" if where else problem
            told: str | None = getattr(error, "remedy", None)
            remedy = told or f"`flowstone secret check {reference}` tries it."
            raise ReferenceUnresolved(reference, problem, remedy, place) from error
        redaction.register(value.decode("utf-8", "backslashreplace"))
        return value

    def renew(self, references: Sequence[str], since: float) -> bool:
        """Drop old secrets from the cache; return whether a call begun `since` may now succeed.

        It may if a secret was not fresh, or was renewed by another thread in the meantime.
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
            raise ReferenceMismatch(
                f"it is circular: {ring}", "Pass those credentials in another way."
            )
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
        # A thread that others wait for must not wait for others: those might wait for it.
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
    """The problem with a reference, and the remedy."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(problem)


def _parse(reference: str) -> tuple[Key, Any, list[str]]:
    """Return a reference's provider, its request, and the path in the secret's JSON."""
    # Loaded with the first reference only: a process without blocks has none.
    from flowstone.secrets.reference import provider_type, split

    wanted: Wanted | None = split(reference)
    if wanted is None:
        problem = "it is not a reference"
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
    # The whole secret too: an SDK may log its responses.
    redaction.register(value.decode("utf-8", "backslashreplace"))
    return value


def _pick(raw: bytes, path: list[str]) -> bytes:
    """Return the value at a path in JSON: a string as it is, other values as JSON."""
    if not path:
        return raw
    try:
        found, is_json = json.loads(raw), True
    except ValueError:
        found = is_json = False
    if not is_json:  # outside of the `except`: the error of `json` contains the secret
        problem = "it has a path, and the secret is not JSON"
        raise ReferenceMismatch(problem, "Remove the part after the #, or store JSON there.")
    for number, step in enumerate(path, 1):
        there = ".".join(path[:number])
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            # Show names of keys, but never values.
            has = f"; there are {', '.join(map(repr, found))}" if isinstance(found, dict) else ""
            raise ReferenceMismatch(f"its JSON has no {there!r}{has}", "Use an existing path.")
    if found is None:
        raise ReferenceMismatch(f"its JSON has null at {'.'.join(path)!r}", "Store a value there.")
    return found.encode() if isinstance(found, str) else json.dumps(found).encode()


def _describe(key: Key) -> str:
    provider, block, name, version = key
    saved, tail = f"/{block}" if block else "", f"@{version}" if version else ""
    return f"{provider}{saved}:{name}{tail}"
