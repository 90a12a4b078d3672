"""TemplateStore: the service's spaces as object stores."""

from __future__ import annotations

import shutil
from datetime import datetime
from io import BufferedIOBase
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, ClassVar
from urllib.parse import quote

from pydantic import Field

from flowstone.blocks import ObjectInfo, ObjectStore
from flowstone_template.credentials import TemplateCredentials
from flowstone_template.errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

CHUNK_BYTES = 1024 * 1024


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
        default_factory=TemplateCredentials, description="The login; by default the environment's."
    )
    folder: str = Field(default="", description="The folder that all paths are in.")

    def _folder(self) -> str:
        return self.folder

    def _where(self) -> str:
        return f"{self.credentials.url or ''}/{self.space}"

    def _get(self, key: str, offset: int = 0) -> BufferedIOBase:
        where = f"{self._where()}/{key}"
        client = self.credentials.client()
        try:
            request = client.build_request(
                "GET", self._url(key), headers={"range": f"bytes={offset}-"}
            )
            with translated(where):
                response = client.send(request, stream=True)
                response.raise_for_status()
        except BaseException:
            client.close()
            raise
        return _Body(client, response, where)

    def _put(self, key: str, source: BinaryIO, size: int | None) -> None:
        if size is None:  # the service wants the length first
            with TemporaryFile() as draft:
                shutil.copyfileobj(source, draft, CHUNK_BYTES)
                size = draft.tell()
                draft.seek(0)
                self._put(key, draft, size)
            return
        chunks = iter(lambda: source.read(CHUNK_BYTES), b"")
        headers = {"content-length": str(size)}
        with self.credentials.client() as client, translated(f"{self._where()}/{key}"):
            client.put(self._url(key), content=chunks, headers=headers).raise_for_status()

    def _head(self, key: str) -> ObjectInfo:
        with self.credentials.client() as client, translated(f"{self._where()}/{key}"):
            found = client.head(self._url(key)).raise_for_status().headers
        modified = datetime.fromisoformat(found["x-modified"])
        return ObjectInfo(key, int(found["content-length"]), modified, found["etag"])

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        page = self._page(prefix, "")  # asked for here, so that a missing space is told at once
        return self._pages(prefix, page)

    def _pages(self, prefix: str, page: list[ObjectInfo]) -> Iterator[ObjectInfo]:
        while page:
            yield from page
            page = self._page(prefix, page[-1].path)

    def _page(self, prefix: str, after: str) -> list[ObjectInfo]:
        with self.credentials.client() as client, translated(f"{self._where()}/{prefix}"):
            response = client.get(self._url(""), params={"prefix": prefix, "after": after})
            rows = response.raise_for_status().json()
        return [
            ObjectInfo(key, size, datetime.fromisoformat(modified), etag)
            for key, size, modified, etag in rows
        ]

    def _delete(self, keys: list[str]) -> None:
        with self.credentials.client() as client, translated(self._where()):
            for key in keys:
                client.delete(self._url(key)).raise_for_status()

    def _url(self, key: str) -> str:
        return f"/{quote(self.space, safe='')}/{quote(key, safe='')}"


class _Body(BufferedIOBase):
    """An answer's body as a reader, which owns its connection."""

    def __init__(self, client: httpx.Client, response: httpx.Response, where: str) -> None:
        self._client, self._response, self._where = client, response, where
        self._chunks = response.iter_raw(CHUNK_BYTES)
        self._rest = b""
        #: A reader that is opened again sees by it whether the content has changed.
        self.etag = response.headers["etag"]

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        with translated(self._where):
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
