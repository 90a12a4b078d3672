"""The bytes of any serializer, compressed with a module of the standard library."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flowstone.errors import ConfigurationError, UnknownName
from flowstone.serializers.arrow import ArrowSerializer, ParquetSerializer
from flowstone.serializers.automatic import AutomaticSerializer
from flowstone.serializers.json import JSONSerializer
from flowstone.serializers.pickle import PickleSerializer

if TYPE_CHECKING:
    from flowstone.ports import Serializer

LIBRARIES = ("bz2", "gzip", "lzma", "zlib")


#: The serializers that can be compressed, by name.
BASE: dict[str, Serializer] = {
    made.type: made
    for made in (
        AutomaticSerializer(),
        JSONSerializer(),
        PickleSerializer(),
        ArrowSerializer(),
        ParquetSerializer(),
    )
}


class CompressedSerializer:
    """The bytes of another serializer, compressed.

    Args:
        serializer: the other serializer, or its name.
        compressionlib: one of bz2, gzip, lzma and zlib.

    Raises:
        ConfigurationError: there is no such library.
        UnknownName: there is no such serializer.
    """

    def __init__(
        self, serializer: Serializer | str = "pickle", compressionlib: str = "lzma"
    ) -> None:
        if compressionlib not in LIBRARIES:
            raise ConfigurationError(
                "CompressedSerializer",
                f"there is no compressionlib {compressionlib!r}",
                f"Use one of {', '.join(LIBRARIES)}.",
            )
        if isinstance(serializer, str):
            if serializer not in BASE:
                raise UnknownName("serializer", serializer, list(BASE))
            serializer = BASE[serializer]
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
