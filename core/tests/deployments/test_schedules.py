from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise, takewhile
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstone.errors import FlowstoneError, InvalidName, ScheduleInvalid
from flowstone.records.schedules import (
    Schedule,
    compute_jitter,
    decode_schedule,
    encode_schedule,
    fingerprint_times,
    name_schedule,
)
from flowstone.schedules import Cron, Interval, RRule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BERLIN = "Europe/Berlin"
LAST_YEAR = datetime.fromisoformat("9999-12-31 23:59")


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def due(schedule: Schedule, after: str, count: int, zone: str = "UTC") -> list[str]:
    found = islice(schedule.iterate(at(after, zone)), count)
    return [f"{datetime.fromtimestamp(each, ZoneInfo(zone)):%Y-%m-%d %H:%M%z}" for each in found]


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("*/20 * * * *", ["2026-03-01 00:20", "2026-03-01 00:40", "2026-03-01 01:00"]),
        ("0 9 * * MON-FRI", ["2026-03-02 09:00", "2026-03-03 09:00", "2026-03-04 09:00"]),
        ("0 0 L * *", ["2026-03-31 00:00", "2026-04-30 00:00", "2026-05-31 00:00"]),
        ("0 0 * * mon#2", ["2026-03-09 00:00", "2026-04-13 00:00", "2026-05-11 00:00"]),
        ("0 0 * * 5L", ["2026-03-27 00:00", "2026-04-24 00:00", "2026-05-29 00:00"]),
        ("@monthly", ["2026-04-01 00:00", "2026-05-01 00:00", "2026-06-01 00:00"]),
    ],
)
def test_a_cron_string_is_due(cron: str, expected: list[str]) -> None:
    assert due(Cron(cron), "2026-03-01", 3) == [f"{each}+0000" for each in expected]


def test_a_moment_is_not_due_after_itself() -> None:
    assert due(Cron("0 9 * * *"), "2026-03-01 09:00", 1) == ["2026-03-02 09:00+0000"]


def test_two_days_are_one_or_the_other_or_both() -> None:
    assert due(Cron("0 0 13 * FRI"), "2026-03-01", 2) == [
        "2026-03-06 00:00+0000",
        "2026-03-13 00:00+0000",
    ]
    assert due(Cron("0 0 13 * FRI", day_or=False), "2026-03-01", 2) == [
        "2026-03-13 00:00+0000",
        "2026-11-13 00:00+0000",
    ]


@pytest.mark.parametrize(
    ("cron", "problem", "pointed"),
    [
        ("0 25 * * *", "'25' is not a valid hour", "25"),
        ("61 0 * * *", "'61' is not a valid minute", "61"),
        ("0 0 32 * *", "'32' is not a valid day of month", "32"),
        ("0 0 * FOO *", "'FOO' is not a valid month", "FOO"),
        ("0 0 * * MON#6", "'MON#6' is not a valid day of week", "MON#6"),
        ("0 0 31 2 *", "the day does not occur in any such month", "31"),
    ],
)
def test_the_wrong_field_of_a_cron_string_is_pointed_at(
    cron: str, problem: str, pointed: str
) -> None:
    with pytest.raises(ScheduleInvalid) as caught:
        Cron(cron)
    assert caught.value.problem == problem
    _, rule, mark = str(caught.value).rsplit("\n", 2)
    start = mark.index("^")
    assert rule[start : start + mark.count("^")] == pointed


def test_a_cron_string_has_five_fields() -> None:
    with pytest.raises(ScheduleInvalid, match=r"it needs 5 fields, and has 6.*use an Interval"):
        Cron("0 0 0 * * *")
    with pytest.raises(ScheduleInvalid, match="and has 0"):
        Cron("")


def test_an_unknown_time_zone_is_told_with_near_ones() -> None:
    with pytest.raises(ScheduleInvalid, match="Did you mean 'Europe/Berlin'"):
        Cron("@daily", timezone="Europe/Berln")
    with pytest.raises(ScheduleInvalid, match="'60' can't be used: there is no time zone"):
        Interval(60, timezone="../etc/passwd")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Interval(0), "shorter than a second"),
        (lambda: Interval(timedelta(seconds=-5)), "shorter than a second"),
        (lambda: Interval(float("inf")), "not an interval"),
        (lambda: Cron("@daily", misfire="some"), "misfire='some'"),  # type: ignore[arg-type]
        (lambda: Cron("@daily", grace_seconds=-1), "grace_seconds=-1"),
        (lambda: Cron("@daily", grace_seconds=float("nan")), "grace_seconds=nan"),
        (lambda: RRule("FREQ=OFTEN"), "can't be used"),
        (lambda: RRule("FREQ=MINUTELY"), "are not supported"),
        (lambda: RRule("nonsense"), "can't be used"),
        (lambda: RRule("DTSTART;TZID=Europe/Berlin:20260101T090000\nFREQ=DAILY"), "time zone"),
        (lambda: RRule("FREQ=DAILY;UNTIL=20260105T000000Z", timezone=BERLIN), "times in UTC"),
        (lambda: RRule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;UNTIL=2030"), "can't be used"),
        (lambda: Cron(5), "not a string"),  # type: ignore[arg-type]
    ],
)
def test_what_can_not_be_used_is_refused(make: object, problem: str) -> None:
    assert callable(make)
    with pytest.raises(ScheduleInvalid, match=problem):
        make()


def test_a_slug_can_be_printed() -> None:
    with pytest.raises(InvalidName):
        Cron("@daily", slug=" ")


def test_an_interval_is_counted_from_its_anchor() -> None:
    anchored = Interval(timedelta(hours=7), anchor_date=datetime(2026, 3, 1, 5, tzinfo=UTC))
    assert due(anchored, "2026-03-01", 3) == [
        "2026-03-01 05:00+0000",
        "2026-03-01 12:00+0000",
        "2026-03-01 19:00+0000",
    ]
    assert due(Interval(3600), "2026-03-01 00:30", 1) == ["2026-03-01 01:00+0000"]


def test_an_anchor_without_a_time_zone_is_a_local_time() -> None:
    local = Interval(timedelta(days=1), datetime.fromisoformat("2026-01-01 09:00"), timezone=BERLIN)
    assert due(local, "2026-03-28", 3, BERLIN) == [
        "2026-03-28 09:00+0100",
        "2026-03-29 09:00+0200",
        "2026-03-30 09:00+0200",
    ]


def test_an_rrule_is_due() -> None:
    last_friday = RRule("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17", timezone=BERLIN)
    assert due(last_friday, "2026-03-01", 2, BERLIN) == [
        "2026-03-27 17:00+0100",
        "2026-04-24 17:00+0200",
    ]


def test_an_rrule_ends() -> None:
    twice = RRule("DTSTART:20260301T090000\nRRULE:FREQ=DAILY;COUNT=2")
    assert due(twice, "2026-02-01", 5) == ["2026-03-01 09:00+0000", "2026-03-02 09:00+0000"]
    assert due(twice, "2026-04-01", 5) == []


# ------------------------------------------------------------ changes of clocks


def test_what_is_skipped_is_due_at_the_first_minute_that_there_is() -> None:
    for schedule in (
        Cron("30 2 * * *", timezone=BERLIN),
        RRule("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", timezone=BERLIN),
        Interval(86400, datetime.fromisoformat("2026-01-01 02:30"), timezone=BERLIN),
    ):
        assert due(schedule, "2026-03-28 12:00", 2, BERLIN) == [
            "2026-03-29 03:00+0200",
            "2026-03-30 02:30+0200",
        ]


def test_what_comes_twice_is_due_the_first_time() -> None:
    for schedule in (
        Cron("30 2 * * *", timezone=BERLIN),
        RRule("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", timezone=BERLIN),
        Interval(86400, datetime.fromisoformat("2026-01-01 02:30"), timezone=BERLIN),
    ):
        assert due(schedule, "2026-10-24 12:00", 2, BERLIN) == [
            "2026-10-25 02:30+0200",
            "2026-10-26 02:30+0100",
        ]


def test_what_is_due_each_hour_goes_by_the_time_that_passes() -> None:
    for schedule in (Cron("0 * * * *", timezone=BERLIN), Interval(3600, timezone=BERLIN)):
        moments = list(islice(schedule.iterate(at("2026-10-25", BERLIN)), 5))
        assert [later - sooner for sooner, later in pairwise(moments)] == [3600.0] * 4


def iterate_days(schedule: Schedule, start: datetime, days: int) -> Iterator[float]:
    end = (start + timedelta(days=days)).timestamp()
    return takewhile(lambda moment: moment < end, schedule.iterate(start.timestamp()))


def check_zone(zone: str, start: datetime, days: int) -> None:
    """Each rule of one day fires once per local day, and each hourly one each hour."""
    there = ZoneInfo(zone)
    dates = {
        (start + timedelta(hours=hour)).astimezone(there).date() for hour in range(1, days * 24)
    }
    for schedule in (
        Cron("30 2 * * *", timezone=zone),
        Cron("0 0 * * *", timezone=zone),
        Interval(86400, datetime.fromisoformat("2026-01-01 02:15"), timezone=zone),
        RRule("FREQ=DAILY;BYHOUR=2;BYMINUTE=45", timezone=zone),
    ):
        moments = list(iterate_days(schedule, start, days))
        assert moments == sorted(set(moments)), (zone, schedule)
        found = [datetime.fromtimestamp(each, there).date() for each in moments]
        assert len(found) == len(set(found)), (zone, schedule)
        # The first and the last day are there in part.
        assert set(found) | {min(dates), max(dates)} == dates, (zone, schedule)
    hourly = list(iterate_days(Interval(3600, timezone=zone), start, days))
    assert {later - sooner for sooner, later in pairwise(hourly)} == {3600.0}, zone


ODD_ZONES = [
    "Africa/Cairo", "Africa/Casablanca", "America/Nuuk", "America/Santiago", "America/Asuncion",
    "Asia/Beirut", "Asia/Gaza", "Asia/Kathmandu", "Atlantic/Azores", "Australia/Lord_Howe", BERLIN,
    "Pacific/Chatham", "Pacific/Apia", "UTC",
]  # fmt: skip


@pytest.mark.parametrize("zone", ODD_ZONES)
def test_a_daily_rule_fires_once_a_day(zone: str) -> None:
    check_zone(zone, datetime(2026, 1, 1, tzinfo=UTC), 366)


@pytest.mark.check
@pytest.mark.parametrize("letter", sorted({zone[:4] for zone in available_timezones()}))
def test_a_daily_rule_fires_once_a_day_for_two_years_in_every_zone(letter: str) -> None:
    for zone in sorted(available_timezones()):
        if zone.startswith(letter):
            check_zone(zone, datetime(2026, 1, 1, tzinfo=UTC), 731)


@given(
    cron=st.sampled_from(["30 2 * * *", "*/7 1-3 * * *", "0 0 L * *", "15 * * * SUN", "5 0 1 1 *"]),
    zone=st.sampled_from(ODD_ZONES),
    after=st.integers(int(at("2020-01-01")), int(at("2035-01-01"))),
)
def test_times_come_in_order_and_from_wherever_one_looks(cron: str, zone: str, after: int) -> None:
    schedule = Cron(cron, timezone=zone)
    first, second, third = islice(schedule.iterate(after), 3)
    assert after < first < second < third
    assert list(islice(schedule.iterate(first), 2)) == [second, third]


# ------------------------------------------------------------ windows, exclusions, jitter


def test_a_schedule_is_due_only_in_its_window() -> None:
    noon = datetime.fromisoformat("2026-03-02 12:00")
    for schedule in (
        Cron("0 12 * * *", timezone=BERLIN, start=noon, end=noon + timedelta(days=2)),
        RRule("FREQ=DAILY;BYHOUR=12", timezone=BERLIN, start=noon, end=noon + timedelta(days=2)),
        Interval(
            86400,
            noon,
            timezone=BERLIN,
            start=noon,
            end=noon.replace(day=4, tzinfo=ZoneInfo(BERLIN)),
        ),
    ):
        assert due(schedule, "2026-01-01", 9, BERLIN) == [
            "2026-03-02 12:00+0100",
            "2026-03-03 12:00+0100",
            "2026-03-04 12:00+0100",
        ]
        assert due(schedule, "2026-03-03 12:00", 9, BERLIN) == ["2026-03-04 12:00+0100"]
        assert due(schedule, "2026-03-05", 9, BERLIN) == []


def test_excluded_days_and_moments_are_those_of_the_time_zone() -> None:
    schedule = Cron(
        "0 0,12 * * *",
        timezone="Asia/Tokyo",
        exclude=[
            date(2026, 3, 2),
            datetime.fromisoformat("2026-03-03 12:00"),
            datetime(2026, 3, 3, 15, tzinfo=UTC),
        ],
    )
    assert due(schedule, "2026-03-01 12:00", 3, "Asia/Tokyo") == [
        "2026-03-03 00:00+0900",
        "2026-03-04 12:00+0900",
        "2026-03-05 00:00+0900",
    ]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"jitter_seconds": -1}, "jitter_seconds=-1"),
        ({"jitter_seconds": float("inf")}, "jitter_seconds=inf"),
        ({"start": "2026-01-01"}, "start has '2026-01-01', which is not a datetime"),
        ({"end": date(2026, 1, 1)}, "end has .* which is not a datetime"),
        (
            {"timezone": "America/New_York", "end": datetime.fromisoformat("9999-12-31 23:59")},
            "out of range",
        ),
        ({"exclude": date(2026, 1, 1)}, "is not a list"),
        ({"exclude": ["2026-01-01"]}, "exclude has '2026-01-01', which is not a date"),
        (
            {
                "start": datetime(2026, 1, 2, tzinfo=UTC),
                "end": datetime.fromisoformat("2026-01-01"),
            },
            "before it starts",
        ),
    ],
)
def test_options_that_can_not_be_used_are_refused(options: dict[str, object], problem: str) -> None:
    with pytest.raises(ScheduleInvalid, match=problem):
        cast("Callable[..., Schedule]", Cron)("@daily", **options)


@given(owner=st.text(), at=st.integers(0, 2**33), jitter=st.floats(0.001, 1e6))
def test_jitter_is_the_same_for_all_who_compute_it(owner: str, at: float, jitter: float) -> None:
    one, other = (Cron("@daily", slug="x", jitter_seconds=jitter) for _ in range(2))
    assert 0 <= compute_jitter(one, owner, at) <= jitter + 0.001
    assert compute_jitter(one, owner, at) == compute_jitter(other, owner, at)


def test_jitter_spreads_deployments_schedules_and_times() -> None:
    one, other = (Cron("@daily", slug=slug, jitter_seconds=600) for slug in ("a", "b"))
    found = {
        compute_jitter(schedule, owner, at)
        for schedule in (one, other)
        for owner in ("x", "y")
        for at in range(100)
    }
    assert len(found) > 390
    assert min(found) < 30
    assert max(found) > 570
    assert compute_jitter(Cron("@daily", slug="a"), "x", 1.0) == 0.0


# ------------------------------------------------------------ as values


#: Of a daily cron string, as it was before schedules had windows.
OLD_FINGERPRINT = "c3f39bf20de5"
EACH: list[Schedule] = [
    Cron("0 9 * * MON", timezone=BERLIN, parameters={"n": 1}, slug="weekly", misfire="all"),
    Interval(90.5, anchor_date=datetime(2026, 1, 1, tzinfo=UTC), active=False),
    Interval(timedelta(days=2)),
    RRule("FREQ=WEEKLY;BYDAY=MO", grace_seconds=5),
    Cron(
        "@daily",
        jitter_seconds=30,
        start=datetime.fromisoformat("2026-01-01 09:00"),
        end=datetime(2027, 1, 1, tzinfo=UTC),
        exclude=(date(2026, 12, 25), datetime(2026, 12, 26, 9, tzinfo=UTC)),
    ),
]


@pytest.mark.parametrize("schedule", EACH)
def test_a_schedule_comes_back_as_it_was_saved(schedule: Schedule) -> None:
    assert decode_schedule(encode_schedule(schedule)) == schedule


def test_one_of_a_later_version_is_refused() -> None:
    with pytest.raises(ScheduleInvalid, match="does not know its type"):
        decode_schedule({"type": "lunar"})
    with pytest.raises(FlowstoneError):
        decode_schedule({"type": "cron"})


def test_a_slug_is_made_of_the_rule_alone() -> None:
    one, other = Cron("@daily"), Cron("@daily", parameters={"a": 1}, misfire="none")
    assert name_schedule(one).slug == name_schedule(other).slug
    assert name_schedule(one).slug != name_schedule(Cron("@daily", timezone=BERLIN)).slug
    assert name_schedule(Cron("@daily", slug="mine")).slug == "mine"
    assert fingerprint_times(one) == fingerprint_times(Cron("@daily", slug="mine"))


def test_a_window_makes_other_times_and_no_other_slug() -> None:
    plain, jittery = Cron("@daily"), Cron("@daily", jitter_seconds=9)
    windowed = Cron("@daily", exclude=[date(2026, 12, 25)])
    assert name_schedule(plain).slug == name_schedule(windowed).slug
    assert fingerprint_times(plain) != fingerprint_times(windowed)
    assert fingerprint_times(plain) == fingerprint_times(jittery)


def test_what_was_saved_before_windows_and_jitter_is_read_as_it_was() -> None:
    body = {
        "type": "cron", "active": True, "parameters": None, "slug": "cron-5f7d9a31",
        "misfire": "all", "grace_seconds": 5.0, "cron": "@daily", "timezone": None, "day_or": True,
    }  # fmt: skip
    old = decode_schedule(body)
    assert old == Cron("@daily", slug="cron-5f7d9a31", misfire="all", grace_seconds=5.0)
    # By these, programs of that time know how far the schedule is, and what is not named.
    assert fingerprint_times(old)[:12] == OLD_FINGERPRINT
    assert name_schedule(Cron("@daily")).slug == f"cron-{OLD_FINGERPRINT[:8]}"


def test_schedules_say_what_they_are() -> None:
    windowed = Cron(
        "@daily",
        timezone=BERLIN,
        start=datetime.fromisoformat("2026-01-01 09:00"),
        end=datetime.fromisoformat("2026-02-01 09:00"),
        exclude=[date(2026, 1, 6), datetime.fromisoformat("2026-01-07 12:00")],
        jitter_seconds=90,
    )
    assert str(windowed) == (
        "cron '@daily' in Europe/Berlin from 2026-01-01 09:00 until 2026-02-01 09:00 "
        "except 2026-01-06, 2026-01-07 12:00 plus up to 1m 30s"
    )
    assert str(Cron("@daily", timezone=BERLIN)) == "cron '@daily' in Europe/Berlin"
    assert str(Interval(90)) == "every 1m 30s"
    assert str(Interval(93_600)) == "every 1d 2h"
    assert str(Interval(1.25)) == "every 1.25s"
    assert str(RRule("FREQ=DAILY")) == "rrule 'FREQ=DAILY'"


def test_the_libraries_are_loaded_where_schedules_are_used() -> None:
    code = (
        "import sys, flowstone, flowstone.schedules; from flowstone import flow;"
        "print({'cronsim', 'dateutil', 'zoneinfo'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
