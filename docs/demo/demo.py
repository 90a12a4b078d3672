"""Four years of Seattle's weather: into a bucket, out again, month by month, and a report.

Run it with `make demo`; with `--local` the bucket is a directory. It works any number of times:
the first run saves the credentials and the bucket by name, the later ones load them.
"""

import csv
import json
import os
import subprocess
import sys
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from statistics import mean
from typing import Any

from docs.demo.endpoint import local_s3
from rich.console import Console
from rich.table import Table
from vega_datasets import local_data

from flowstone import flow, get_run_logger, task, unmapped
from flowstone.blocks import LocalDirectory, ObjectStore
from flowstone.errors import ObjectNotFound
from flowstone_aws import AwsCredentials, S3Bucket, s3_download, s3_upload

RAW = "raw/weather.csv"
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
Month = dict[str, Any]
attempts = count(1)


def load_bucket() -> S3Bucket:
    """Load the saved bucket; on the very first run, save it and its credentials."""
    try:
        return S3Bucket.load("weather")
    except ObjectNotFound:
        login = AwsCredentials(
            aws_access_key_id="demo", aws_secret_access_key="not-a-secret", region_name="us-east-1"
        )
        login.save("demo-login")
        S3Bucket(bucket_name="weather", bucket_folder="seattle", credentials=login).save("weather")
        return S3Bucket.load("weather")


def load_directory() -> LocalDirectory:
    home = Path(os.environ.get("FLOWSTONE_HOME", "~/.flowstone"))
    LocalDirectory(basepath=home / "weather").save("weather", overwrite=True)
    return LocalDirectory.load("weather")


@task
def write(data: bytes | str, bucket: ObjectStore, key: str) -> str:
    return bucket.write_path(key, data.encode() if isinstance(data, str) else data)


@task
def read(bucket: ObjectStore, key: str) -> bytes:
    return bucket.read_path(key)


@task(log_prints=True)
def by_month(table: bytes) -> list[list[dict[str, str]]]:
    days = list(csv.DictReader(table.decode().splitlines()))
    print(f"{len(days)} days, from {days[0]['date']} to {days[-1]['date']}")
    return [[day for day in days if int(day["date"][5:7]) == number + 1] for number in range(12)]


@task(task_run_name="summarise-{name}")
def summarise(name: str, days: list[dict[str, str]]) -> Month:
    return {
        "month": name,
        "high": round(mean(float(day["temp_max"]) for day in days), 1),
        "low": round(mean(float(day["temp_min"]) for day in days), 1),
        "rain": round(sum(float(day["precipitation"]) for day in days) / 4),
        "wet": round(100 * sum(float(day["precipitation"]) > 0 for day in days) / len(days)),
    }


@task(retries=2, retry_delay_seconds=0.2)
def wettest(months: list[Month]) -> str:
    """Ask a service that is down the first time, as services are."""
    if next(attempts) == 1:
        raise ConnectionError("the almanac does not answer")
    return str(max(months, key=lambda month: month["rain"])["month"])


@flow(flow_run_name="weather-of-{city}")
def weather(city: str, local: bool) -> tuple[list[Month], str]:
    bucket = load_directory() if local else load_bucket()
    put, get = (write, read) if local else (s3_upload, s3_download)
    put(getattr(local_data, f"{city}_weather").raw(), bucket, key=RAW)
    months = summarise.map(MONTHS, by_month(get(bucket, RAW))).result()
    keys = [f"months/{name}.json" for name in MONTHS]
    put.map([json.dumps(month) for month in months], unmapped(bucket), key=keys).wait()
    get_run_logger().info("the bucket holds %d objects", len(list(bucket.list_objects())))
    return months, wettest(months)


def report(months: list[Month], rainiest: str) -> None:
    table = Table(title="Seattle, 2012 to 2015", title_justify="left")
    for heading in ("month", "high °C", "low °C", "rain mm", "wet days %"):
        table.add_column(heading, justify="left" if heading == "month" else "right")
    for month in months:
        style = "bold blue" if month["month"] == rainiest else None
        table.add_row(*map(str, month.values()), style=style)
    Console().print("", table, f"{rainiest} is the wettest month.", "")


def main() -> None:
    local = "--local" in sys.argv
    with nullcontext() if local else local_s3("weather"):
        report(*weather("seattle", local))
    subprocess.run(["flowstone", "run", "show", "weather-of-seattle"], check=True)


if __name__ == "__main__":
    main()
