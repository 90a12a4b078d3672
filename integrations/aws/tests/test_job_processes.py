"""Jobs whose waiting process is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services.aws_jobs import AwsJobs

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 here")

PROGRAM = """
import sys
from flowstone import flow
from flowstone_aws import AwsCredentials, BatchJob, EcsTask

login = AwsCredentials(region_name="us-east-1")
if sys.argv[1] == "ecs":
    network = {"subnets": ["subnet-1"]}
    job = EcsTask(
        image="a", command=["sleep", "600"], aws_credentials=login, network_configuration=network
    )
else:
    login.client("batch").register_job_definition(
        jobDefinitionName="any", type="container", containerProperties={"image": "a"}
    )
    job = BatchJob(
        job_name="a", job_queue="spot", job_definition="any", command=["sleep", "600"],
        aws_credentials=login,
    )
job.interval_seconds = 0.1
job.save("nightly", overwrite=True)

@flow(flow_run_name="waiting")
def wait():
    run = job.trigger()
    print(run.handle, flush=True)
    run.wait()

wait()
"""


@pytest.fixture
def environment(jobs: AwsJobs, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "FLOWSTONE_HOME": str(tmp_path / "home"),
        "COLUMNS": "200",
        "NO_COLOR": "1",
        "AWS_ENDPOINT_URL": jobs.url,
        "AWS_ACCESS_KEY_ID": "AKIAOFTHETESTS",
        "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-tests",
    }


@contextmanager
def waiting(
    service: str, environment: dict[str, str], folder: Path
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a process that waits for an endless job; yield it, and the handle."""
    file = folder / "program.py"
    file.write_text(PROGRAM, "utf-8")
    process = subprocess.Popen(
        [sys.executable, str(file), service],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.communicate(timeout=120)
    finally:
        process.kill()
        process.communicate()


def run_command(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "flowstone", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("service", ["ecs", "batch"])
def test_what_a_killed_process_left_is_cleaned_up(
    jobs: AwsJobs, environment: dict[str, str], tmp_path: Path, service: str
) -> None:
    with waiting(service, environment, tmp_path) as (process, handle):
        assert jobs.is_alive(handle)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert jobs.is_alive(handle)
    shown = run_command(environment, "run", "show", "waiting")
    assert f"job {handle} ('nightly') may still be running" in shown
    done = run_command(environment, "run", "cleanup", "waiting")
    assert f"Cancelled job {handle} ('nightly')" in done
    assert not jobs.is_alive(handle)
    assert "may still be running" not in run_command(environment, "run", "show", "waiting")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_is_asked_to_end_stops_its_task(
    jobs: AwsJobs, environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    with waiting("ecs", environment, tmp_path) as (process, handle):
        while not jobs.find_asked("DescribeTasks"):
            assert process.poll() is None
        process.send_signal(number)
    assert not jobs.is_alive(handle)
