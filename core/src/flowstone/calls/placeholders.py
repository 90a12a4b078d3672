"""Placeholders for the values of tasks that are not run, while the graph of a flow is drawn."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from flowstone.calls.unresolved import Unresolved
from flowstone.engine.arguments import FutureBase
from flowstone.errors import ValueNotComputed
from flowstone.records.states import COMPLETED, State

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

#: Operations on an unknown value whose result is another placeholder.
_DERIVING = [
    "getitem",
    "call",
    "add",
    "radd",
    "sub",
    "rsub",
    "mul",
    "rmul",
    "truediv",
    "rtruediv",
    "floordiv",
    "rfloordiv",
    "mod",
    "rmod",
    "pow",
    "rpow",
    "matmul",
    "rmatmul",
    "and",
    "rand",
    "or",
    "ror",
    "xor",
    "rxor",
    "lshift",
    "rlshift",
    "rshift",
    "rrshift",
    "neg",
    "pos",
    "abs",
    "invert",
]
#: Operations that need the value, with their description in errors.
_NEEDING = {
    "bool": "whether it is true",
    "len": "its length",
    "iter": "its elements",
    "aiter": "its elements",
    "next": "its next element",
    "reversed": "its elements",
    "contains": "what is in it",
    "eq": "a comparison",
    "ne": "a comparison",
    "lt": "a comparison",
    "le": "a comparison",
    "gt": "a comparison",
    "ge": "a comparison",
    "int": "a number",
    "float": "a number",
    "complex": "a number",
    "index": "a number",
    "round": "a number",
    "bytes": "bytes",
    "fspath": "a path",
    "enter": "a context",
    "exit": "a context",
    "aenter": "a context",
    "aexit": "a context",
    "setitem": "a place to write to",
    "delitem": "a place to delete",
}


class ValueSource(NamedTuple):
    """The run that a value would come from.

    Attributes:
        run_id: the run's id; empty in a flow that got the value as an argument.
        unit: the task's name.
    """

    run_id: str
    unit: str


class Placeholder(FutureBase):
    """A placeholder for a value. It can be passed on; its attributes and items are placeholders."""

    __slots__ = ("_sources",)

    def __init__(self, *sources: ValueSource) -> None:
        self._sources = sources

    def __getattr__(self, name: str) -> Placeholder:
        if name.startswith("__"):  # Python checks its capabilities
            raise AttributeError(name)
        return Placeholder(*self._sources)

    def __repr__(self) -> str:
        return f"<value of {find_sources(self)[0].unit}>"

    __hash__ = FutureBase.__hash__


#: Returns the source of a value; a function, since attributes belong to the value.
find_sources: Callable[[Placeholder], tuple[ValueSource, ...]] = attrgetter("_sources")


def _derive(placeholder: Placeholder, *others: object, **named: object) -> Placeholder:
    more = (other for other in (*others, *named.values()) if isinstance(other, Placeholder))
    found = [source for each in (placeholder, *more) for source in find_sources(each)]
    return Placeholder(*dict.fromkeys(found))


def _make_refusal(use: str) -> Callable[..., NoReturn]:
    def need(placeholder: Placeholder, *_: object) -> NoReturn:
        raise ValueNotComputed(find_sources(placeholder)[0].unit, use)

    return need


for _name in _DERIVING:
    setattr(Placeholder, f"__{_name}__", _derive)
for _name, _use in _NEEDING.items():
    setattr(Placeholder, f"__{_name}__", _make_refusal(_use))


class SketchedFuture(Unresolved):
    """The future of a task that is not run, with the interface of a `Future`.

    Attributes:
        value: its result: the task's `viz_return_value`, or a placeholder.
    """

    __slots__ = ("name", "observed", "run_id", "value")

    def __init__(self, run_id: str, name: str, value: Any) -> None:
        self.run_id, self.name, self.value = run_id, name, value
        self.observed = True

    @property
    def task_run_id(self) -> str:
        return self.run_id

    @property
    def state(self) -> State:
        return State(COMPLETED, data=self.value)

    def final_state(self) -> State:
        return self.state

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> Any:  # noqa: ARG002 - a Future's
        return self.value

    async def aresult(self, raise_on_failure: bool = True) -> Any:  # noqa: ARG002 - a Future's
        return self.value

    def __await__(self) -> Generator[object, None, object]:
        return self.aresult().__await__()

    def wait(self, timeout: float | None = None) -> None:
        """Do nothing: there is nothing to wait for."""

    async def await_end(self) -> None:
        """Do nothing: there is nothing to wait for."""

    def run_inline(self) -> None:
        """Do nothing: there is nothing to run."""

    def done(self) -> bool:
        return True

    def cancel(self) -> bool:
        return False

    def add_done_callback(self, callback: Callable[[Any], Any]) -> None:
        callback(self)
