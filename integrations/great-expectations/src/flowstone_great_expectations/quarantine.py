"""Quarantine: failing rows as a Parquet file in an object store."""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING

from pyarrow import parquet

from flowstone import runtime
from flowstone_great_expectations.report import QuarantinedRows
from flowstone_great_expectations.slugs import make_slug

if TYPE_CHECKING:
    import pyarrow as pa

    from flowstone.blocks import ObjectStore


def write_rows(store: ObjectStore, name: str, failing: pa.Table) -> QuarantinedRows:
    """Write failing rows to ``<name>/<flow run id>/<hash>.parquet``.

    The hash is that of the content, so another attempt that finds the same rows overwrites the
    same object, and the batches of a mapped task do not collide.

    Args:
        store: the object store.
        name: the name of the validation.
        failing: the rows, with the expectations that each failed.

    Raises:
        StorageError: the store refused the write.
    """
    content = BytesIO()
    parquet.write_table(failing, content)
    written = content.getvalue()
    run = runtime.flow_run.id or "no-run"
    path = f"{make_slug(name)}/{run}/{sha256(written).hexdigest()[:16]}.parquet"
    saved = store.write_path(path, written)
    return QuarantinedRows(saved, store.uri(saved), failing.num_rows)
