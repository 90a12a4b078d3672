"""The samples that people know, run with `flowstone` for `prefect`, and nothing else changed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from flowstone import ambient
from flowstone.testing import flowstone_test_harness

SAMPLES = Path(__file__).parent / "samples"
Sample = Callable[..., dict[str, Any]]


class HastyClock:
    """A clock that does not wait, and remembers how long it should have."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def asleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def time(self) -> float:
        return time.time()


@pytest.fixture
def clock() -> Iterator[HastyClock]:
    clock = HastyClock()
    with flowstone_test_harness() as services, ambient.using(replace(services, clock=clock)):
        yield clock


@pytest.fixture
def sample(clock: HastyClock) -> Sample:
    """Runs a sample's text as a program; stand-ins are the names that it leaves undefined."""

    def run(name: str, host: str = "", **stand_ins: Any) -> dict[str, Any]:
        path = SAMPLES / f"{name}.txt"
        text = re.sub(r"^from prefect\b", "from flowstone", path.read_text(), flags=re.MULTILINE)
        assert "prefect import" not in text
        namespace = {"__name__": "__main__", **stand_ins}
        exec(compile(text.replace("https://api.github.com", host), path, "exec"), namespace)
        return namespace

    return run


@pytest.fixture
def api() -> Iterator[str]:
    """The address of a server that answers as GitHub's does."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Repository) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class _Repository(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"full_name": self.path.removeprefix("/repos/"), "stargazers_count": 42})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args: object) -> None:
        pass
