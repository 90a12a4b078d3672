"""Task runners by the names that packages offer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flowstone import catalog, flow
from flowstone.errors import UnknownName
from flowstone.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner

PLUGIN = """
from flowstone.plugins import Collection, hookimpl

@hookimpl
def collection():
    return Collection(runners={"acme": "acme_runner:Acme"})
"""
RUNNER = """
from flowstone.task_runners import ThreadPoolTaskRunner

class Acme:
    def open(self, settings):
        print("opened")
        return ThreadPoolTaskRunner(1).open(settings)
"""
PROGRAM = """
import sys
from flowstone import flow, task

@task
def double(x):
    return 2 * x

@flow(task_runner="acme")
def f():
    return double.map([1, 2]).result()

assert "acme_runner" in sys.modules
print(f())
"""


def empty() -> None:
    """Do nothing."""


def test_built_in_ones_have_names() -> None:
    assert {"processes", "threads"} <= {offer.name for offer in catalog.offers("runner")}
    named = flow(task_runner="processes")(empty)
    assert named.task_runner == ProcessPoolTaskRunner()
    assert named.with_options(task_runner="threads").task_runner == ThreadPoolTaskRunner()


def test_a_misspelt_name_is_told_where_it_is_given() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'threads'"):
        flow(task_runner="thread")(empty)


def test_a_package_brings_one(tmp_path: Path) -> None:
    (tmp_path / "acme_plugin.py").write_text(PLUGIN)
    (tmp_path / "acme_runner.py").write_text(RUNNER)
    (tmp_path / "program.py").write_text(PROGRAM)
    info = tmp_path / "acme_plugin-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme_plugin\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[flowstone]\nacme = acme_plugin\n")
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={"FLOWSTONE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "opened\n[2, 4]\n", done.stderr
