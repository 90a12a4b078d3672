"""Old versions of objects: what is asked for, and what Google's documented answers mean.

fake-gcs-server keeps no old versions, so a server of these tests answers as the pages say:

- `versions=true`: https://cloud.google.com/storage/docs/json_api/v1/objects/list
- `generation`: https://cloud.google.com/storage/docs/json_api/v1/objects/get
- `sourceGeneration`: https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.services.web import Handler, serve_web

from flowstone.errors import ObjectMissing
from flowstone_gcp import GcpCredentials, GcsBucket

TIMES = ["2026-01-01T10:00:00Z", "2026-01-02T10:00:00Z"]
OLD = {
    "name": "a.txt",
    "generation": "1700000000000001",
    "size": "3",
    "updated": TIMES[0],
    "timeDeleted": TIMES[1],
    "storageClass": "STANDARD",
}
NEW = {**OLD, "generation": "1700000000000002", "size": "5", "updated": TIMES[1]}
del NEW["timeDeleted"]
BESIDE = {**NEW, "name": "a.txt.bak"}


class VersionedBucket(Handler):
    """A bucket with two versions of one object."""

    asked: list[str]

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if query.get("versions", "").lower() == "true":
            self.reply(json.dumps({"items": [OLD, NEW, BESIDE]}).encode())
        elif parts.path.endswith("/o"):
            self.reply(json.dumps({"items": [NEW, BESIDE]}).encode())
        elif query.get("generation") == OLD["generation"]:
            self.reply(b"one")
        else:
            self.reply(b'{"error": {"code": 404, "message": "No such object"}}', 404)

    def do_POST(self) -> None:
        self.read_body()
        self.asked.append(self.path)
        if f"sourceGeneration={OLD['generation']}" in self.path:
            found = {**OLD, "generation": "1700000000000003"}
            done = {"done": True, "resource": found, "totalBytesRewritten": 3, "objectSize": 3}
            self.reply(json.dumps(done).encode())
        else:
            self.reply(b'{"error": {"code": 404, "message": "No such object"}}', 404)

    def reply(self, body: bytes, status: int = 200) -> None:
        self.respond(status, body, {"Content-Type": "application/json"})


@pytest.fixture
def bucket() -> Iterator[GcsBucket]:
    VersionedBucket.asked = []
    with serve_web(VersionedBucket) as server:
        login = GcpCredentials(anonymous=True, endpoint=server.url, project="example-project")
        yield GcsBucket(bucket="raw", gcp_credentials=login)


def test_versions_are_listed_read_and_restored(bucket: GcsBucket) -> None:
    newest, oldest = bucket.versions("a.txt")
    assert (newest.version, newest.size, newest.is_current) == (NEW["generation"], 5, True)
    assert (oldest.version, oldest.size, oldest.is_current) == (OLD["generation"], 3, False)
    assert bucket.read_path("a.txt", version=oldest.version) == b"one"
    bucket.restore_version("a.txt", oldest.version)
    [asked] = VersionedBucket.asked
    assert "/o/a.txt/rewriteTo/b/raw/o/a.txt" in asked


@pytest.mark.parametrize("version", ["1", "newest"])
def test_a_version_that_is_not_there_is_missing(bucket: GcsBucket, version: str) -> None:
    with pytest.raises(ObjectMissing):
        bucket.read_path("a.txt", version=version)
    with pytest.raises(ObjectMissing):
        bucket.restore_version("a.txt", version)
