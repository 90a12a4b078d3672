"""Return values and errors of background runs, persisted for other processes to read."""

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

#: With a run's id, the kind of the document that names the storage of its result, unless it is the
#: default storage.
KIND = "answer:"
_PLACE = "place"

_logger = get_logger("background")


def read_answer(run_id: str, name: str) -> object:
    """Return the return value of a background run, or the exception that it raised.

    Args:
        run_id: the id of the run, which has ended.
        name: the name of the run, for messages.

    Raises:
        MissingResult: it was not persisted, or can't be read here.
    """
    current = services()
    try:
        place = str(current.documents.get(f"{KIND}{run_id}", _PLACE).body["storage"])
    except ObjectNotFound:
        place = None
    storage, serializer = open_storage(place, current), open_serializer(None, current)
    return ResultFiles(storage, serializer, current).read_value(run_id, name)


def find_error(run_id: str, name: str) -> BaseException | None:
    """Return the exception that a background run raised; None if it was not persisted."""
    try:
        found = read_answer(run_id, name)
    except MissingResult:
        return None
    return found if isinstance(found, BaseException) else None


def keep_answer(run_id: str, value: object, keeps: ResultOptions) -> None:
    """Persist a run's return value or exception; one that can't be serialized is only logged.

    Args:
        run_id: the id of the run.
        value: its return value, or the exception.
        keeps: its task's options for results. Other processes can't use a storage block that was
            not saved, so the default storage is used instead.
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
        _logger.warning("the result of run %s is not persisted: %s", run_id, error)


def _find_place(storage: object) -> str | None:
    """Return a result storage as another process can open it; None for the default storage."""
    if isinstance(storage, str) and storage[:1] in {".", "/", "~"}:
        storage = Path(storage)
    if isinstance(storage, Path):
        return str(storage.expanduser().absolute())
    return storage if isinstance(storage, str) else None
