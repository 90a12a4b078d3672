"""Processes that are killed while they wait for a job, and what is done about it afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

#: A flow whose task runs on a cluster until it is stopped; its process writes its id to a file.
SPINNING_FLOW = """
import os
import time
from pathlib import Path

from flowstone import flow, task
from {module} import {runner}


@task
def spins(file):
    Path(file).with_suffix(".part").write_text(str(os.getpid()))
    Path(file).with_suffix(".part").rename(file)
    while True:
        time.sleep(0.01)


@flow(task_runner={runner}({where}), name="killed")
def f():
    future = spins.submit({file!r})
    while not Path({file!r}).exists():
        if future.state.is_final():
            return future.result()
        time.sleep(0.01)
    print("it runs", flush=True)
    future.result()


if __name__ == "__main__":
    f()
"""


def find_processes(words: str) -> list[int]:
    """Return the processes that have words in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if words.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has ended, or is not ours
            continue
    return found


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
