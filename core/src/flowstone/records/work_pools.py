"""Work pools, as documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowstone.records.codec import FieldForm, RecordCodec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.records.codec import Json
    from flowstone.records.documents import Document

#: The kind of the documents of work pools.
KIND = "work-pool"
#: The queue that each pool has.
DEFAULT_QUEUE = "default"


@dataclass(frozen=True)
class WorkQueue:
    """A queue of a work pool.

    Attributes:
        name: its name in the pool.
        priority: runs of queues with lower numbers are taken first.
        concurrency_limit: the maximum number of its runs executed at a time; None for no maximum.
        paused: whether its runs are not taken.
    """

    name: str
    priority: int = 1
    concurrency_limit: int | None = None
    paused: bool = False


@dataclass(frozen=True)
class WorkPool:
    """The runs that workers share, and the common settings of their jobs.

    Attributes:
        name: its name among the pools.
        type: the infrastructure that its workers use: ``process`` …
        description: a description for people, in Markdown.
        concurrency_limit: the maximum number of its runs executed at a time, by all its workers;
            None for no maximum.
        paused: whether its runs are not taken.
        job_variables: the defaults of its jobs, by name.
        schema_version: the version of the infrastructure's variables when they were last checked.
        queues: its queues; `DEFAULT_QUEUE` is always among them.
    """

    name: str
    type: str
    description: str | None = None
    concurrency_limit: int | None = None
    paused: bool = False
    job_variables: Mapping[str, object] = field(default_factory=dict)
    schema_version: int = 1
    queues: tuple[WorkQueue, ...] = (WorkQueue(DEFAULT_QUEUE),)

    def find_queue(self, name: str | None) -> WorkQueue | None:
        """Return the queue of that name, or the default one for None; None if it does not exist."""
        wanted = DEFAULT_QUEUE if name is None else name
        return next((each for each in self.queues if each.name == wanted), None)


_QUEUES = RecordCodec(WorkQueue, {})
_CODEC = RecordCodec(
    WorkPool,
    {
        "job_variables": FieldForm(dict, dict),
        "queues": FieldForm(
            lambda queues: [_QUEUES.encode(each) for each in queues],
            lambda bodies: tuple(_QUEUES.decode(each) for each in bodies),
        ),
    },
)


def encode_work_pool(pool: WorkPool) -> Json:
    """Return a pool as JSON values."""
    return _CODEC.encode(pool)


def read_work_pool(document: Document) -> WorkPool:
    """Return the pool in a document of the kind `KIND`."""
    return _CODEC.decode(dict(document.body))
