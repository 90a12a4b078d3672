"""One flow of one task."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flowstone as library
else:
    library = import_module(sys.argv[1])


@library.task
def greet(name: str) -> str:
    return f"hello, {name}"


@library.flow
def hello() -> str:
    return greet("world")


assert hello() == "hello, world"
