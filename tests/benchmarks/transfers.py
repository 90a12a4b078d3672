"""What objects cost on their way to S3 and back, beside boto3's own transfers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.benchmarks.fresh import OURS, Library
from tests.benchmarks.rows import Row
from tests.services.proxy import Proxy
from tests.services.s3 import fast_s3, moto

if TYPE_CHECKING:
    from tests.services.s3 import S3

#: Of a request and of its answer, in seconds: there and back it is 20 ms.
DELAY = 0.01
#: What a person would write without us, run as if it were a library.
THREADS = replace(OURS, module="boto3")


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


def objects(count: int, kilobytes: int, peer: Library | None) -> list[Row]:
    """Measure many small objects up and down over a link of 20 ms."""
    rows = []
    for way in ("up", "down"):
        what = f"S3 over 20 ms, {count} objects of {kilobytes} kB {way}"
        ours, floor, *theirs = (
            _send(library, way, count, kilobytes) for library in (OURS, THREADS, peer) if library
        )
        times = Row(what, ours.ms, "ms", floor.ms, "boto3, 10 threads")
        each = Row(f"{what}, each", ours.requests, "requests", floor.requests, "boto3, 10 threads")
        rows += [times, each]
        if theirs:
            rows[-2:] = times.against(theirs[0].ms), each.against(theirs[0].requests)
    return rows


@dataclass(frozen=True)
class Sent:
    """What objects took on their way: milliseconds for all, requests for each."""

    ms: float
    requests: float


def _send(library: Library, way: str, count: int, kilobytes: int) -> Sent:
    with fast_s3() as service:
        service.make_bucket("objects")
        if way == "down":
            _run(THREADS, service, service.url, "up", count, kilobytes)
        with Proxy(service.url, delays=(DELAY, DELAY), keeps=False) as link:
            ms = _run(library, service, link.url, way, count, kilobytes)
        return Sent(ms, link.requests / count)


def _run(library: Library, service: S3, url: str, way: str, count: int, kilobytes: int) -> float:
    login = service.environment
    return library.run("objects", url, way, count, kilobytes, **login)["ms"]
