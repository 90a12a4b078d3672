"""Flows that the tests deploy."""

from __future__ import annotations

import datetime as dt
import os
from contextlib import suppress
from pathlib import Path
from time import sleep

from pydantic import SecretStr

from flowstone import flow, runtime, task
from flowstone.context.current import services


@task
def double(n: int) -> int:
    return 2 * n


@flow
def etl(n: int = 1, day: dt.date | None = None) -> int:
    """Double a number."""
    return double(n) + (0 if day is None else day.day)


@flow
def greet(who: str) -> str:
    return f"hello {who}"


@flow
def log_in(token: SecretStr) -> None:
    assert token


@flow
def wait_for(marker: str) -> None:
    """Run until a file is there."""
    Path(f"{marker}.began").touch()
    clock = services().clock
    while not Path(marker).exists():
        clock.sleep(0.02)


@flow
def go_on(marker: str) -> None:
    """Run until it is killed, whatever it is told."""
    while True:
        with suppress(BaseException):
            Path(f"{marker}.began").touch()
            sleep(60)


@flow
async def aetl(n: int = 1) -> int:
    return 2 * n


@flow
def fail_once(marker: str) -> None:
    if not Path(marker).exists():
        Path(marker).touch()
        raise ValueError("the first time")


STRANGE = object()


@flow
def take_anything(*rest: int, strange: object = STRANGE, **more: int) -> int:
    return sum(rest) + sum(more.values()) + (strange is None)


@flow
def say_where(who: str) -> dict[str, object]:
    return {**_ask(), "due": runtime.flow_run.scheduled_start_time}


@flow
def _ask() -> dict[str, object]:
    found = runtime.deployment
    names = ("id", "name", "version", "parameters", "flow_run_id")
    return {name: getattr(found, name) for name in names}


@flow
def wait_too(marker: str) -> None:
    """Run until a file is there."""
    wait_for.fn(marker)


@flow
def write_environment(names: list[str]) -> None:
    """Write variables of the environment to a file where the process runs."""
    lines = [f"{name}={os.environ.get(name)}\n" for name in names]
    Path("environment").write_text("".join(lines))
