"""A small but real HTTP service with a token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

# % if interface == "notifier"
from .channels import Channels

# % endif
# % if interface == "job"
from .programs import Programs

# % endif
# % if interface == "database"
from .queries import Databases

# % endif
# % if interface == "store"
from .spaces import Request, Spaces

# % endif
# % if interface == "secrets"
from .vaults import Vault

# % endif


class Service(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path, token: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.token = folder, token
        # % if interface == "database"
        self.databases = Databases(folder)
        # % endif
        # % if interface == "notifier"
        self.channels = Channels()
        # % endif
        # % if interface == "job"
        self.programs = Programs()
        # % endif
        # % if interface == "secrets"
        self.vault = Vault()
        # % endif
        # % if interface == "store"
        self.spaces: Spaces = {"raw": {}}
        # % endif

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def clear(self) -> None:
        """Delete all data."""
        # % if interface == "database"
        self.databases.close()
        # % endif
        # % if interface == "notifier"
        self.channels.over.set()
        self.channels = Channels()
        # % endif
        # % if interface == "job"
        self.programs = Programs()
        # % endif
        # % if interface == "secrets"
        self.vault = Vault()
        # % endif
        # % if interface == "store"
        self.spaces = {"raw": {}}
        # % endif

    def end(self) -> None:
        # % if interface == "database"
        self.databases.close()
        # % endif
        # % if interface == "notifier"
        self.channels.over.set()
        # % endif
        self.shutdown()


class Handler(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"
    timeout = 20
    disable_nagle_algorithm = True

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        _, place, key = [*map(unquote, url.path.split("/")), "", ""][:3]
        with suppress(ConnectionError):
            if self.headers["authorization"] != f"Bearer {self.server.token}":
                self.refuse(401, "unauthorized")
            elif "whoami" in query:
                self.send(b"tester")
            else:
                self._answer(place, key, query)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _answer(self, place: str, key: str, query: dict[str, Any]) -> None:
        # % if interface == "job"
        if place == "runs":
            self.server.programs.take(self, key)
            return
        # % endif
        # % if interface == "secrets"
        if place == "secrets":
            self.server.vault.take(self, key, query.get("prefix", ""))
            return
        # % endif
        # % if interface == "database"
        if self.command == "POST" and key:
            self.server.databases.take(self, place, key, query["do"])
            return
        # % endif
        # % if interface == "notifier"
        if self.command == "POST" and not key:
            self.server.channels.take(self)
            return
        # % endif
        # % if interface == "store"
        if place in self.server.spaces:
            request = Request(self, self.server.spaces[place], self.server.folder)
            getattr(request, self.command.lower())(key, query)
            return
        # % endif
        self.refuse(404, "no-such-space")

    def send(self, body: bytes) -> None:
        self.begin(200, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, problem: str, **headers: str) -> None:
        self.close_connection = True
        self.begin(status, 0, x_problem=problem, **headers)

    def begin(self, status: int, size: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content_length": str(size), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()


@contextmanager
def serving(folder: Path, token: str = "") -> Iterator[Service]:
    with Service(folder, token or uuid4().hex) as service:
        thread = Thread(target=service.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield service
        finally:
            service.end()
            thread.join()
