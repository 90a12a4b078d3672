"""Files in object stores, read as one Arrow table."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import csv, parquet
from pyarrow import json as json_lines

from flowstone_great_expectations.errors import ValidationInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.blocks import ObjectStore
    from flowstone_great_expectations.sources import StoredFiles


def read_files(files: StoredFiles) -> pa.Table:
    """Return the rows of a file, or of all files of a folder that have a known suffix.

    Raises:
        ObjectMissing: there is no such file or folder.
        ValidationInvalid: the files have several formats, an unknown one, or are broken.
    """
    paths = _find_paths(files.store, files.path)
    where = files.store.uri(files.path)
    kinds = {_find_suffix(path) for path in paths}
    if len(kinds) > 1:
        problem = f"there are files of several formats: {', '.join(sorted(kinds))}"
        raise ValidationInvalid(where, problem, "Put each format into its own folder.")
    read = _READERS[kinds.pop()]
    tables = []
    for path in paths:
        content = files.store.read_path(path)
        try:
            tables.append(read(content))
        except (pa.ArrowException, AttributeError, TypeError, ValueError) as error:
            problem = f"{path!r} can't be read: {' '.join(str(error).split()).rstrip('.')}"
            raise ValidationInvalid(where, problem, "Correct the file.") from error
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        problem = f"the files do not have the same columns: {error}"
        raise ValidationInvalid(
            where, problem.rstrip("."), "Validate each one on its own."
        ) from error


def _find_paths(store: ObjectStore, path: str) -> list[str]:
    if _find_suffix(path) in _READERS:
        return [path]
    found = store.list_objects(path)
    paths = sorted(each.path for each in found if _find_suffix(each.path) in _READERS)
    if not paths:
        known = ", ".join(sorted(_READERS))
        problem = f"there is no file in that folder with a name that ends in {known}"
        raise ValidationInvalid(store.uri(path), problem, "Check the path.")
    return paths


def _find_suffix(path: str) -> str:
    return "." + path.rpartition("/")[2].rpartition(".")[2].lower()


def _read_parquet(content: bytes) -> pa.Table:
    return parquet.read_table(BytesIO(content))


def _read_csv(content: bytes) -> pa.Table:
    return csv.read_csv(BytesIO(content))


def _read_json(content: bytes) -> pa.Table:
    """Read an array of objects, or one object per line."""
    if content.lstrip().startswith(b"["):
        return pa.Table.from_pylist(json.loads(content))
    return json_lines.read_json(BytesIO(content))


_READERS: dict[str, Callable[[bytes], pa.Table]] = {
    ".csv": _read_csv,
    ".json": _read_json,
    ".jsonl": _read_json,
    ".ndjson": _read_json,
    ".parquet": _read_parquet,
}
