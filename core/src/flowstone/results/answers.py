"""Answers: what background runs returned or raised, kept so that other processes can read it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.errors import MissingResult, NotSerializable, ObjectNotFound
from flowstone.logging.run_logger import get_logger
from flowstone.results.result_store import ResultFiles, open_serializer, open_storage
from flowstone.serializers import PickleSerializer

if TYPE_CHECKING:
    from flowstone.context.current import ResultOptions

#: The kind of this and a run's id is that of the document that says where its answer is, where
#: that is not the usual place.
KIND = "answer:"
_PLACE = "place"

_logger = get_logger("background")


def read_answer(run_id: str, name: str) -> object:
    """Return what a background run returned, or the exception that it failed with.

    Args:
        run_id: of the run, which has ended.
        name: of the run, for messages.

    Raises:
        MissingResult: it was not kept, or can't be read here.
    """
    current = services()
    try:
        place = str(current.documents.get(f"{KIND}{run_id}", _PLACE).body["storage"])
    except ObjectNotFound:
        place = None
    storage, serializer = open_storage(place, current), open_serializer(None, current)
    return ResultFiles(storage, serializer, current).read_value(run_id, name)


def find_error(run_id: str, name: str) -> BaseException | None:
    """Return the exception that a background run failed with; None where it was not kept."""
    try:
        found = read_answer(run_id, name)
    except MissingResult:
        return None
    return found if isinstance(found, BaseException) else None


def keep_answer(run_id: str, value: object, keeps: ResultOptions) -> None:
    """Keep what a run returned or raised; a run does not fail by a value that can't be written.

    Args:
        run_id: of the run.
        value: what it returned, or the exception.
        keeps: where and how its task keeps results. A storage that was not saved is not there for
            others, so the answer goes to the usual place.
    """
    current = services()
    place = _find_place(keeps.storage)
    if place is not None:
        current.documents.put(f"{KIND}{run_id}", _PLACE, {"storage": place})
    is_error = isinstance(value, BaseException)
    serializer = PickleSerializer() if is_error else open_serializer(keeps.serializer, current)
    try:
        files = ResultFiles(open_storage(place, current), serializer, current)
        files.write(run_id, value, run_id, None)
    except NotSerializable as error:
        _logger.warning("what run %s answers is not kept: %s", run_id, error)


def _find_place(storage: object) -> str | None:
    """Return a result storage as another process can open it; None for the usual place."""
    if isinstance(storage, str) and storage[:1] in {".", "/", "~"}:
        storage = Path(storage)
    if isinstance(storage, Path):
        return str(storage.expanduser().absolute())
    return storage if isinstance(storage, str) else None
