"""A scheduler plugin with rules for Flowstone's calls."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from distributed import SchedulerPlugin

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed import Scheduler

#: The prefix of the keys of calls.
KEY = "flowstone."
#: The prefix of the topics on which calls report to clients.
TOPIC = "flowstone-calls-"
#: The last event of a topic.
END = "end"


class CallRules(SchedulerPlugin):
    """Prevents the scheduler from repeating calls, and from storing their events.

    The flow decides whether a task whose worker has died is retried, so the scheduler does not
    retry. It applies to Flowstone's calls only, whatever else runs on the cluster.
    """

    name = "flowstone-call-rules"
    idempotent = True

    async def start(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def transition(self, key: Key, start: str, finish: str, *_: Any, **__: Any) -> None:
        if start == finish or not str(key).startswith(KEY):
            return
        task = self._scheduler.tasks.get(key)
        if finish == "processing" and task is not None:
            # One more death, that of its worker, exceeds the limit.
            task.suspicious = max(task.suspicious, self._scheduler.allowed_failures)
        if finish == "memory" and task is not None:
            task.run_spec = None  # a lost value is not recomputed, as for `scatter`

    def log_event(self, topic: str, msg: Any) -> None:
        if topic.startswith(TOPIC):
            broker = _find_broker(self._scheduler)
            broker.truncate(topic)
            if msg == END:
                _find_topics(broker).pop(topic, None)


#: Dask stores the last thousand events of each topic forever, and has no public way to drop them.
_find_broker = attrgetter("_broker")
_find_topics = attrgetter("_topics")
