"""Serialization of DataFrames for uploads, as CSV or Parquet."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from flowstone.errors import MissingExtra, StorageError
from flowstone_gcp.transfers import PART_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator


class DataFrameSerializationFormat(Enum):
    """The formats of `GcsBucket.upload_from_dataframe`."""

    CSV = "csv"
    CSV_GZIP = "csv_gzip"
    PARQUET = "parquet"
    PARQUET_SNAPPY = "parquet_snappy"
    PARQUET_GZIP = "parquet_gzip"

    @property
    def format(self) -> str:
        """``csv`` or ``parquet``."""
        return self.value.partition("_")[0]

    @property
    def compression(self) -> str | None:
        """``gzip`` or ``snappy``; None if the content is not compressed."""
        return self.value.partition("_")[2] or None

    @property
    def content_type(self) -> str:
        """The content type of the object."""
        if self.format == "parquet":
            return "application/vnd.apache.parquet"
        return "application/gzip" if self.compression else "text/csv"

    @property
    def suffix(self) -> str:
        """The extension of the object's name, such as ``.csv.gz``."""
        return _SUFFIXES[self]

    def fix_extension_with(self, gcs_blob_path: str) -> str:
        """Return a path with the extension of this format, replacing that of another format."""
        for suffix in sorted(_SUFFIXES.values(), key=len, reverse=True):
            name = gcs_blob_path.removesuffix(suffix)
            if name != gcs_blob_path and name and not name.endswith("/"):
                return f"{name}{self.suffix}"
        return f"{gcs_blob_path}{self.suffix}"


_SUFFIXES = {
    DataFrameSerializationFormat.CSV: ".csv",
    DataFrameSerializationFormat.CSV_GZIP: ".csv.gz",
    DataFrameSerializationFormat.PARQUET: ".parquet",
    DataFrameSerializationFormat.PARQUET_SNAPPY: ".snappy.parquet",
    DataFrameSerializationFormat.PARQUET_GZIP: ".gz.parquet",
}


def find_format(name: str | DataFrameSerializationFormat) -> DataFrameSerializationFormat:
    """Return a format by its name, in lower or upper case.

    Raises:
        StorageError: there is no such format.
    """
    if isinstance(name, DataFrameSerializationFormat):
        return name
    known = [each.value for each in DataFrameSerializationFormat]
    if name.lower() not in known:
        raise StorageError(
            f"serialization_format={name!r}",
            "there is no such format",
            f"Use one of {', '.join(known)}.",
        )
    return DataFrameSerializationFormat(name.lower())


@dataclass(frozen=True, slots=True)
class Serialized:
    """A DataFrame as a file, positioned at its start.

    Attributes:
        content: the file.
        size: its length in bytes.
    """

    content: BinaryIO
    size: int


@contextmanager
def serialize(df: object, kind: DataFrameSerializationFormat, where: str) -> Iterator[Serialized]:
    """Yield a DataFrame of pandas or polars in a format, without its index.

    A large one is written to a temporary file, which is deleted at the end.

    Args:
        df: the DataFrame.
        kind: the format.
        where: the object, for messages.

    Raises:
        StorageError: it is not a DataFrame, or can't be written in this format.
        MissingExtra: Parquet from pandas needs pyarrow.
    """
    write = _find_writer(df, where)
    with SpooledTemporaryFile(max_size=PART_BYTES) as spooled:
        file = cast("BinaryIO", spooled)
        try:
            write(df, kind, file)
        except ImportError as error:
            raise MissingExtra("Parquet from a DataFrame of pandas", "pyarrow") from error
        except Exception as error:
            problem = f"the DataFrame can't be written as {kind.format}: {error}"
            remedy = "Check the types of its columns, or choose another serialization_format."
            raise StorageError(where, problem, remedy) from error
        size = file.tell()
        file.seek(0)
        yield Serialized(file, size)


class _Writer(Protocol):
    def __call__(self, df: object, kind: DataFrameSerializationFormat, file: BinaryIO) -> None: ...


def _find_writer(df: object, where: str) -> _Writer:
    """Return the writer for a DataFrame, without importing pandas or polars."""
    for each in type(df).__mro__:
        found = _WRITERS.get((each.__module__.partition(".")[0], each.__name__))
        if found is not None:
            return found
    problem = f"a {type(df).__name__} is not a DataFrame of pandas or polars"
    remedy = "Convert it first: `to_pandas()`, or `collect()` for a LazyFrame."
    raise StorageError(where, problem, remedy)


class _Pandas(Protocol):
    def to_csv(self, path_or_buf: BinaryIO, *, mode: str, index: bool) -> object: ...
    def to_parquet(self, path: BinaryIO, *, compression: str | None, index: bool) -> object: ...


class _Polars(Protocol):
    def write_csv(self, file: BinaryIO) -> object: ...
    def write_parquet(self, file: BinaryIO, *, compression: str) -> object: ...


def _write_pandas(df: object, kind: DataFrameSerializationFormat, file: BinaryIO) -> None:
    frame = cast("_Pandas", df)
    if kind.format == "parquet":
        frame.to_parquet(file, compression=kind.compression, index=False)
        return
    with _compress(kind, file) as target:
        frame.to_csv(target, mode="wb", index=False)


def _write_polars(df: object, kind: DataFrameSerializationFormat, file: BinaryIO) -> None:
    frame = cast("_Polars", df)
    if kind.format == "parquet":
        frame.write_parquet(file, compression=kind.compression or "uncompressed")
        return
    with _compress(kind, file) as target:
        frame.write_csv(target)


_WRITERS: dict[tuple[str, str], _Writer] = {
    ("pandas", "DataFrame"): _write_pandas,
    ("polars", "DataFrame"): _write_polars,
}


@contextmanager
def _compress(kind: DataFrameSerializationFormat, file: BinaryIO) -> Iterator[BinaryIO]:
    if kind.compression is None:
        yield file
        return
    # Without a time stamp, equal DataFrames become equal objects.
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
        yield cast("BinaryIO", packed)
