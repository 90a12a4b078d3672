"""An account that keeps old versions of its objects, on this machine; Azurite has none.

It answers what the tests ask for, as Microsoft documents it, and the official SDK asks:

- https://learn.microsoft.com/azure/storage/blobs/versioning-overview: what makes a version, what
  deleting leaves, and how a version is made the current one again
- https://learn.microsoft.com/rest/api/storageservices/list-blobs: ``include=versions`` with the
  elements `VersionId` and `IsCurrentVersion`
- https://learn.microsoft.com/rest/api/storageservices/get-blob, get-blob-properties: the parameter
  ``versionid``, the headers ``x-ms-version-id`` and ``x-ms-is-current-version``
- https://learn.microsoft.com/rest/api/storageservices/put-blob, copy-blob, delete-blob
- https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes and
  common-rest-api-error-codes; that a ``versionid`` which is no time is an
  `InvalidQueryParameterValue` is our reading of them
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.services.web import Handler, serve_web

from flowstone.errors import StorageError
from flowstone_testing import EmulatorGap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: The standard tests that an account passes, and Azurite does not.
GAPS: Mapping[str, EmulatorGap] = {
    "test_old_versions_are_listed_read_and_restored": EmulatorGap(
        "Azurite", "3.35.0", "it keeps no versions of a blob", StorageError
    ),
}
ERRORS = {
    "BlobNotFound": (404, "The specified blob does not exist."),
    "InvalidQueryParameterValue": (400, "Value for one of the query parameters is invalid."),
    "ConditionNotMet": (412, "The condition specified is not met."),
}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z")


@dataclass
class Version:
    """One version of an object.

    Attributes:
        id: the time at which it was written; "" where versioning was off.
        content: its bytes.
        headers: its type and metadata.
        is_current: whether it is what is read without a version.
        is_deleted: whether it was deleted by its id, in an account with soft delete.
    """

    id: str
    content: bytes
    headers: Mapping[str, str]
    is_current: bool = True
    is_deleted: bool = False

    @property
    def etag(self) -> str:
        return f'"0x{hash((self.id, self.content)) & 0xFFFFFFFF:X}"'


@dataclass
class Versioned:
    """The versions in one container, by name, from the oldest to the newest.

    Attributes:
        url: of the account.
        is_on: whether writing makes versions.
        page: what a page of a listing holds at most.
        objects: the versions of each name.
        asked: methods and targets so far.
        sources: what was to be copied so far.
    """

    url: str = ""
    is_on: bool = True
    page: int = 5000
    objects: dict[str, list[Version]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    _times: Iterator[int] = field(default_factory=count)

    def write(self, name: str, content: bytes, headers: Mapping[str, str]) -> Version:
        versions = self.objects.setdefault(name, [])
        self.delete(name)
        time = f"2026-01-01T00:00:00.{next(self._times):07}Z" if self.is_on else ""
        versions.append(Version(time, content, headers))
        return versions[-1]

    def delete(self, name: str) -> bool:
        """Make the current version a former one; return whether there was one."""
        versions = self.objects.get(name, [])
        found = [version for version in versions if version.is_current]
        for version in found:
            version.is_current = False
            if not version.id:
                versions.remove(version)
        return bool(found)

    def find(self, name: str, wanted: str | None) -> Version | None:
        for version in self.objects.get(name, []):
            if version.is_current if wanted is None else version.id == wanted:
                return None if version.is_deleted else version
        return None

    def list(self, prefix: str, marker: str, include: set[str]) -> str:
        """Return a page of a listing."""
        every = [
            (name, version)
            for name in sorted(self.objects)
            for version in self.objects[name]
            if name.startswith(prefix)
            and (version.is_current or "versions" in include)
            and (not version.is_deleted or "deleted" in include)
        ]
        start = int(marker or 0)
        end = start + self.page
        blobs = "".join(_describe(name, version) for name, version in every[start:end])
        following = str(end) if end < len(every) else ""
        return (
            f"<EnumerationResults><Prefix>{escape(prefix)}</Prefix><Blobs>{blobs}</Blobs>"
            f"<NextMarker>{following}</NextMarker></EnumerationResults>"
        )


def _describe(name: str, version: Version) -> str:
    properties = {
        "Last-Modified": formatdate(0, usegmt=True),
        "Etag": version.etag.strip('"'),
        "Content-Length": str(len(version.content)),
        "Content-Type": "application/octet-stream",
        "BlobType": "BlockBlob",
    }
    inside = "".join(f"<{key}>{value}</{key}>" for key, value in properties.items())
    words = f"<VersionId>{version.id}</VersionId>" if version.id else ""
    words += "<IsCurrentVersion>true</IsCurrentVersion>" if version.is_current else ""
    words += "<Deleted>true</Deleted>" if version.is_deleted else ""
    return f"<Blob><Name>{escape(name)}</Name>{words}<Properties>{inside}</Properties></Blob>"


@contextmanager
def serve_versioned() -> Iterator[Versioned]:
    """Answer as an account ``mydata`` with one container, ``kept``, does."""
    account = Versioned()

    class Answering(_Handler):
        served = account

    with serve_web(Answering) as server:
        account.url = f"{server.url}/mydata"
        yield account


class _Handler(Handler):
    protocol_version = "HTTP/1.1"
    served: Versioned

    def parse(self, target: str) -> tuple[str, dict[str, str]]:
        parts = urlsplit(target)
        query = {name: value for name, [value] in parse_qs(parts.query).items()}
        return unquote(parts.path).removeprefix("/mydata").removeprefix("/kept").strip("/"), query

    def find(self) -> tuple[str, dict[str, str]]:
        self.served.asked.append((self.command, self.path))
        return self.parse(self.path)

    def do_GET(self) -> None:
        name, query = self.find()
        if query.get("comp") == "list":
            include = set(query.get("include", "").split(","))
            page = self.served.list(query.get("prefix", ""), query.get("marker", ""), include)
            self.answer(200, page.encode(), {"Content-Type": "application/xml"})
        elif query.get("restype") == "account":
            self.answer(200, b"", {"x-ms-is-hns-enabled": "false", "x-ms-sku-name": "LRS"})
        else:
            self.send_blob(name, query.get("versionid"))

    def do_HEAD(self) -> None:
        name, query = self.find()
        self.send_blob(name, query.get("versionid"))

    def do_PUT(self) -> None:
        name, _ = self.find()
        content = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if source := self.headers.get("x-ms-copy-source"):
            self.copy(name, source)
            return
        kept = {key: value for key, value in self.headers.items() if key.startswith("x-ms-meta-")}
        version = self.served.write(name, content, kept)
        self.answer(201, b"", self.describe(version))

    def copy(self, name: str, source: str) -> None:
        self.served.sources.append(source)
        origin, query = self.parse(source)
        found = self.served.find(origin, query.get("versionid"))
        if found is None:
            self.refuse("BlobNotFound")
        elif self.headers.get("x-ms-source-if-match", found.etag) != found.etag:
            self.refuse("ConditionNotMet")
        else:
            version = self.served.write(name, found.content, found.headers)
            copied = {"x-ms-copy-id": "1", "x-ms-copy-status": "success"}
            self.answer(202, b"", {**self.describe(version), **copied})

    def do_DELETE(self) -> None:
        if self.served.delete(self.find()[0]):
            self.answer(202, b"", {})
        else:
            self.refuse("BlobNotFound")

    def send_blob(self, name: str, wanted: str | None) -> None:
        if wanted is not None and not _TIME.fullmatch(wanted):
            self.refuse("InvalidQueryParameterValue")
        elif (version := self.served.find(name, wanted)) is None:
            self.refuse("BlobNotFound")
        else:
            status, described = 200, self.describe(version)
            if "x-ms-range" in self.headers and version.content:
                size = len(version.content)
                status, described["Content-Range"] = 206, f"bytes 0-{size - 1}/{size}"
            self.answer(status, version.content, described)

    def describe(self, version: Version) -> dict[str, str]:
        found = {"ETag": version.etag, **version.headers}
        if version.id:
            found["x-ms-version-id"] = version.id
        if version.id and version.is_current:
            found["x-ms-is-current-version"] = "true"
        return found

    def refuse(self, code: str) -> None:
        status, words = ERRORS[code]
        text = f"<Error><Code>{code}</Code><Message>{words}</Message></Error>"
        self.answer(status, text.encode(), {"x-ms-error-code": code})

    def answer(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        usual = {
            "x-ms-request-id": "1",
            "ETag": '"0x1"',
            "Last-Modified": formatdate(0, usegmt=True),
            "x-ms-blob-type": "BlockBlob",
            "Content-Length": str(len(content)),
        }
        for name, value in {**usual, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
