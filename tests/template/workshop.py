"""Where packages are made of the template as a stranger makes them: with wheels, in a venv."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ..architecture.house import ROOT


def with_wheels(wheels: Path) -> dict[str, str]:
    """Return an environment whose `uv` finds a folder of wheels, as if they were on the index."""
    uv = shutil.which("uv") or str(ROOT / ".tools/bin/uv")
    cache = subprocess.run([uv, "cache", "dir"], check=True, capture_output=True, text=True)
    # How this desk reaches the index, where it is not plainly there.
    reach = ("UV_", "SSL_", "HTTP_", "HTTPS_", "ALL_PROXY", "NO_PROXY")
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return {
        **{name: value for name, value in os.environ.items() if name.upper().startswith(reach)},
        "XDG_CONFIG_HOME": home,
        "PATH": os.pathsep.join([os.environ["PATH"], str(Path(uv).parent)]),
        "UV_CACHE_DIR": cache.stdout.strip(),
        "UV_COMPILE_BYTECODE": "0",
        "UV_FIND_LINKS": str(wheels),
        "UV_LINK_MODE": "hardlink",
        "UV_PYTHON": sys.executable,
    }


class Workshop:
    """A folder with a venv that has `flowstone-testing[new]` from a wheel, and what is made there.

    Attributes:
        folder: where packages are made.
        python: of the venv.
    """

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder = folder
        venv = folder / "venv"
        self.python = venv / "bin" / "python"
        found = with_wheels(wheels)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FLOWSTONE_", "PYTEST_"))
            and name not in {"VIRTUAL_ENV", "PYTHONPATH"}
        }
        self._environ = {
            **kept,
            **found,
            "PATH": os.pathsep.join([str(self.python.parent), found["PATH"]]),
            "FLOWSTONE_HOME": str(folder / "home"),
            # All packages share one venv: to make one takes seconds.
            "UV_PROJECT_ENVIRONMENT": str(venv),
        }
        self.run(f"uv venv --quiet {venv}")
        self.run(f"uv pip install --quiet --python {self.python} 'flowstone-testing[new]'")

    def run(self, script: str, cwd: Path | None = None) -> str:
        """Run a script of the shell to its end, and return what it wrote; it must succeed."""
        done = self.attempt("bash", "-euo", "pipefail", "-c", script, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def attempt(
        self, *words: str | Path, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            words,
            cwd=cwd or self.folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def make(self, name: str, *options: str) -> str:
        """Make a package; return the commands that it is said to be time for next."""
        told = self.run(" ".join(["flowstone plugin new", name, *options]))
        by_uv, _, _ = told.partition("Or, with pip")
        return "\n".join(line[2:] for line in by_uv.splitlines() if line.startswith("  "))

    def tests(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run tests of a package that is installed already."""
        words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", *options)
        return self.attempt(self.python, *words, cwd=self.folder / name)
