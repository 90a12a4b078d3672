"""What a future says to code that takes it for the value it is a future of."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from flowstone.engine.arguments import FutureBase
from flowstone.errors import FutureUnresolved

if TYPE_CHECKING:
    from collections.abc import Callable

#: What values can do and futures can't, and how it is written.
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
    "index": "a whole number",
    "round": "round()",
    "len": "len()",
    "contains": "in",
    "getitem": "an element",
    "setitem": "an element",
    "delitem": "an element",
}
_TWO_SIDED = list(_USES)[: list(_USES).index("neg")]


class Unresolved(FutureBase):
    """A future: it has no operators, elements or attributes of its value, and says so."""

    __slots__ = ()

    name: str

    if not TYPE_CHECKING:  # a type checker would take any attribute for one that is there

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_") or name == "name":  # somebody asks what it can do; a copy
                message = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(message, name=name, obj=self)
            raise FutureUnresolved(self.name, f".{name}")

    def __bool__(self) -> bool:
        return True  # it is there; its length is not asked for

    def __format__(self, spec: str) -> str:
        if spec:
            raise FutureUnresolved(self.name, f"the format {spec!r}")
        return str(self)


def _make_refusal(use: str) -> Callable[..., NoReturn]:
    def refuse(future: Unresolved, *_: object) -> NoReturn:
        raise FutureUnresolved(future.name, use)

    return refuse


for _name, _use in _USES.items():
    setattr(Unresolved, f"__{_name}__", _make_refusal(_use))
for _name in _TWO_SIDED:
    setattr(Unresolved, f"__r{_name}__", _make_refusal(_USES[_name]))
