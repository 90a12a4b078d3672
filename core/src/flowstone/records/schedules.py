"""Schedules of deployments: cron strings, intervals and RRules."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from flowstone.errors import ScheduleInvalid
from flowstone.records import recurrence
from flowstone.records.codec import FieldForm, RecordCodec
from flowstone.records.encoding import dumps
from flowstone.records.names import check_printable_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from zoneinfo import ZoneInfo

    from flowstone.records.codec import Json

#: What happens to times that passed while no process served the deployment.
Misfire = Literal["all", "latest", "none"]
MISFIRES = ("all", "latest", "none")
#: Seconds after its time until a run counts as missed.
GRACE = 60.0


@dataclass(frozen=True, kw_only=True)
class ScheduleOptions:
    """The options of every schedule, besides its rule.

    Attributes:
        active: whether it creates runs.
        parameters: parameters of its runs, which override those of the deployment.
        slug: its name within the deployment; None to derive one from the rule.
        misfire: what happens to times that passed while no process served the deployment:
            ``all`` runs each of them, ``latest`` only the last one, ``none`` none of them.
        grace_seconds: how late a run may start without counting as missed.
        jitter_seconds: the maximum random delay of a run, in seconds. The delay depends only on the
            deployment, the schedule and the time: every process computes the same one.
        start: the first time at which it can be due; without a time zone, in the schedule's.
        end: the last time at which it can be due; without a time zone, in the schedule's.
        exclude: times at which it is not due: a date for the local day, a datetime for that moment.
    """

    active: bool = True
    parameters: Mapping[str, object] | None = None
    slug: str | None = None
    misfire: Misfire = "latest"
    grace_seconds: float = GRACE
    jitter_seconds: float = 0.0
    start: datetime | None = None
    end: datetime | None = None
    exclude: Iterable[date] = ()


@dataclass(frozen=True)
class Cron(ScheduleOptions):
    """A cron schedule, such as ``0 9 * * MON-FRI``. `ScheduleOptions` has its other options.

    Attributes:
        cron: minute, hour, day of month, month, day of week; or ``@hourly``, ``@daily`` and so on.
        timezone: a name in the tz database, such as ``Europe/Berlin``; None for UTC.
        day_or: if both day of month and day of week are restricted: True for days that match
            either, False for days that match both.
    """

    cron: str
    timezone: str | None = None
    day_or: bool = True

    def __post_init__(self) -> None:
        """Raise `ScheduleInvalid` if it is not valid."""
        _check(self, self.cron)
        recurrence.check_cron(self.cron)

    def iterate(self, after: float) -> Iterator[float]:
        """Yield the times after a moment at which it is due, all in seconds since the epoch."""
        zone = recurrence.load_zone(self.timezone or "UTC", self.cron)
        rule = partial(recurrence.iterate_cron, self.cron, zone, day_or=self.day_or)
        return _iterate_in_window(self, rule, zone, after)

    def __str__(self) -> str:
        return f"cron {self.cron!r}{_describe_options(self)}"


@dataclass(frozen=True)
class Interval(ScheduleOptions):
    """A schedule with a regular interval. `ScheduleOptions` has its other options.

    Attributes:
        interval: seconds, or a `timedelta`; converted to a `timedelta`. Whole days preserve the
            local time of the anchor when daylight saving time begins or ends.
        anchor_date: a moment at which it is due; the others are counted from there. Without a time
            zone it is a local time. None for the first midnight of 1970.
        timezone: a name in the tz database, such as ``Europe/Berlin``; None for UTC.
    """

    interval: timedelta | float
    anchor_date: datetime | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        """Raise `ScheduleInvalid` if it is not valid."""
        given = self.interval
        if not isinstance(given, timedelta):
            try:
                object.__setattr__(self, "interval", timedelta(seconds=given))
            except (TypeError, ValueError, OverflowError):
                remedy = "Pass a number of seconds, or a timedelta."
                raise ScheduleInvalid(str(given), "it is not an interval", remedy) from None
        if self.length < timedelta(seconds=1):
            problem = "the interval is shorter than a second"
            raise ScheduleInvalid(str(given), problem, "Use one second or more.")
        _check(self, str(given))

    @property
    def length(self) -> timedelta:
        """The interval."""
        assert isinstance(self.interval, timedelta)
        return self.interval

    def iterate(self, after: float) -> Iterator[float]:
        """Yield the times after a moment at which it is due, all in seconds since the epoch."""
        zone = recurrence.load_zone(self.timezone or "UTC", str(self.length))
        rule = partial(recurrence.iterate_interval, self.length, self.anchor_date, zone)
        return _iterate_in_window(self, rule, zone, after)

    def __str__(self) -> str:
        return f"every {_format_length(self.length)}{_describe_options(self)}"


@dataclass(frozen=True)
class RRule(ScheduleOptions):
    """A schedule by RFC 5545: ``FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17;BYMINUTE=0;BYSECOND=0``.

    `ScheduleOptions` has its other options.

    Attributes:
        rrule: the rule; its times are local ones. Without DTSTART it counts from 2020-01-01.
        timezone: a name in the tz database, such as ``Europe/Berlin``; None for UTC.
    """

    rrule: str
    timezone: str | None = None

    def __post_init__(self) -> None:
        """Raise `ScheduleInvalid` if it is not valid."""
        _check(self, self.rrule)
        recurrence.check_rrule(self.rrule, self.timezone or "UTC")

    def iterate(self, after: float) -> Iterator[float]:
        """Yield the times after a moment at which it is due, all in seconds since the epoch."""
        zone = recurrence.load_zone(self.timezone or "UTC", self.rrule)
        rule = partial(recurrence.iterate_rrule, self.rrule, zone)
        return _iterate_in_window(self, rule, zone, after)

    def __str__(self) -> str:
        return f"rrule {self.rrule!r}{_describe_options(self)}"


Schedule = Cron | Interval | RRule


def _check(schedule: Schedule, rule: object) -> None:
    if not isinstance(rule, str):
        raise ScheduleInvalid(repr(rule), "the rule is not a string", "Write it as a string.")
    if schedule.misfire not in MISFIRES:
        problem = f"misfire={schedule.misfire!r} is not a misfire policy"
        raise ScheduleInvalid(rule, problem, f"Use one of {', '.join(map(repr, MISFIRES))}.")
    if not schedule.grace_seconds >= 0:
        problem = f"grace_seconds={schedule.grace_seconds!r} is not a duration"
        raise ScheduleInvalid(rule, problem, "Use 0 or more seconds.")
    if not 0 <= schedule.jitter_seconds < math.inf:
        problem = f"jitter_seconds={schedule.jitter_seconds!r} is not a duration"
        raise ScheduleInvalid(rule, problem, "Use 0 or more seconds.")
    if schedule.slug is not None:
        check_printable_name("schedule", schedule.slug)
    _check_window(schedule, rule, recurrence.load_zone(schedule.timezone or "UTC", rule))


def _check_window(schedule: Schedule, rule: str, zone: ZoneInfo) -> None:
    """Check the window in which it may be due; convert exclusions to a sorted tuple."""
    excluded = schedule.exclude
    if isinstance(excluded, str | date):
        raise ScheduleInvalid(rule, f"exclude={excluded!r} is not a list", "Use exclude=[…].")
    excluded = tuple(excluded)
    for name, moment, kind in (
        ("start", schedule.start, datetime | None),
        ("end", schedule.end, datetime | None),
        *(("exclude", each, date) for each in excluded),
    ):
        if not isinstance(moment, kind):
            word = "date" if kind is date else "datetime"
            problem = f"{name} has {moment!r}, which is not a {word}"
            raise ScheduleInvalid(rule, problem, "Use datetime(2026, 1, 31, 9, 0).")
        if isinstance(moment, datetime):
            _check_moment(rule, name, moment, zone)
    start, end = schedule.start, schedule.end
    if start and end and recurrence.to_instant(end, zone) < recurrence.to_instant(start, zone):
        problem = f"it ends at {end}, before it starts at {start}"
        raise ScheduleInvalid(rule, problem, "Use an end after the start.")
    object.__setattr__(schedule, "exclude", tuple(sorted(excluded, key=date.isoformat)))


def _check_moment(rule: str, name: str, moment: datetime, zone: ZoneInfo) -> None:
    try:
        recurrence.to_instant(moment, zone)
    except (OverflowError, ValueError):
        problem = f"{name} has {moment}, which is out of range"
        raise ScheduleInvalid(rule, problem, "Omit it, or use another year.") from None


def _iterate_in_window(
    schedule: Schedule, rule: Callable[[float], Iterator[float]], zone: ZoneInfo, after: float
) -> Iterator[float]:
    """Yield the times of a rule at which a schedule may be due."""
    start, end = (
        edge if moment is None else recurrence.to_instant(moment, zone)
        for moment, edge in ((schedule.start, -math.inf), (schedule.end, math.inf))
    )
    days = {each for each in schedule.exclude if not isinstance(each, datetime)}
    moments = {
        recurrence.to_instant(each, zone) for each in schedule.exclude if isinstance(each, datetime)
    }
    for at in rule(max(after, start - 1.0)):  # a second before, as the start itself may be due
        if at > end:
            return
        is_excluded = at in moments or (days and datetime.fromtimestamp(at, zone).date() in days)
        if at >= start and not is_excluded:
            yield at


def _format_length(length: timedelta) -> str:
    """Return a length of time in all its units, such as ``1h 30m``."""
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    rest = f"{seconds + length.microseconds / 1e6:g}"
    units = {"d": length.days, "h": hours, "m": minutes, "s": rest}
    return " ".join(f"{count}{unit}" for unit, count in units.items() if count not in {0, "0"})


def _describe_options(schedule: Schedule) -> str:
    """Return the options that are set (time zone, window, exclusions, jitter), in words."""
    told = f" in {schedule.timezone}" if schedule.timezone else ""
    if schedule.start:
        told += f" from {schedule.start:%Y-%m-%d %H:%M}"
    if schedule.end:
        told += f" until {schedule.end:%Y-%m-%d %H:%M}"
    if schedule.exclude:
        told += f" except {', '.join(map(_format_date, schedule.exclude))}"
    if schedule.jitter_seconds:
        told += f" plus up to {_format_length(timedelta(seconds=schedule.jitter_seconds))}"
    return told


def _format_date(moment: date) -> str:
    is_moment = isinstance(moment, datetime)
    return f"{moment:%Y-%m-%d %H:%M}" if is_moment else moment.isoformat()


def compute_jitter(schedule: Schedule, owner: str, due: float) -> float:
    """Return the delay of a run after its time, in seconds.

    Args:
        schedule: one with a slug.
        owner: the id of the deployment.
        due: the time, in seconds since the epoch.
    """
    if not schedule.jitter_seconds:
        return 0.0
    facts = "\0".join((owner, schedule.slug or "", repr(due)))
    share = int(sha256(facts.encode()).hexdigest()[:12], 16) / 16**12
    return round(share * schedule.jitter_seconds, 3)


def name_schedule(schedule: Schedule) -> Schedule:
    """Return a schedule with a slug: its own, or one derived from its rule."""
    if schedule.slug is not None:
        return schedule
    tag = type(schedule).__name__.lower()
    return replace(schedule, slug=f"{tag}-{_hash_rule(schedule)[:8]}")


def fingerprint_times(schedule: Schedule) -> str:
    """Return a value that changes if, and only if, the schedule's times do."""
    return _hash_rule(schedule, "start", "end", "exclude")


def _hash_rule(schedule: Schedule, *options: str) -> str:
    """Return a digest of the rule, and of those of these options that are set."""
    body = encode_schedule(schedule)
    left_out = {each.name for each in fields(ScheduleOptions)}
    left_out -= {name for name in options if body[name]}
    kept = [(name, value) for name, value in body.items() if name not in left_out]
    return sha256(dumps(sorted(kept)).encode()).hexdigest()


def _read_date(text: str) -> date:
    """Return a date, or a datetime if the text has a time."""
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


_MOMENT = FieldForm(lambda value: value.isoformat(), datetime.fromisoformat)
_FORMS = {
    "parameters": FieldForm(dict, dict),
    "interval": FieldForm(lambda value: value.total_seconds(), lambda s: timedelta(seconds=s)),
    "anchor_date": _MOMENT,
    "start": _MOMENT,
    "end": _MOMENT,
    "exclude": FieldForm(
        lambda dates: [each.isoformat() for each in dates],
        lambda texts: tuple(map(_read_date, texts)),
    ),
    "Misfire": FieldForm(str, str),
}
_CRON = RecordCodec(Cron, _FORMS)
_INTERVAL = RecordCodec(Interval, _FORMS)
_RRULE = RecordCodec(RRule, _FORMS)


def encode_schedule(schedule: Schedule) -> Json:
    """Return a schedule as JSON values with its type."""
    if isinstance(schedule, Cron):
        return {"type": "cron", **_CRON.encode(schedule)}
    if isinstance(schedule, Interval):
        return {"type": "interval", **_INTERVAL.encode(schedule)}
    return {"type": "rrule", **_RRULE.encode(schedule)}


def decode_schedule(body: Json) -> Schedule:
    """Return the schedule that `encode_schedule` has encoded.

    Raises:
        RecordInvalid, ScheduleInvalid: its type is unknown to this version, or it is not valid.
    """
    match body.get("type"):
        case "cron":
            return _CRON.decode(body)
        case "interval":
            return _INTERVAL.decode(body)
        case "rrule":
            return _RRULE.decode(body)
    raise ScheduleInvalid(
        str(body.get("type")), "this version does not know its type", "Upgrade flowstone."
    )
