"""Tasks that tests send to the background."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from pydantic import SecretStr

from flowstone import get_run_logger, task
from flowstone.cache_policies import INPUTS


@task
def add(a: int, b: int = 1) -> int:
    return a + b


@task
async def aadd(a: int, b: int = 1) -> int:
    await asyncio.sleep(0)
    return a + b


@task(retries=1)
def flaky(path: Path) -> str:
    if not path.exists():
        path.touch()
        raise ConnectionError("not there yet")
    return "came back"


@task
def fail(word: str) -> None:
    raise ValueError(f"bad {word}")


@task(cache_policy=INPUTS, persist_result=True)
def expensive(n: int) -> int:
    return n * n


@task(tags=["narrow"])
def narrow(n: int) -> int:
    return n


@task
def measure(secret: SecretStr, plain: str) -> int:
    get_run_logger().info("measuring")
    return len(secret.get_secret_value()) + len(plain)


@task
def make_function() -> object:
    return (each for each in "never pickled")


@task
def die_once(path: Path) -> str:
    """Kill the process that executes it, the first time."""
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


@task
def crash() -> None:
    raise SystemExit(3)
