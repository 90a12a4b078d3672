"""TemplateStore: the service's spaces as object stores."""

from __future__ import annotations

import shutil
from datetime import datetime
from io import BufferedIOBase
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, ClassVar
from urllib.parse import quote

from pydantic import Field

from flowstone.blocks.object_stores import (
    CHUNK_BYTES,
    ObjectInfo,
    ObjectStore,
    ObjectStoreProvider,
)
from flowstone_template.credentials import TemplateCredentials
from flowstone_template.errors import translate_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import httpx


class TemplateStore(ObjectStore):
    """Objects in one space of the service."""

    _block_type_name: ClassVar[str | None] = "Template Store"
    _block_type_slug: ClassVar[str | None] = "template-store"
    _description: ClassVar[str | None] = "One space of the service, as an object store."
    _code_example: ClassVar[str | None] = (
        'store = TemplateStore(space="raw")\nstore.write_path("a.txt", b"hello")'
    )

    space: str = Field(description="The name of the space.")
    credentials: TemplateCredentials = Field(
        default_factory=TemplateCredentials,
        description="Credentials; default: the environment's.",
    )
    folder: str = Field(default="", description="The folder that all paths are in.")

    def make_provider(self) -> TemplateProvider:
        return TemplateProvider(self.space, self.credentials, self.folder)


class TemplateProvider(ObjectStoreProvider):
    """The objects of one space, by their full keys."""

    def __init__(self, space: str, credentials: TemplateCredentials, folder: str) -> None:
        self._space, self._credentials, self.folder = space, credentials, folder

    @property
    def where(self) -> str:
        return f"{self._credentials.url or ''}/{self._space}"

    def get(self, key: str, offset: int = 0) -> BufferedIOBase:
        place = f"{self.where}/{key}"
        client = self._credentials.client()
        try:
            request = client.build_request(
                "GET", self._url(key), headers={"range": f"bytes={offset}-"}
            )
            with translate_errors(place):
                response = client.send(request, stream=True)
                response.raise_for_status()
        except BaseException:
            client.close()
            raise
        return _Body(client, response, place)

    def put(self, key: str, source: BinaryIO, size: int | None) -> None:
        if size is None:  # the service requires the length first
            with TemporaryFile() as draft:
                shutil.copyfileobj(source, draft, CHUNK_BYTES)
                size = draft.tell()
                draft.seek(0)
                self.put(key, draft, size)
            return
        chunks = iter(lambda: source.read(CHUNK_BYTES), b"")
        headers = {"content-length": str(size)}
        with self._credentials.client() as client, translate_errors(f"{self.where}/{key}"):
            client.put(self._url(key), content=chunks, headers=headers).raise_for_status()

    def head(self, key: str) -> ObjectInfo:
        with self._credentials.client() as client, translate_errors(f"{self.where}/{key}"):
            found = client.head(self._url(key)).raise_for_status().headers
        modified = datetime.fromisoformat(found["x-modified"])
        return ObjectInfo(key, int(found["content-length"]), modified, found["etag"])

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        page = self._page(prefix, "")
        while page:
            yield from page
            page = self._page(prefix, page[-1].path)

    def delete(self, keys: Sequence[str]) -> None:
        with self._credentials.client() as client, translate_errors(self.where):
            for key in keys:
                client.delete(self._url(key)).raise_for_status()

    def _page(self, prefix: str, after: str) -> Sequence[ObjectInfo]:
        with self._credentials.client() as client, translate_errors(f"{self.where}/{prefix}"):
            response = client.get(self._url(""), params={"prefix": prefix, "after": after})
            rows = response.raise_for_status().json()
        return [
            ObjectInfo(key, size, datetime.fromisoformat(modified), etag)
            for key, size, modified, etag in rows
        ]

    def _url(self, key: str) -> str:
        return f"/{quote(self._space, safe='')}/{quote(key, safe='')}"


class _Body(BufferedIOBase):
    """A response's body as a reader, which owns its connection."""

    def __init__(self, client: httpx.Client, response: httpx.Response, where: str) -> None:
        self._client, self._response, self._where = client, response, where
        self._chunks = response.iter_raw(CHUNK_BYTES)
        self._rest = b""
        #: By the etag, a reader that is reopened detects whether the content has changed.
        self.etag = response.headers["etag"]

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        with translate_errors(self._where):
            if size is None or size < 0:
                rest, self._rest = self._rest, b""
                return b"".join((rest, *self._chunks))
            if not self._rest:
                self._rest = next(self._chunks, b"")
        chunk, self._rest = self._rest[:size], self._rest[size:]
        return chunk

    def close(self) -> None:
        self._response.close()
        self._client.close()
        super().close()
