"""The observer ``events-file``: writes each event as a line of JSON, for other programs."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, get_args

from flowstone.records.encoding import dumps, encode_event, mask_json
from flowstone.records.events import Payload
from flowstone.settings import make_private_directory

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowstone.records.events import Event
    from flowstone.settings import Settings

#: Size in bytes at which a file is rotated: renamed with the suffix ``.1``, replacing the last one.
LARGEST = 64 * 2**20


class EventsFile:
    """Appends events to ``events.jsonl`` in the home, or to the file in the settings.

    Several processes may write the same file: the lines of a batch stay together.

    Args:
        settings: the settings, which name the file.
        largest: the size in bytes at which it is rotated.
    """

    def __init__(self, settings: Settings, largest: int = LARGEST) -> None:
        self._largest = largest
        self._path = settings.events_file or settings.home / "events.jsonl"

    def observe(self, events: Sequence[Event]) -> None:
        known = (event for event in events if type(event.payload) in get_args(Payload))
        lines = (f"{dumps(mask_json(encode_event(event)))}\n" for event in known)
        content = "".join(lines).encode()
        make_private_directory(self._path.parent)
        while not self._write(content):
            continue  # with the new file

    def close(self) -> None:
        """Do nothing: no file is left open."""

    def _write(self, content: bytes) -> bool:
        """Append to the file; return False if it was rotated, and must be opened again."""
        with self._open() as file:
            if not self._is_current(file):
                return False
            size = os.fstat(file).st_size
            if size and size + len(content) > self._largest:
                self._path.replace(f"{self._path}.1")
                return False
            view = memoryview(content)
            while view:
                view = view[os.write(file, view) :]
            return True

    @contextmanager
    def _open(self) -> Iterator[int]:
        """Open the file, with a lock that is released when it is closed."""
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if sys.platform != "win32":
                fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)

    def _is_current(self, file: int) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(file), self._path.stat())
        return False
