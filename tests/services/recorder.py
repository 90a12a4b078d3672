"""An HTTP proxy before a service that keeps the head of each request: what was asked, and how."""

from __future__ import annotations

import http.client
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from tests.services.web import Handler, serve_web

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

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


@dataclass
class Recorder:
    """What was asked of a service.

    Attributes:
        url: leads to the service by way of this proxy.
        requests: in the order in which they arrived.
    """

    url: str = ""
    requests: list[Recorded] = field(default_factory=list)

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
        self.kept.requests.append(
            Recorded(self.command, unquote(parts.path), query, headers, body[:4096])
        )
        sent = {name: value for name, value in headers.items() if name not in _OWN}
        sent["content-length"] = str(len(body))
        connection = http.client.HTTPConnection(self.host)
        try:
            connection.request(self.command, self.path, body, {**sent, "host": self.host})
            answer = connection.getresponse()
            self._answer(answer, answer.read())
        finally:
            connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _pass_on

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, answer: http.client.HTTPResponse, content: bytes) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {*_OWN, "content-length"}:
                # The address of an upload that goes on there.
                is_place = name.lower() == "location"
                self.send_header(name, value.replace(self.host, self.own) if is_place else value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        if answer.status not in {204, 304}:
            self.send_header("Content-Length", length or str(len(content)))
        with suppress(ConnectionError):  # who has read enough leaves
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
