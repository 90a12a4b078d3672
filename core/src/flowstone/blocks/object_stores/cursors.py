"""Cursors: the processed objects of a folder, as a document in the store of runs."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.errors import ConfigurationError, ObjectAlreadyExists, ObjectNotFound, StaleDocument
from flowstone.plugins.registry import check_name
from flowstone.records.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from flowstone.blocks.object_stores.paths import ObjectInfo

KIND = "cursor"
#: Number of retries of an update because another process wrote the document first.
MAX_ATTEMPTS = 100


@dataclass(slots=True)
class CursorState:
    """The content of a cursor's document.

    Attributes:
        seen: fingerprints of the objects that were processed and still exist.
        claims: for each object that is being processed, by its fingerprint: when the claim
            expires, in seconds since the epoch, and the token of the claimant.
    """

    seen: set[str]
    claims: dict[str, tuple[float, str]]


class FolderCursor:
    """Remembers which objects of a folder were processed; processes may share it.

    Args:
        name: the cursor's name: letters, digits and ``-_.``.
        place: the URI of the folder; a cursor refuses to be used for another one.
    """

    def __init__(self, name: str, place: str) -> None:
        self.name, self.place = check_name(KIND, name), place
        self._token = new_id()

    def claim(
        self,
        found: Iterable[ObjectInfo],
        is_wanted: Callable[[ObjectInfo], bool],
        max_items: int | None,
        lease_seconds: float,
    ) -> list[ObjectInfo]:
        """Claim and return objects that are neither processed nor claimed.

        Args:
            found: all objects of the folder; the cursor forgets objects that are not among them.
            is_wanted: selects the objects to claim.
            max_items: the maximum number of objects to claim.
            lease_seconds: seconds after which other runs may claim them.
        """
        marked = {make_fingerprint(info): info for info in found}
        chosen: list[str] = []

        def change(state: CursorState, now: float) -> None:
            held = {mark for mark, (until, _) in state.claims.items() if until > now}
            free = [mark for mark in marked if mark not in state.seen and mark not in held]
            chosen[:] = islice((mark for mark in free if is_wanted(marked[mark])), max_items)
            state.seen &= marked.keys()  # deleted objects need not be remembered
            state.claims = {mark: state.claims[mark] for mark in held}
            state.claims |= dict.fromkeys(chosen, (now + lease_seconds, self._token))

        self._update(change)
        return [marked[mark] for mark in chosen]

    def release(self, done: Collection[ObjectInfo] = ()) -> None:
        """Release all claims of this cursor; mark the objects in `done` as processed."""
        marks = set(map(make_fingerprint, done))

        def change(state: CursorState, _: float) -> None:
            state.seen |= marks
            state.claims = {
                mark: claim for mark, claim in state.claims.items() if claim[1] != self._token
            }

        self._update(change)

    def _update(self, change: Callable[[CursorState, float], None]) -> None:
        documents, clock = services().documents, services().clock
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                document = documents.get(KIND, self.name)
                body, version = document.body, document.version
            except ObjectNotFound:
                body, version = {"place": self.place, "seen": [], "claims": {}}, 0
            if body["place"] != self.place:
                problem = f"it belongs to {body['place']}, not {self.place}"
                remedy = "Use another cursor name for this folder, or `reset_cursor`."
                raise ConfigurationError(f"cursor {self.name!r}", problem, remedy)
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
                if attempt == MAX_ATTEMPTS:
                    raise
            else:
                return


def reset_cursor(name: str) -> bool:
    """Delete a cursor, so that all objects are new again; return whether it existed."""
    try:
        services().documents.delete(KIND, check_name(KIND, name))
    except ObjectNotFound:
        return False
    return True


def make_fingerprint(info: ObjectInfo) -> str:
    """Return a short fingerprint of an object, which changes when its content does."""
    content = info.etag or f"{info.modified.isoformat()} {info.size}"
    return b64encode(blake2b(f"{info.path}\0{content}".encode(), digest_size=12).digest()).decode()
