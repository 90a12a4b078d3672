"""Read saved artifacts back from the events of runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from flowstone.context.current import services
from flowstone.errors import ObjectNotFound
from flowstone.ports.paging import iterate_events
from flowstone.records.events import ARTIFACT_SAVED, ArtifactVersion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.records.events import Event

#: Number of events read at a time.
PAGE = 200
#: Minimum length of a part of an id that finds an artifact.
SHORTEST_PART = 8


@dataclass(frozen=True, slots=True)
class SavedArtifact:
    """An artifact in its current state.

    Attributes:
        artifact: its newest version.
        run_id: the run that saved this version; empty if it was saved outside of a run.
        root_id: the outermost run of that run's tree.
        created: when that version was first saved, in seconds since the epoch.
        updated: when it was last updated.
        versions: the number of versions saved under its key.
    """

    artifact: ArtifactVersion
    run_id: str
    root_id: str
    created: float
    updated: float
    versions: int = 1

    @property
    def id(self) -> str:
        return self.artifact.id

    @property
    def key(self) -> str | None:
        return self.artifact.key

    @property
    def type(self) -> str:
        return self.artifact.kind

    @property
    def description(self) -> str | None:
        return self.artifact.description

    @property
    def data(self) -> Any:
        return self.artifact.data


def find_newest(*, root_id: str | None = None, abstracts: bool = False) -> list[SavedArtifact]:
    """Return the newest version of each artifact, in the order of their last saves.

    Args:
        root_id: only those of one tree of runs.
        abstracts: return a one-line summary in place of each content.
    """
    found: dict[str, SavedArtifact] = {}
    for event in _iterate_saved(root_id):
        artifact = cast("ArtifactVersion", event.payload)
        if abstracts:
            artifact = replace(artifact, data=summarize(artifact))
        place = artifact.key or artifact.id
        found[place] = _apply(found.pop(place, None), event, artifact)
    return list(found.values())


def find_versions(key: str) -> list[SavedArtifact]:
    """Return all versions saved under a key, oldest first."""
    found: dict[str, SavedArtifact] = {}
    for event in _iterate_saved(None):
        artifact = cast("ArtifactVersion", event.payload)
        if artifact.key == key:
            found[artifact.id] = _apply(found.get(artifact.id), event, artifact)
    return [replace(each, versions=number) for number, each in enumerate(found.values(), 1)]


def find(ref: str) -> SavedArtifact:
    """Return an artifact by its key, its id, or eight or more characters at either end of its id.

    Raises:
        ObjectNotFound: there is none, or several ids match.
    """
    keyed: SavedArtifact | None = None
    by_id: dict[str, SavedArtifact] = {}
    keys: set[str] = set()
    for event in _iterate_saved(None):
        artifact = cast("ArtifactVersion", event.payload)
        if artifact.key is not None:
            keys.add(artifact.key)
        if artifact.key == ref:
            keyed = _apply(keyed, event, artifact)
        if _is_part(ref, artifact.id):
            by_id[artifact.id] = _apply(by_id.get(artifact.id), event, artifact)
    if keyed is not None:
        return keyed
    if len(by_id) == 1:
        return next(iter(by_id.values()))
    raise ObjectNotFound("artifact", ref, sorted(by_id) or sorted(keys))


def summarize(artifact: ArtifactVersion) -> str:
    """Return a one-line summary of an artifact's content."""
    data = artifact.data
    if artifact.kind == "table":
        rows = _count_rows(data)
        return f"{rows:,} row{'' if rows == 1 else 's'}"
    if artifact.kind == "progress":
        return f"{data:g}%"
    if artifact.kind == "link":
        return str(data["link"])
    lines = [line.strip(" #*") for line in str(data).splitlines()]
    return next((line for line in lines if line), "")


def _count_rows(table: object) -> int:
    if isinstance(table, dict):
        return max((len(column) for column in table.values()), default=0)
    return len(table) if isinstance(table, list) else 0


def _iterate_saved(root_id: str | None) -> Iterator[Event]:
    """Yield the events in small pages, since contents may be long."""
    kinds = [ARTIFACT_SAVED]
    yield from iterate_events(services().runs, root_id=root_id, kinds=kinds, size=PAGE)


def _apply(before: SavedArtifact | None, event: Event, artifact: ArtifactVersion) -> SavedArtifact:
    if before is not None and before.id == artifact.id:
        return replace(before, artifact=artifact, updated=event.at)
    count = 1 if before is None else before.versions + 1
    return SavedArtifact(artifact, event.run_id, event.root_id, event.at, event.at, count)


def _is_part(ref: str, key: str) -> bool:
    return len(ref) >= SHORTEST_PART and (key.startswith(ref) or key.endswith(ref))
