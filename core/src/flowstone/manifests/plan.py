"""A plan: the changes that make the store match the files, validated as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from flowstone.context import current
from flowstone.errors import DocumentError, FlowstoneError
from flowstone.manifests.overlay import Overlay
from flowstone.manifests.references import ManifestResolver
from flowstone.manifests.sections import SECTIONS, find_documents, find_sections
from flowstone.manifests.source import Problems
from flowstone.records.documents import find_references

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from flowstone.manifests.sections import Section
    from flowstone.manifests.source import ManifestFile
    from flowstone.records.documents import Document

Change = tuple[str, Any, Any]
"""A field's path, its old value and its new value, for display."""


@dataclass(frozen=True, slots=True)
class Step:
    """The change of one entry.

    Attributes:
        section, key: the entry.
        action: ``create``, ``change``, ``delete`` or ``keep``.
        changes: the differences, with secrets masked.
        before, after: its documents; None if there is none.
    """

    section: str
    key: str
    action: str
    changes: tuple[Change, ...] = ()
    before: Document | None = None
    after: Document | None = None

    def do(self) -> None:
        """Apply it, if the store has not changed.

        Raises:
            DocumentError: another process has changed the document.
            StoreError: it can't be written.
        """
        documents = current.services().documents
        if self.action == "delete" and self.before is not None:
            documents.delete(self.before.kind, self.before.name)
        elif self.action != "keep" and self.after is not None:
            version = 0 if self.before is None else self.before.version
            documents.put(self.after.kind, self.after.name, self.after.body, expected=version)


@dataclass(slots=True)
class Plan:
    """The steps, in the order in which they are applied."""

    steps: list[Step] = field(default_factory=list)
    #: Blocks that stay although no file names them, with the blocks that refer to them.
    held: dict[str, list[str]] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        return any(step.action != "keep" for step in self.steps)

    def run(self) -> Iterator[tuple[Step, DocumentError | None]]:
        """Apply each step, and yield the outcome; skip a step if another process got in the way."""
        for step in self.steps:
            try:
                step.do()
            except DocumentError as error:
                yield step, error
            else:
                yield step, None


@dataclass(frozen=True, slots=True)
class _Entry:
    source: ManifestFile
    section: Section
    key: str
    value: Any

    @property
    def path(self) -> tuple[str, str]:
        return self.section.name, self.key


def make_plan(sources: Sequence[ManifestFile]) -> Plan:
    """Return the plan that makes the store match these files, without writing anything.

    Raises:
        ManifestInvalid: the files have problems; the message lists all of them.
        StoreError: the store can't be read.
    """
    problems = Problems()
    real = current.services().documents
    overlay = Overlay(real)
    entries = _collect_entries(sources, problems)
    with current.use_services(replace(current.services(), documents=overlay)):
        order = _apply_entries(entries, problems)
    problems.check()
    return Plan([_make_step(entry.section, entry.key, real, overlay) for entry in order])


def plan_deletions(sources: Sequence[ManifestFile], wanted: Iterable[Section]) -> Plan:
    """Return the plan that deletes everything in some sections that these files don't name.

    A block that a remaining block refers to is not deleted: the other could not be loaded without
    it.
    """
    problems = Problems()
    named = set(_collect_entries(sources, problems))
    problems.check()
    some = list(wanted)
    held = _find_held(named) if any(section.name == "blocks" for section in some) else {}
    steps = [
        Step(section.name, section.key(document), "delete", before=document)
        for section in reversed(some)
        for document in find_documents(current.services().documents, section)
        if (section.name, section.key(document)) not in named
        and not (section.name == "blocks" and section.key(document) in held)
    ]
    return Plan(steps, held)


def _find_held(named: Collection[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the saved blocks that are not named, and that remaining blocks refer to."""
    blocks = find_sections(("blocks",))[0]
    saved = {
        blocks.key(each): each for each in find_documents(current.services().documents, blocks)
    }
    held: dict[str, list[str]] = {}
    left = [key for key in saved if (blocks.name, key) in named]
    while left:
        user = left.pop()
        for key in set(find_references(saved[user].body)) & saved.keys():
            if (blocks.name, key) in named:
                continue
            if key not in held:
                left.append(key)
            held.setdefault(key, []).append(user)
    return held


def _collect_entries(
    sources: Sequence[ManifestFile], problems: Problems
) -> dict[tuple[str, str], _Entry]:
    found: dict[tuple[str, str], _Entry] = {}
    for source in sources:
        for section in SECTIONS:
            given = source.data.get(section.name)
            if given is None:
                continue
            if not isinstance(given, dict):
                problems.add(source, (section.name,), "a section has names with their values")
                continue
            for key, value in given.items():
                entry = _Entry(source, section, key, value)
                first = found.setdefault(entry.path, entry)
                if first is not entry:
                    where = first.source.locate(first.path)
                    problems.add(source, entry.path, f"it is a duplicate of {where}")
    return found


def _apply_entries(entries: Mapping[tuple[str, str], _Entry], problems: Problems) -> list[_Entry]:
    """Save each entry to the current documents; return them in the order that was possible."""
    done: list[_Entry] = []
    failed: set[str] = set()
    for section in SECTIONS:
        mine = {key: each for (name, key), each in entries.items() if name == section.name}
        for key, value, needs in _order_entries(section, mine, problems):
            before = len(problems.found)
            if needs & failed:
                failed.add(key)  # the problem of what it needs is reported already
                continue
            entry = mine[key]

            def refuse(place: tuple[str, ...], problem: str, entry: _Entry = entry) -> None:
                problems.add(entry.source, (*entry.path, *place), problem)

            try:
                section.put(key, value, refuse)
            except FlowstoneError as error:
                refuse((), " ".join([str(error), *getattr(error, "__notes__", ())]))
            if len(problems.found) > before:
                failed.add(key)
            done.append(entry)
    return done


def _order_entries(
    section: Section, mine: Mapping[str, _Entry], problems: Problems
) -> Iterator[tuple[str, object, set[str]]]:
    """Yield entries with their references resolved, each after those that it needs."""
    values: dict[str, Any] = {}
    for key, entry in mine.items():
        resolver = ManifestResolver(entry.source, problems, variables=section.name != "variables")
        values[key] = resolver.resolve(entry.value, entry.path)
    needs = {key: section.needs(value) & mine.keys() for key, value in values.items()}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        ring = error.args[1]
        entry = mine[ring[0]]
        problems.add(entry.source, entry.path, f"it is in itself: {' → '.join(ring)}")
        return
    yield from ((key, values[key], needs[key]) for key in order)


def _make_step(section: Section, key: str, real: Any, overlay: Overlay) -> Step:
    after = next(each for each in find_documents(overlay, section) if section.key(each) == key)
    before = next(
        (each for each in find_documents(real, section) if section.key(each) == key), None
    )
    if before is None:
        return Step(section.name, key, "create", after=after)
    if (after.kind, after.name) not in overlay.put_here:
        return Step(section.name, key, "keep", before=before)
    changes = tuple(_find_changes(section.describe(before), section.describe(after)))
    if not changes and section.kind != "block:":
        return Step(section.name, key, "keep", before=before)
    # If only a secret of a block has changed, both are shown as set.
    told = changes or (("a secret", {"set": True}, {"set": True}),)
    return Step(section.name, key, "change", told, before, after)


def _find_changes(was: object, now: object, path: str = "") -> Iterator[Change]:
    if isinstance(was, dict) and isinstance(now, dict) and not _is_leaf(was) and not _is_leaf(now):
        for key in sorted({*was, *now}):
            yield from _find_changes(
                was.get(key), now.get(key), f"{path}.{key}" if path else str(key)
            )
    elif was != now:
        yield path, was, now


def _is_leaf(value: dict[str, object]) -> bool:
    return set(value) in ({"set"}, {"block"})
