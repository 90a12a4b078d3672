"""RemoteFileSystem: an object store in a folder of any fsspec file system."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from flowstone.blocks.object_stores.object_store import ObjectStore
from flowstone.secrets.values import SecretDict

if TYPE_CHECKING:
    from flowstone.blocks.object_stores.remote_provider import RemoteProvider


class RemoteFileSystem(ObjectStore):
    """Objects in a folder of any fsspec file system, such as SFTP, SMB or WebDAV.

    It needs the extra `fsspec`, and the package of the file system, such as `s3fs`. If a Flowstone
    package has a block for the service, prefer that one: it also has server-side copies,
    presigned URLs and conditional writes.
    """

    _description: ClassVar[str | None] = "A folder of any fsspec file system."
    _code_example: ClassVar[str | None] = (
        'RemoteFileSystem(basepath="memory://bucket/folder").save("remote")\n'
        'RemoteFileSystem.load("remote").write_path("a.txt", b"hello")'
    )

    basepath: str = Field(description="The URL of the folder, such as s3://bucket/folder.")
    settings: SecretDict = Field(
        default_factory=lambda: SecretDict({}),
        description="Keyword arguments of the fsspec file system, such as key and secret of s3fs.",
    )

    @field_validator("basepath")
    @classmethod
    def _is_a_remote_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if not parts.scheme or not parts.netloc:
            raise ValueError(
                "it must be a URL with a scheme and a host or bucket, such as 's3://bucket/folder'"
            )
        if parts.scheme in {"file", "local"}:
            raise ValueError("use LocalFileSystem for local directories")
        if parts.password is not None:
            raise ValueError(
                "the URL may not contain a password, which would be saved in plain text; "
                "pass it in settings"
            )
        return value

    @classmethod
    def parse_uri(cls, uri: str) -> dict[str, str]:
        return {"basepath": uri}

    def make_provider(self) -> RemoteProvider:
        # fsspec is an optional dependency, and slow to import.
        from flowstone.blocks.object_stores.remote_provider import RemoteProvider

        return RemoteProvider(self.basepath, self.settings)
