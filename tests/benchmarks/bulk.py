"""Whole folders and large objects to S3 and back, beside boto3's own transfer manager."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks.fresh import OURS, Library
from tests.benchmarks.rows import Row
from tests.services.proxy import Proxy
from tests.services.s3 import fast_s3

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.services.s3 import S3

#: Of a request and of its answer, in seconds: there and back it is 20 ms.
DELAY = 0.01
#: Wall time of ours over the manager's, and MB of memory beside what was there before.
BUDGET, MEMORY = 1.1, 100
BESIDE = "boto3's manager, 8 threads"
#: Bytecode is cached, as for a user: else each process compiles what it imports.
CACHED = {"PYTHONDONTWRITEBYTECODE": ""}
SDK = replace(OURS, module="flowstone-sdk", settings=CACHED)
FAST = replace(OURS, settings=CACHED)
MANAGER = replace(OURS, module="boto3", settings=CACHED)

Figures = dict[str, float]


@dataclass(frozen=True)
class Load:
    """What is moved: so many files of so many bytes."""

    count: int
    size: int

    def __str__(self) -> str:
        size = f"{self.size // 1000} kB" if self.size < 1_000_000 else f"{self.size // 10**6} MB"
        return f"{self.count:,} x {size}"

    @property
    def kind(self) -> str:
        return "folder" if self.count > 1 else "file"

    def write(self, folder: Path) -> Path:
        """Write its files, which are all different, and return their folder."""
        folder.mkdir()
        for number in range(self.count):
            with (folder / f"{number}.bin").open("wb") as file:
                for start in range(0, self.size, 10**6):
                    file.write(os.urandom(min(10**6, self.size - start)))
        return folder


def bulk(loads: Sequence[Load], rounds: int, peer: Library | None) -> list[Row]:
    """Measure loads up and down, on this machine and over a link of 20 ms.

    The libraries take turns, so that a noisy moment meets them all; the medians are shown. The
    first round is thrown away where there are several.
    """
    libraries = [SDK, FAST, MANAGER]
    if peer:
        libraries.append(replace(peer, settings=peer.settings | CACHED))
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for load in loads:
            source = load.write(Path(place, f"{load.count}x{load.size}"))
            for delay in (0.0, DELAY):
                with fast_s3() as service:
                    service.make_bucket("bulk")
                    race = Race(service, source, load, delay)
                    for way in ("up", "down"):
                        rows += race.judge(way, race.run(way, libraries, rounds))
    return rows


@dataclass(frozen=True)
class Race:
    """A load, the endpoint, and the seconds that a request or an answer takes on its way there."""

    service: S3
    source: Path
    load: Load
    delay: float

    def run(self, way: str, libraries: Sequence[Library], rounds: int) -> list[Figures]:
        """Return the medians of each library's figures."""
        found: list[list[Figures]] = [[] for _ in libraries]
        for turn in range(rounds + (rounds > 1)):
            order = list(enumerate(libraries))
            for number, library in order if turn % 2 else reversed(order):
                figures = self._move(library, way)
                if turn or rounds == 1:
                    found[number].append(figures)
        return [{name: median(each[name] for each in all_) for name in all_[0]} for all_ in found]

    def _move(self, library: Library, way: str) -> Figures:
        with ExitStack() as stack:
            url = self.service.url
            if self.delay:
                link = Proxy(url, delays=(self.delay, self.delay), keeps=False)
                url = stack.enter_context(link).url
            login = self.service.environment
            return library.run("bulk", url, way, self.load.kind, self.source, **login)

    def judge(self, way: str, found: Sequence[Figures]) -> list[Row]:
        sdk, fast, floor, *theirs = found
        link = ", over 20 ms" if self.delay else ""
        rows = []
        for how, ours in ("by the SDK", sdk), ("with obstore", fast):
            what = f"S3 {self.load} {way}{link}, {how}"
            times = Row(what, ours["ms"], "ms", floor["ms"], BESIDE, BUDGET * floor["ms"])
            extra = Row(f"{what}, memory", ours["extra"], "MB", floor["extra"], BESIDE, MEMORY)
            if theirs:
                times = times.against(theirs[0]["ms"])
            rows += [times, extra]
        return rows
