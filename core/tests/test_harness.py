from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: What writes into a home: results, locks, forks and child processes.
FLOWS = """
import os
from flowstone import flow, task
from flowstone.cache_policies import INPUTS
from flowstone.locking import IsolationLevel
from flowstone.task_runners import ProcessPoolTaskRunner
from flowstone.testing import flowstone_test_harness, memory_services
from flowstone.context.current import services, set_default_origin, use_services

@task(cache_policy=INPUTS.configure(isolation_level=IsolationLevel.SERIALIZABLE))
def add(x):
    return x + 1

@flow(persist_result=True)
def add_here(x):
    return add(x)

@flow(task_runner=ProcessPoolTaskRunner(1), persist_result=True)
def add_elsewhere(x):
    return add.submit(x).result()

def run():
    assert add_here(1) == 2
    assert (services().settings.home / "storage").is_dir()
"""
PROGRAMS = {
    "harness": "with flowstone_test_harness(): run()",
    "nested": "with flowstone_test_harness(), flowstone_test_harness(): run()",
    "processes": "with flowstone_test_harness(): run(); assert add_elsewhere(2) == 3",
    "services": "with use_services(memory_services()): run()",
    "default": "set_default_origin('flowstone.testing.memory:memory_services'); run()",
    "error": "try:\n    with flowstone_test_harness(): run(); exit()\nfinally:\n    run = None",
    "fork": (
        "with flowstone_test_harness():\n"
        "    run()\n"
        "    child = os.fork()\n"
        "    if child:\n"
        "        assert os.waitpid(child, 0)[1] == 0\n"
        "        assert (services().settings.home / 'storage').is_dir()\n"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_services_in_memory_leave_nothing_on_the_disk(program: str, tmp_path: Path) -> None:
    home = tmp_path / "tmp"
    home.mkdir()
    (tmp_path / "flows.py").write_text(FLOWS)
    done = subprocess.run(
        [sys.executable, "-c", f"from flows import *\n{PROGRAMS[program]}"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(home), "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []
