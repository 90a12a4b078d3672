"""Annotations: something said about an argument of a call."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Mark(Generic[T]):
    """Something said about an argument; the function itself gets the bare value."""

    __slots__ = ("value",)

    #: How many were ever made in this process: with none made, no argument needs a look.
    made = 0

    def __init__(self, value: T) -> None:
        Mark.made += 1
        self.value = value


class unmapped(Mark[T]):  # noqa: N801 - the name that users know
    """Give the same value to each call of a `.map`."""


class allow_failure(Mark[T]):  # noqa: N801 - the name that users know
    """Run although the future failed; the function gets the exception as its value."""


class quote(Mark[T]):  # noqa: N801 - the name that users know
    """Do not look for futures inside the value."""
