"""Any serializer's bytes, compressed by a library of the standard library."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flowstone.errors import ConfigurationError
from flowstone.serializers.json import JSONSerializer
from flowstone.serializers.pickle import PickleSerializer

if TYPE_CHECKING:
    from flowstone.ports import Serializer

LIBRARIES = ("bz2", "gzip", "lzma", "zlib")


class CompressedSerializer:
    """Another serializer's bytes, compressed.

    Args:
        serializer: what writes the value.
        compressionlib: one of bz2, gzip, lzma and zlib.
    """

    def __init__(self, serializer: Serializer, compressionlib: str = "lzma") -> None:
        if compressionlib not in LIBRARIES:
            raise ConfigurationError(
                "CompressedSerializer",
                f"there is no compressionlib {compressionlib!r}",
                f"Use one of {', '.join(LIBRARIES)}.",
            )
        self.serializer = serializer
        self.compressionlib = compressionlib
        self.type = f"compressed/{serializer.type}"
        if compressionlib != "lzma":
            self.type += f"/{compressionlib}"

    def dumps(self, value: object) -> bytes:
        library = import_module(self.compressionlib)
        return bytes(library.compress(self.serializer.dumps(value)))

    def loads(self, content: bytes) -> Any:
        library = import_module(self.compressionlib)
        return self.serializer.loads(library.decompress(content))


class CompressedPickleSerializer(CompressedSerializer):
    """Compressed pickle."""

    def __init__(self, compressionlib: str = "lzma") -> None:
        super().__init__(PickleSerializer(), compressionlib)


class CompressedJSONSerializer(CompressedSerializer):
    """Compressed JSON."""

    def __init__(self, compressionlib: str = "lzma") -> None:
        super().__init__(JSONSerializer(), compressionlib)
