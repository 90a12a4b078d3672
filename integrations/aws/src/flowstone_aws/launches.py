"""Launches: which start of which run an AWS job is, so that none runs twice at once."""

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

#: Runs whose launches are counted at a time.
MOST_RUNS = 1000
#: Jobs that are remembered at a time.
MOST_JOBS = 10_000
#: The longest key and value of a tag of AWS's, and what may be in them.
LONGEST_KEY, LONGEST_VALUE = 128, 256
_NOT_IN_TAGS = re.compile(r"[^\w\s+\-=.:/@]+")
#: How long, in seconds, a job that was just started may be unknown to AWS.
FRESH_SECONDS = 60.0
#: The tag that says in which attempt of its run a job was started.
ATTEMPT_TAG = "flowstone_attempt"
#: Why a job was stopped, as AWS then lists it.
REASON = "Cancelled by Flowstone"


@dataclass(frozen=True, slots=True)
class Launch:
    """One start of a job.

    Attributes:
        run_id: of the task run, or else the flow run, that starts it; random outside of runs.
        attempt: of that run.
        fingerprint: the same for the same work, in each attempt.
        number: how many of the same work this attempt has started, with this one.
    """

    run_id: str
    attempt: int
    fingerprint: str
    number: int

    @property
    def token(self) -> str:
        """The token by which AWS recognizes a repeated request: 64 characters."""
        text = f"{self.run_id}/{self.attempt}/{self.fingerprint}/{self.number}"
        return sha256(text.encode()).hexdigest()

    @property
    def owner(self) -> str:
        """What is the same in all attempts of the run, as ECS's ``startedBy`` takes it."""
        return f"flowstone/{self.run_id}/{self.fingerprint}"

    def make_tags(self, own: Mapping[str, str]) -> dict[str, str]:
        """Return the tags of the job: the block's, and the names and ids of the runs."""
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
    """What this process remembers about the jobs of a login."""

    _streams: OrderedDict[str, list[LogStream]] = field(default_factory=OrderedDict)
    _fresh: dict[str, float] = field(default_factory=dict)
    _measured: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, handle: str) -> None:
        """Keep a job that was started, and forget those that are no longer fresh."""
        with self._lock:
            now = monotonic()
            fresh = {name: at for name, at in self._fresh.items() if now - at < FRESH_SECONDS}
            self._fresh = {**fresh, handle: now}

    def is_fresh(self, handle: str) -> bool:
        """Return whether a job was started a moment ago."""
        at = self._fresh.get(handle)
        return at is not None and monotonic() - at < FRESH_SECONDS

    def keep_streams(self, handle: str, streams: list[LogStream]) -> None:
        """Remember where a job writes, and forget the oldest."""
        with self._lock:
            self._streams[handle] = streams
            if len(self._streams) > MOST_JOBS:
                self._streams.popitem(last=False)

    def find_streams(self, handle: str) -> list[LogStream] | None:
        """Return where a job writes; None where it is not known."""
        return self._streams.get(handle)

    def take_measure(self, handle: str) -> bool:
        """Return True once for each job."""
        with self._lock:
            is_new = handle not in self._measured
            self._measured[handle] = None
            if len(self._measured) > MOST_JOBS:
                self._measured.popitem(last=False)
            return is_new


def begin_launch(work: object) -> Launch:
    """Return the launch of some work by the current run.

    Args:
        work: what tells it from other work of the run, as JSON values.
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
