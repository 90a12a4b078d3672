"""Serializers: convert values to bytes and back, for persisted results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports
from flowstone.serializers.base import BaseSerializer as Serializer

if TYPE_CHECKING:
    from flowstone.serializers.arrow import ArrowSerializer, ParquetSerializer
    from flowstone.serializers.automatic import AutomaticSerializer
    from flowstone.serializers.compressed import (
        CompressedJSONSerializer,
        CompressedPickleSerializer,
        CompressedSerializer,
    )
    from flowstone.serializers.json import JSONSerializer
    from flowstone.serializers.named import find_serializer
    from flowstone.serializers.pickle import PickleSerializer

__all__ = [
    "ArrowSerializer",
    "AutomaticSerializer",
    "CompressedJSONSerializer",
    "CompressedPickleSerializer",
    "CompressedSerializer",
    "JSONSerializer",
    "ParquetSerializer",
    "PickleSerializer",
    "Serializer",
    "find_serializer",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".arrow": ("ArrowSerializer", "ParquetSerializer"),
            ".automatic": ("AutomaticSerializer",),
            ".compressed": (
                "CompressedJSONSerializer",
                "CompressedPickleSerializer",
                "CompressedSerializer",
            ),
            ".json": ("JSONSerializer",),
            ".named": ("find_serializer",),
            ".pickle": ("PickleSerializer",),
        },
    )
