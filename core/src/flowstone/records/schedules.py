"""Schedules: when a deployment's runs are due."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from flowstone.errors import ScheduleInvalid
from flowstone.records import recurrence
from flowstone.records.codec import FieldForm, RecordCodec
from flowstone.records.encoding import dumps
from flowstone.records.names import check_printable_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowstone.records.codec import Json

#: What happens to times that passed while no process served the deployment.
Misfire = Literal["all", "latest", "none"]
_MISFIRES = ("all", "latest", "none")
#: Seconds after its time until a run counts as missed.
GRACE = 60.0


@dataclass(frozen=True, kw_only=True)
class ScheduleOptions:
    """What every schedule has beside its rule.

    Attributes:
        active: whether it makes runs.
        parameters: of its runs; they override those of the deployment.
        slug: its name within the deployment; None for one that is derived from the rule.
        misfire: what happens to times that passed while no process served the deployment:
            ``all`` runs each of them, ``latest`` only the last one, ``none`` none of them.
        grace_seconds: how late a time may be without counting as missed.
    """

    active: bool = True
    parameters: Mapping[str, object] | None = None
    slug: str | None = None
    misfire: Misfire = "latest"
    grace_seconds: float = GRACE


@dataclass(frozen=True)
class Cron(ScheduleOptions):
    """Due by a cron string: ``0 9 * * MON-FRI``. Its other options are those of `ScheduleOptions`.

    Attributes:
        cron: minute, hour, day of month, month, day of week; or ``@hourly``, ``@daily`` and such.
        timezone: of the tz database, such as ``Europe/Berlin``; None for UTC.
        day_or: where day of month and day of week are both restricted: True for days that match
            either, False for days that match both.
    """

    cron: str
    timezone: str | None = None
    day_or: bool = True

    def __post_init__(self) -> None:
        """Raise `ScheduleInvalid` where it can't be used."""
        _check(self, self.cron)
        recurrence.check_cron(self.cron)

    def iterate(self, after: float) -> Iterator[float]:
        """Yield the times after a moment at which it is due, all in seconds since the epoch."""
        zone = recurrence.load_zone(self.timezone or "UTC", self.cron)
        return recurrence.iterate_cron(self.cron, zone, after, day_or=self.day_or)

    def __str__(self) -> str:
        return f"cron {self.cron!r}{_name_zone(self)}"


@dataclass(frozen=True)
class Interval(ScheduleOptions):
    """Due at regular intervals. Its other options are those of `ScheduleOptions`.

    Attributes:
        interval: seconds, or a `timedelta`; a `timedelta` from then on. Whole days keep the local
            time of the anchor when daylight saving time begins or ends.
        anchor_date: a moment at which it is due; the others are counted from there. Without a time
            zone it is a local time. None for the first midnight of 1970.
        timezone: of the tz database, such as ``Europe/Berlin``; None for UTC.
    """

    interval: timedelta | float
    anchor_date: datetime | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        """Raise `ScheduleInvalid` where it can't be used."""
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
        return recurrence.iterate_interval(self.length, self.anchor_date, zone, after)

    def __str__(self) -> str:
        return f"every {_format_length(self.length)}{_name_zone(self)}"


@dataclass(frozen=True)
class RRule(ScheduleOptions):
    """Due by a rule of RFC 5545: ``FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17;BYMINUTE=0;BYSECOND=0``.

    Its other options are those of `ScheduleOptions`.

    Attributes:
        rrule: the rule; its times are local ones. Without DTSTART it counts from 2020-01-01.
        timezone: of the tz database, such as ``Europe/Berlin``; None for UTC.
    """

    rrule: str
    timezone: str | None = None

    def __post_init__(self) -> None:
        """Raise `ScheduleInvalid` where it can't be used."""
        _check(self, self.rrule)
        recurrence.check_rrule(self.rrule, self.timezone or "UTC")

    def iterate(self, after: float) -> Iterator[float]:
        """Yield the times after a moment at which it is due, all in seconds since the epoch."""
        zone = recurrence.load_zone(self.timezone or "UTC", self.rrule)
        return recurrence.iterate_rrule(self.rrule, zone, after)

    def __str__(self) -> str:
        return f"rrule {self.rrule!r}{_name_zone(self)}"


Schedule = Cron | Interval | RRule


def _check(schedule: Schedule, rule: object) -> None:
    if not isinstance(rule, str):
        raise ScheduleInvalid(repr(rule), "the rule is not a string", "Write it as a string.")
    if schedule.misfire not in _MISFIRES:
        problem = f"misfire={schedule.misfire!r} is not a misfire policy"
        raise ScheduleInvalid(rule, problem, f"Use one of {', '.join(map(repr, _MISFIRES))}.")
    if not schedule.grace_seconds >= 0:
        problem = f"grace_seconds={schedule.grace_seconds!r} is not a duration"
        raise ScheduleInvalid(rule, problem, "Use 0 or more seconds.")
    if schedule.slug is not None:
        check_printable_name("schedule", schedule.slug)
    recurrence.load_zone(schedule.timezone or "UTC", rule)


def _format_length(length: timedelta) -> str:
    """Return a length of time in all its units, such as ``1h 30m``."""
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    rest = f"{seconds + length.microseconds / 1e6:g}"
    units = {"d": length.days, "h": hours, "m": minutes, "s": rest}
    return " ".join(f"{count}{unit}" for unit, count in units.items() if count not in {0, "0"})


def _name_zone(schedule: Schedule) -> str:
    return f" in {schedule.timezone}" if schedule.timezone else ""


def name_schedule(schedule: Schedule) -> Schedule:
    """Return a schedule with a slug: its own, or one that is made of its rule."""
    if schedule.slug is not None:
        return schedule
    tag = type(schedule).__name__.lower()
    return replace(schedule, slug=f"{tag}-{fingerprint_rule(schedule)[:8]}")


def fingerprint_rule(schedule: Schedule) -> str:
    """Return what changes when, and only when, other times are due."""
    body = encode_schedule(schedule)
    for name in ("active", "parameters", "slug", "misfire", "grace_seconds"):
        del body[name]
    return sha256(dumps(sorted(body.items())).encode()).hexdigest()


_FORMS = {
    "parameters": FieldForm(dict, dict),
    "interval": FieldForm(lambda value: value.total_seconds(), lambda s: timedelta(seconds=s)),
    "anchor_date": FieldForm(lambda value: value.isoformat(), datetime.fromisoformat),
    "Misfire": FieldForm(str, str),
}
_CRON = RecordCodec(Cron, _FORMS)
_INTERVAL = RecordCodec(Interval, _FORMS)
_RRULE = RecordCodec(RRule, _FORMS)


def encode_schedule(schedule: Schedule) -> Json:
    """Return a schedule as JSON values that say its type."""
    if isinstance(schedule, Cron):
        return {"type": "cron", **_CRON.encode(schedule)}
    if isinstance(schedule, Interval):
        return {"type": "interval", **_INTERVAL.encode(schedule)}
    return {"type": "rrule", **_RRULE.encode(schedule)}


def decode_schedule(body: Json) -> Schedule:
    """Return the schedule that `encode_schedule` has encoded.

    Raises:
        RecordInvalid, ScheduleInvalid: it is of no type that this version knows, or can't be used.
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
