"""A data platform on one machine: feeds into a bucket, checked, modelled, learned from, reported.

Run it with `make demo`. Each step is a task whose result is kept, so a run that was killed goes on
where it was, and a second run does only what has changed.
"""

from __future__ import annotations

import io
import json
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
from docs.demo import feeds, model
from docs.demo.places import DBT_PROJECT, NAME, open_places
from docs.demo.report import write_report

from flowstone import flow, get_run_logger, task, unmapped
from flowstone.blocks import Database, ObjectStore
from flowstone.cache_policies import INPUTS, TASK_SOURCE
from flowstone_dbt import DbtProject, DbtRunner
from flowstone_great_expectations import DatabaseSource, ValidationReport, gx_validate

Json = dict[str, Any]
Report = ValidationReport[pd.DataFrame]

#: Where the data is does not matter, as long as it is the same data: see `Places.identity`.
CACHED = INPUTS + TASK_SOURCE - "lake" - "warehouse" - "project" - "quarantine"
FOLDER = Path(__file__).parent
attempts = count(1)


@task(cache_policy=CACHED, task_run_name="land-{name}")
def land(name: str, lake: ObjectStore, identity: str) -> str:
    """Put a feed into the bucket, as it came, and return its path."""
    frame = feeds.read_table(name) if name in feeds.TABLES else feeds.read_batch(name)
    return lake.write_path(f"raw/{name}.parquet", frame.to_parquet(index=False))


@task(cache_policy=CACHED, retries=2, retry_delay_seconds=0.5)
def land_weather(lake: ObjectStore, identity: str) -> str:
    """Do the same with the weather, from a service that is down the first time."""
    if next(attempts) == 1:
        raise ConnectionError("the weather service does not answer")
    return land.fn("weather", lake, identity)


@task(cache_policy=CACHED, task_run_name="read-{path}")
def read(path: str, lake: ObjectStore, identity: str) -> pd.DataFrame:
    """Return a table of the bucket."""
    return pd.read_parquet(io.BytesIO(lake.read_path(path)))


@task(cache_policy=CACHED, task_run_name="load-{table}")
def load(table: str, frames: list[pd.DataFrame], warehouse: Database, identity: str) -> int:
    """Put frames into a table in place of what is there, and return how many rows it has."""
    with warehouse.transaction():
        if warehouse.table_exists(table):
            warehouse.execute(f"DELETE FROM {table}")
        return sum(warehouse.insert(table, frame, create=True) for frame in frames)


@task(cache_policy=CACHED)
def build(project: DbtProject, sources: dict[str, str], loaded: list[int], identity: str) -> Json:
    """Build and test all models, each of which is a task run of its own."""
    return DbtRunner(project).invoke(["build"]).count()


@task(cache_policy=CACHED)
def tell_story(warehouse: Database, built: Json, identity: str) -> Json:
    """Return what the finished tables say."""
    late = "avg(CASE WHEN is_late THEN 1.0 WHEN arr_delay IS NOT NULL THEN 0.0 END)"
    cancelled = "avg(CASE WHEN is_cancelled THEN 1.0 ELSE 0.0 END)"
    row = warehouse.fetch_one(f"SELECT count(*), {late}, {cancelled} FROM flight_delays")
    assert row is not None
    return {
        "flights": int(row[0]),
        "late_share": float(row[1]),
        "cancelled_share": float(row[2]),
        "by_hour": fetch(warehouse, "SELECT * FROM delays_by_hour ORDER BY month, hour"),
        "by_airline": fetch(warehouse, "SELECT * FROM delays_by_airline ORDER BY late_share DESC"),
        "by_weather": fetch(warehouse, "SELECT * FROM delays_by_weather ORDER BY weather"),
    }
