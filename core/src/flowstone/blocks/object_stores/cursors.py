"""Cursors: which objects of a folder were handed out, kept as a document in the store of runs."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.errors import ConfigurationError, ObjectAlreadyExists, ObjectNotFound, StaleDocument
from flowstone.plugins.registry import check_name
from flowstone.records.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from flowstone.blocks.object_stores.paths import ObjectInfo

KIND = "cursor"
#: How often a document is read and written again because others wrote it meanwhile.
TRIES = 100


@dataclass(slots=True)
class CursorState:
    """What a cursor's document says.

    Attributes:
        seen: marks of the objects that were handed out, and are still there.
        claims: by the mark of an object that is being worked on, until when, in seconds since the
            epoch, and the token of whoever does.
    """

    seen: set[str]
    claims: dict[str, tuple[float, str]]


class FolderCursor:
    """Which objects of one folder were handed out; safe among processes with one store.

    Args:
        name: letters, digits and ``-_.``.
        place: the folder, for messages and to notice another one.
    """

    def __init__(self, name: str, place: str) -> None:
        self.name, self.place = check_name(KIND, name), place
        self._token = new_id()

    def claim(
        self, found: Iterable[ObjectInfo], max_items: int | None, lease_seconds: float
    ) -> list[ObjectInfo]:
        """Return the objects that nobody has had and nobody has, the first so many; claim them."""
        marked = {make_mark(info): info for info in found}
        chosen: list[str] = []

        def change(state: CursorState, now: float) -> None:
            held = {mark for mark, (until, _) in state.claims.items() if until > now}
            free = [mark for mark in marked if mark not in state.seen and mark not in held]
            chosen[:] = free[:max_items]
            state.seen &= marked.keys()  # what is not there any more need not be remembered
            state.claims = {mark: state.claims[mark] for mark in held}
            state.claims |= dict.fromkeys(chosen, (now + lease_seconds, self._token))

        self._update(change)
        return [marked[mark] for mark in chosen]

    def release(self, done: Collection[ObjectInfo] = ()) -> None:
        """Give back what was claimed; what is `done` is not handed out again."""
        marks = set(map(make_mark, done))

        def change(state: CursorState, _: float) -> None:
            state.seen |= marks
            state.claims = {
                mark: claim for mark, claim in state.claims.items() if claim[1] != self._token
            }

        self._update(change)

    def _update(self, change: Callable[[CursorState, float], None]) -> None:
        documents, clock = services().documents, services().clock
        for attempt in range(1, TRIES + 1):
            try:
                document = documents.get(KIND, self.name)
                body, version = document.body, document.version
            except ObjectNotFound:
                body, version = {"place": self.place, "seen": [], "claims": {}}, 0
            if body["place"] != self.place:
                problem = f"it stands for {body['place']}, not {self.place}"
                raise ConfigurationError(f"cursor {self.name!r}", problem, "Use another name.")
            state = CursorState(
                set(body["seen"]),
                {mark: (until, token) for mark, (until, token) in body["claims"].items()},
            )
            change(state, clock.time())
            new: dict[str, object] = {
                "place": self.place,
                "seen": sorted(state.seen),
                "claims": {mark: list(claim) for mark, claim in sorted(state.claims.items())},
            }
            if new == body:
                return
            try:
                documents.put(KIND, self.name, new, expected=version)
            except (StaleDocument, ObjectAlreadyExists):
                if attempt == TRIES:
                    raise
            else:
                return


def reset_cursor(name: str) -> bool:
    """Forget a cursor, so that all objects are new again; return whether there was one."""
    try:
        services().documents.delete(KIND, check_name(KIND, name))
    except ObjectNotFound:
        return False
    return True


def make_mark(info: ObjectInfo) -> str:
    """Return a short mark of an object: another one where its content has changed."""
    content = info.etag or f"{info.modified.isoformat()} {info.size}"
    return b64encode(blake2b(f"{info.path}\0{content}".encode(), digest_size=12).digest()).decode()
