"""What a folder costs on its way to S3 and back, beside boto3's own transfer."""

from __future__ import annotations

import sys

from tests.benchmarks.fresh import OURS, Library, moto
from tests.benchmarks.rows import Row


def folders(files: int, kilobytes: int, peer: Library | None) -> list[Row]:
    """Measure a folder of files up and down against an endpoint on this machine."""
    with moto(sys.executable) as url:
        ours = OURS.run("folders", url, files, kilobytes)
        floor = OURS.run("boto", url, files, kilobytes)
        theirs = peer.run("folders", url, files, kilobytes) if peer else {}
    rows = []
    for way in ("up", "down"):
        what = f"S3 folder {way}, {files} files of {kilobytes} kB"
        row = Row(what, ours[way], "ms", floor[way], "boto3")
        rows.append(row.against(theirs.get(way)))
    return rows
