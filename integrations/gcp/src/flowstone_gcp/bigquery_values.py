"""Python values as query parameters of BigQuery, and BigQuery's types as Arrow types."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from flowstone.blocks.databases import SqlSyntax
from flowstone.blocks.databases.sql_syntax import find_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa
    from google.cloud.bigquery import ArrayQueryParameter, ScalarQueryParameter, SchemaField

    from flowstone.blocks.databases import Row

#: NUMERIC's digits before and after the decimal point; BIGNUMERIC has more.
NUMERIC_DIGITS, NUMERIC_SCALE = 29, 9
INT64 = range(-(2**63), 2**63)
#: How BigQuery writes quotes, comments and blocks.
SYNTAX = SqlSyntax(
    backslash_escapes=True,
    triple_quotes=True,
    dollar_quotes=False,
    hash_comments=True,
    blocks=True,
)


def find_type(value: object) -> str:
    """Return the BigQuery type of a Python scalar."""
    if isinstance(value, bool):
        return "BOOL"
    if isinstance(value, int):
        return "INT64" if value in INT64 else find_type(Decimal(value))
    if isinstance(value, Decimal):
        return _find_decimal_type(value)
    if isinstance(value, datetime):
        return "DATETIME" if value.tzinfo is None else "TIMESTAMP"
    kinds: dict[type, str] = {
        float: "FLOAT64", str: "STRING", bytes: "BYTES", bytearray: "BYTES", date: "DATE",
        time: "TIME", dict: "JSON",
    }  # fmt: skip
    return next((name for kind, name in kinds.items() if isinstance(value, kind)), "STRING")


def _find_decimal_type(value: Decimal) -> str:
    parts = value.as_tuple()
    exponent = parts.exponent if isinstance(parts.exponent, int) else 0
    fits = -exponent <= NUMERIC_SCALE and len(parts.digits) + exponent <= NUMERIC_DIGITS
    return "NUMERIC" if fits else "BIGNUMERIC"


def make_parameter(value: object) -> ArrayQueryParameter | ScalarQueryParameter:
    """Return a positional query parameter of google-cloud-bigquery for a value.

    A list of scalars of one type is an ARRAY; any other list, and each dict, is JSON.
    """
    import google.cloud.bigquery as bigquery  # an optional dependency

    if isinstance(value, (list, tuple)):
        kinds = {find_type(item) for item in value}
        is_array = len(kinds) == 1 and "JSON" not in kinds and None not in value
        if is_array and not any(isinstance(item, (list, tuple)) for item in value):
            return bigquery.ArrayQueryParameter(None, kinds.pop(), list(value))
        return bigquery.ScalarQueryParameter(None, "JSON", json.dumps(value, default=str))
    if isinstance(value, Mapping):
        return bigquery.ScalarQueryParameter(None, "JSON", json.dumps(value, default=str))
    scalar = cast("str | None", value)  # the client's type hint
    return bigquery.ScalarQueryParameter(None, find_type(value), scalar)


def inline_nulls(statement: str, values: Sequence[object]) -> tuple[str, list[object]]:
    """Replace placeholders of None with NULL; return the statement and the other values.

    A parameter has a type in BigQuery, and does not match a column of another type; NULL does.
    """
    if None not in values:
        return statement, list(values)
    parts, end, rest = [], 0, iter(values)
    for token in find_tokens(statement, SYNTAX, r"(?P<mark>\?)"):
        if token.kind == "mark" and next(rest, "") is None:
            parts += [statement[end : token.start], "NULL"]
            end = token.end
    return "".join([*parts, statement[end:]]), [value for value in values if value is not None]


def make_arrow(
    fields: Sequence[SchemaField], columns: Sequence[str], rows: Sequence[Row]
) -> pa.Table:
    """Return rows as an Arrow table, with the types of a BigQuery table.

    Args:
        fields: the table's schema, as objects of google-cloud-bigquery.
        columns: the names of the columns; the type of those that the table lacks is inferred.
        rows: the values, in the order of the columns.

    Raises:
        ValueError: a value does not fit the type of its column; the message omits the value.
    """
    import pyarrow as pa  # an optional dependency

    known = {field.name.casefold(): field for field in fields}
    arrays = []
    for name, values in zip(columns, zip(*rows, strict=True), strict=True):
        field = known.get(name.casefold())
        kind = None if field is None else make_arrow_type(field)
        found = [_encode(value, field) for value in values]
        try:
            arrays.append(_make_array(found, kind))
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            expected = "one type" if field is None else field.field_type
            raise ValueError(f"a value in the column {name!r} is not of {expected}") from None
    return pa.Table.from_arrays(arrays, names=list(columns))


def _make_array(values: Sequence[object], kind: pa.DataType | None) -> pa.Array:
    """Return values as an array of a type; refuse conversions that would change a value."""
    import pyarrow as pa  # an optional dependency

    array = pa.array(values, kind)
    if kind is not None:
        if _has_integers(kind):
            pa.array(values).cast(kind)  # unlike the line before, this refuses to truncate
        others = datetime if pa.types.is_date(kind) else bytes if pa.types.is_string(kind) else ()
        if any(isinstance(value, others) for value in values):
            raise TypeError(f"a value is not of {kind}")
    return array


def _has_integers(kind: pa.DataType) -> bool:
    from pyarrow import types  # an optional dependency

    inner = (kind.field(place).type for place in range(kind.num_fields))
    return types.is_integer(kind) or any(map(_has_integers, inner))


def _encode(value: object, field: SchemaField | None) -> object:
    if field is not None and field.field_type == "JSON" and value is not None:
        return value if isinstance(value, str) else json.dumps(value, default=str)
    if field is None and isinstance(value, (dict, list)):
        return json.dumps(value, default=str)
    if field is not None and field.field_type in _DECIMALS and type(value) in {int, float}:
        return Decimal(str(value))
    if field is not None and field.field_type == "STRING" and isinstance(value, (dict, list)):
        return json.dumps(value, default=str) if field.mode != "REPEATED" else value
    return value


_DECIMALS = ("NUMERIC", "DECIMAL", "BIGNUMERIC", "BIGDECIMAL")


def make_arrow_type(field: SchemaField) -> pa.DataType:
    """Return the Arrow type for a field of google-cloud-bigquery."""
    import pyarrow as pa  # an optional dependency

    kind = field.field_type
    if kind in {"RECORD", "STRUCT"}:
        found = pa.struct([(inner.name, make_arrow_type(inner)) for inner in field.fields])
    else:
        found = _make_scalars().get(kind, pa.string())
    return pa.list_(found) if field.mode == "REPEATED" else found


def _make_scalars() -> dict[str, pa.DataType]:
    import pyarrow as pa  # an optional dependency

    number, real, decimal = pa.int64(), pa.float64(), pa.decimal128(38, 9)
    big, moment = pa.decimal256(76, 38), pa.timestamp("us", tz="UTC")
    return {
        "INT64": number, "INTEGER": number, "FLOAT64": real, "FLOAT": real, "BOOL": pa.bool_(),
        "BOOLEAN": pa.bool_(), "BYTES": pa.binary(), "DATE": pa.date32(), "TIME": pa.time64("us"),
        "DATETIME": pa.timestamp("us"), "TIMESTAMP": moment, "NUMERIC": decimal,
        "DECIMAL": decimal, "BIGNUMERIC": big, "BIGDECIMAL": big,
    }  # fmt: skip


def make_fields(schema: Iterable[pa.Field]) -> list[SchemaField]:
    """Return the schema of a BigQuery table for the schema of an Arrow table.

    Raises:
        ValueError: BigQuery has no type for a column.
    """
    return [_make_field(field.name, field.type) for field in schema]


def _make_field(name: str, kind: pa.DataType) -> SchemaField:
    from google.cloud.bigquery import SchemaField  # an optional dependency
    from pyarrow import types  # as above

    if types.is_dictionary(kind):
        return _make_field(name, kind.value_type)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        inner = _make_field(name, kind.value_type)
        if inner.mode == "REPEATED":
            raise ValueError(f"the column {name!r} has lists of lists, which BigQuery lacks")
        return SchemaField(name, inner.field_type, "REPEATED", fields=inner.fields)
    if types.is_struct(kind):
        return SchemaField(name, "RECORD", fields=make_fields(kind))
    return SchemaField(name, _find_scalar(name, kind))


def _find_scalar(name: str, kind: pa.DataType) -> str:
    from pyarrow import types  # an optional dependency

    if types.is_timestamp(kind):
        return "DATETIME" if kind.tz is None else "TIMESTAMP"
    if types.is_decimal(kind):
        fits = kind.scale <= NUMERIC_SCALE and kind.precision - kind.scale <= NUMERIC_DIGITS
        return "NUMERIC" if fits else "BIGNUMERIC"
    if types.is_uint64(kind):
        return "BIGNUMERIC"
    tests = (
        (types.is_boolean, "BOOL"), (types.is_integer, "INT64"), (types.is_floating, "FLOAT64"),
        (types.is_string, "STRING"), (types.is_large_string, "STRING"), (types.is_null, "STRING"),
        (types.is_binary, "BYTES"), (types.is_large_binary, "BYTES"), (types.is_date, "DATE"),
        (types.is_time, "TIME"),
    )  # fmt: skip
    for test, found in tests:
        if test(kind):
            return found
    raise ValueError(f"the column {name!r} is of {kind}, for which BigQuery has no type")


def fit_table(table: pa.Table, fields: Sequence[SchemaField]) -> pa.Table:
    """Return an Arrow table cast to the types of a BigQuery table, with its column order.

    Args:
        table: the rows.
        fields: the schema of the BigQuery table. Columns that it lacks are unchanged.

    Raises:
        ValueError: a column can't be cast to the table's type; the message omits values.
    """
    import pyarrow as pa  # an optional dependency

    names = {name.casefold(): name for name in table.schema.names}
    places = {field.name.casefold(): field for field in fields}
    ordered = [names[key] for key in places if key in names]
    ordered += [name for key, name in names.items() if key not in places]
    arrays = [
        _fit_column(name, table.column(name), places.get(name.casefold())) for name in ordered
    ]
    return pa.Table.from_arrays(arrays, names=ordered)


def _fit_column(name: str, column: pa.ChunkedArray, field: SchemaField | None) -> pa.ChunkedArray:
    import pyarrow as pa  # an optional dependency

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if field is None:
        return column
    takes_text = field.field_type in {"JSON", "STRING"} and field.mode != "REPEATED"
    if takes_text and pa.types.is_nested(column.type):
        values = column.to_pylist()
        texts = [None if value is None else json.dumps(value, default=str) for value in values]
        return pa.chunked_array([pa.array(texts, pa.string())])
    kind = make_arrow_type(field)
    try:
        return column if column.type == kind else column.cast(kind)
    except (pa.ArrowException, ValueError):
        found = column.type
    raise ValueError(f"the column {name!r} is {found}, and can't be stored as {field.field_type}")
