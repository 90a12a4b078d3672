"""Desks: where notes arrive in tests. One is a web server on this machine."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: How a desk treats a note: accept it, refuse it, ask to retry later, or not answer.
Conduct = Literal["takes", "refuses", "busy", "silent"]

#: Seconds that a busy `WebDesk` asks to wait.
PATIENCE = 7


class Desk(Protocol):
    """The place where notes arrive: the real service, or a fake of it."""

    def received(self) -> list[str]:
        """Return the notes that have arrived as people see them (subject, body), oldest first."""

    def tries(self) -> int:
        """Return the number of attempts to send."""

    def behave(self, *conduct: Conduct) -> None:
        """Set the conduct for the next attempts, one each; the last one applies from then on."""


class Script:
    """The conduct of a desk for each attempt; thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._conduct: list[Conduct] = ["takes"]
        self._notes: list[str] = []
        self._tries = 0

    def received(self) -> list[str]:
        with self._lock:
            return list(self._notes)

    def tries(self) -> int:
        with self._lock:
            return self._tries

    def behave(self, *conduct: Conduct) -> None:
        with self._lock:
            self._conduct = list(conduct)

    def next(self) -> Conduct:
        """Return the conduct for an attempt that has just arrived."""
        with self._lock:
            self._tries += 1
            return self._conduct.pop(0) if len(self._conduct) > 1 else self._conduct[0]

    def keep(self, note: str) -> None:
        with self._lock:
            self._notes.append(note)


class WebDesk(Script):
    """A web server on this machine that accepts notes at every path.

    Attributes:
        url: its address, without a path.
        requests: the method, path, headers and body of each request.
    """

    def __init__(self, url: str, read: Callable[[bytes], str]) -> None:
        super().__init__()
        self.url, self.read = url, read
        self.over = Event()
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []


def words(body: bytes) -> str:
    """Return all strings in a JSON body, one per line."""

    def leaves(value: object) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        for item in value.values() if isinstance(value, dict) else ():
            yield from leaves(item)
        for item in value if isinstance(value, list) else ():
            yield from leaves(item)

    return "\n".join(leaves(json.loads(body)))


@contextmanager
def web_desk(read: Callable[[bytes], str] = words) -> Iterator[WebDesk]:
    """Run a `WebDesk` until the end of the `with` block.

    Args:
        read: converts the body of a request to the text that people read.
    """
    with ThreadingHTTPServer(("127.0.0.1", 0), _Clerk) as server:
        server.daemon_threads = True
        desk = WebDesk(f"http://127.0.0.1:{server.server_port}", read)
        server.desk = desk  # type: ignore[attr-defined]
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield desk
        finally:
            desk.over.set()
            server.shutdown()
            thread.join()


class _Clerk(BaseHTTPRequestHandler):
    def take(self) -> None:
        desk: WebDesk = self.server.desk  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        desk.requests.append((self.command, self.path, dict(self.headers), body))
        conduct = desk.next()
        if conduct == "silent":
            desk.over.wait(60)
            self.close_connection = True
        elif conduct == "busy":
            self._answer(503, "too much to do", {"Retry-After": str(PATIENCE)})
        elif conduct == "refuses":
            # It quotes the request, as some services do.
            self._answer(400, f"no {self.path} {dict(self.headers)}", {})
        else:
            desk.keep(desk.read(body) if body else "")
            self._answer(200, "ok", {})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = take  # noqa: N815 - the standard library's

    def _answer(self, status: int, text: str, headers: dict[str, str]) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""
