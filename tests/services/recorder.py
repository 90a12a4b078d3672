"""An HTTP proxy before a service that keeps the head of each request: what was asked, and how."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from tests.services.web import Handler, Response, forward, serve_web

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

#: Headers of one connection only, and what the server here writes itself.
_OWN = {"connection", "date", "keep-alive", "server", "transfer-encoding"}


@dataclass(frozen=True)
class Recorded:
    """The head of a request.

    Attributes:
        method: such as ``GET``.
        path: unquoted, without the query.
        query: the first value of each parameter, also of those without a value.
        headers: by their names in lower case.
        body: the first bytes of the content.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def find_headers(self, prefix: str) -> dict[str, str]:
        """Return the headers whose names begin with a prefix."""
        return {name: value for name, value in self.headers.items() if name.startswith(prefix)}


@dataclass
class Recorder:
    """What was asked of a service.

    Attributes:
        url: leads to the service by way of this proxy.
        requests: in the order in which they arrived.
        refuse: returns a response that is sent in place of the service's; None for most requests.
    """

    url: str = ""
    requests: list[Recorded] = field(default_factory=list)
    refuse: Callable[[Recorded], Response | None] = field(default=lambda _: None)

    def take(self) -> list[Recorded]:
        """Return the requests since the last call."""
        found, self.requests = self.requests, []
        return found


@contextmanager
def serve_recorder(target: str, secured_by: ssl.SSLContext | None = None) -> Iterator[Recorder]:
    """Pass requests on to an http URL of this machine; answer by https where it is secured."""
    place = urlsplit(target)
    recorder = Recorder()

    class Recording(_Recording):
        kept, host = recorder, place.netloc

    with serve_web(Recording, secured_by) as server:
        recorder.url = f"{server.url}{place.path}"
        Recording.own = urlsplit(server.url).netloc
        yield recorder


class _Recording(Handler):
    protocol_version = "HTTP/1.1"
    kept: Recorder
    host: str
    own: str

    def _pass_on(self) -> None:
        body = self._read_body()
        parts = urlsplit(self.path)
        found = parse_qs(parts.query, keep_blank_values=True)
        query = {name: values[0] for name, values in found.items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Recorded(self.command, unquote(parts.path), query, headers, body[:4096])
        self.kept.requests.append(request)
        refused = self.kept.refuse(request)
        self._answer(refused or forward(self.host, self.command, self.path, headers, body=body))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _pass_on

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.read_body()
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, response: Response) -> None:
        status, headers, content = response
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in {*_OWN, "content-length"}:
                # The address of an upload that goes on there.
                is_place = name.lower() == "location"
                self.send_header(name, value.replace(self.host, self.own) if is_place else value)
        known = {name.lower(): value for name, value in headers}
        length = known.get("content-length") if self.command == "HEAD" else None
        if status not in {204, 304}:
            self.send_header("Content-Length", length or str(len(content)))
        with suppress(ConnectionError):  # who has read enough leaves
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
