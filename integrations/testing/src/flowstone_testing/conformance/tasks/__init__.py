"""TaskSuite: the standard tests of a package's prebuilt tasks."""

from flowstone_testing.conformance.tasks.examples import Arguments, Example
from flowstone_testing.conformance.tasks.facts import TaskFacts
from flowstone_testing.conformance.tasks.travels import TaskTravels
from flowstone_testing.conformance.tasks.ways import TaskWays

__all__ = ["Arguments", "Example", "TaskFacts", "TaskSuite"]


class TaskSuite(TaskFacts, TaskWays, TaskTravels):
    """Join with the class attribute `plugin` and a fixture `examples`.

    ``examples`` maps the name of each listed task to a function that creates the arguments of one
    call. They must be new each time: another key, another row. The service of a task is the real
    one, or an emulator over its protocol, so that a call from another process reaches it.

    The async version of a task has its name with the prefix ``a``, is public in the package or next
    to the task in its module, takes and returns the same, and is tested with the same arguments.
    """
