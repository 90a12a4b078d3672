"""Errors of the stores of events and documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.errors.base import FlowstoneError, suggest_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class StoreError(FlowstoneError):
    """The store could not be written or read."""


class RunNotFound(StoreError, LookupError):
    """No run has that id or name."""

    def __init__(self, run: str, known: Sequence[str] = ()) -> None:
        self.run = run
        super().__init__(
            f"there is no run {run!r}.{suggest_names(run, known)} `flowstone run ls` lists them."
        )


class Conflict(StoreError):
    """The run has changed since it was read; `actual` is the current `Run`."""

    def __init__(self, name: str, expected: int, version: int, actual: object) -> None:
        self.name, self.expected, self.version, self.actual = name, expected, version, actual
        problem = (
            f"is at version {version}, not {expected}: another process has written it"
            if version != expected
            else "does not accept this: it has ended, or another process has its lease"
        )
        super().__init__(f"run {name!r} {problem}. Read it again before you write.")


class IllegalTransition(StoreError):
    """The transition from the run's current state to that state is not allowed."""

    def __init__(self, name: str, now: str, then: str) -> None:
        self.name, self.now, self.then = name, now, then
        super().__init__(
            f"run {name!r} is {now} and can't become {then}: flowstone.states.NEXT says what may "
            "follow. Read the run again to see what it is now."
        )


class StoreBusy(StoreError, TimeoutError):
    """Other processes locked the store for longer than the timeout."""

    def __init__(self, path: str, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        super().__init__(
            f"{path} was held by other processes for {seconds:g} s. Look for a program that keeps "
            "a transaction open in it (a database browser, a backup), close it, and run again."
        )


class StoreUnusable(StoreError, OSError):
    """The store's file or directory can't be read or written."""

    def __init__(self, path: str, problem: str, remedy: str) -> None:
        self.path, self.problem, self.remedy = path, problem, remedy
        super().__init__(f"{path}: {problem}. {remedy}")


class StoreForeign(StoreError):
    """The file is not a store, or is damaged."""

    def __init__(self, path: str, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(
            f"{path} is not a Flowstone store ({problem}); it was left as it is. "
            "Move it away, or point FLOWSTONE_HOME at another directory."
        )


class StoreTooNew(StoreError):
    """The store was written by a newer Flowstone."""

    def __init__(self, path: str, found: int, known: int) -> None:
        self.path, self.found, self.known = path, found, known
        super().__init__(
            f"{path} has schema {found}, and this Flowstone knows schemas up to {known}: it was "
            "written by a newer version. Upgrade with `pip install -U flowstone`."
        )


class RecordInvalid(StoreError, ValueError):
    """A record can't be decoded: it is damaged, or of a newer version."""

    def __init__(self, record: str, problem: str) -> None:
        self.record, self.problem = record, problem
        super().__init__(
            f"a {record} can't be decoded: {problem}. If a newer Flowstone wrote it, upgrade with "
            "`pip install -U flowstone`."
        )


class DocumentError(FlowstoneError):
    """A document could not be read or written."""


class ObjectNotFound(DocumentError, LookupError, ValueError):
    """There is no document of that kind and name."""

    def __init__(
        self, kind: str, name: str, known: Sequence[str] = (), remedy: str | None = None
    ) -> None:
        self.kind, self.name, self.remedy = kind, name, remedy
        listed = suggest_names(name, known) or f" No {kind} is saved yet."
        more = "" if remedy is None else f" {remedy}"
        super().__init__(f"there is no {kind} named {name!r}.{listed}{more}")


class ObjectAlreadyExists(DocumentError, ValueError):
    """The name is taken."""

    def __init__(self, kind: str, name: str, remedy: str) -> None:
        self.kind, self.name, self.remedy = kind, name, remedy
        super().__init__(f"{kind} {name!r} is saved already. {remedy}")


class StaleDocument(DocumentError):
    """The document has changed since it was read."""

    def __init__(self, kind: str, name: str, expected: int, version: int) -> None:
        self.kind, self.name, self.expected, self.version = kind, name, expected, version
        super().__init__(
            f"{kind} {name!r} is at version {version}, not {expected}: another process has saved "
            "it. Load it again, make your change, and save."
        )


class ManifestInvalid(DocumentError, ValueError):
    """A file of blocks, variables and limits has problems.

    Attributes:
        problems: each with the file, the line and the keys that lead to it.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        told = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(
            f"{count} in the files; nothing was written:{told}\nFix it, and try again."
        )


class InvalidName(DocumentError, ValueError):
    """A name has characters that are not allowed."""

    def __init__(self, what: str, name: str, rule: str, remedy: str = "Choose another.") -> None:
        self.what, self.name, self.rule, self.remedy = what, name, rule, remedy
        article = "an" if what[:1] in "aeiou" else "a"
        super().__init__(f"{name!r} can't be the name of {article} {what}: {rule}. {remedy}")


class DocumentInvalid(DocumentError, ValueError):
    """A saved document is no longer valid for its type; the message lists each field."""

    def __init__(self, kind: str, name: str, problems: Mapping[str, str]) -> None:
        self.kind, self.name, self.problems = kind, name, dict(problems)
        lines = "".join(f"\n  {field}: {problem}" for field, problem in self.problems.items())
        super().__init__(
            f"the saved {kind} {name!r} does not fit the installed {kind}:{lines}\n"
            "Save it again with these fields fixed, or give the block type a migration."
        )


class BlockInvalid(DocumentError, ValueError):
    """Values for the fields of a block are not valid; they are not shown."""

    def __init__(self, kind: str, problems: Mapping[str, str]) -> None:
        self.kind, self.problems = kind, dict(problems)
        lines = "".join(f"\n  {field}: {problem}" for field, problem in self.problems.items())
        super().__init__(
            f"these fields of {kind} do not fit:{lines}\n"
            "Pass values of the types that the block declares."
        )
