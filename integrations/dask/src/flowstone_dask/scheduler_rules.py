"""What the scheduler is asked to do for calls of Flowstone's, in a plugin of its own."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from distributed import SchedulerPlugin

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed import Scheduler

#: What the keys of calls begin with.
KEY = "flowstone."
#: What the topics begin with by which calls report to clients.
TOPIC = "flowstone-calls-"
#: The last event of a topic.
END = "end"


class CallRules(SchedulerPlugin):
    """Lets no call be made twice, and keeps none of what calls report.

    The flow decides whether a task whose worker has died is tried again, so the scheduler does
    not. It applies to Flowstone's calls only, whatever else runs on the cluster.
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
            # One more death, which is that of its worker, is too many.
            task.suspicious = max(task.suspicious, self._scheduler.allowed_failures)
        if finish == "memory" and task is not None:
            task.run_spec = None  # where its value is lost, it is lost, as that of `scatter`

    def log_event(self, topic: str, msg: Any) -> None:
        if topic.startswith(TOPIC):
            broker = _find_broker(self._scheduler)
            broker.truncate(topic)
            if msg == END:
                _find_topics(broker).pop(topic, None)


#: Dask keeps the last thousand events of each topic for ever, and has no public way to drop them.
_find_broker = attrgetter("_broker")
_find_topics = attrgetter("_topics")
