"""How much memory a flow of many tasks takes at the most, over what it began with."""

import json
import resource
import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flowstone as library
else:
    library = import_module(sys.argv[1])
how, count = sys.argv[2], int(sys.argv[3])


@library.task
def work(number: int) -> int:
    return number


@library.flow
def many(how: str, count: int) -> None:
    if how == "mapped":
        work.map(range(count)).wait()
        return
    for number in range(count):
        work(number)


def peak() -> int:
    """Return the most memory that this process has had, in kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


many(how, 50)
before = peak()
many(how, count)
print(json.dumps({"kb": peak() - before}))
