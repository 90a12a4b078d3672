"""The simulated process whose code runs now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .process import Process

_current: list[Process] = []


def here() -> Process:
    return _current[-1]


def enter(process: Process) -> None:
    _current[:] = [process]


def leave() -> None:
    _current.clear()
