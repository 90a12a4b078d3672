"""The service's spaces: objects by key, with their content on disk."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from uuid import uuid4

PAGE = 500
CHUNK = 1 << 20
Spaces = dict[str, dict[str, dict[str, Any]]]


class Request:
    """A request to one space, answered by methods of the handler."""

    def __init__(self, handler: Any, objects: dict[str, Any], folder: Path) -> None:
        self.handler: Any = handler
        self.http: BaseHTTPRequestHandler = handler
        self.objects, self.folder = objects, folder

    def get(self, key: str, query: dict[str, str]) -> None:
        if not key:
            self._list(query.get("prefix", ""), query.get("after", ""))
            return
        found = self.objects.get(key)
        if found is None:
            self.handler.refuse(404, "no-such-object")
            return
        start = int(self.http.headers.get("range", "bytes=0-")[6:-1])
        length = found["size"] - start
        self.handler.begin(200, length, etag=found["etag"], x_modified=found["modified"])
        if self.http.command == "GET":
            with found["file"].open("rb") as file:
                file.seek(start)
                while chunk := file.read(CHUNK):
                    self.http.wfile.write(chunk)

    head = get

    def _list(self, prefix: str, after: str) -> None:
        keys = sorted(k for k in list(self.objects) if k.startswith(prefix) and k > after)[:PAGE]
        found = [(key, self.objects.get(key)) for key in keys]
        rows = [[key, o["size"], o["modified"], o["etag"]] for key, o in found if o]
        self.handler.send(json.dumps(rows).encode())

    def put(self, key: str, _: dict[str, str]) -> None:
        left, digest = int(self.http.headers["content-length"]), sha256()
        draft = self.folder / uuid4().hex
        with draft.open("wb") as file:
            while left and (chunk := self.http.rfile.read(min(left, CHUNK))):
                left -= len(chunk)
                digest.update(chunk)
                file.write(chunk)
        if left:  # incomplete: nothing is stored
            draft.unlink()
            self.http.close_connection = True
            return
        self.objects[key] = {
            "size": draft.stat().st_size,
            "modified": datetime.now(UTC).isoformat(),
            "etag": digest.hexdigest(),
            "file": draft,
        }
        self.handler.send(b"")

    def delete(self, key: str, _: dict[str, str]) -> None:
        self.objects.pop(key, None)
        self.handler.send(b"")
