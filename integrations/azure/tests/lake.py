"""An account with a hierarchical namespace on this machine, which Azurite has not.

It answers what the tests ask for, as Microsoft documents it, and the official SDK asks:

- https://learn.microsoft.com/rest/api/storageservices/list-blobs: directories are listed as blobs,
  and as a `BlobPrefix` where there is a delimiter
- https://learn.microsoft.com/rest/api/storageservices/put-blob, get-blob, get-blob-properties
- https://learn.microsoft.com/rest/api/storageservices/delete-blob
- https://learn.microsoft.com/rest/api/storageservices/get-account-information
- https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
- https://learn.microsoft.com/azure/storage/blobs/data-lake-storage-namespace: directories are
  atomic, and made with what is in them

What accounts answer beyond that: https://github.com/Azure/azure-cli/issues/23062 (a directory that
is not empty), https://github.com/apache/arrow/issues/40037 (a write to a directory).
"""

from __future__ import annotations

from contextlib import contextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.services.web import Handler, serve_web

if TYPE_CHECKING:
    from collections.abc import Iterator

ERRORS = {
    "BlobNotFound": (404, "The specified blob does not exist."),
    "DirectoryIsNotEmpty": (409, "This operation is not permitted on a non-empty directory."),
    "OperationNotSupportedOnDirectory": (
        400,
        "The requested operation is not supported on a directory.",
    ),
    "InvalidRange": (416, "The range specified is invalid for the current size of the resource."),
    "PathConflict": (409, "The specified path, or an element of the path, exists."),
    "UnsupportedHttpVerb": (405, "The resource doesn't support the specified HTTP verb."),
}


class Lake:
    """Files and directories of one container, and what was asked.

    Attributes:
        url: of the account.
        files: their content, by name.
        directories: their names.
        page: what a page of a listing holds at most.
        asked: methods and names so far.
    """

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, bytes] = {}
        self.directories: set[str] = set()
        self.page = 5000
        self.asked: list[tuple[str, str]] = []

    def find_conflict(self, name: str) -> str:
        """Return the code of what is in the way of writing a file; "" if nothing is."""
        if name in self.directories:
            return "OperationNotSupportedOnDirectory"
        return "PathConflict" if self.files.keys() & set(list_above(name)) else ""

    def write(self, name: str, content: bytes) -> None:
        self.directories.update(list_above(name))
        self.files[name] = content

    def delete(self, name: str) -> str:
        """Delete a file or an empty directory; return the code of what is in the way."""
        if name in self.directories:
            if any(each.startswith(f"{name}/") for each in {*self.files, *self.directories}):
                return "DirectoryIsNotEmpty"
            self.directories.remove(name)
            return ""
        return "BlobNotFound" if self.files.pop(name, None) is None else ""

    def list(self, prefix: str, marker: str, delimiter: str) -> str:
        """Return a page of a listing, with metadata; a directory is a prefix where it ends one."""
        names = sorted({*self.files, *self.directories})
        found = [name for name in names if name.startswith(prefix) and name >= marker]
        if delimiter:
            found = [name for name in found if delimiter not in name.removeprefix(prefix)]
        blobs = "".join(
            f"<BlobPrefix><Name>{escape(name)}/</Name></BlobPrefix>"
            if delimiter and name in self.directories
            else self._describe(name)
            for name in found[: self.page]
        )
        following = "".join(found[self.page : self.page + 1])
        return (
            f"<EnumerationResults><Prefix>{escape(prefix)}</Prefix><Blobs>{blobs}</Blobs>"
            f"<NextMarker>{escape(following)}</NextMarker></EnumerationResults>"
        )

    def _describe(self, name: str) -> str:
        is_file = name in self.files
        properties = {
            "Last-Modified": formatdate(0, usegmt=True),
            "Etag": "0x1",
            "ResourceType": "file" if is_file else "directory",
            "Content-Length": str(len(self.files.get(name, b""))),
            "Content-Type": "application/octet-stream" if is_file else "",
            "BlobType": "BlockBlob",
        }
        inside = "".join(f"<{key}>{value}</{key}>" for key, value in properties.items())
        mark = "" if is_file else "<hdi_isfolder>true</hdi_isfolder>"
        return (
            f"<Blob><Name>{escape(name)}</Name><Properties>{inside}</Properties>"
            f"<Metadata>{mark}</Metadata></Blob>"
        )


def list_above(name: str) -> list[str]:
    """Return the directories that a file is in."""
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


@contextmanager
def serve_lake() -> Iterator[Lake]:
    """Answer as an account ``mydata`` with one container, ``lake``, does."""
    lake = Lake()

    class Answering(Handler):
        protocol_version = "HTTP/1.1"

        def find(self) -> tuple[str, dict[str, str]]:
            parts = urlsplit(self.path)
            query = {name: value for name, [value] in parse_qs(parts.query).items()}
            name = unquote(parts.path).removeprefix("/mydata").removeprefix("/lake").strip("/")
            lake.asked.append((self.command, name))
            return name, query

        def do_GET(self) -> None:
            name, query = self.find()
            if query.get("comp") == "list":
                wanted = (query.get(name, "") for name in ("prefix", "marker", "delimiter"))
                page = lake.list(*wanted)
                self.answer(200, page.encode(), {"Content-Type": "application/xml"})
            elif query.get("restype") == "account":
                self.answer(200, b"", {"x-ms-is-hns-enabled": "true", "x-ms-sku-name": "LRS"})
            else:
                self.send_blob(name)

        def do_HEAD(self) -> None:
            self.send_blob(self.find()[0])

        def do_PUT(self) -> None:
            name, _ = self.find()
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if code := lake.find_conflict(name):
                self.refuse(code)
            else:
                lake.write(name, content)
                self.answer(201, b"", {})

        def do_DELETE(self) -> None:
            code = lake.delete(self.find()[0])
            if code:
                self.refuse(code)
            else:
                self.answer(202, b"", {})

        def do_POST(self) -> None:
            self.find()
            self.refuse("UnsupportedHttpVerb")

        def send_blob(self, name: str) -> None:
            if name not in lake.files and name not in lake.directories:
                self.refuse("BlobNotFound")
                return
            content = lake.files.get(name, b"")
            mark = {} if name in lake.files else {"x-ms-meta-hdi_isfolder": "true"}
            if self.command == "HEAD" or "x-ms-range" not in self.headers:
                self.answer(200, content, mark)
            elif content:
                size = len(content)
                where = {"Content-Range": f"bytes 0-{size - 1}/{size}"}
                self.answer(206, content, where)
            else:
                self.refuse("InvalidRange")

        def refuse(self, code: str) -> None:
            status, words = ERRORS[code]
            text = f"<Error><Code>{code}</Code><Message>{words}</Message></Error>"
            self.answer(status, text.encode(), {"x-ms-error-code": code})

        def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
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

    with serve_web(Answering) as server:
        lake.url = f"{server.url}/mydata"
        yield lake
