"""Whole folders to Azure and back, beside Azure's own SDK on as many threads."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from azure.storage.blob import BlobServiceClient
from tests.benchmarks.bulk import CACHED, DELAY, Figures, Load
from tests.benchmarks.fresh import OURS, Library
from tests.benchmarks.rows import Row
from tests.services.azure import KEY, Azurite, azurite
from tests.services.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Sequence

BESIDE = "Azure's SDK, 8 threads"
SDK = replace(OURS, module="flowstone-sdk", settings=CACHED)
FAST = replace(OURS, settings=CACHED)
FLOOR = replace(OURS, module="azure", settings=CACHED)


def blobs(load: Load, rounds: int, peer: Library | None) -> list[Row]:
    """Measure a folder up and down, on this machine and over a link of 20 ms.

    The libraries take turns, so that a noisy moment meets them all; the medians are shown. The
    endpoint is Azurite, which takes its own time of a processor.
    """
    del peer  # it has no folders in its container
    rows = []
    with tempfile.TemporaryDirectory() as place, azurite() as service:
        source = load.write(Path(place, "source"))
        with BlobServiceClient.from_connection_string(service.connection_string) as client:
            client.create_container("blobs")
        for delay in (0.0, DELAY):
            for way in ("up", "down"):
                sdk, fast, floor = _race(service, source, way, delay, rounds)
                link = ", over 20 ms" if delay else ""
                for how, ours in ("by the SDK", sdk), ("with obstore", fast):
                    what = f"Azure {load} {way}{link}, {how}"
                    rows.append(Row(what, ours["ms"], "ms", floor["ms"], BESIDE))
                    what = f"{what}, processor"
                    rows.append(Row(what, ours["cpu"], "ms", floor["cpu"], BESIDE))
    return rows


def _race(service: Azurite, source: Path, way: str, delay: float, rounds: int) -> Sequence[Figures]:
    """Return the medians of each library's figures; the first of several rounds is thrown away."""
    libraries = (SDK, FAST, FLOOR)
    found: list[list[Figures]] = [[] for _ in libraries]
    for turn in range(rounds + (rounds > 1)):
        order = list(enumerate(libraries))
        for number, library in order if turn % 2 else reversed(order):
            with ExitStack() as stack:
                url = service.url
                if delay:
                    link = Proxy(url, delays=(delay, delay), keeps=False)
                    url = stack.enter_context(link).url
                figures = library.run("blobs", url, KEY, way, source)
            if turn or rounds == 1:
                found[number].append(figures)
    return [{name: median(each[name] for each in all_) for name in all_[0]} for all_ in found]
