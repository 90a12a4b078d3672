"""What is made once in a run, whichever of its processes asks first."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from .architecture.house import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def make_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that makes a folder by a name, or waits for who is making it."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # that of the run

    def make_once(name: str, make: Callable[[Path], None]) -> Path:
        folder, made = base / name, base / f"{name}.made"
        with (base / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a try that failed
                make(folder)
                made.touch()
        return folder

    return make_once


@pytest.fixture(scope="session")
def wheels(make_once: Callable[..., Path]) -> Path:
    """The folder with a wheel of each package here."""
    return make_once("wheels", _build_wheels)


def _build_wheels(folder: Path) -> None:
    uv = shutil.which("uv") or str(ROOT / ".tools/bin/uv")
    words = ("build", "--quiet", "--all-packages", "--wheel", "--out-dir", folder)
    subprocess.run([uv, *words], cwd=ROOT, check=True)
