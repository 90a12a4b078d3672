"""A web server in this process, for what a test makes up."""

from __future__ import annotations

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator


class Handler(BaseHTTPRequestHandler):
    """Answers requests, and writes none of them to standard error."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class WebServer(ThreadingHTTPServer):
    scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"


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
