"""The output of an execution, from Cloud Logging: each poll reads only new lines."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud.logging import Client

PAGE = 1000
#: Lines arrive out of order: those within this time before the newest are read again.
SLACK = timedelta(seconds=30)
#: Number of executions whose lines are remembered; the oldest are dropped first.
MOST = 64
BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)


class ExecutionLogEntry(Protocol):
    """An entry of Cloud Logging, as an object of the SDK."""

    insert_id: str
    timestamp: datetime | None
    payload: object


@dataclass
class ExecutionLines:
    """The lines of an execution so far, in the order in which this process has read them.

    Attributes:
        lines: the lines, without line ends.
        newest: the time of the newest line.
        was_refused: whether the credentials may not read them.
    """

    lines: list[str] = field(default_factory=list)
    newest: datetime = BEGINNING
    was_refused: bool = False
    _seen: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def read(self, client: Client, handle: str) -> list[str]:
        """Return all lines, after reading the new ones."""
        with self._lock:
            for entry in _list_entries(client, handle, self.newest - SLACK):
                if entry.insert_id in self._seen:
                    continue
                self._seen.add(entry.insert_id)
                self.lines.append(_format_entry(entry))
                self.newest = max(self.newest, entry.timestamp or self.newest)
            return [*self.lines]


class LinesOfExecutions:
    """The lines of the executions that this process follows, by handle; thread-safe."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, ExecutionLines] = OrderedDict()
        self._lock = Lock()

    def find(self, handle: str) -> ExecutionLines:
        """Return the lines of an execution; empty if it is new here."""
        with self._lock:
            found = self._found.setdefault(handle, ExecutionLines())
            self._found.move_to_end(handle)
            while len(self._found) > MOST:
                self._found.popitem(last=False)
            return found


def _list_entries(client: Client, handle: str, since: datetime) -> Iterator[ExecutionLogEntry]:
    """Yield the log entries of an execution's containers, the oldest first."""
    _, project, _, location, _, job, _, execution = handle.split("/")
    wanted = (
        'resource.type="cloud_run_job"',
        f'resource.labels.job_name="{job}"',
        f'resource.labels.location="{location}"',
        f'labels."run.googleapis.com/execution_name"="{execution}"',
        '(log_id("run.googleapis.com/stdout") OR log_id("run.googleapis.com/stderr"))',
        f'timestamp>="{since.isoformat().replace("+00:00", "Z")}"',
    )
    found: Iterator[ExecutionLogEntry] = client.list_entries(
        resource_names=[f"projects/{project}"],
        filter_=" AND ".join(wanted),
        order_by="timestamp asc",
        page_size=PAGE,
    )
    return found


def _format_entry(entry: ExecutionLogEntry) -> str:
    """Return a line as it was written, or the message of a JSON entry."""
    payload = entry.payload
    if isinstance(payload, dict):
        return str(payload.get("message") or json.dumps(payload, ensure_ascii=False))
    return str(payload or "").rstrip("\n")
