"""Processes that run a script on a home, and are told when to go on."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowstone.bootstrap import open_services
from flowstone.context import current
from flowstone.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowstone.context.current import Services

#: The beginning of a script whose process is killed at the place that its argument names.
DYING = """
import os, signal, sys
from flowstone.context import current
from flowstone.stores.sqlite import SqliteStore

def at(place):
    if place == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)

class Dying(SqliteStore):
    def take_slots(self, claim):
        at("before take_slots")
        answer = super().take_slots(claim)
        at("after take_slots")
        return answer

    def heartbeat(self, fences, seconds, slots=None):
        at("before heartbeat")
        reply = super().heartbeat(fences, seconds, slots)
        at("after heartbeat")
        return reply

    def give_back_slots(self, tokens):
        at("before give_back_slots")
        super().give_back_slots(tokens)
        at("after give_back_slots")

current.services().slots.__class__ = Dying
"""


@contextmanager
def open_home(tmp_path: Path) -> Iterator[Services]:
    services = open_services(Settings(home=tmp_path / "home"))
    with current.use_services(services):
        yield services
    services.close()


@contextmanager
def process(home: Services, script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    environ = {**os.environ, "FLOWSTONE_HOME": str(home.settings.home), "PYTHONWARNINGS": "error"}
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def go(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()
