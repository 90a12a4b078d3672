"""TaskSuite: what every prebuilt task of a package does, and says of itself."""

from flowstone_testing.conformance.tasks.examples import Arguments, Example
from flowstone_testing.conformance.tasks.facts import TaskFacts
from flowstone_testing.conformance.tasks.travels import TaskTravels
from flowstone_testing.conformance.tasks.ways import TaskWays

__all__ = ["Arguments", "Example", "TaskFacts", "TaskSuite"]


class TaskSuite(TaskFacts, TaskWays, TaskTravels):
    """Join with the class attribute `plugin` and a fixture `examples`.

    ``examples`` has, by the name of each task that the package lists, a function that makes the
    arguments of one call. Each time they are fresh: another key, another row. What the task talks
    to is real, or an emulator over its protocol, so that a call from another process reaches it.

    The async twin of a task is ``a`` and its name, is public in the package or beside the task in
    its module, takes and returns the same, and is tested on the same arguments.
    """
