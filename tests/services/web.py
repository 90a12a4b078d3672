"""A web server in this process, for what a test makes up."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

#: Headers of one connection, and those that a client writes itself.
_OWN = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}
#: A status, the headers, and the content.
Response = tuple[int, list[tuple[str, str]], bytes]


class Handler(BaseHTTPRequestHandler):
    """Answers requests, and writes none of them to standard error."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def read_body(self) -> bytes:
        """Return the content of a request that says how long it is."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def respond(
        self, status: int, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole response; of one to HEAD, everything but the content."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def respond_json(self, status: int, value: object) -> None:
        """Send a value as JSON."""
        self.respond(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


class WebServer(ThreadingHTTPServer):
    scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"


def forward(
    host: str, method: str, path: str, headers: Mapping[str, str], *, body: bytes
) -> Response:
    """Send a request to another server, given as ``host:port``, and return its response."""
    sent = {name: value for name, value in headers.items() if name.lower() not in _OWN}
    connection = HTTPConnection(host)
    try:
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        return response.status, response.getheaders(), response.read()
    finally:
        connection.close()


@contextmanager
def serve_web(
    handler: type[Handler], secured_by: ssl.SSLContext | None = None
) -> Iterator[WebServer]:
    """Answer by a handler on a free port; by https where it is secured."""
    with WebServer(("127.0.0.1", 0), handler) as server:
        if secured_by is not None:
            server.scheme = "https"
            # The handshake is then the handler's thread's, and not in everybody's way.
            server.socket = secured_by.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
