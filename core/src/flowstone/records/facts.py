"""Records that the engine makes by the thousand: frozen for type checkers, and not at run time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

R = TypeVar("R")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def fact(record: type[R]) -> type[R]:
    """Make a class a dataclass with slots, whose fields are set once, when it is made.

    A dataclass that is frozen at run time sets each field by a call of `object.__setattr__`, and
    so takes four times as long to make. Each task run has some ten of them. Otherwise it is as a
    frozen one: it can be hashed, and is pickled in the same form.
    """
    made = dataclass(slots=True, unsafe_hash=True)(record)
    if "__setstate__" not in vars(record):
        names = tuple(vars(made)["__dataclass_fields__"])

        def read_fields(self: R) -> list[object]:
            return [getattr(self, name) for name in names]

        def set_fields(self: R, values: list[object]) -> None:
            for name, value in zip(names, values, strict=False):
                setattr(self, name, value)

        for method, function in (("__getstate__", read_fields), ("__setstate__", set_fields)):
            setattr(made, method, function)
    return made
