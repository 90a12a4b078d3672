"""Serializers by the names used in options and in stored results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.errors import UnknownName
from flowstone.serializers.compressed import BASE, LIBRARIES, CompressedSerializer

if TYPE_CHECKING:
    from flowstone.ports import Serializer


def find_serializer(name: str) -> Serializer:
    """Return a serializer by its name, or by ``compressed/<name>[/<library>]``.

    Raises:
        UnknownName: there is no such serializer.
    """
    if name in BASE:
        return BASE[name]
    head, _, rest = name.partition("/")
    base, _, library = rest.partition("/")
    if head == "compressed" and base in BASE and (library or "lzma") in LIBRARIES:
        return CompressedSerializer(BASE[base], library or "lzma")
    known = [*BASE, *(f"compressed/{base}" for base in BASE)]
    raise UnknownName("serializer", name, known)
