"""When cron strings, intervals and RRules are due in a time zone with daylight saving time.

A local time that is skipped when clocks go forward is due at the first minute after the gap. One
that occurs twice, when they go back, is due the first time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from flowstone.errors import ScheduleInvalid, suggest_names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from dateutil.rrule import rrule, rruleset

    Rule = rrule | rruleset

_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_RANGES = ("0-59", "0-23", "1-31, L", "1-12, JAN-DEC", "0-7, SUN-SAT, MON#2, 5L")
_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_DAY = timedelta(days=1)
#: The default start of rules, as a local time in any time zone.
_EPOCH = datetime.fromisoformat("1970-01-01")
_RRULE_START = datetime.fromisoformat("2020-01-01")


def load_zone(name: str, rule: str) -> ZoneInfo:
    """Load a time zone by its name in the tz database.

    Args:
        name: the name of the time zone.
        rule: the schedule that uses it, for the error.

    Raises:
        ScheduleInvalid: there is no such time zone; similar names are suggested.
    """
    # Takes 3 ms.
    from zoneinfo import ZoneInfo, available_timezones

    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        near = suggest_names(name, available_timezones()).strip()
        remedy = near or "Install the tz database: pip install tzdata."
        raise ScheduleInvalid(rule, f"there is no time zone {name!r}", remedy) from None


# ---------------------------------------------------------------- cron


def check_cron(cron: str) -> None:
    """Check a cron string.

    Raises:
        ScheduleInvalid: it can't be parsed; the error marks the wrong field.
    """
    from cronsim import CronSim, CronSimError  # takes 3 ms

    fields = _split(cron)
    if len(fields) != len(_FIELDS):
        names = ", ".join(_FIELDS)
        problem = f"it needs {len(_FIELDS)} fields, and has {len(fields)}"
        hint = " For seconds, use an Interval." if len(fields) == len(_FIELDS) + 1 else ""
        raise ScheduleInvalid(cron, problem, f"Write: {names}.{hint}")
    for place, field in enumerate(fields):
        alone = ["*"] * len(_FIELDS)
        alone[place] = field
        try:
            CronSim(" ".join(alone), _EPOCH)
        except (CronSimError, AssertionError):
            problem = f"{field!r} is not a valid {_FIELDS[place]}"
            remedy = f"Use {_RANGES[place]}, or lists, ranges and steps of these."
            raise ScheduleInvalid(cron, problem, remedy, _locate(cron, place)) from None
    try:
        found = next(CronSim(" ".join(fields), _EPOCH), None)
    except CronSimError:
        found = None
    if found is None:
        problem = "the day does not occur in any such month"
        raise ScheduleInvalid(cron, problem, "Use another day or month.", _locate(cron, 2))


def iterate_cron(
    cron: str, zone: ZoneInfo, after: float, *, day_or: bool = True
) -> Iterator[float]:
    """Yield when a cron string is due, in seconds since the epoch."""
    from cronsim import CronSim  # takes 3 ms

    moments = CronSim(" ".join(_split(cron)), datetime.fromtimestamp(after, zone))
    moments.day_and = moments.day_and or not day_or
    return _increase((moment.timestamp() for moment in moments), after)


def _split(cron: str) -> list[str]:
    return _NICKNAMES.get(cron.strip().lower(), cron).split()


def _locate(cron: str, place: int) -> tuple[int, int] | None:
    """Return the position of a field in a cron string; None in a nickname."""
    position = 0
    for number, field in enumerate(cron.split()):
        position = cron.index(field, position)
        if number == place:
            return position, position + len(field)
        position += len(field)
    return None


# ---------------------------------------------------------------- interval


def iterate_interval(
    interval: timedelta, anchor: datetime | None, zone: ZoneInfo, after: float
) -> Iterator[float]:
    """Yield when an interval is due, in seconds since the epoch.

    Whole days preserve the local time of the anchor; other intervals count elapsed seconds.
    """
    if anchor is not None and anchor.tzinfo is not None:
        anchor = anchor.astimezone(zone).replace(tzinfo=None)
    start = anchor or _EPOCH
    if not interval % _DAY:
        return _increase(_iterate_days(start, interval, zone, after), after)
    return _iterate_seconds(to_instant(start, zone), interval.total_seconds(), after)


def _iterate_days(
    start: datetime, interval: timedelta, zone: ZoneInfo, after: float
) -> Iterator[float]:
    local = datetime.fromtimestamp(after, zone).replace(tzinfo=None)
    number = max(0, (local - start) // interval - 1)  # a gap may shift it by a day
    while True:
        try:
            moment = start + number * interval
        except OverflowError:
            return  # after the year 9999
        yield to_instant(moment, zone)
        number += 1


def _iterate_seconds(start: float, seconds: float, after: float) -> Iterator[float]:
    number = max(0, int((after - start) // seconds))
    while True:
        moment = start + number * seconds
        if moment > after:
            yield moment
        number += 1


# ---------------------------------------------------------------- RRule


def check_rrule(text: str, zone_name: str) -> None:
    """Check an RRule.

    Raises:
        ScheduleInvalid: it can't be parsed, or has a form that is not supported.
    """
    upper = text.upper()
    if "FREQ=SECONDLY" in upper or "FREQ=MINUTELY" in upper:
        problem = "SECONDLY and MINUTELY rules are not supported"
        raise ScheduleInvalid(text, problem, "Use an Interval, or a Cron.")
    if "TZID=" in upper:
        remedy = "Write local times, and pass timezone=…."
        raise ScheduleInvalid(text, "it sets a time zone (TZID)", remedy)
    if "Z" in _find_times(upper) and zone_name != "UTC":
        remedy = f"Write local times of {zone_name}, without the Z."
        raise ScheduleInvalid(text, "it has times in UTC", remedy)
    try:
        found = _read_rrule(text).after(_EPOCH)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        remedy = "Write it as RFC 5545 does: FREQ=WEEKLY;BYDAY=MO,WE."
        problem = f"it is not a valid rule ({error})"
        raise ScheduleInvalid(text, problem, remedy) from None
    if found is None:
        raise ScheduleInvalid(text, "it is never due", "Use dates that occur.")


def iterate_rrule(text: str, zone: ZoneInfo, after: float) -> Iterator[float]:
    """Yield when an RRule is due, in seconds since the epoch."""
    local = datetime.fromtimestamp(after, zone).replace(tzinfo=None) - _DAY
    moments = _read_rrule(text).xafter(local)
    return _increase((to_instant(moment, zone) for moment in moments), after)


def _find_times(text: str) -> str:
    """Return the last characters of the times in a rule."""
    return "".join(word[-1:] for word in text.replace("\n", ";").split(";") if "T" in word[-8:-5])


def _read_rrule(text: str) -> Rule:
    from dateutil.rrule import rrulestr  # takes 10 ms

    return rrulestr(text, dtstart=_RRULE_START, ignoretz=True)


# ---------------------------------------------------------------- clocks


def to_instant(local: datetime, zone: ZoneInfo) -> float:
    """Return a time in seconds since the epoch.

    Without a time zone it is a local time; for one that is skipped, this is the gap's end.
    """
    if local.tzinfo is not None:
        return local.timestamp()
    found = local.replace(tzinfo=zone)
    while found.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
        local += timedelta(minutes=1)
        found = local.replace(tzinfo=zone)
    return found.timestamp()


def _increase(moments: Iterator[float], after: float) -> Iterator[float]:
    """Yield times after a given one, each once."""
    for moment in moments:
        if moment > after:
            yield moment
            after = moment
