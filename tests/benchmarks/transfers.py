"""What a folder costs on its way to S3 and back, beside boto3's own transfer."""

from __future__ import annotations

from tests.benchmarks.fresh import OURS, Library
from tests.benchmarks.rows import Row
from tests.services.s3 import moto


def folders(files: int, kilobytes: int, peer: Library | None) -> list[Row]:
    """Measure a folder of files up and down against an endpoint on this machine."""
    with moto() as service:
        ours = OURS.run("folders", service.url, files, kilobytes)
        floor = OURS.run("boto", service.url, files, kilobytes)
        theirs = peer.run("folders", service.url, files, kilobytes) if peer else {}
    rows = []
    for way in ("up", "down"):
        what = f"S3 folder {way}, {files} files of {kilobytes} kB"
        row = Row(what, ours[way], "ms", floor[way], "boto3")
        rows.append(row.against(theirs.get(way)))
    return rows
