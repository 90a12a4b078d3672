"""Parameter values, each with its type in Snowflake's protocol."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXT = "TEXT"


class JsonText(str):
    """JSON that becomes a VARIANT when rows are inserted."""

    __slots__ = ()


def bind(values: Sequence[object]) -> list[object]:
    """Return values in the form that the connector binds."""
    return [_pair(value) for value in values]


def bind_rows(rows: Sequence[Sequence[object]]) -> list[list[object]]:
    """Return rows in the form that the connector binds: each column has one type."""
    columns = [_bind_column(column) for column in zip(*rows, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def _bind_column(values: Sequence[object]) -> list[object]:
    kinds = {_find_kind(value) for value in values if value is not None}
    if None in kinds:
        return list(values)  # the connector's error names the unsupported type
    if len(kinds) > 1:
        return [(TEXT, None if value is None else _tell(value)) for value in values]
    kind = next(iter(kinds), TEXT)
    return [(kind, None) if value is None else _pair(value) for value in values]


def _pair(value: object) -> object:
    kind = _find_kind(value)
    if kind is None or value is None:
        return value
    if isinstance(value, Decimal):
        return kind, f"{value:f}"  # without an exponent
    return kind, str(value) if isinstance(value, str) else value


def _find_kind(value: object) -> str | None:
    """Return the protocol's name of a type; None if the connector decides, or refuses it."""
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, datetime):
        return "TIMESTAMP_TZ" if value.tzinfo is not None else "TIMESTAMP_NTZ"
    if isinstance(value, date):
        return "DATE"
    known: dict[type, str] = {
        int: "FIXED", Decimal: "FIXED", float: "REAL", str: TEXT, bytes: "BINARY",
        bytearray: "BINARY", time: "TIME",
    }  # fmt: skip
    return next((word for kind, word in known.items() if isinstance(value, kind)), None)


def _tell(value: object) -> str:
    """Return a value as text that Snowflake casts to the column's type."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (date, datetime, time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
