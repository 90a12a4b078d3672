"""The service: spaces of objects over HTTP, with a token; small, but real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

PAGE = 500
CHUNK = 1 << 20


class Service(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path, token: str, space: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.token = folder, token
        self.spaces: dict[str, dict[str, dict[str, Any]]] = {space: {}}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"
    timeout = 20

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_PUT = do_DELETE = do_GET

    def _answer(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        _, space, key = [*map(unquote, url.path.split("/")), "", ""][:3]
        if self.headers["authorization"] != f"Bearer {self.server.token}":
            self._refuse(401, "unauthorized")
        elif "whoami" in query:
            self._send(b"tester")
        elif space not in self.server.spaces:
            self._refuse(404, "no-such-space")
        else:
            objects = self.server.spaces[space]
            with suppress(ConnectionError):
                getattr(self, f"_{self.command.lower()}")(objects, key, query)

    def _head(self, objects: dict[str, Any], key: str, query: dict[str, str]) -> None:
        self._get(objects, key, query)

    def _get(self, objects: dict[str, Any], key: str, query: dict[str, str]) -> None:
        if not key:
            prefix, after = query.get("prefix", ""), query.get("after", "")
            keys = sorted(k for k in list(objects) if k.startswith(prefix) and k > after)[:PAGE]
            rows = [[k, o["size"], o["modified"], o["etag"]] for k in keys if (o := objects.get(k))]
            self._send(json.dumps(rows).encode())
            return
        found = objects.get(key)
        if found is None:
            self._refuse(404, "no-such-object")
            return
        start = int(self.headers.get("range", "bytes=0-")[6:-1])
        self._begin(200, found["size"] - start, etag=found["etag"], x_modified=found["modified"])
        if self.command == "GET":
            with found["file"].open("rb") as file:
                file.seek(start)
                while chunk := file.read(CHUNK):
                    self.wfile.write(chunk)

    def _put(self, objects: dict[str, Any], key: str, _: dict[str, str]) -> None:
        left, digest = int(self.headers["content-length"]), sha256()
        draft = self.server.folder / uuid4().hex
        with draft.open("wb") as file:
            while left and (chunk := self.rfile.read(min(left, CHUNK))):
                left -= len(chunk)
                digest.update(chunk)
                file.write(chunk)
        if left:  # cut: nothing is kept
            draft.unlink()
            self.close_connection = True
            return
        now = datetime.now(UTC).isoformat()
        size = draft.stat().st_size
        objects[key] = {"size": size, "modified": now, "etag": digest.hexdigest(), "file": draft}
        self._send(b"")

    def _delete(self, objects: dict[str, Any], key: str, _: dict[str, str]) -> None:
        objects.pop(key, None)
        self._send(b"")

    def _send(self, body: bytes) -> None:
        self._begin(200, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status: int, problem: str) -> None:
        self.close_connection = True
        self._begin(status, 0, x_problem=problem)

    def _begin(self, status: int, size: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content_length": str(size), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()


@contextmanager
def serving(folder: Path, token: str = "", space: str = "raw") -> Iterator[Service]:
    with Service(folder, token or uuid4().hex, space) as service:
        thread = Thread(target=service.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield service
        finally:
            service.shutdown()
            thread.join()
