"""Values as bytes and back: how results are written."""

from __future__ import annotations

from flowstone.serializers.arrow import ArrowSerializer, ParquetSerializer
from flowstone.serializers.automatic import AutomaticSerializer
from flowstone.serializers.base import BaseSerializer as Serializer
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
