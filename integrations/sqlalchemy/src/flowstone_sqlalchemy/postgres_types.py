"""PostgreSQL's column types in Arrow: ADBC's opaque text gets a type."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from flowstone_sqlalchemy.errors import NoDecimal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: The largest precisions of Arrow's two decimals; most tools support only the first.
DECIMAL128, DECIMAL256 = 38, 76
#: The scale of a `numeric` without one, if its first rows fit.
SCALE = 18
#: Casts by the server before ADBC reads, by PostgreSQL's name of the type.
_CASTS: Mapping[str, str] = {"oid": "int8", "xid": "text", "cid": "text", "money": "text"}
#: Types that ADBC returns as they are.
_NATIVE = frozenset(
    {
        "bool", "bpchar", "bytea", "char", "date", "float4", "float8", "int2", "int4", "int8",
        "interval", "json", "jsonb", "name", "numeric", "text", "time", "timestamp",
        "timestamptz", "varchar",
    }
)  # fmt: skip


def find_cast(kind: str) -> str | None:
    """Return the type to which the server has to cast a column, if Arrow lacks its type.

    Args:
        kind: PostgreSQL's name of the type; that of an array begins with ``_``.
    """
    name = kind.removeprefix("_")
    if name in _NATIVE:
        return None
    return _CASTS.get(name, "text") + ("[]" if kind != name else "")


def find_name(field: pa.Field) -> str:
    return ((field.metadata or {}).get(b"POSTGRESQL:type") or b"text").decode()


@dataclass(slots=True)
class Column:
    """The conversion of an ADBC column.

    Attributes:
        name: the name of the column.
        kind: the type in Arrow; None for a `numeric` without a scale, until `decide`.
        is_numeric: whether it is a `numeric`, or an array of them.
        is_list: whether it is an array.
    """

    name: str
    kind: pa.DataType | None
    is_numeric: bool = False
    is_list: bool = False

    @classmethod
    def of(cls, field: pa.Field) -> Column:
        """Return the column for a field of ADBC's schema."""
        name = find_name(field)
        is_list = name.startswith("_")
        inner = _find_storage(field.type.value_type if is_list else field.type)
        if name.removeprefix("_") != "numeric":
            return cls(field.name, inner, is_list=is_list)
        modifier = int((field.metadata or {}).get(b"POSTGRESQL:typmod") or -1)
        return cls(field.name, find_decimal(modifier), is_numeric=True, is_list=is_list)

    @property
    def field(self) -> pa.Field:
        """The field of the converted schema."""
        return pa.field(self.name, pa.list_(self.kind) if self.is_list else self.kind)

    def decide(self, arrays: Sequence[pa.Array], *, whole: bool) -> None:
        """Choose the type of a `numeric` without a scale by its values, all or the first."""
        if self.kind is None:
            texts = [_get_storage(each.values if self.is_list else each) for each in arrays]
            self.kind = _choose_decimal(self.name, texts, whole=whole)

    def convert(self, array: pa.Array) -> pa.Array:
        """Return the converted values of a batch."""
        if not self.is_list:
            return self._convert_plain(array)
        values = self._convert_plain(array.values)
        return pa.ListArray.from_arrays(array.offsets, values, mask=array.is_null())

    def _convert_plain(self, array: pa.Array) -> pa.Array:
        found = _get_storage(array)
        if not self.is_numeric:
            return found
        try:
            return pc.cast(found, self.kind)
        except pa.ArrowInvalid:
            raise NoDecimal(self.name) from None


def _find_storage(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _get_storage(array: pa.Array) -> pa.Array:
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def find_decimal(modifier: int) -> pa.DataType | None:
    """Return the decimal type for the type modifier of a `numeric`; None if it has no scale."""
    if modifier < 4:
        return None
    precision, scale = (modifier - 4 >> 16) & 0xFFFF, (modifier - 4) & 0x7FF
    return make_decimal(precision, scale)


def make_decimal(precision: int, scale: int) -> pa.DataType | None:
    """Return the decimal type for a precision and a scale; None if Arrow has none."""
    if not 0 < precision <= DECIMAL256 or not 0 <= scale <= precision:
        return None
    return (pa.decimal128 if precision <= DECIMAL128 else pa.decimal256)(precision, scale)


def _choose_decimal(name: str, texts: Sequence[pa.Array], *, whole: bool) -> pa.DataType:
    before = after = 0
    for text in texts:
        if not len(text) or text.null_count == len(text):
            continue
        number = pc.utf8_ltrim(text, characters="-")
        length, dot = pc.binary_length(number), pc.find_substring(number, ".")
        has_dot = pc.greater_equal(dot, 0)
        before = max(before, pc.max(pc.if_else(has_dot, dot, length)).as_py())
        rest = pc.subtract(pc.subtract(length, dot), 1)
        after = max(after, pc.max(pc.if_else(has_dot, rest, 0)).as_py())
    if not whole and after <= SCALE and before <= DECIMAL128 - SCALE:
        after = SCALE
    if before + after > DECIMAL256:
        raise NoDecimal(name)
    if before + after <= DECIMAL128:
        return pa.decimal128(DECIMAL128, after)
    return pa.decimal256(DECIMAL256, after)


# -- rows of psycopg ---------------------------------------------------------------------------

_PLAIN: Mapping[str, pa.DataType] = {
    "bool": pa.bool_(), "bytea": pa.binary(), "date": pa.date32(), "float4": pa.float32(),
    "float8": pa.float64(), "int2": pa.int16(), "int4": pa.int32(), "int8": pa.int64(),
    "oid": pa.int64(), "interval": pa.month_day_nano_interval(), "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"), "timestamptz": pa.timestamp("us", "UTC"),
}  # fmt: skip


def make_column(name: str, kind: str, decimal: pa.DataType | None) -> tuple[Column, pa.DataType]:
    """Return the column for a PostgreSQL type, and the type of its intermediate arrays.

    Args:
        name: the name of the column.
        kind: PostgreSQL's name of the type.
        decimal: the type of a `numeric`, if it has a scale.
    """
    is_list, kind = kind.startswith("_"), kind.removeprefix("_")
    if kind == "numeric":
        # ADBC does not report the scale of numerics in arrays.
        decimal = None if is_list else decimal
        return Column(name, decimal, is_numeric=True, is_list=is_list), pa.string()
    found = _PLAIN.get(kind, pa.string())
    return Column(name, found, is_list=is_list), found


def make_encoder(kind: str) -> Callable[[Any], str] | None:
    """Return a converter of psycopg's values to ones that Arrow accepts; None if not needed."""
    kind = kind.removeprefix("_")
    if kind in _PLAIN:
        return None
    return _encode_json if kind in {"json", "jsonb"} else _encode_text


def _encode_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _encode_text(value: object) -> str:
    return format(value, "f") if type(value).__name__ == "Decimal" else str(value)
