"""A job's output in CloudWatch Logs, read incrementally."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowstone.blocks.jobs import get_job_logger
from flowstone.errors import AccessDenied, JobLost
from flowstone_aws.job_errors import translate_job_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone_aws.credentials import AwsCredentials
    from flowstone_aws.records import Record

#: Number of jobs whose positions are remembered.
MOST_JOBS = 1000


@dataclass(frozen=True, slots=True)
class LogStream:
    """The log stream of a container.

    Attributes:
        region: the region of the log, if it differs from that of the credentials.
    """

    group: str
    name: str
    region: str | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """The position in a job's output: the number of lines read, and a token of the last stream."""

    seen: int = 0
    stream: int = 0
    token: str | None = None


@dataclass(slots=True)
class LogReader:
    """Reads the output of jobs; a reader that continues fetches each line once.

    Attributes:
        refused: the jobs whose output the credentials may not read, which was logged.
    """

    refused: set[str] = field(default_factory=set)
    _places: OrderedDict[str, _Place] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(
        self, login: AwsCredentials, handle: str, streams: Sequence[LogStream], seen: int
    ) -> list[str]:
        """Return the lines of a job after the first `seen`, stream by stream.

        If the credentials may not read them, a warning is logged once: the job continues.
        """
        if handle in self.refused:
            return []
        with self._lock:
            place = self._places.get(handle, _Place())
        if place.seen != seen:
            place = _Place()
        lines: list[str] = []
        try:
            for number in range(place.stream, len(streams)):
                token = place.token if number == place.stream else None
                found, token = _read_stream(login, streams[number], token)
                lines += found
                place = _Place(place.seen, number, token)
        except AccessDenied as error:
            self.refused.add(handle)
            get_job_logger().warning("%s The job's output is not logged.", error)
            return []
        new = lines[seen - place.seen :]
        self._keep(handle, _Place(place.seen + len(lines), place.stream, place.token))
        return new

    def _keep(self, handle: str, place: _Place) -> None:
        with self._lock:
            self._places[handle] = place
            self._places.move_to_end(handle)
            if len(self._places) > MOST_JOBS:
                self._places.popitem(last=False)


def read_last_lines(login: AwsCredentials, stream: LogStream, count: int) -> list[str]:
    """Return the last lines of a stream; none if they can't be read."""
    try:
        answer = _ask(login, stream, limit=count)
    except (AccessDenied, JobLost):
        return []
    return [_read_line(event) for event in answer["events"]]


def _read_stream(
    login: AwsCredentials, stream: LogStream, token: str | None
) -> tuple[list[str], str | None]:
    """Return the lines after a token, and the token of the next read."""
    lines: list[str] = []
    while True:
        given = {} if token is None else {"nextToken": token}
        try:
            answer = _ask(login, stream, startFromHead=True, **given)
        except JobLost:  # nothing has been written yet
            return lines, token
        lines += [_read_line(event) for event in answer["events"]]
        if answer["nextForwardToken"] == token:
            return lines, token
        token = answer["nextForwardToken"]


def _ask(login: AwsCredentials, stream: LogStream, **wanted: object) -> Record:
    region = {} if stream.region is None else {"region_name": stream.region}
    where = f"CloudWatch Logs, {stream.group}"
    with translate_job_errors(where, login.describe_login):
        answer: Record = login.client("logs", **region).get_log_events(
            logGroupName=stream.group, logStreamName=stream.name, **wanted
        )
    return answer


def _read_line(event: Record) -> str:
    return str(event["message"]).rstrip("\r\n")
