"""The demo, as `make demo` runs it: twice, on each store and database, and killed at each stage."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.services.s3 import SECRET

ROOT = Path(__file__).parents[2]
#: Its tasks, in the order of their first calls.
STAGES = (
    *("land_weather", "land", "read", "validate_batch", "load", "build", "validate_delays"),
    *("train", "register", "name_champion", "tell_story"),
)
#: Runs the demo until a stage begins, or has ended, and dies of SIGKILL.
KILLED = """
import os, signal, sys
from docs.demo import demo, nyc_flights

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

stage, moment = sys.argv.pop(1), sys.argv.pop(1)
task = getattr(nyc_flights, stage)
setattr(nyc_flights, stage, task.with_options(**{moment: [die]}))
demo.main()
"""


class Home:
    """A fresh home, in which the demo runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        bin_ = Path(sys.executable).parent
        self.environment = {
            "PATH": os.pathsep.join([str(bin_), os.environ["PATH"]]),
            "HOME": str(folder),
            "FLOWSTONE_HOME": str(folder / "flowstone"),
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "100",
        }

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *args: str) -> str:
        done = self.call("-m", "docs.demo.demo", *args)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    def show(self) -> dict[str, Any]:
        done = self.call("-m", "flowstone", "run", "show", "nyc-flights", "--all", "--json")
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    @property
    def report(self) -> str:
        return (self.folder / "flowstone/demo/report.html").read_text("utf-8")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def count_calls(run: dict[str, Any], state: str) -> Counter[str]:
    """Return how many calls of each name ended in a state, in all attempts."""
    found: Counter[str] = Counter()
    for call in run["children"]:
        found[call["name"]] += call["state"]["name"] == state
        found.update(count_calls(call, state))
    return found


def strip_run(report: str) -> str:
    """Return what a report tells of the data, without what it tells of the run."""
    head, body = report.split("<main>")
    data = body.split("<h2>How the run went</h2>")[0]
    return head.split('<ul class="tiles">')[1].split("tasks")[0].rsplit("<b>", 1)[0] + data


@pytest.mark.slow
def test_a_second_run_does_nothing_again(home: Home) -> None:
    first = home.run()
    assert re.search(r"land_weather-0 +Completed.*2 attempts", first)
    assert re.search(r"rows_quarantined = 45", first)
    assert home.report.count("<svg") == 2
    data = strip_run(home.report)

    second = home.run()
    assert set(count_calls(home.show(), "Cached").values()) == {1}
    assert strip_run(home.report) == data
    for shown in (first, second, home.report):
        assert SECRET not in shown
    stored = b"".join(path.read_bytes() for path in (home.folder / "flowstone").glob("*.db*"))
    assert SECRET.encode() not in stored


@pytest.mark.check
def test_the_report_needs_nothing_from_elsewhere(home: Home) -> None:
    home.run("--warehouse", "postgres", "--store", "gcs")
    page = home.report
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert not re.search(r"@import|url\((?!#)", page)
    assert "PostgreSQL" in page


@pytest.mark.check
@pytest.mark.parametrize("moment", ["on_running", "on_completion"])
def test_it_goes_on_after_a_kill_at_each_stage(home: Home, moment: str) -> None:
    retry: list[str] = []
    for stage in STAGES:
        done = home.call("-c", KILLED, stage, moment, *retry)
        assert done.returncode == -9, (stage, done.stderr)
        retry = ["--retry"]
    home.run("--retry")

    run = home.show()
    assert run["state"]["name"] == "Completed"
    assert run["attempts"] == len(STAGES) + 1
    # Fewer than one: a result may be kept, and the fact that it is be lost with the process.
    completed = count_calls(run, "Completed")
    assert max(completed.values()) == 1, completed.most_common(5)

    data = strip_run(home.report)
    undisturbed = Home(home.folder / "undisturbed")
    undisturbed.folder.mkdir()
    undisturbed.run()
    assert strip_run(undisturbed.report) == data


@pytest.mark.check
def test_it_runs_on_azure(home: Home, azurite: object) -> None:
    home.run("--store", "azure")
    assert "2013-12-corrections" in home.report
