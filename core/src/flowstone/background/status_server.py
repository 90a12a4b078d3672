"""The status of a task worker over HTTP, for health probes."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server

from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

_HERE = "127.0.0.1"


class _Silent(WSGIRequestHandler):
    """Logs no requests: probes come every few seconds."""

    def log_message(self, *_: object) -> None:
        """Do nothing."""


@contextmanager
def serve_status(port: int, describe: Callable[[], Mapping[str, object]]) -> Iterator[int]:
    """Serve the result of a function as JSON for ``GET /status`` on this machine.

    Args:
        port: the port; 0 for a free one.
        describe: called for each request, in another thread.

    Yields:
        The port.

    Raises:
        ConfigurationError: the port can't be used.
    """

    def answer(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        is_known = environ["PATH_INFO"].rstrip("/") == "/status"
        start("200 OK" if is_known else "404 Not Found", [("Content-Type", "application/json")])
        return [json.dumps(describe() if is_known else {"there is": "/status"}).encode()]

    try:
        server = make_server(_HERE, port, answer, handler_class=_Silent)
    except OSError as error:
        problem = f"port {port} can't be used: {error.strerror or error}"
        raise ConfigurationError("status_server_port", problem, "Choose another.") from error
    thread = threading.Thread(target=server.serve_forever, name="flowstone-status", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
