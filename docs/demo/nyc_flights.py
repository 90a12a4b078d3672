"""A data platform on one machine: land, validate, load, transform, train and report.

Run it with `make demo`. Each step is a task whose result is cached, so a run that was killed
continues where it stopped, and a second run only does what has changed.
"""

from __future__ import annotations

import io
import json
import re
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
from docs.demo import feeds, model
from docs.demo.places import DBT_PROJECT, open_places
from docs.demo.report import write_report

from flowstone import flow, task, unmapped
from flowstone.blocks import Database, ObjectStore
from flowstone.cache_policies import INPUTS, TASK_SOURCE
from flowstone_dbt import DbtProject, DbtRunner
from flowstone_great_expectations import (
    DatabaseSource,
    ExpectationOutcome,
    ValidationReport,
    gx_validate,
    validate,
)
from flowstone_mlflow import (
    log_metrics,
    log_params,
    mlflow_log_model,
    mlflow_register_model,
    mlflow_set_alias,
    mlflow_task,
)

Json = dict[str, Any]

#: Where the data is does not matter for the cache, as long as it is the same data: see
#: `Places.identity`.
CACHED = INPUTS + TASK_SOURCE - "lake" - "warehouse" - "project" - "quarantine"
FOLDER = Path(__file__).parent
attempts = count(1)
validate_batch = gx_validate.with_options(cache_policy=CACHED, task_run_name="validate-{name}")
register = mlflow_register_model.with_options(cache_policy=CACHED)
name_champion = mlflow_set_alias.with_options(cache_policy=CACHED)


@task(cache_policy=CACHED, task_run_name="land-{name}")
def land(name: str, lake: ObjectStore, identity: str) -> str:
    """Put a feed into the bucket as it arrived, and return its path."""
    frame = feeds.read_table(name) if name in feeds.TABLES else feeds.read_batch(name)
    return lake.write_path(f"raw/{name}.parquet", frame.to_parquet(index=False))


@task(cache_policy=CACHED, retries=2, retry_delay_seconds=0.5)
def land_weather(lake: ObjectStore, identity: str) -> str:
    """Put the weather into the bucket, from a service that is down at first."""
    if next(attempts) == 1:
        raise ConnectionError("the weather service does not answer")
    return land.fn("weather", lake, identity)


@task(cache_policy=CACHED, task_run_name="read-{name}")
def read(name: str, path: str, lake: ObjectStore, identity: str) -> pd.DataFrame:
    """Return a table from the bucket."""
    return pd.read_parquet(io.BytesIO(lake.read_path(path)))


@task(cache_policy=CACHED, task_run_name="load-{table}")
def load(
    table: str, feeds: list[pd.DataFrame | ValidationReport], warehouse: Database, identity: str
) -> Json:
    """Replace a table with the rows of feeds, or with those that passed validation."""
    frames = [each.data if isinstance(each, ValidationReport) else each for each in feeds]
    with warehouse.transaction():
        warehouse.execute(f"DROP TABLE IF EXISTS {table} CASCADE")
        rows = sum(warehouse.insert(table, frame, create=True) for frame in frames)
    return {"table": table, "rows": rows}


@task(cache_policy=CACHED)
def build(project: DbtProject, code: str, loaded: list[Json], identity: str) -> Json:
    """Build and test all dbt models, each as a task run of its own."""
    return DbtRunner(project).invoke(["build"]).count()


@task(cache_policy=CACHED)
def validate_delays(warehouse: Database, built: Json, identity: str) -> ValidationReport:
    """Validate the finished table in the warehouse."""
    table = DatabaseSource(warehouse, table="flight_delays")
    return validate(table, read_suite("flight_delays"), name="flight-delays")


@mlflow_task(cache_policy=CACHED)
def train(warehouse: Database, built: Json, identity: str) -> Json:
    """Train and test a model in an MLflow run of its own; return its address and its scores."""
    flights = warehouse.fetch_pandas(model.QUERY)
    log_params({**model.PARAMETERS, "last_month": model.LAST_MONTH})
    fitted = model.learn(flights)
    found = model.evaluate(fitted, flights)
    log_metrics({name: found[name] for name in ("auc", "brier", "brier_of_average")})
    logged = mlflow_log_model(fitted, "late-arrival", options=model.FORMAT)
    return found | {"uri": logged.uri}


@task(cache_policy=CACHED)
def tell_story(warehouse: Database, built: Json, identity: str) -> Json:
    """Return the figures for the report, from the finished tables."""
    late = "avg(CASE WHEN is_late THEN 1.0 WHEN arr_delay IS NOT NULL THEN 0.0 END)"
    cancelled = "avg(CASE WHEN is_cancelled THEN 1.0 ELSE 0.0 END)"
    ((flights, late_share, cancelled_share),) = warehouse.fetch_all(
        f"SELECT count(*), {late}, {cancelled} FROM flight_delays"
    )
    return {
        "flights": int(flights),
        "late_share": float(late_share),
        "cancelled_share": float(cancelled_share),
        "by_hour": fetch(warehouse, "SELECT * FROM delays_by_hour ORDER BY month, hour"),
        "by_airport": fetch(warehouse, "SELECT * FROM delays_by_airport ORDER BY late_share DESC"),
        "by_airline": fetch(warehouse, "SELECT * FROM delays_by_airline ORDER BY late_share DESC"),
        "by_weather": fetch(warehouse, "SELECT * FROM delays_by_weather ORDER BY late_share DESC"),
    }


def fetch(warehouse: Database, query: str) -> list[Json]:
    return warehouse.fetch_arrow(query).to_pylist()


def read_suite(name: str) -> Json:
    return json.loads((FOLDER / "expectations" / f"{name}.json").read_text("utf-8"))


def hash_project() -> str:
    """Return a hash that changes whenever a dbt model changes."""
    found = sha256()
    for path in sorted(DBT_PROJECT.rglob("*.*")):
        if path.suffix in {".sql", ".yml"} and "target" not in path.parts:
            found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


def describe(name: str, report: ValidationReport) -> Json:
    return {
        "name": name,
        "rows": report.statistics["rows"],
        "quarantined": report.quarantined.count if report.quarantined else 0,
    }


def count_failures(reports: list[ValidationReport]) -> list[Json]:
    """Return how many rows failed each expectation, over all reports, and whether it was met."""
    found: dict[str, Json] = {}
    for each in (outcome for report in reports for outcome in report.outcomes):
        words, about = word_expectation(each), each.column or "table"
        row = {"about": about, "words": words, "failed": 0, "met": True}
        entry = found.setdefault(each.label, row)
        entry["failed"] += each.unexpected_count or 0
        entry["met"] &= each.success
    return list(found.values())


def word_expectation(outcome: ExpectationOutcome) -> str:
    """Return what is expected, such as "be between 0 and 23"."""
    limits = [value for name, value in outcome.kwargs.items() if name not in {"column", "mostly"}]
    values = limits[0] if len(limits) == 1 and isinstance(limits[0], list) else limits
    words = re.sub("^expect_(column_|table_)?(values_to_)?", "", outcome.expectation)
    text = (" and " if len(values) == 2 else ", ").join(
        f"{value:g}" if isinstance(value, float) else str(value) for value in values
    )
    mostly = f", for {outcome.kwargs['mostly']:.0%} of rows" if "mostly" in outcome.kwargs else ""
    return f"{words.replace('_', ' ')} {text}".strip() + mostly


@flow(
    flow_run_name="nyc-flights", persist_result=True, log_prints=True, on_completion=[write_report]
)
def nyc_flights(store: str = "s3", warehouse: str = "duckdb") -> Json:
    """Land, validate, load, transform and train; return the contents of the report."""
    with open_places(store, warehouse) as places:
        lake, base, here = places.lake, places.warehouse, places.identity
        weather = land_weather.submit(lake, here)
        batches = land.map(feeds.BATCHES, unmapped(lake), unmapped(here))
        tables = land.map(feeds.TABLES[1:], unmapped(lake), unmapped(here))

        frames = read.map(feeds.BATCHES, batches, unmapped(lake), unmapped(here))
        checked = validate_batch.map(
            frames,
            unmapped(read_suite("flights")),
            name=feeds.BATCHES,
            on_failure=unmapped("quarantine"),
            quarantine=unmapped(lake),
        ).result()
        loaded = [load("raw_flights", checked, base, here)]
        for name, path in zip(feeds.TABLES, [weather, *tables], strict=True):
            loaded.append(load(f"raw_{name}", [read(name, path, lake, here)], base, here))

        built = build(places.project, hash_project(), loaded, here)
        finished = validate_delays(base, built, here)
        training = train.submit(base, built, here)
        learned = training.result()
        registration = register.submit(learned["uri"], "late-arrival", wait_for=[training])
        version = registration.result()
        champion = name_champion(version.name, "champion", version.version, wait_for=[registration])
        story = tell_story(base, built, here)
    return story | {
        "warehouse": {"duckdb": "DuckDB", "postgres": "PostgreSQL"}[warehouse],
        "batches": [describe(*each) for each in zip(feeds.BATCHES, checked, strict=True)],
        "quarantined": sum(describe("", report)["quarantined"] for report in checked),
        "expectations": count_failures([*checked, finished]),
        "model": learned
        | {"name": version.name, "version": version.version, "alias": champion.alias},
    }
