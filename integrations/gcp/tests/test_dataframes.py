"""DataFrames as objects: their formats, names and content types, and what can't be written."""

from __future__ import annotations

import gzip
import subprocess
import sys
import tracemalloc
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from flowstone import flow
from flowstone.blocks.object_stores import ExactKey
from flowstone.context.current import use_services
from flowstone.context.external_work import sum_measures
from flowstone.errors import MissingExtra, StorageError
from flowstone.records.runs import RunQuery
from flowstone.testing.memory import memory_services
from flowstone_gcp import (
    DataFrameSerializationFormat,
    GcsBucket,
    cloud_storage_upload_blob_from_dataframe,
)
from flowstone_gcp.dataframes import serialize
from flowstone_gcp.transfers import MB

Format = DataFrameSerializationFormat
COLUMNS = {"name": ["Oslo", "Łódź", 'a "b", c'], "people": [709_037, 648_711, 0]}
PANDAS, POLARS = pd.DataFrame(COLUMNS, index=[7, 8, 9]), pl.DataFrame(COLUMNS)


def read_back(kind: Format, content: bytes) -> dict[str, list[object]]:
    if kind.format == "parquet":
        found: Any = pd.read_parquet(BytesIO(content))
    else:
        text = gzip.decompress(content) if kind.compression else content
        found = pd.read_csv(BytesIO(text))
    return {str(name): list(found[name]) for name in found.columns}


@pytest.mark.parametrize("df", [PANDAS, POLARS], ids=["pandas", "polars"])
@pytest.mark.parametrize("kind", Format)
def test_a_dataframe_comes_back(bucket: GcsBucket, kind: Format, df: object) -> None:
    path = bucket.upload_from_dataframe(df, "in/cities", kind)
    assert path == f"in/cities{kind.suffix}"
    assert read_back(kind, bucket.read_path(path)) == COLUMNS
    [blob] = bucket.list_blobs()
    assert blob.content_type == kind.content_type


def test_by_default_it_is_gzipped_csv(bucket: GcsBucket) -> None:
    assert bucket.upload_from_dataframe(PANDAS, "cities") == "cities.csv.gz"
    assert gzip.decompress(bucket.read_path("cities.csv.gz")).startswith(b"name,people\nOslo,")


def test_a_format_has_names_as_well(bucket: GcsBucket) -> None:
    assert bucket.upload_from_dataframe(PANDAS, "a", "PARQUET_GZIP") == "a.gz.parquet"
    assert bucket.upload_from_dataframe(PANDAS, "a", "csv") == "a.csv"
    with pytest.raises(StorageError, match=r"'xml'.*csv_gzip.*parquet_snappy"):
        bucket.upload_from_dataframe(PANDAS, "a", "xml")


@pytest.mark.parametrize(
    ("kind", "given", "path"),
    [
        (Format.CSV_GZIP, "sales.2026", "sales.2026.csv.gz"),
        (Format.CSV_GZIP, "sales.csv", "sales.csv.gz"),
        (Format.CSV_GZIP, "sales.csv.gz", "sales.csv.gz"),
        (Format.CSV, "sales.csv.gz", "sales.csv"),
        (Format.CSV, "a.b/.csv", "a.b/.csv.csv"),
        (Format.CSV, ".csv", ".csv.csv"),
        (Format.PARQUET, "x/sales.snappy.parquet", "x/sales.parquet"),
        (Format.PARQUET_SNAPPY, "sales.parquet", "sales.snappy.parquet"),
    ],
)
def test_the_ending_is_that_of_the_format(kind: Format, given: str, path: str) -> None:
    assert kind.fix_extension_with(given) == path


def test_an_exact_key_stays_exact(bucket: GcsBucket) -> None:
    path = bucket.upload_from_dataframe(POLARS, ExactKey("a//b"), Format.CSV)
    assert (type(path), path) == (ExactKey, "a//b.csv")
    assert bucket.read_path(path).startswith(b"name,people")


def test_options_of_the_sdk_are_passed_on(bucket: GcsBucket) -> None:
    bucket.upload_from_dataframe(PANDAS, "a", Format.CSV, content_type="text/x-cities")
    [blob] = bucket.list_blobs()
    assert blob.content_type == "text/x-cities"
    with pytest.raises(StorageError, match="condition"):
        bucket.upload_from_dataframe(PANDAS, "a", Format.CSV, if_generation_match=0)


@pytest.mark.parametrize("kind", Format)
def test_equal_dataframes_become_equal_objects(kind: Format) -> None:
    with serialize(PANDAS, kind, "a") as one, serialize(PANDAS.copy(), kind, "a") as other:
        assert one.content.read() == other.content.read()


@pytest.mark.parametrize("given", [None, [{"a": 1}], b"a,b", POLARS.lazy(), PANDAS["name"]])
def test_what_is_no_dataframe_is_refused(bucket: GcsBucket, given: object) -> None:
    with pytest.raises(StorageError, match=rf"a\.csv\.gz.*{type(given).__name__}.*DataFrame"):
        bucket.upload_from_dataframe(given, "a")
    assert not list(bucket.list_objects())


def test_what_a_format_can_not_have_leaves_the_old_object(bucket: GcsBucket) -> None:
    bucket.write_path("a.parquet", b"old")
    mixed = pd.DataFrame({"a": [1, "one"]})
    with pytest.raises(StorageError, match=r"a\.parquet.*written as parquet.*types"):
        bucket.upload_from_dataframe(mixed, "a", Format.PARQUET)
    assert bucket.read_path("a.parquet") == b"old"


class Frame:
    """A DataFrame of pandas where nothing is installed that writes Parquet."""

    def to_parquet(self, *_: object, **__: object) -> None:
        raise ImportError("Unable to find a usable engine; tried using: 'pyarrow', 'fastparquet'.")


def test_a_missing_package_for_parquet_is_named() -> None:
    kind = type("DataFrame", (Frame,), {"__module__": "pandas"})
    with pytest.raises(MissingExtra, match="pyarrow"), serialize(kind(), Format.PARQUET, "a"):
        pass


def test_a_large_one_is_not_in_memory_again(bucket: GcsBucket) -> None:
    df = pl.DataFrame({"n": range(4_000_000)})
    tracemalloc.start()
    path = bucket.upload_from_dataframe(df, "n", Format.CSV)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = bucket.object_info(path).size
    assert size > 30_000_000
    assert peak < 28 * MB


def test_the_package_does_not_load_pandas() -> None:
    code = (
        "import sys, flowstone_gcp.dataframes, flowstone_gcp.cloud_storage_tasks\n"
        "print({'pandas', 'polars', 'pyarrow', 'google'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_run_says_how_much_went(bucket: GcsBucket, tmp_path: Path) -> None:
    @flow
    def publish() -> str:
        return cloud_storage_upload_blob_from_dataframe(
            PANDAS, bucket, "cities.parquet", serialization_format="parquet_snappy"
        )

    with use_services(memory_services(tmp_path)) as services, closing(services):
        assert publish() == "cities.snappy.parquet"
        [root] = services.runs.runs(RunQuery(listed=True))
        found = sum_measures(root.id)
    size = bucket.object_info("cities.snappy.parquet").size
    assert found == {"bytes_written": (size, "bytes"), "objects_written": (1, "objects")}
