"""Parameter types for ages and times on the command line."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    FloatParam = click.ParamType[float]
    DateParam = click.ParamType[date]
else:
    FloatParam = DateParam = click.ParamType  # generic in newer versions only

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


class Age(FloatParam):
    """An age, such as ``30d``, ``12h``, ``90m`` or ``2w``, in seconds."""

    name = "age"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        seconds = parse_age(str(value))
        if seconds is None:
            problem = f"{value!r} is not an age: a number and s, m, h, d or w, such as 30d or 12h."
            self.fail(problem, param, ctx)
        return seconds


class Moment(DateParam):
    """A time in ISO 8601, such as ``2026-12-24T18:00``; without a time zone, it is local time.

    Args:
        keeps_days: whether a date without a time remains a date; otherwise it means midnight.
    """

    name = "time"

    def __init__(self, *, keeps_days: bool = False) -> None:
        self._keeps_days = keeps_days

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> date:
        if isinstance(value, date):
            return value
        text = str(value).strip()
        try:
            is_day = self._keeps_days and len(text) == len("2026-12-24")
            return date.fromisoformat(text) if is_day else datetime.fromisoformat(text)
        except ValueError:
            problem = f"{value!r} is not a time: write it as 2026-12-24 or 2026-12-24T18:00."
            self.fail(problem, param, ctx)


MOMENT, MOMENT_OR_DAY = Moment(), Moment(keeps_days=True)


def parse_age(text: str) -> float | None:
    """Return the seconds of an age; None if the text is not an age."""
    found = _AGE.fullmatch(text.strip().lower())
    return None if found is None else float(found[1]) * _UNITS[found[2]]


def parse_moment(text: str, now: float) -> float | None:
    """Return a point in time, in seconds since the epoch: an age, or a date with or without a time.

    A time without a time zone is local time. None if the text is neither.
    """
    age = parse_age(text)
    if age is not None:
        return now - age
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError):
        return None
