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

    def unwrap(self) -> T:
        """Return the bare value."""
        return self.value


class unmapped(Mark[T]):
    """Give the same value to each call of a `.map`."""


class allow_failure(Mark[T]):
    """Run although the future failed; the function gets the exception as its value."""


class quote(Mark[T]):
    """Do not look for futures inside the value."""

    def unquote(self) -> T:
        """Return the bare value."""
        return self.value


class opaque(quote[T]):
    """Do not look inside the value: another name of `quote`."""


class freeze(quote[T]):
    """Fix a parameter of a deployment; in a call, the function gets the bare value.

    Raises:
        ValueError: the value has no JSON form, which a deployment keeps it in.
    """

    def __init__(self, value: T) -> None:
        import json  # a start-up cost that most programs save

        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            problem = f"freeze(...) takes what JSON has a form for ({type(error).__name__})"
            raise ValueError(f"{problem}: texts, numbers, lists and dicts of these") from None
        super().__init__(value)

    def unfreeze(self) -> T:
        """Return the bare value."""
        return self.value


#: What is given to the function as it is: nothing inside of it is looked at.
SEALED = frozenset({quote, opaque, freeze})
