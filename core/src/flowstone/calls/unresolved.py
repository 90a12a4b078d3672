"""Errors for code that uses a future as if it were its value."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from flowstone.engine.arguments import FutureBase
from flowstone.errors import FutureUnresolved

if TYPE_CHECKING:
    from collections.abc import Callable

#: Special methods that futures don't have, and the syntax of each.
_USES = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "pow": "**",
    "matmul": "@",
    "and": "&",
    "or": "|",
    "xor": "^",
    "lshift": "<<",
    "rshift": ">>",
    "neg": "-",
    "pos": "+",
    "abs": "abs()",
    "invert": "~",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "int": "int()",
    "float": "float()",
    "complex": "complex()",
    "index": "an index",
    "round": "round()",
    "len": "len()",
    "contains": "in",
    "getitem": "indexing or iteration",
    "setitem": "indexing or iteration",
    "delitem": "indexing or iteration",
}
_TWO_SIDED = list(_USES)[: list(_USES).index("neg")]


class Unresolved(FutureBase):
    """A future: the operators, elements and attributes of its value raise `FutureUnresolved`."""

    __slots__ = ()

    name: str

    if not TYPE_CHECKING:  # or a type checker would accept any attribute

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_") or name == "name":  # as `hasattr` and `copy` do
                message = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(message, name=name, obj=self)
            raise FutureUnresolved(self.name, f".{name}")

    def __bool__(self) -> bool:
        return True  # without this, Python would call `__len__`

    def __format__(self, spec: str) -> str:
        if spec:
            raise FutureUnresolved(self.name, f"format {spec!r}")
        return str(self)


def _make_refusal(use: str) -> Callable[..., NoReturn]:
    def refuse(future: Unresolved, *_: object) -> NoReturn:
        raise FutureUnresolved(future.name, use)

    return refuse


for _name, _use in _USES.items():
    setattr(Unresolved, f"__{_name}__", _make_refusal(_use))
for _name in _TWO_SIDED:
    setattr(Unresolved, f"__r{_name}__", _make_refusal(_USES[_name]))
