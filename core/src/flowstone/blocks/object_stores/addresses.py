"""Access to an object store for other tools: URIs, credentials, a file system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

from flowstone import plugins  # its host is loaded on first use
from flowstone.blocks.async_twins import make_twin
from flowstone.blocks.object_stores.provider import TOOLS
from flowstone.errors import MissingExtra, PathInvalid, StorageError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from flowstone.blocks.object_stores.paths import ObjectPath
    from flowstone.blocks.object_stores.provider import ObjectStoreProvider, Tool
    from flowstone.records.access import StoreAccess


class Addresses:
    """The methods of `ObjectStore` that give other tools access to the same location."""

    def make_provider(self) -> ObjectStoreProvider:
        """Return the provider for this store."""
        raise NotImplementedError

    def access(self) -> StoreAccess:
        """Return what another tool needs to access this location by itself.

        Raises:
            StorageError: other tools can't access it.
        """
        return self.make_provider().make_access()

    def storage_options(self, tool: Tool = "pandas") -> dict[str, Any] | None:
        """Return a tool's `storage_options` for `uri`, with secrets in plain text.

        Return None if the tool needs none.

        Args:
            tool: ``pandas`` (and other tools that use fsspec), ``polars`` or ``delta``.

        Raises:
            StorageError: the tool can't access this kind of store.
        """
        provider = self.make_provider()
        if tool not in TOOLS:
            problem = f"there are no storage_options for {tool!r}"
            raise StorageError(provider.where, problem, f"Pass one of {', '.join(TOOLS)}.")
        return provider.make_storage_options(tool)

    def uri(self, path: ObjectPath = "") -> str:
        """Return the URI of an object, or of the block's folder; it contains no secrets.

        Raises:
            StorageError: this kind of store has no URIs.
        """
        provider = self.make_provider()
        folder = provider.make_prefix().removesuffix("/")
        return provider.make_uri(provider.make_key(path) if path else folder)

    @classmethod
    def from_uri(cls, uri: str, **fields: Any) -> Self:
        """Return the store for a URI, with the folder that it names.

        Args:
            uri: such as ``s3://bucket/folder`` or ``file:///data``; the installed packages define
                the schemes.
            **fields: further fields of the block, such as `credentials`.

        Raises:
            UnknownName: no installed package has that scheme.
            PathInvalid: it is not a valid URI, or belongs to another type of store.
        """
        scheme, colon, _ = uri.partition("://")
        if not colon:
            raise PathInvalid(uri, "it is not a URI", "Start it with a scheme: s3://bucket.")
        kind = plugins.get_host().load("scheme", scheme.lower())
        if not issubclass(kind, cls):
            problem = f"its scheme belongs to {kind.__name__}, not {cls.__name__}"
            raise PathInvalid(uri, problem, f"Call {kind.__name__}.from_uri.")
        store: Self = kind(**{**kind.parse_uri(uri), **fields})
        return store

    @classmethod
    def parse_uri(cls, uri: str) -> dict[str, Any]:
        """Return the fields for a URI; override it in a block with a scheme."""
        raise PathInvalid(
            uri, f"{cls.__name__} does not support URIs", "Create the block from its fields."
        )

    def filesystem(self, protocol: str = "flowstone") -> AbstractFileSystem:
        """Return the block's folder as an fsspec file system, which many tools accept.

        Args:
            protocol: the protocol of its URLs, for tools that need one.

        Raises:
            MissingExtra: fsspec is not installed.
        """
        try:
            from flowstone.blocks.object_stores.filesystem import make_filesystem  # an extra
        except ImportError as error:
            raise MissingExtra("a file system of fsspec", "flowstone[fsspec]") from error
        return make_filesystem(cast("Any", self), protocol)  # an `ObjectStore`

    aaccess, astorage_options = make_twin(access), make_twin(storage_options)
