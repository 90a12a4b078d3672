"""Fingerprints: equal values have the same one in every process and on every machine.

A fingerprint depends on the structure of a value, never on its identity, its memory address or the
process's hash seed. Other values are refused, with the path of the part that is the reason.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable
from copyreg import dispatch_table
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cached_property
from hashlib import blake2b
from io import BytesIO
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

from flowstone.errors import NotHashable

Feed = Callable[[bytes], None]

DIGEST_BYTES = 16
_LENGTH = struct.Struct("<q")


def fingerprint(value: object, what: str = "value") -> str:
    """Return a fingerprint of 32 hexadecimal digits.

    Args:
        value: builtins and containers of them, enums, dataclasses, pydantic models and blocks,
            paths, dates, functions, numpy, pandas, polars and Arrow data, and anything that
            pickles.
        what: the name of the value in an error.

    Raises:
        NotHashable: some part of it has no stable form; the error says which.
    """
    try:
        return _digest(value, what, ()).hex()
    except NotHashable:
        raise
    except Exception as error:  # whatever is wrong with a value, its run is just not cached
        problem = f"{type(error).__name__}: {error}".rstrip(".")
        raise NotHashable(what, type(value).__qualname__, problem) from error


def _digest(value: object, path: str, around: tuple[int, ...]) -> bytes:
    if type(value) in _SIMPLE:
        return _simple_digest(value)
    state = blake2b(digest_size=DIGEST_BYTES)
    _feed(state.update, value, path, around)
    return state.digest()


def _simple_digest(value: object) -> bytes:
    """Return the same digest with fewer calls: most values are simple."""
    kind = type(value)
    part = _SIMPLE[kind](value)
    whole = b"%b%b%b" % (kind.__name__.encode(), _LENGTH.pack(len(part)), part)
    return blake2b(whole, digest_size=DIGEST_BYTES).digest()


def _tag(feed: Feed, tag: str, *parts: bytes) -> None:
    """Feed parts so that no other parts with the same tag feed the same bytes."""
    feed(tag.encode())
    for part in parts:
        feed(_LENGTH.pack(len(part)))
        feed(part)


def _feed(feed: Feed, value: Any, path: str, around: tuple[int, ...]) -> None:
    kind = type(value)
    simple = _SIMPLE.get(kind)
    if simple is not None:
        _tag(feed, kind.__name__, simple(value))
        return
    if id(value) in around:
        raise NotHashable(path, kind.__qualname__, "it contains itself")
    inside = (*around, id(value))
    if kind in {list, tuple}:
        _feed_ordered(feed, kind.__name__, value, path, inside)
    elif kind in {set, frozenset}:
        digests = sorted(_digest(item, f"{path}{{…}}", inside) for item in value)
        _tag(feed, kind.__name__, *digests)
    elif kind is dict:
        _feed_mapping(feed, "dict", value, path, inside)
    else:
        _feed_object(feed, value, path, inside)


_SIMPLE: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"",
    bool: lambda value: b"1" if value else b"0",
    # Python refuses to convert huge numbers to decimal digits.
    int: lambda value: (str(value) if value.bit_length() < 10_000 else hex(value)).encode(),
    float: lambda value: struct.pack("<d", value),
    complex: lambda value: struct.pack("<dd", value.real, value.imag),
    str: lambda value: value.encode("utf-8", "surrogatepass"),
    bytes: lambda value: value,
    bytearray: bytes,
    range: lambda value: repr(value).encode(),
    type(...): lambda _: b"",
}


def _feed_ordered(
    feed: Feed, tag: str, values: Iterable[Any], path: str, around: tuple[int, ...]
) -> None:
    digests = [
        _simple_digest(item) if type(item) in _SIMPLE else _digest(item, f"{path}[{index}]", around)
        for index, item in enumerate(values)
    ]
    _tag(feed, tag, *digests)


def _feed_mapping(
    feed: Feed, tag: str, value: dict[Any, Any], path: str, around: tuple[int, ...]
) -> None:
    pairs = sorted(
        _digest(key, f"{path} key", around) + _digest(item, f"{path}[{key!r}]", around)
        for key, item in value.items()
    )
    _tag(feed, tag, *pairs)


def _name_type(kind: Any) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _feed_object(feed: Feed, value: Any, path: str, around: tuple[int, ...]) -> None:
    kind = type(value)
    name = _name_type(kind)
    special = _SPECIAL.get(name.partition(".")[0])
    if special is not None and special(feed, value, name, path):
        return
    if isinstance(value, type):
        _tag(feed, "type", _name_type(value).encode())
    elif isinstance(value, Enum):
        _tag(feed, f"enum {name}", value.name.encode())
    elif isinstance(value, (FunctionType, BuiltinFunctionType, MethodType)):
        _feed_function(feed, value, path, around)
    elif hasattr(value, "__fspath__"):
        _tag(feed, "path", str(value).encode())
    elif hasattr(value, "get_secret_value"):
        _feed_secret(feed, value, path, around)
    elif is_dataclass(value):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        parts |= _list_attributes(value)
        _feed_mapping(feed, name, parts, path, around)
    elif hasattr(kind, "model_fields"):
        parts = {**_list_attributes(value), **(value.__pydantic_extra__ or {})}
        parts |= value.__pydantic_private__ or {}
        _feed_mapping(feed, name, parts, path, around)
    else:
        _feed_reduced(feed, value, path, around)


def _list_attributes(value: object) -> dict[str, object]:
    """Return the attributes of an object, except for cached values."""
    kind, held = type(value), getattr(value, "__dict__", {})
    return {
        name: held[name]
        for name in held
        if not isinstance(getattr(kind, name, None), cached_property)
    }


def _feed_secret(feed: Feed, value: Any, path: str, around: tuple[int, ...]) -> None:
    """Feed a masked value; for a reference its text, without resolving it."""
    name = _name_type(type(value))
    if hasattr(value, "reference"):
        _tag(feed, f"reference {name}", value.reference.encode())
    else:
        held = value.tree() if hasattr(value, "tree") else value.get_secret_value()
        _feed_mapping(feed, name, {"": held}, path, around)


def _feed_function(feed: Feed, value: Any, path: str, around: tuple[int, ...]) -> None:
    bound = getattr(value, "__self__", None)
    function = getattr(value, "__func__", value)
    code = getattr(function, "__code__", None)
    _tag(feed, "function", _name_type(function).encode(), code.co_code if code else b"")
    if code is not None:
        cells = function.__closure__ or ()
        held = [
            _list_constants(code),
            function.__defaults__,
            [cell.cell_contents for cell in cells],
        ]
        _feed_ordered(feed, "held", held, path, around)
    if isinstance(value, MethodType):
        _feed(feed, bound, f"{path}.__self__", around)


def _list_constants(code: CodeType) -> list[object]:
    found: list[Any] = list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found += [constant.co_code, _list_constants(constant)]
        else:
            found.append(constant)
    return found


def _feed_reduced(feed: Feed, value: object, path: str, around: tuple[int, ...]) -> None:
    """Feed what pickling would write: how the object is created, and from what."""
    kind = type(value)
    try:
        reducer = dispatch_table.get(kind)
        reduced: Any = value.__reduce_ex__(4) if reducer is None else reducer(value)
    except Exception as error:
        raise NotHashable(path, kind.__qualname__, str(error) or "it can't be pickled") from error
    if isinstance(reduced, str):
        _tag(feed, "global", _name_type(kind).encode(), reduced.encode())
        return
    make, args, *rest = reduced
    parts = [make, args, *(list(part) if hasattr(part, "__next__") else part for part in rest)]
    _feed_ordered(feed, _name_type(kind), parts, path, around)


# ---------------------------------------------------------------- data frames and arrays


def _feed_numpy(feed: Feed, value: Any, name: str, path: str) -> bool:
    if not hasattr(value, "dtype") or not hasattr(value, "tobytes"):
        return False
    if hasattr(value, "mask"):
        _tag(feed, "mask", value.mask.tobytes())
    if value.dtype.hasobject:
        _feed_ordered(feed, f"{name} {value.shape}", value.ravel().tolist(), path, ())
    else:
        kind = f"{value.dtype.str}{value.dtype.descr if value.dtype.names else ''}"
        _tag(feed, name, kind.encode(), repr(value.shape).encode(), value.tobytes())
    return True


def _feed_pandas(feed: Feed, value: Any, name: str, path: str) -> bool:
    if name.endswith(".DataFrame"):
        _tag(feed, name, repr(list(value.columns.names)).encode())
        for position, column in enumerate(value.columns):
            _tag(feed, "column", repr(column).encode())
            _feed_column(feed, value.iloc[:, position], f"{path}[{column!r}]")
        _feed_index(feed, value.index, f"{path}.index")
    elif hasattr(value, "nlevels"):
        _feed_index(feed, value, path)
    elif name.endswith(".Series"):
        _tag(feed, name, repr(value.name).encode())
        _feed_column(feed, value, path)
        _feed_index(feed, value.index, f"{path}.index")
    elif hasattr(value, "dtype") and hasattr(value, "to_numpy"):
        _tag(feed, name)
        _feed_column(feed, value, path)
    else:
        return False
    return True


def _feed_index(feed: Feed, index: Any, path: str) -> None:
    _tag(feed, "index", repr(list(index.names)).encode())
    for level in range(index.nlevels):
        _feed_column(feed, index.get_level_values(level), path)


def _feed_column(feed: Feed, values: Any, path: str) -> None:
    """Feed values of one dtype; strings with pandas' fast hash, other objects by their structure.

    For pandas, 1 and "1" are equal in a column of mixed objects, and so are all missing values.
    """
    import pandas as pd  # imported already, since the value is of its type
    from pandas.api.types import infer_dtype  # likewise
    from pandas.util import hash_array, hash_pandas_object  # likewise

    _tag(feed, "dtype", str(values.dtype).encode())
    if values.dtype == object:
        if infer_dtype(values, skipna=True) not in {"string", "empty"}:
            _feed_ordered(feed, "objects", values.tolist(), path, ())
            return
        _feed_ordered(feed, "missing", values[values.isna()].tolist(), path, ())
    elif hasattr(values.dtype, "categories"):
        _tag(feed, "ordered", repr(values.dtype.ordered).encode())
        _feed_index(feed, values.dtype.categories, path)
    elif getattr(values.dtype, "kind", "") == "f":
        numbers = pd.Series(values).to_numpy(float, na_value=math.nan)
        (below,) = (numbers.view("int64") == -(2**63)).nonzero()
        if below.size:  # pandas hashes -0.0 and 0.0 alike
            _tag(feed, "-0.0", below.tobytes())
    if hasattr(values, "array"):  # a Series or an Index
        feed(hash_pandas_object(values, index=False).to_numpy().tobytes())
    else:
        feed(hash_array(values).tobytes())


def _feed_polars(feed: Feed, value: Any, name: str, _path: str) -> bool:
    if name.endswith(".Series"):
        value = value.to_frame()
    elif not name.endswith(".DataFrame"):
        return False
    written = BytesIO()
    value.rechunk().write_ipc(written, compression="uncompressed")
    _tag(feed, name, written.getvalue())
    return True


def _feed_arrow(feed: Feed, value: object, _name: str, _path: str) -> bool:
    import pyarrow as pa  # imported already, since the value is of its type

    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        value = pa.table({"": value})
    elif isinstance(value, pa.RecordBatch):
        value = pa.Table.from_batches([value])
    if not isinstance(value, pa.Table):
        return False
    # A slice shares its parent's buffers; taking every row creates new buffers.
    whole = value.take(pa.array(range(value.num_rows), pa.int64())).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, whole.schema) as stream:
        stream.write_table(whole)
    _tag(feed, "arrow", sink.getvalue().to_pybytes())
    return True


_SPECIAL: dict[str, Callable[[Feed, Any, str, str], bool]] = {
    "numpy": _feed_numpy,
    "pandas": _feed_pandas,
    "polars": _feed_polars,
    "pyarrow": _feed_arrow,
}
