"""Annotations of arguments: `unmapped`, `allow_failure`, `quote` and others."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Mark(Generic[T]):
    """An annotated argument; the function itself gets the bare value."""

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
    """Pass the same value to each call of a `.map`."""


class allow_failure(Mark[T]):
    """Run even if the future failed; the function gets the exception as the value."""


class quote(Mark[T]):
    """Do not look for futures inside the value."""

    def unquote(self) -> T:
        """Return the bare value."""
        return self.value


class opaque(quote[T]):
    """Do not look inside the value: an alias of `quote`."""


class freeze(quote[T]):
    """Fix a parameter of a deployment; in a call, the function gets the bare value.

    Raises:
        ValueError: the value can't be converted to JSON, as which a deployment stores it.
    """

    def __init__(self, value: T) -> None:
        import json  # takes 3 ms, which most programs don't need

        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            problem = f"freeze(...) accepts only JSON values ({type(error).__name__})"
            raise ValueError(f"{problem}: strings, numbers, lists and dicts of these") from None
        super().__init__(value)

    def unfreeze(self) -> T:
        """Return the bare value."""
        return self.value


#: Types of values that are passed to the function unchanged, and not searched for futures.
SEALED = frozenset({quote, opaque, freeze})
