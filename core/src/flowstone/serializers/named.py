"""Serializers by the names that users and kept results give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.errors import UnknownName
from flowstone.serializers.arrow import ArrowSerializer, ParquetSerializer
from flowstone.serializers.automatic import AutomaticSerializer
from flowstone.serializers.compressed import LIBRARIES, CompressedSerializer
from flowstone.serializers.json import JSONSerializer
from flowstone.serializers.pickle import PickleSerializer

if TYPE_CHECKING:
    from flowstone.ports import Serializer

_BASE: dict[str, Serializer] = {
    made.type: made
    for made in (
        AutomaticSerializer(),
        JSONSerializer(),
        PickleSerializer(),
        ArrowSerializer(),
        ParquetSerializer(),
    )
}


def find_serializer(name: str) -> Serializer:
    """Return a serializer by its name, or by ``compressed/<name>[/<library>]``.

    Raises:
        UnknownName: there is none of that name.
    """
    if name in _BASE:
        return _BASE[name]
    head, _, rest = name.partition("/")
    base, _, library = rest.partition("/")
    if head == "compressed" and base in _BASE and (library or "lzma") in LIBRARIES:
        return CompressedSerializer(_BASE[base], library or "lzma")
    known = [*_BASE, *(f"compressed/{base}" for base in _BASE)]
    raise UnknownName("serializer", name, known)
