"""Processes that are killed while they wait for a job, and what is done about it afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run_command(environment: dict[str, str], *arguments: str) -> str:
    """Run `flowstone` with arguments, and return what it writes."""
    program = Path(sys.executable).with_name("flowstone")
    done = subprocess.run(
        [program, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a process with a home of its own."""
    home = {"FLOWSTONE_HOME": str(folder / "home"), "COLUMNS": "300", "NO_COLOR": "1"}
    return {**os.environ, **home, **more}


def kill_in_mid_job(program: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a program that writes a job's handle and waits; kill it then, and return the handle."""
    file = folder / "program.py"
    file.write_text(program, "utf-8")
    process = subprocess.Popen(
        [sys.executable, file],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        handle = process.stdout.readline().strip()
        assert handle, process.communicate()[1]
        return handle
    finally:
        process.kill()
        process.communicate()
