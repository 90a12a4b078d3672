"""Runs in dbt Cloud when the process that waits for them ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.services.dbt_cloud import ACCOUNT, DbtCloud, Plan

pytestmark = pytest.mark.slow

PROGRAM = """
from flowstone import flow
from flowstone_dbt.cloud import DbtCloudCredentials, DbtCloudJob, run_dbt_cloud_job

login = DbtCloudCredentials(api_key="env:MY_TOKEN", account_id={account}, domain="{domain}")
login.save("analytics", overwrite=True)

@flow(flow_run_name="waiting")
def wait():
    run = DbtCloudJob(dbt_cloud_credentials=login, job_id={job}, interval_seconds=0.05).trigger()
    print(run.handle, flush=True)
    run.wait()

wait()
"""


@pytest.fixture
def environment(cloud: DbtCloud, tmp_path: Path) -> dict[str, str]:
    home = {"FLOWSTONE_HOME": str(tmp_path / "home"), "COLUMNS": "200", "NO_COLOR": "1"}
    return {**os.environ, **home, "MY_TOKEN": cloud.token}


@pytest.fixture
def command(environment: dict[str, str]) -> Callable[..., str]:
    """Runs `flowstone` with arguments, and returns its output."""

    def run(*arguments: str) -> str:
        program = Path(sys.executable).with_name("flowstone")
        done = subprocess.run(
            [program, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@contextmanager
def waiting(
    cloud: DbtCloud, environment: dict[str, str], folder: Path
) -> Iterator[subprocess.Popen[str]]:
    """Run a process that waits for an endless run, for the duration of the block."""
    text = PROGRAM.format(
        account=ACCOUNT, domain=cloud.url, job=cloud.make_job(Plan(is_endless=True))
    )
    file = folder / "program.py"
    file.write_text(text)
    process = subprocess.Popen(
        [sys.executable, file],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "9000\n"
        while not cloud.find_asked(r"GET .*/runs/9000/"):
            assert process.poll() is None
        yield process
        process.communicate(timeout=120)
    finally:
        process.kill()
        process.communicate()


def test_what_a_killed_process_left_is_cleaned_up(
    cloud: DbtCloud, environment: dict[str, str], command: Callable[..., str], tmp_path: Path
) -> None:
    with waiting(cloud, environment, tmp_path) as process:
        process.kill()
    assert cloud.is_alive(9000)
    shown = command("run", "show", "waiting")
    assert "job 9000 ('analytics') may still be running" in shown
    assert "Cancelled job 9000 ('analytics')" in command("run", "cleanup", "waiting")
    assert not cloud.is_alive(9000)
    assert "may still be running" not in command("run", "show", "waiting")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_is_asked_to_end_cancels_its_run(
    number: signal.Signals, cloud: DbtCloud, environment: dict[str, str], tmp_path: Path
) -> None:
    with waiting(cloud, environment, tmp_path) as process:
        process.send_signal(number)
    assert not cloud.is_alive(9000)


def test_a_cancelled_flow_run_cancels_its_run(
    cloud: DbtCloud, environment: dict[str, str], command: Callable[..., str], tmp_path: Path
) -> None:
    with waiting(cloud, environment, tmp_path):
        command("run", "cancel", "waiting")
    assert not cloud.is_alive(9000)
