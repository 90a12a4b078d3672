"""Environments of their own for dbt, whose requirements may not fit those of a flow."""

from __future__ import annotations

import shutil
import subprocess
import sys
from hashlib import sha256
from typing import TYPE_CHECKING

from flowstone_dbt.errors import DbtError
from flowstone_dbt.settings import find_cache
from flowstone_dbt.workspace import lock

if TYPE_CHECKING:
    from collections.abc import Sequence


def make_environment(requirements: Sequence[str]) -> str:
    """Return the interpreter of an environment with these packages; it is made once, and kept.

    Args:
        requirements: as for pip: ``dbt-core==1.10.*``, ``dbt-duckdb``.

    Raises:
        DbtError: it can't be made.
    """
    listed = sorted(requirements)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = sha256("\n".join([version, *listed]).encode()).hexdigest()[:16]
    cache = find_cache()
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / name
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    with lock(cache / f"{name}.lock"):
        if (folder / "complete").exists():
            return str(python)
        shutil.rmtree(folder, ignore_errors=True)
        uv = shutil.which("uv")
        if uv is not None:
            _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
            _run([uv, "pip", "install", "--quiet", "--python", str(python), *listed])
        else:
            _run([sys.executable, "-m", "venv", str(folder)])
            _run([str(python), "-m", "pip", "install", "--quiet", *listed])
        (folder / "complete").touch()
    return str(python)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        words = " ".join((done.stderr or done.stdout).split())[-1000:]
        raise DbtError(
            f"an environment for dbt can't be made: {words}",
            "Check `requirements` and the network.",
        )
