"""PostgreSQL's binary COPY format, built from Arrow column by column, without Python rows.

Each field of a row is its length in four bytes, then its bytes; a NULL has the length -1. A row
begins with the number of its fields. See https://www.postgresql.org/docs/current/sql-copy.html.
Fields of a fixed size become a matrix of bytes, others an array of binaries; Arrow joins them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Bytes = np.ndarray[Any, np.dtype[np.uint8]]
    #: Encodes the fields of an array: their bytes, each prefixed by its length.
    Encoder = Callable[[pa.Array], pa.Array]

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
#: Number of rows, and of Arrow's bytes, that are encoded at a time.
ROWS, BYTES = 16_384, 8 * 1024 * 1024
#: Days from 1970 to 2000, PostgreSQL's epoch.
DAYS = 10_957
MICROSECONDS = DAYS * 86_400_000_000
#: Digits of a `numeric` are of base 10,000.
BASE, DIGITS = 10_000, 4


def encode(data: pa.Table, encoders: Sequence[Encoder]) -> Iterator[memoryview]:
    """Yield the rows of a table in parts, without the header and the trailer."""
    count = np.frombuffer(len(encoders).to_bytes(2, "big"), np.uint8)
    rows = max(1, min(ROWS, data.num_rows * BYTES // max(1, data.nbytes)))
    for batch in data.to_batches(max_chunksize=rows):
        if batch.num_rows:
            head = _make_binaries(np.broadcast_to(count, (batch.num_rows, 2)))
            pairs = zip(encoders, batch.columns, strict=True)
            fields = [encoder(array) for encoder, array in pairs]
            joined = pc.binary_join_element_wise(head, *fields, b"")
            yield _get_data(joined)


def find_encoders(schema: pa.Schema, targets: Mapping[str, str]) -> list[Encoder] | None:
    """Return an encoder of each column for its target type; None if one has none.

    Args:
        schema: the schema of the rows.
        targets: PostgreSQL's name of the type, by the name of the column.
    """
    found = [_find_encoder(field.type, targets.get(field.name, "")) for field in schema]
    return None if None in found else [each for each in found if each is not None]


# -- arrays of binaries ------------------------------------------------------------------------


def _make_binaries(matrix: Bytes) -> pa.Array:
    """Return the rows of a matrix of bytes as an array of binaries."""
    count, width = matrix.shape
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    data = np.ascontiguousarray(matrix)
    return pa.Array.from_buffers(
        pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )


def _get_data(array: pa.Array) -> memoryview:
    offsets = np.frombuffer(array.buffers()[1], np.int32)
    first, last = offsets[array.offset], offsets[array.offset + len(array)]
    return memoryview(array.buffers()[2])[int(first) : int(last)]


def _join_fixed(values: Bytes, array: pa.Array) -> pa.Array:
    """Return fields of a fixed size from a matrix of bytes; the bytes of nulls are ignored."""
    count, width = values.shape
    fields = np.empty((count, 4 + width), np.uint8)
    fields[:, :4] = np.frombuffer(width.to_bytes(4, "big"), np.uint8)
    fields[:, 4:] = values
    if not array.null_count:
        return _make_binaries(fields)
    nulls = array.is_null().to_numpy(zero_copy_only=False)
    fields[nulls, :4] = 255
    offsets = np.zeros(count + 1, np.int32)
    np.cumsum(np.where(nulls, 4, 4 + width), out=offsets[1:])
    wanted = np.ones((count, 4 + width), bool)
    wanted[nulls, 4:] = False
    data = fields[wanted]
    return pa.Array.from_buffers(
        pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )


def _join_varying(array: pa.Array, prefix: bytes = b"") -> pa.Array:
    """Return the fields of an array of binaries, each with a prefix."""
    lengths = pc.binary_length(array).to_numpy(zero_copy_only=False)
    if array.null_count:
        lengths = np.where(np.isnan(lengths), -1 - len(prefix), lengths)
    sizes = (lengths + len(prefix)).astype(">i4").view(np.uint8).reshape(-1, 4)
    if not prefix:
        return pc.binary_join_element_wise(
            _make_binaries(sizes), array, b"", null_handling="replace", null_replacement=b""
        )
    before = pa.scalar(prefix, pa.binary())
    if array.null_count:
        before = pc.if_else(array.is_valid(), before, pa.scalar(b"", pa.binary()))
        array = pc.fill_null(array, b"")
    return pc.binary_join_element_wise(_make_binaries(sizes), before, array, b"")


# -- by type -----------------------------------------------------------------------------------


def _encode_number(kind: pa.DataType, code: str, shift: int = 0) -> Encoder:
    def encode_numbers(array: pa.Array) -> pa.Array:
        found = _cast(array, kind)
        numbers = pc.fill_null(found, 0).to_numpy(zero_copy_only=False)
        values = (numbers - shift if shift else numbers).astype(code)
        return _join_fixed(values.view(np.uint8).reshape(len(array), -1), array)

    return encode_numbers


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    return array if array.type == kind else pc.cast(array, kind)


def _encode_bool(array: pa.Array) -> pa.Array:
    values = pc.fill_null(array, False).to_numpy(zero_copy_only=False)
    return _join_fixed(values.astype(np.uint8).reshape(-1, 1), array)


def _encode_time(unit: pa.DataType, shift: int) -> Encoder:
    """Return an encoder of times, which truncates to microseconds."""
    whole = _encode_number(pa.int64(), ">i8", shift)

    def encode_times(array: pa.Array) -> pa.Array:
        found = pc.cast(array, unit, safe=False) if array.type != unit else array
        return whole(found.view(pa.int64()))

    return encode_times


def _encode_date(array: pa.Array) -> pa.Array:
    days = _cast(array, pa.date32()).view(pa.int32())
    return _encode_number(pa.int32(), ">i4", DAYS)(days)


def _encode_text(array: pa.Array) -> pa.Array:
    return _join_varying(pc.cast(array, pa.binary()))


def _encode_jsonb(array: pa.Array) -> pa.Array:
    return _join_varying(pc.cast(array, pa.binary()), b"\x01")  # the version of the format


def _encode_nested(encoder: Encoder) -> Encoder:
    def encode_values(array: pa.Array) -> pa.Array:
        texts = [
            None if value is None else json.dumps(value, ensure_ascii=False, default=str)
            for value in array.to_pylist()
        ]
        return encoder(pa.array(texts, pa.string()))

    return encode_values


def _encode_decimal(precision: int, scale: int) -> Encoder:
    """Return an encoder of 128-bit decimals, with the same number of digits for each value.

    The server drops zeros at either end.
    """
    after = -(-scale // DIGITS)
    before = -(-(precision - scale) // DIGITS)
    count, factor = before + after, 10 ** (after * DIGITS - scale)

    def encode_decimals(array: pa.Array) -> pa.Array:
        limbs, negative = _split_decimals(array, factor)
        values = np.empty((len(array), 4 + count), ">i2")
        values[:, 0], values[:, 1], values[:, 3] = count, before - 1, scale
        values[:, 2] = np.where(negative, 0x4000, 0)
        for place in range(count, 0, -1):
            values[:, 3 + place] = _divide(limbs)
        return _join_fixed(values.view(np.uint8).reshape(len(array), -1), array)

    return encode_decimals


def _split_decimals(array: pa.Array, factor: int) -> tuple[list[Any], Any]:
    """Return the magnitudes multiplied by a factor, as limbs of 32 bits, and the signs."""
    found = pc.fill_null(array, 0) if array.null_count else array
    words = np.frombuffer(found.buffers()[1], np.uint64)
    words = words[2 * found.offset : 2 * (found.offset + len(found))].reshape(-1, 2)
    low, high = words[:, 0].copy(), words[:, 1].copy()
    negative = high.view(np.int64) < 0
    # Two's complement: invert all bits, and add one.
    high = np.where(negative, ~high + (low == 0), high)
    low = np.where(negative, ~low + np.uint64(1), low)
    mask = np.uint64(0xFFFFFFFF)
    limbs = [low & mask, low >> np.uint64(32), high & mask, high >> np.uint64(32)]
    carry = np.zeros(len(array), np.uint64)
    for place, limb in enumerate(limbs):
        product = limb * np.uint64(factor) + carry
        limbs[place], carry = product & mask, product >> np.uint64(32)
    return [carry, *reversed(limbs)], negative


def _divide(limbs: list[Any]) -> Any:
    """Divide numbers by the base, and return the remainders."""
    rest = np.zeros(len(limbs[0]), np.uint64)
    for place, limb in enumerate(limbs):
        if not place and not limb.any():
            continue
        whole = (rest << np.uint64(32)) | limb
        limbs[place] = whole // np.uint64(BASE)
        rest = whole - limbs[place] * np.uint64(BASE)
    return rest


_INTEGERS: Mapping[str, Encoder] = {
    "int2": _encode_number(pa.int16(), ">i2"),
    "int4": _encode_number(pa.int32(), ">i4"),
    "int8": _encode_number(pa.int64(), ">i8"),
    "oid": _encode_number(pa.uint32(), ">u4"),
}
_FLOATS: Mapping[str, Encoder] = {
    "float4": _encode_number(pa.float32(), ">f4"),
    "float8": _encode_number(pa.float64(), ">f8"),
}
_TIMESTAMP = _encode_time(pa.timestamp("us"), MICROSECONDS)
_TIMESTAMPTZ = _encode_time(pa.timestamp("us", "UTC"), MICROSECONDS)
_TIME = _encode_time(pa.time64("us"), 0)
_TEXTS = frozenset({"text", "varchar", "bpchar", "name", "json", "enum", "citext"})


def _find_encoder(kind: pa.DataType, target: str) -> Encoder | None:
    """Return an encoder of an Arrow type as a PostgreSQL type; None if rows are needed."""
    if types.is_dictionary(kind):
        inner = _find_encoder(kind.value_type, target)
        return inner and (lambda array: inner(array.dictionary_decode()))
    if types.is_null(kind):
        return lambda array: _join_fixed(np.zeros((len(array), 0), np.uint8), array)
    if types.is_integer(kind) or types.is_floating(kind):
        integers = _INTEGERS.get(target)
        if integers is None and target == "numeric" and types.is_signed_integer(kind):
            exact = _encode_decimal(19, 0)
            return lambda array: exact(pc.cast(array, pa.decimal128(19, 0)))
        return integers or _FLOATS.get(target)
    if types.is_string(kind) or types.is_large_string(kind):
        return _encode_text if target in _TEXTS else _encode_jsonb if target == "jsonb" else None
    if types.is_nested(kind):
        text = {"json": _encode_text, "jsonb": _encode_jsonb}.get(target)
        return text and _encode_nested(text)
    if types.is_decimal128(kind):
        return _encode_decimal(kind.precision, kind.scale) if target == "numeric" else None
    if types.is_timestamp(kind):
        return (
            {"timestamp": _TIMESTAMP, "timestamptz": _TIMESTAMPTZ}.get(target)
            if ((kind.tz is not None) == (target == "timestamptz"))
            else None
        )
    by_kind: tuple[tuple[bool, str, Encoder], ...] = (
        (types.is_boolean(kind), "bool", _encode_bool),
        (types.is_binary(kind) or types.is_large_binary(kind), "bytea", _encode_text),
        (types.is_date(kind), "date", _encode_date),
        (types.is_time(kind), "time", _TIME),
    )
    return next((found for fits, name, found in by_kind if fits and target == name), None)
