"""Launches identify each start of an AWS job, so that none runs twice at the same time."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from hashlib import sha256
from time import monotonic
from typing import TYPE_CHECKING
from uuid import uuid4

from flowstone.runtime import flow_run, task_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone_aws.cloudwatch import LogStream

#: Number of runs whose launches are counted.
MOST_RUNS = 1000
#: Number of jobs that are remembered.
MOST_JOBS = 10_000
#: The longest key and value of a tag in AWS, and the characters that they may contain.
LONGEST_KEY, LONGEST_VALUE = 128, 256
_NOT_IN_TAGS = re.compile(r"[^\w\s+\-=.:/@]+")
#: Seconds for which a job that was just started may be unknown to AWS.
FRESH_SECONDS = 60.0
#: The tag with the attempt of the run in which a job was started.
ATTEMPT_TAG = "flowstone_attempt"
#: The reason that AWS lists for a stopped job.
REASON = "Cancelled by Flowstone"


@dataclass(frozen=True, slots=True)
class Launch:
    """One start of a job.

    Attributes:
        run_id: the task run, or else the flow run, that starts it; random outside of runs.
        attempt: the attempt of that run.
        fingerprint: a digest of the work, the same in each attempt.
        number: the count of starts of this work in this attempt, including this one.
    """

    run_id: str
    attempt: int
    fingerprint: str
    number: int

    @property
    def token(self) -> str:
        """The idempotency token of the request: 64 characters."""
        text = f"{self.run_id}/{self.attempt}/{self.fingerprint}/{self.number}"
        return sha256(text.encode()).hexdigest()

    @property
    def owner(self) -> str:
        """An id that is the same in all attempts of the run, for ``startedBy`` of ECS."""
        return f"flowstone/{self.run_id}/{self.fingerprint}"

    def make_tags(self, own: Mapping[str, str]) -> dict[str, str]:
        """Return the tags of the job: those of the block, and the names and ids of the runs."""
        names = {
            "flowstone_flow": flow_run.flow_name,
            "flowstone_flow_run_id": flow_run.id,
            "flowstone_task": task_run.task_name,
            "flowstone_task_run_id": task_run.id,
            ATTEMPT_TAG: str(self.attempt),
        }
        return {
            _clean(key, LONGEST_KEY): _clean(value, LONGEST_VALUE)
            for key, value in {**own, **names}.items()
            if value
        }


@dataclass(slots=True)
class StartedJobs:
    """The jobs of a login that this process remembers."""

    _streams: OrderedDict[str, list[LogStream]] = field(default_factory=OrderedDict)
    _fresh: dict[str, float] = field(default_factory=dict)
    _measured: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, handle: str) -> None:
        """Remember a job that was started, and forget those that are no longer fresh."""
        with self._lock:
            now = monotonic()
            fresh = {name: at for name, at in self._fresh.items() if now - at < FRESH_SECONDS}
            self._fresh = {**fresh, handle: now}

    def is_fresh(self, handle: str) -> bool:
        """Return whether a job was started recently."""
        at = self._fresh.get(handle)
        return at is not None and monotonic() - at < FRESH_SECONDS

    def keep_streams(self, handle: str, streams: list[LogStream]) -> None:
        """Remember the log streams of a job, and forget the oldest."""
        with self._lock:
            self._streams[handle] = streams
            if len(self._streams) > MOST_JOBS:
                self._streams.popitem(last=False)

    def find_streams(self, handle: str) -> list[LogStream] | None:
        """Return the log streams of a job; None if they are unknown."""
        return self._streams.get(handle)

    def take_measure(self, handle: str) -> bool:
        """Return True the first time for each job."""
        with self._lock:
            is_new = handle not in self._measured
            self._measured[handle] = None
            if len(self._measured) > MOST_JOBS:
                self._measured.popitem(last=False)
            return is_new


def begin_launch(work: object) -> Launch:
    """Return the launch of some work by the current run.

    Args:
        work: JSON values that distinguish it from other work of the run.
    """
    text = json.dumps(work, sort_keys=True, default=str)
    fingerprint = sha256(text.encode()).hexdigest()[:12]
    for run in (task_run, flow_run):
        if run.id is not None:
            attempt = max(1, run.run_count)
            return Launch(run.id, attempt, fingerprint, _count(run.id, attempt, fingerprint))
    return Launch(uuid4().hex, 1, fingerprint, 1)


_counts: OrderedDict[tuple[str, int], Counter[str]] = OrderedDict()
_counting = threading.Lock()


def _count(run_id: str, attempt: int, fingerprint: str) -> int:
    with _counting:
        counter = _counts.setdefault((run_id, attempt), Counter())
        _counts.move_to_end((run_id, attempt))
        if len(_counts) > MOST_RUNS:
            _counts.popitem(last=False)
        counter[fingerprint] += 1
        return counter[fingerprint]


def _clean(text: str, longest: int) -> str:
    return _NOT_IN_TAGS.sub("-", text)[:longest]
