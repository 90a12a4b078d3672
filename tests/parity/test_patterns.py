"""The patterns that people start from, with real parts around them: HTTP, SQLite, pandas, files."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.parity.conftest import SAMPLES
from tests.services.web import Handler, serve_web

from flowstone.artifacts import read
from flowstone.context import current
from flowstone.records.runs import RunQuery

if TYPE_CHECKING:
    from pathlib import Path

    from tests.parity.conftest import HastyClock, Sample, Script

    from flowstone.records.runs import Run


@dataclass
class _Flaky:
    """A service that is overloaded at first."""

    url: str = ""
    failures: int = 2
    asked: int = 0


class _Answer(Handler):
    flaky: _Flaky

    def do_GET(self) -> None:
        self.flaky.asked += 1
        good = self.flaky.asked > self.flaky.failures
        self.send_response(200 if good else 503)
        self.end_headers()
        self.wfile.write(self._body() if good else b"busy")

    def _body(self) -> bytes:
        if not self.path.startswith("/articles"):
            return b" Ann , 3\nBob,4\n\n"
        asked = {
            name: int(values[0]) for name, values in parse_qs(urlsplit(self.path).query).items()
        }
        first = (asked["page"] - 1) * asked["per_page"]
        numbers = range(first, first + asked["per_page"])
        articles = [{"id": n, "title": f"No. {n}", "user": {"name": "ann"}} for n in numbers]
        return json.dumps(articles).encode()


@pytest.fixture
def source() -> Iterator[_Flaky]:
    flaky = _Flaky()
    with serve_web(type("_OneAnswer", (_Answer,), {"flaky": flaky})) as server:
        flaky.url = server.url
        yield flaky


def _runs(unit: str) -> list[Run]:
    return current.services().runs.runs(RunQuery(unit=unit))


class _Warehouse:
    """What the pipeline's own functions do: it asks over HTTP, and writes into a database."""

    def __init__(self, source: _Flaky, database: Path) -> None:
        self._address = f"{source.url}/data"
        self._database = database

    def fetch_api_data(self, source: str) -> str:
        assert source == "https://api.example.com/data"
        return httpx.get(self._address).raise_for_status().text

    def clean_and_transform(self, raw: str) -> list[tuple[str, int]]:
        rows = (line.split(",") for line in raw.splitlines() if line)
        return [(name.strip(), int(count)) for name, count in rows]

    def write_to_database(self, rows: list[tuple[str, int]], destination: str) -> None:
        assert destination == "postgresql://db"
        with closing(sqlite3.connect(self._database)) as database, database:
            database.execute("CREATE TABLE counts (name TEXT, count INTEGER)")
            database.executemany("INSERT INTO counts VALUES (?, ?)", rows)

    def rows(self) -> list[Any]:
        with closing(sqlite3.connect(self._database)) as database:
            return database.execute("SELECT name, count FROM counts").fetchall()

    def stand_ins(self) -> dict[str, Any]:
        names = ("fetch_api_data", "clean_and_transform", "write_to_database")
        return {name: getattr(self, name) for name in names}


def test_etl_with_backoff(
    sample: Sample, clock: HastyClock, source: _Flaky, tmp_path: Path
) -> None:
    warehouse = _Warehouse(source, tmp_path / "warehouse.db")
    sample("etl", **warehouse.stand_ins())["etl_pipeline"]()
    assert warehouse.rows() == [("Ann", 3), ("Bob", 4)]
    assert (source.asked, clock.slept) == (3, [2.0, 4.0])
    assert [run.attempt for run in _runs("extract_data")] == [3]
    assert [run.state.name for run in _runs("load_data")] == ["Completed"]


def test_etl_gives_up_after_its_retries(
    sample: Sample, clock: HastyClock, source: _Flaky, tmp_path: Path
) -> None:
    source.failures = 9
    warehouse = _Warehouse(source, tmp_path / "warehouse.db")
    with pytest.raises(httpx.HTTPStatusError, match="503"):
        sample("etl", **warehouse.stand_ins())["etl_pipeline"]()
    assert (source.asked, clock.slept) == (4, [2.0, 4.0, 8.0])
    assert [run.state.name for run in _runs("etl-pipeline")] == ["Failed"]
    assert _runs("load_data") == []


def test_pages_into_a_frame_and_a_file(
    sample: Sample, clock: HastyClock, source: _Flaky, tmp_path: Path
) -> None:
    base, path = source.url, tmp_path / "articles.csv"
    assert sample("articles")["etl"](base, pages=4, path=str(path)) == 12
    table = path.read_text().splitlines()
    assert (table[0], table[-1]) == ("id,title,user.name", "11,No. 11,ann")
    assert source.asked == 4 + source.failures
    assert set(clock.slept) <= {2.0, 5.0}
    assert [run.name for run in _runs("fetch_page")] == [f"page-{n}" for n in range(1, 5)]
    (saved,) = read.find_newest()
    assert saved.key == "articles"


#: Stands before the pattern in one file, and after it; the pattern itself is as people have it.
BEFORE = """
import numpy as np
import pandas as pd


def load_large_dataset():
    print("loading")
    x = np.arange(100.0)
    return pd.DataFrame({"x": x, "y": 3 * x + 1})


def train_ml_model(data):
    slope, intercept = np.polyfit(data["x"], data["y"], 1)
    return {"slope": round(slope, 6), "intercept": round(intercept, 6)}


"""
AFTER = "\n\nprint(ml_pipeline())\n"


def test_ml_with_cached_loads(script: Script) -> None:
    program = BEFORE + (SAMPLES / "ml_pipeline.txt").read_text() + AFTER
    model = "{'slope': np.float64(3.0), 'intercept': np.float64(1.0)}\n"
    first = script(program)
    assert (first.stdout, first.returncode) == (f"loading\n{model}", 0), first.stderr
    again = script(program, PYTHONHASHSEED="17")  # another process, another hash seed
    assert (again.stdout, again.returncode) == (model, 0), again.stderr


class _LaterClock:
    """Real time, and then some."""

    def __init__(self, clock: HastyClock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds
        self.sleep, self.asleep = clock.sleep, clock.asleep
        self.monotonic = clock.monotonic

    def time(self) -> float:
        return self._clock.time() + self._seconds


def test_a_cached_load_expires(sample: Sample, clock: HastyClock, tmp_path: Path) -> None:
    loads: list[int] = []

    def load_large_dataset() -> int:
        loads.append(1)
        return len(loads)

    made = sample("ml_pipeline", load_large_dataset=load_large_dataset, train_ml_model=str)
    assert (made["ml_pipeline"](), made["ml_pipeline"]()) == ("1", "1")
    services = current.services()
    for seconds, expected in ((3590, "1"), (3610, "2")):
        with current.use_services(replace(services, clock=_LaterClock(clock, seconds))):
            assert made["ml_pipeline"]() == expected
    states = [run.state.name for run in _runs("load_training_data")]
    assert states == ["Completed", "Cached", "Cached", "Completed"]
