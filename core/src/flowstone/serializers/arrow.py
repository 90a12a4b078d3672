"""Arrow serializers: Arrow, pandas and polars tables as an IPC file or as Parquet."""

from __future__ import annotations

from typing import Any

from flowstone.errors import MissingExtra, NotSerializable

_MAKER = b"flowstone_made_by"


def is_table(value: Any) -> bool:
    """Return whether a value is a table, without importing pandas, polars or pyarrow."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    return (package, kind.__name__) in {
        ("pandas", "DataFrame"),
        ("polars", "DataFrame"),
        ("pyarrow", "Table"),
    }


def is_exact_table(value: Any) -> bool:
    """Return whether a value is a table that Arrow restores exactly.

    In object columns, Arrow turns lists into arrays, and gives each dict the keys of all.
    """
    if not is_table(value) or type(value).__module__.partition(".")[0] != "pandas":
        return is_table(value)
    from pandas import Series  # imported already, since the value is a DataFrame
    from pandas.api.types import infer_dtype  # likewise

    # Pandas 3 reports another type for text.
    exact = {"string"} if Series(["text"]).dtype == object else set()
    levels = [value.index.get_level_values(level) for level in range(value.index.nlevels)]
    columns = [value.iloc[:, position] for position in range(value.shape[1])]
    return all(
        each.dtype != object or infer_dtype(each, skipna=False) in exact
        for each in (*levels, *columns)
    )


class ArrowSerializer:
    """An Arrow IPC file with a mark for the kind of table."""

    type = "arrow"

    def dumps(self, value: Any) -> bytes:
        arrow = _import_arrow()
        maker = type(value).__module__.partition(".")[0]
        if not is_table(value):
            problem = "it is not a table of pandas, polars or Arrow"
            raise NotSerializable(self.type, type(value).__name__, problem)
        try:
            if maker == "pandas":
                table = arrow.Table.from_pandas(value)
            else:
                table = value.to_arrow() if maker == "polars" else value
        except Exception as error:
            raise NotSerializable(self.type, type(value).__name__, str(error)) from error
        schema = table.schema.with_metadata(
            {**(table.schema.metadata or {}), _MAKER: maker.encode()}
        )
        sink = arrow.BufferOutputStream()
        self._write(arrow, table.cast(schema), sink)
        return bytes(sink.getvalue())

    def loads(self, content: bytes) -> Any:
        arrow = _import_arrow()
        table = self._read(arrow, arrow.BufferReader(content))
        metadata = dict(table.schema.metadata or {})
        maker = metadata.pop(_MAKER, b"pyarrow")
        table = table.replace_schema_metadata(metadata or None)
        if maker == b"pandas":
            return table.to_pandas()
        if maker == b"polars":
            import polars as pl  # optional

            return pl.from_arrow(table)
        return table

    def _write(self, arrow: Any, table: Any, sink: Any) -> None:
        with arrow.ipc.new_file(sink, table.schema) as file:
            file.write_table(table)

    def _read(self, arrow: Any, source: Any) -> Any:
        return arrow.ipc.open_file(source).read_all()


class ParquetSerializer(ArrowSerializer):
    """A Parquet file: smaller than an Arrow file, and supported by most tools."""

    type = "parquet"

    def _write(self, arrow: Any, table: Any, sink: Any) -> None:
        arrow.parquet.write_table(table, sink)

    def _read(self, arrow: Any, source: Any) -> Any:
        return arrow.parquet.read_table(source)


def _import_arrow() -> Any:
    try:
        import pyarrow as pa  # optional, and large
        import pyarrow.ipc  # pyarrow does not import it by itself
        import pyarrow.parquet  # nor this
    except ImportError as error:
        raise MissingExtra("the Arrow serializer", "flowstone[arrow]") from error
    return pa
