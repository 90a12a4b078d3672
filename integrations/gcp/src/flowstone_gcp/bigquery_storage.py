"""BigQuery's Storage API: results as Arrow batches, and rows that are committed at once."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from flowstone_gcp.bigquery_clients import open_storage_reader, open_storage_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa
    from google.cloud.bigquery import TableReference
    from google.cloud.bigquery.table import RowIterator
    from google.cloud.bigquery_storage_v1 import types

    from flowstone_gcp.logins import GcpLogin

#: Results with fewer rows are read over REST, from the page in the response.
SMALL = 1000
#: Number of batches in the queue, and of streams that are read in parallel: they bound memory.
QUEUE, STREAMS = 4, 4
#: gRPC's status for invalid arguments.
INVALID = 3
#: Largest request in bytes; the service accepts 10 MB.
LARGEST_REQUEST = 8 * 1024 * 1024


def open_batches(
    rows: RowIterator, again: Callable[[], RowIterator], login: GcpLogin, endpoint: str | None
) -> pa.RecordBatchReader:
    """Return a reader of the rows of a query.

    Args:
        rows: the iterator of google-cloud-bigquery, at its beginning.
        again: returns the same rows again, for REST if the Storage API can't read them.
        login: the credentials.
        endpoint: the Storage API's address, of an emulator.
    """
    import pyarrow as pa  # comes with the extra

    count = rows.total_rows or 0
    if count == 0:
        return rows.to_arrow(create_bqstorage_client=False).to_reader()
    batches = _read_storage(rows, login, endpoint) if count > SMALL else None
    if batches is None:
        found = rows if count <= SMALL else again()
        batches = found.to_arrow_iterable(bqstorage_client=None)
    first = next(batches)
    return pa.RecordBatchReader.from_batches(first.schema, chain([first], batches))


def _read_storage(
    rows: RowIterator, login: GcpLogin, endpoint: str | None
) -> Iterator[pa.RecordBatch] | None:
    """Return the batches of the Storage API; None if it can't read the rows."""
    from google.api_core import exceptions  # comes with the extra

    reader = open_storage_reader(login, endpoint)
    batches = rows.to_arrow_iterable(
        bqstorage_client=reader, max_queue_size=QUEUE, max_stream_count=STREAMS
    )
    try:
        return chain([next(batches)], batches)
    except (exceptions.NotFound, exceptions.Forbidden, StopIteration):
        return None


class PendingStream:
    """Rows that are written with the Storage Write API, and become visible by one commit.

    They are appended to a pending stream at known offsets, so that a repeated request adds them
    once.
    """

    def __init__(self, login: GcpLogin, endpoint: str | None, table: TableReference) -> None:
        """Create a stream.

        Args:
            login: the credentials.
            endpoint: the Storage API's address, of an emulator.
            table: the reference of the table.
        """
        self._client = open_storage_writer(login, endpoint)
        self._parent = (
            f"projects/{table.project}/datasets/{table.dataset_id}/tables/{table.table_id}"
        )

    def write(self, tables: Iterable[pa.Table]) -> int:
        """Append all rows, commit them, and return the number of rows."""
        from google.cloud.bigquery_storage import WriteStream  # comes with the extra

        pending = WriteStream(type_=WriteStream.Type.PENDING)
        stream = self._client.create_write_stream(parent=self._parent, write_stream=pending)
        requests = _make_requests(stream.name, tables)
        for response in self._client.append_rows(requests):
            if response.error.code:
                raise _make_error(response.error.code, response.error.message)
        finished = self._client.finalize_write_stream(name=stream.name)
        request = {"parent": self._parent, "write_streams": [stream.name]}
        committed = self._client.batch_commit_write_streams(request)
        for error in committed.stream_errors:
            raise _make_error(INVALID, error.error_message)
        return int(finished.row_count)


def _make_requests(name: str, tables: Iterable[pa.Table]) -> Iterator[types.AppendRowsRequest]:
    from google.cloud.bigquery_storage_v1 import types  # comes with the extra

    offset = 0
    for batch in chain.from_iterable(table.to_batches() for table in tables):
        for part in _split(batch):
            request = types.AppendRowsRequest(write_stream=name, offset=offset)
            rows = types.AppendRowsRequest.ArrowData()
            rows.rows.serialized_record_batch = part.serialize().to_pybytes()
            rows.writer_schema.serialized_schema = batch.schema.serialize().to_pybytes()
            request.arrow_rows = rows
            offset += part.num_rows
            yield request


def _split(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield a batch in parts that fit into a request."""
    parts = max(1, -(-batch.nbytes // LARGEST_REQUEST))
    size = max(1, -(-batch.num_rows // parts))
    for start in range(0, batch.num_rows, size):
        yield batch.slice(start, size)


def _make_error(code: int, message: str) -> Exception:
    """Return the exception of google-api-core for a gRPC status."""
    from google.api_core import exceptions  # comes with the extra
    from grpc import StatusCode  # comes with the extra

    statuses = {status.value[0]: status for status in StatusCode}
    error: Exception = exceptions.from_grpc_status(statuses[code], message)
    return error
