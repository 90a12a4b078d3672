"""Create artifacts in a run: links, Markdown, tables, images and progress.

Artifacts are saved as events of the run that creates them. Each save under a key is a new version.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

from flowstone.artifacts import read
from flowstone.context import current
from flowstone.context.current import current_run
from flowstone.errors import ArtifactInvalid, ObjectNotFound
from flowstone.logging.run_logger import get_run_logger
from flowstone.records.encoding import describe_as_json, dumps
from flowstone.records.events import ArtifactVersion, make_artifact_event
from flowstone.records.ids import new_id

if TYPE_CHECKING:
    from flowstone.artifacts.read import SavedArtifact
    from flowstone.records.runs import Run

P = ParamSpec("P")
R = TypeVar("R")

#: Maximum size of an artifact's content, in bytes of JSON.
LIMIT = 1_000_000
#: Number of progress artifacts for which this process remembers the fields that an update keeps.
REMEMBERED = 10_000

_KEY = re.compile(r"[a-z0-9]+(-+[a-z0-9]+)*")
Table = Mapping[str, Sequence[object]] | Sequence[Mapping[str, object]] | Sequence[Sequence[object]]


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """The base class of artifacts.

    Attributes:
        key: a name to find it by: lower-case letters, digits and dashes. None for an artifact
            that is only found through its run.
        description: a text for the reader, in Markdown.
    """

    kind: ClassVar[str] = ""

    key: str | None = None
    description: str | None = None

    def content(self) -> object:
        """Return the content, as JSON values."""
        raise NotImplementedError

    def create(self) -> str:
        """Save it in the current run, or without a run outside of one, and return its id.

        Raises:
            ArtifactInvalid: the key or the content can't be saved, or the content is too large.
        """
        return self.create_for(current_run())

    def create_for(self, run: Run | None) -> str:
        """Save it as an artifact of a run that this process executes, and return its id.

        For observers, which are called outside of the run, for example to link it to another tool.

        Args:
            run: the run, as in the event of its creation; None for an artifact without a run.

        Raises:
            ArtifactInvalid: the key or the content can't be saved, or the content is too large.
        """
        name = f"a {self.kind} artifact"
        if self.key is not None and not _KEY.fullmatch(self.key):
            remedy = "Use lower-case letters and digits, with dashes between."
            raise ArtifactInvalid(name, f"{self.key!r} is not a key", remedy)
        version = ArtifactVersion(new_id(), self.kind, self.key, self.description, self.content())
        _save(version, run)
        return version.id

    async def acreate(self) -> str:
        """Async version of `create`."""
        return self.create()

    @classmethod
    def get(cls, key: str) -> SavedArtifact | None:
        """Return the newest version saved under a key; None if there is none."""
        current.services().journal.flush()
        try:
            found = read.find(key)
        except ObjectNotFound:
            return None
        return found if found.key == key else None

    @classmethod
    async def aget(cls, key: str) -> SavedArtifact | None:
        """Async version of `get`."""
        return await _call_in_thread(cls.get, key)

    @classmethod
    def get_or_create(cls, key: str, **fields: Any) -> tuple[SavedArtifact, bool]:
        """Return the artifact saved under a key, or create it; and whether it was created."""
        found = cls.get(key)
        if found is not None:
            return found, False
        cls(key=key, **fields).create()
        found = cls.get(key)
        assert found is not None
        return found, True


@dataclass(frozen=True, kw_only=True)
class LinkArtifact(Artifact):
    """A link with a text."""

    kind: ClassVar[str] = "link"

    link: str
    link_text: str | None = None

    def content(self) -> dict[str, str]:
        text = self.link if self.link_text is None else self.link_text
        return {"link": _check_text(self.link, self.kind), "text": _check_text(text, self.kind)}


@dataclass(frozen=True, kw_only=True)
class MarkdownArtifact(Artifact):
    """A text in Markdown."""

    kind: ClassVar[str] = "markdown"

    markdown: str

    def content(self) -> str:
        return _check_text(self.markdown, self.kind)


@dataclass(frozen=True, kw_only=True)
class TableArtifact(Artifact):
    """A table: a dict of columns, a list of dicts, or a list of lists."""

    kind: ClassVar[str] = "table"

    table: Table

    def content(self) -> object:
        # Importing pydantic's core takes 10 ms, and few flows publish tables.
        from pydantic_core import to_jsonable_python

        kept = to_jsonable_python(self.table, fallback=_to_json, inf_nan_mode="constants")
        rows = list(kept.values()) if isinstance(kept, dict) else kept
        if not isinstance(rows, list) or not all(isinstance(row, (list, dict)) for row in rows):
            problem = f"a {type(self.table).__name__} is not a table"
            remedy = "Use a dict of columns, or a list of rows that are dicts or lists."
            raise ArtifactInvalid("a table artifact", problem, remedy)
        return _drop_nonfinite(kept)


@dataclass(frozen=True, kw_only=True)
class ProgressArtifact(Artifact):
    """A progress in percent."""

    kind: ClassVar[str] = "progress"

    progress: float

    def content(self) -> float:
        return _check_percent(self.progress)


@dataclass(frozen=True, kw_only=True)
class ImageArtifact(Artifact):
    """An image, by its URL."""

    kind: ClassVar[str] = "image"

    image_url: str

    def content(self) -> str:
        return _check_text(self.image_url, self.kind)


def create_link_artifact(
    link: str, link_text: str | None = None, key: str | None = None, description: str | None = None
) -> str:
    """Save a link, and return the artifact's id.

    Args:
        link: the URL.
        link_text: the text to show for it; None to show the URL.
        key: a name to find it by: lower-case letters, digits and dashes.
        description: a text for the reader, in Markdown.

    Raises:
        ArtifactInvalid: the key or the content can't be saved, or the content is too large.
    """
    return LinkArtifact(link=link, link_text=link_text, key=key, description=description).create()


def create_markdown_artifact(
    markdown: str, key: str | None = None, description: str | None = None
) -> str:
    """Save a text in Markdown, and return the artifact's id.

    Args:
        markdown: the text.
        key: as for `create_link_artifact`.
        description: as for `create_link_artifact`.

    Raises:
        ArtifactInvalid: the key or the content can't be saved, or the content is too large.
    """
    return MarkdownArtifact(markdown=markdown, key=key, description=description).create()


def create_table_artifact(
    table: Table, key: str | None = None, description: str | None = None
) -> str:
    """Save a table, and return the artifact's id.

    Args:
        table: a dict of columns, a list of dicts, or a list of lists.
        key: as for `create_link_artifact`.
        description: as for `create_link_artifact`.

    Raises:
        ArtifactInvalid: the key or the content can't be saved, or the content is too large.
    """
    return TableArtifact(table=table, key=key, description=description).create()


def create_image_artifact(
    image_url: str, key: str | None = None, description: str | None = None
) -> str:
    """Save the URL of an image, and return the artifact's id.

    Args:
        image_url: the URL.
        key: as for `create_link_artifact`.
        description: as for `create_link_artifact`.

    Raises:
        ArtifactInvalid: the key or the content can't be saved, or the content is too large.
    """
    return ImageArtifact(image_url=image_url, key=key, description=description).create()


def create_progress_artifact(
    progress: float, key: str | None = None, description: str | None = None
) -> str:
    """Save a progress, and return the id for `update_progress_artifact`.

    Args:
        progress: the progress in percent, from 0 to 100.
        key: as for `create_link_artifact`.
        description: as for `create_link_artifact`.

    Raises:
        ArtifactInvalid: the key or the progress can't be saved.
    """
    return ProgressArtifact(progress=progress, key=key, description=description).create()


def update_progress_artifact(
    artifact_id: str, progress: float, description: str | None = None
) -> str:
    """Update a progress artifact, and return its id; viewers see the update within moments.

    Args:
        artifact_id: the id returned by `create_progress_artifact`.
        progress: the progress in percent, from 0 to 100.
        description: a new description; None to keep the old one.

    Raises:
        ArtifactInvalid: the progress is not a number, or the artifact is not a progress artifact.
        ObjectNotFound: there is no such artifact.
    """
    before = _find_saved(artifact_id)
    if before.kind != "progress":
        problem = f"artifact {artifact_id!r} is a {before.kind}, which has no progress"
        raise ArtifactInvalid("an update", problem, "Pass the id of a progress artifact.")
    told = before.description if description is None else description
    version = ArtifactVersion(before.id, before.kind, before.key, told, _check_percent(progress))
    _save(version, current_run())
    return before.id


def _make_twin(fn: Callable[P, R]) -> Callable[P, Coroutine[object, object, R]]:
    @wraps(fn)
    async def twin(*args: P.args, **kwargs: P.kwargs) -> R:
        return await _call_in_thread(fn, *args, **kwargs)

    twin.__name__ = twin.__qualname__ = f"a{fn.__name__}"
    twin.__doc__ = f"Async version of `{fn.__name__}`."
    return twin


async def _call_in_thread(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    import asyncio  # takes 40 ms to import; in a coroutine it is loaded already

    return await asyncio.to_thread(fn, *args, **kwargs)


acreate_link_artifact = _make_twin(create_link_artifact)
acreate_markdown_artifact = _make_twin(create_markdown_artifact)
acreate_table_artifact = _make_twin(create_table_artifact)
acreate_image_artifact = _make_twin(create_image_artifact)
acreate_progress_artifact = _make_twin(create_progress_artifact)
aupdate_progress_artifact = _make_twin(update_progress_artifact)


# ---------------------------------------------------------------- saving

_lock = Lock()
_progress: OrderedDict[str, ArtifactVersion] = OrderedDict()


def _save(version: ArtifactVersion, run: Run | None) -> None:
    size = len(dumps([version.description, version.data]).encode("utf-8", "replace"))
    if size > LIMIT:
        problem = f"it has {size:,} bytes, and an artifact may have {LIMIT:,}"
        remedy = "Write it to an object store, and save a link to it as the artifact."
        raise ArtifactInvalid(f"a {version.kind} artifact", problem, remedy)
    services = current.services()
    if run is not None:
        services.journal.append(make_artifact_event(run, services.clock.time(), version))
    elif not current.sketch():
        services.runs.create(make_artifact_event(None, services.clock.time(), version))
    if version.kind == "progress":
        with _lock:
            _progress[version.id] = version
            if len(_progress) > REMEMBERED:
                _progress.popitem(last=False)


def _find_saved(artifact_id: str) -> ArtifactVersion:
    with _lock:
        found = _progress.get(artifact_id)
    if found is None:
        current.services().journal.flush()
        found = read.find(artifact_id).artifact
    return found


def _check_text(value: object, kind: str) -> str:
    if not isinstance(value, str):
        problem = f"a {type(value).__name__} is not a str"
        raise ArtifactInvalid(f"a {kind} artifact", problem, "Pass a str.")
    return value


def _check_percent(progress: float) -> float:
    value = float(progress)
    if math.isnan(value):
        remedy = "Use a number from 0 to 100."
        raise ArtifactInvalid("a progress artifact", "its progress is not a number", remedy)
    held = min(100.0, max(0.0, value))
    if held != value and current.scope.get() is not None:
        get_run_logger().warning("a progress of %s %% was taken as %s %%", value, held)
    return held


def _to_json(value: object) -> object:
    """Return the JSON value of what pydantic does not know: a NumPy number, or a description."""
    item = getattr(value, "item", None)
    return item() if callable(item) and not getattr(value, "shape", ()) else describe_as_json(value)


def _drop_nonfinite(value: object) -> object:
    """Replace NaN and infinity, which JSON does not have, with None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _drop_nonfinite(item) for key, item in value.items()}
    return [_drop_nonfinite(item) for item in value] if isinstance(value, list) else value
