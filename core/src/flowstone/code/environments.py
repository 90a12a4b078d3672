"""Cached Python environments, each created once for its packages.

They are created by uv, or by venv and pip if uv is not installed.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING

from flowstone.blocks.jobs.processes import run_command
from flowstone.code.requirements import mask_urls
from flowstone.errors import ConfigurationError
from flowstone.locking import lock_descriptor
from flowstone.logging.run_logger import get_logger
from flowstone.records.encoding import dumps, loads
from flowstone.settings import make_private_directory, read_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Seconds between two checks whether another process has created an environment.
_NAP = 0.05
#: What pip and uv print for a requirement without a matching version.
_LACKING = re.compile(r"(?:No matching distribution found for|there is no version of)\s+(\S+)")
_logger = get_logger("deployments")
#: Number of characters of uv's output that are shown; the reason is at the end.
_LONGEST = 2000


def find_python(environment: Path) -> Path:
    """Return the interpreter of an environment."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def make_environment(requirements: Sequence[str], cache: Path) -> Path:
    """Return an environment with these packages; one process creates it while others wait.

    Args:
        requirements: as for pip: ``pandas==2.*``.
        cache: the directory of such environments.

    Raises:
        ConfigurationError: it can't be created; the message says why.
    """
    listed = sorted(requirements)
    environment = find_environment(cache, *listed)
    return create_environment(environment, lambda: install_packages(environment, *listed))


def list_own_requirements() -> list[str]:
    """Return the requirements that install the running Flowstone: its version and source."""
    own = distribution("flowstone")
    origin = loads(own.read_text("direct_url.json") or "{}")
    if "url" not in origin:
        return [f"flowstone=={own.version}"]
    if origin.get("dir_info", {}).get("editable"):
        return [f"--editable={origin['url']}"]
    return [f"flowstone @ {origin['url']}"]


def find_environment(cache: Path, *facts: str) -> Path:
    """Return the path of the environment for these facts and the interpreter."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return cache / sha256(dumps([version, sys.base_prefix, *facts]).encode()).hexdigest()[:16]


def create_environment(environment: Path, install: Callable[[], None]) -> Path:
    """Return an environment; if it does not exist, one process creates it while others wait.

    Args:
        environment: its path.
        install: installs its packages.

    Raises:
        ConfigurationError: it can't be created; its remains are deleted.
    """
    complete = environment / "complete"
    if not complete.exists():
        make_private_directory(environment.parent)
        with _lock(environment.with_suffix(".lock")):
            if not complete.exists():
                _create(environment, install)
                complete.touch()
    os.utime(complete)
    return environment


def install_packages(environment: Path, *arguments: str, cwd: Path | None = None) -> None:
    """Install packages into an environment.

    Args:
        environment: its path.
        *arguments: as for ``pip install``.
        cwd: the base of relative paths.

    Raises:
        ConfigurationError: that failed; the message says why.
    """
    python, uv = str(find_python(environment)), find_uv()
    if uv is None:
        _run(python, "-m", "pip", "install", "--quiet", *arguments, cwd=cwd)
    else:
        _run(uv, "pip", "install", "--quiet", "--python", python, *arguments, cwd=cwd)


def install_lock(environment: Path, project: Path) -> None:
    """Install a project's locked packages; the project itself is imported from its files.

    Raises:
        ConfigurationError: that failed; the message says why.
    """
    uv = find_uv()
    if uv is None:
        raise ConfigurationError("environment", "uv is not installed", "pip install uv")
    options = ("--quiet", "--frozen", "--no-install-project", "--python", sys.executable)
    _run(uv, "sync", *options, cwd=project, UV_PROJECT_ENVIRONMENT=str(environment))


def find_uv() -> str | None:
    """Return the path of uv: beside this interpreter, on the PATH, or that runs this program."""
    beside = Path(sys.executable).with_name("uv")
    if beside.exists():
        return str(beside)
    return shutil.which("uv") or read_environment().get("UV")  # set by `uv run`


def remove_environments(cache: Path, before: float) -> None:
    """Delete environments that no run has used since a time.

    Args:
        cache: the directory of the environments.
        before: seconds since the epoch.
    """
    for complete in cache.glob("*/complete"):
        environment = complete.parent
        if complete.stat().st_mtime < before:
            with _lock(environment.with_suffix(".lock")):
                complete.unlink(missing_ok=True)
                shutil.rmtree(environment, ignore_errors=True)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not lock_descriptor(descriptor):
            sleep(_NAP)  # not in one long system call: a run may be cancelled here
        yield
    finally:
        os.close(descriptor)


def _create(environment: Path, install: Callable[[], None]) -> None:
    shutil.rmtree(environment, ignore_errors=True)
    uv = find_uv()
    try:
        if uv is None:
            _run(sys.executable, "-m", "venv", str(environment))
        else:
            _run(uv, "venv", "--quiet", "--python", sys.executable, str(environment))
        install()
    except BaseException:
        shutil.rmtree(environment, ignore_errors=True)
        raise


def find_reason(said: str) -> str:
    """Return why packages could not be installed, from the output of pip or uv."""
    lacking = _LACKING.search(said)
    if lacking is not None:
        return f"no version of {lacking[1]!r} was found"
    _, mark, conclusion = said.rpartition("╰─▶")  # of uv; it may have several lines
    if mark:
        return " ".join(conclusion.split())
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["there is no output"]
    errors = [at for at, line in enumerate(lines) if line.lower().startswith("error:")]
    last = errors[-1] if errors else len(lines) - 1
    # A line that ends with a colon is explained by the next one.
    return " ".join(lines[last : last + 2]) if lines[last].endswith(":") else lines[last]


def _run(*command: str, cwd: Path | None = None, **variables: str) -> None:
    done = run_command(command, env={**read_environment(), **variables}, cwd=cwd)
    if done.returncode:
        said = mask_urls(done.stderr or done.stdout)
        _logger.error("%s ended with %s:\n%s", command[0], done.returncode, said)
        words = find_reason(said)[-_LONGEST:]
        remedy = "Check the requirements and the network; the next run tries again."
        raise ConfigurationError("environment", f"it can't be created: {words}", remedy)
