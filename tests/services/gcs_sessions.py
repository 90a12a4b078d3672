"""Upload sessions as Cloud Storage has them, before an emulator that has them otherwise.

fake-gcs-server adds bytes that are sent again to those that it has, forgets a session with its last
byte, and does not compare checksums. Cloud Storage ignores bytes that it has, answers for a session
that is complete with its object, and refuses content that does not fit its checksum:
https://cloud.google.com/storage/docs/performing-resumable-uploads,
https://cloud.google.com/storage/docs/resumable-uploads and
https://cloud.google.com/storage/docs/data-validation
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from google_crc32c import value as crc32c
from tests.services.web import Handler, forward, serve_web

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What is kept of a request that was cut is a multiple of this.
UNIT = 256 * 1024
RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
#: Headers that are about one connection, not about the request.
OWN = {"connection", "content-length", "transfer-encoding", "host"}
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Session:
    """An upload that has begun.

    Attributes:
        path: where the whole object is sent, with its conditions.
        metadata: the object's, as JSON.
        content: what has come so far.
        answer: what is answered from the last byte on.
    """

    path: str
    metadata: bytes
    content: bytearray = field(default_factory=bytearray)
    answer: Answer | None = None


@dataclass
class Sessions:
    """The sessions of a server.

    Attributes:
        url: its address, from which all else goes on to the emulator.
        emulator: the emulator's host and port.
        keeps: how many bytes of a request are kept at most; Cloud Storage need not keep all.
        expired: whether sessions have ended before their uploads did.
    """

    emulator: str
    url: str = ""
    keeps: int | None = None
    expired: bool = False
    open: dict[str, Session] = field(default_factory=dict)


class Answering(Handler):
    """Has the sessions, and passes on everything else."""

    protocol_version = "HTTP/1.1"
    sessions: ClassVar[Sessions]

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if query.get("uploadType") != "resumable":
            if len(body) == length:
                self._write(*self._pass(self.command, self.path, dict(self.headers), body))
            return
        if "upload_id" in query:
            self._write(*self._take(query["upload_id"], body))
        elif len(body) == length:
            self._write(*self._begin(parts.path, query, body))

    do_GET = do_PUT = do_DELETE = do_PATCH = do_POST

    def _begin(self, path: str, query: dict[str, str], metadata: bytes) -> Answer:
        name = uuid4().hex
        condition = query.get("ifGenerationMatch")
        more = f"&ifGenerationMatch={condition}" if condition else ""
        self.sessions.open[name] = Session(f"{path}?uploadType=multipart{more}", metadata)
        where = f"http://{self.headers['Host']}{path}?uploadType=resumable&upload_id={name}"
        return 200, {"Location": where}, b""

    def _take(self, name: str, body: bytes) -> Answer:
        session = self.sessions.open.get(name)
        found = RANGE.fullmatch(self.headers.get("Content-Range", ""))
        if session is None or self.sessions.expired:
            return 410, {}, b"Gone"
        if session.answer is not None:
            return session.answer
        assert found is not None, self.headers
        start, total = found.groups()
        length = int(self.headers["Content-Length"])
        usable = len(body) if len(body) == length else len(body) // UNIT * UNIT
        if self.sessions.keeps is not None:
            usable = min(usable, self.sessions.keeps)
        if start is not None:
            begin = len(session.content) - int(start)
            if begin < 0:
                return 400, {}, b"bytes are missing before these"
            session.content += body[begin:usable]
        if total.isdigit() and int(total) == len(session.content):
            session.answer = self._end(session)
            return session.answer
        last = len(session.content) - 1
        return 308, {"Range": f"bytes=0-{last}"} if last >= 0 else {}, b""

    def _end(self, session: Session) -> Answer:
        checksum = crc32c(bytes(session.content)).to_bytes(4, "big")
        wanted = self.headers.get("X-Goog-Hash", "").partition("crc32c=")[2]
        if wanted and wanted != b64encode(checksum).decode():
            return 400, {}, b"Provided CRC32C doesn't match calculated CRC32C"
        kind = json.loads(session.metadata).get("contentType", "application/octet-stream")
        mark = uuid4().hex
        body = b"\r\n".join(
            [
                f"--{mark}\r\nContent-Type: application/json\r\n".encode(),
                session.metadata,
                f"--{mark}\r\nContent-Type: {kind}\r\n".encode(),
                bytes(session.content),
                f"--{mark}--".encode(),
            ]
        )
        headers = {"Content-Type": f'multipart/related; boundary="{mark}"'}
        return self._pass("POST", session.path, headers, body)

    def _pass(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        status, found, content = forward(self.sessions.emulator, method, path, headers, body=body)
        return status, dict(found), content

    def _write(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in OWN:
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serve_sessions(emulator: str) -> Iterator[Sessions]:
    """Have upload sessions before an emulator, on a free port."""
    sessions = Sessions(urlsplit(emulator).netloc)
    with serve_web(type("Answering", (Answering,), {"sessions": sessions})) as server:
        sessions.url = server.url
        yield sessions
