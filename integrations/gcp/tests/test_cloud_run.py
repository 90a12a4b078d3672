"""Jobs of Cloud Run: their definitions, their ends, their lines, and what stays secret."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from traceback import format_exception
from uuid import uuid4

import pytest
from tests.services.cloud_run import MISSING_IMAGE, CloudRun, refuse
from tests.services.killed import kill_in_mid_job, make_environment, run_command

from flowstone import flow, task
from flowstone.blocks import JobStatus
from flowstone.context import current
from flowstone.context.external_work import sum_measures
from flowstone.errors import (
    AccessDenied,
    BlockInvalid,
    CredentialsError,
    JobCancelled,
    JobError,
    JobFailed,
    JobLost,
)
from flowstone.records.redaction import register
from flowstone.runtime import flow_run
from flowstone_gcp import CloudRunJob, GcpCredentials
from flowstone_gcp.cloud_run_executions import parse_cpu, parse_memory

NewJob = Callable[..., CloudRunJob]
LONG = "import time; print('begun'); time.sleep(600)"
pytestmark = pytest.mark.usefixtures("home")


def get_definition(cloud_run: CloudRun) -> dict[str, object]:
    (found,) = cloud_run.find_asked(r"POST .*/jobs\?")
    assert isinstance(found, dict)
    return found


# ---------------------------------------------------------------- definitions


def test_the_definition_has_what_the_block_says(cloud_run: CloudRun, new_job: NewJob) -> None:
    cloud_run.secrets["projects/p/secrets/token"] = "a-token-of-the-job"
    job = new_job(
        "import os; print(os.environ['MODE'], len(os.environ['TOKEN']))",
        env={"MODE": "full"},
        env_from_secrets={"TOKEN": {"secret": "projects/p/secrets/token", "version": "3"}},
        cpu="2",
        memory="4Gi",
        max_retries=1,
        timeout=3600,
        service_account_name="runner@p.iam.gserviceaccount.com",
        vpc_connector_name="projects/p/locations/us-central1/connectors/c",
        cloudsql_instances=["p:us-central1:shop"],
        launch_stage="BETA",
        labels={"team": "Data & more"},
        task_count=1,
        parallelism=1,
    )
    lines = []

    @task
    def load() -> None:
        run = job.trigger()
        run.wait()
        lines.extend(run.logs())

    @flow
    def nightly() -> str:
        load()
        return str(flow_run.id)

    nightly()
    assert lines == ["full 18"]
    found = json.loads(json.dumps(get_definition(cloud_run)))
    labels = found["labels"]
    assert labels.pop("flowstone_run")
    assert labels == {
        "flowstone_flow": "nightly",
        "flowstone_task": "load",
        "flowstone_once": "true",
        "team": "data-more",
    }
    execution = found["template"]
    assert execution["labels"].keys() >= labels.keys()
    spec = execution["template"]["containers"][0]
    assert spec["resources"]["limits"] == {"cpu": "2", "memory": "4Gi"}
    reference = {"secretKeyRef": {"secret": "projects/p/secrets/token", "version": "3"}}
    assert spec["env"] == [
        {"name": "MODE", "value": "full"},
        {"name": "TOKEN", "valueSource": reference},
    ]
    assert spec["volumeMounts"] == [{"name": "cloudsql", "mountPath": "/cloudsql"}]
    assert execution["template"]["timeout"] == "3600s"
    assert execution["template"]["maxRetries"] == 1
    assert execution["template"]["serviceAccount"] == "runner@p.iam.gserviceaccount.com"


def test_a_job_that_exists_is_changed_for_one_run(cloud_run: CloudRun, new_job: NewJob) -> None:
    first = new_job("print('as it was made')", keep_job=True, env={"A": "1", "B": "2"})
    first.run()
    (name,) = cloud_run.jobs
    program = (
        "import os; print(os.environ['A'], os.environ['B'], os.environ['CLOUD_RUN_TASK_COUNT'])"
    )
    again = new_job(
        program, image=None, command=[], job_name=name, env={"B": "3"}, task_count=2, timeout=60
    )
    run = again.trigger()
    run.wait()
    assert run.logs() == ["1 3 2", "1 3 2"]
    assert run.handle.startswith(f"{name}/executions/")
    as_it_is = new_job("", image=None, command=[], args=[], job_name=name.rpartition("/")[2])
    unchanged = as_it_is.trigger()
    unchanged.wait()
    assert unchanged.logs() == ["as it was made"]
    assert [*cloud_run.jobs] == [name]
    assert cloud_run.jobs[name]["template"]["template"]["containers"][0]["env"][1]["value"] == "2"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"job_name": "nightly"}, "set either image"),
        ({"env": {"A": "1"}, "env_from_secrets": {"A": "a"}}, "A: both in env"),
        ({"endpoint": "run.googleapis.com"}, "must start with http"),
        ({"timeout": 0}, "greater than 0"),
        ({"env_from_secrets": {"A": {"secret": ""}}}, "at least 1 character"),
    ],
)
def test_what_makes_no_job_is_refused_at_once(
    new_job: NewJob, fields: dict[str, object], problem: str
) -> None:
    with pytest.raises(BlockInvalid, match=problem):
        new_job("", **fields)


def test_without_an_image_there_is_nothing_to_run(new_job: NewJob) -> None:
    with pytest.raises(JobError, match="Set image, or the job_name"):
        new_job("", image=None).trigger()


def test_the_definition_is_deleted_at_the_end(cloud_run: CloudRun, new_job: NewJob) -> None:
    run = new_job("print('one')").trigger()
    assert len(cloud_run.jobs) == 1
    run.wait()
    assert not cloud_run.jobs
    assert run.logs() == ["one"]
    new_job("print('one')", keep_job=True).run()
    assert len(cloud_run.jobs) == 1


def test_a_definition_that_can_not_be_run_is_deleted(cloud_run: CloudRun, new_job: NewJob) -> None:
    cloud_run.refusals[r":run"] = refuse(400, "INVALID_ARGUMENT", "The quota is used up.")
    with pytest.raises(JobError, match="The quota is used up"):
        new_job("").trigger()
    assert not cloud_run.jobs


# ---------------------------------------------------------------- ends


def test_the_reason_is_google_s_own(cloud_run: CloudRun, new_job: NewJob) -> None:
    with pytest.raises(JobFailed, match=r"exited with an error \(3\).*exit code 3") as caught:
        new_job("raise SystemExit(3)").run()
    assert "console.cloud.google.com/logs" in str(caught.value)
    with pytest.raises(JobFailed, match="configured timeout was reached"):
        new_job(LONG, timeout=1).run()
    with pytest.raises(JobFailed, match="missing:1' not found"):
        new_job("", image=MISSING_IMAGE).run()
    program = "import os; raise SystemExit(int(os.environ['CLOUD_RUN_TASK_INDEX']))"
    with pytest.raises(JobFailed, match="2 of 3 tasks failed; exit code 1"):
        new_job(program, task_count=3).run()


def test_cloud_run_retries_a_task(cloud_run: CloudRun, new_job: NewJob) -> None:
    program = (
        "import os; print(a := os.environ['CLOUD_RUN_TASK_ATTEMPT']); raise SystemExit(a < '2')"
    )
    run = new_job(program, max_retries=2).trigger()
    run.wait()
    assert run.logs() == ["0", "1", "2"]


@pytest.mark.parametrize(
    "program",
    [LONG, f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); {LONG}"],
)
def test_what_somebody_cancels_is_never_completed(
    cloud_run: CloudRun, new_job: NewJob, program: str
) -> None:
    run = new_job(program).trigger()
    while "begun" not in run.logs():
        pass
    cloud_run.executions[run.handle].cancel()
    with pytest.raises(JobCancelled):
        run.wait()
    assert run.status() is JobStatus.CANCELLED
    assert not cloud_run.is_alive(run.handle)


def test_one_that_ends_while_it_is_cancelled_stays_as_it_ended(
    cloud_run: CloudRun, new_job: NewJob
) -> None:
    job = new_job("print('one')", keep_job=True)
    run = job.trigger()
    cloud_run.containers.all[0].wait()
    while cloud_run.executions[run.handle].is_running:
        pass
    job.make_provider().cancel(run.handle)
    assert run.status() is JobStatus.COMPLETED


def test_it_measures_what_it_used(new_job: NewJob) -> None:
    @flow
    def measured() -> str:
        new_job("import time; time.sleep(0.2)", cpu="2", memory="512Mi", task_count=2).run()
        return str(flow_run.id)

    run_id = measured()
    current.services().journal.flush()
    found = sum_measures(run_id)
    seconds, unit = found["run_seconds"]
    assert unit == "seconds"
    assert seconds >= 0.2
    assert found["vcpu_seconds"][0] >= 2 * 2 * 0.2
    assert found["memory_gb_seconds"][0] == pytest.approx(found["vcpu_seconds"][0] / 4)
    assert "queue_seconds" in found


@pytest.mark.parametrize(
    ("text", "bytes_"), [("512Mi", 2.0**29), ("2G", 2e9), ("1024", 1024.0), ("much", None)]
)
def test_memory_is_read_as_google_writes_it(text: str, bytes_: float | None) -> None:
    assert parse_memory(text) == bytes_
    assert (parse_cpu("1000m"), parse_cpu("4"), parse_cpu("many")) == (1.0, 4.0, None)


def test_a_limit_that_is_shorter_than_ours_is_told_at_the_start(
    cloud_run: CloudRun, new_job: NewJob, caplog: pytest.LogCaptureFixture
) -> None:
    new_job("", timeout_seconds=3600, keep_job=True).run()
    assert "after 600 s (attempts: 1), less than the 3600 s that we wait" in caplog.text
    (name,) = cloud_run.jobs
    caplog.clear()
    exists = new_job("pass", image=None, command=[], job_name=name, timeout_seconds=3600)
    exists.run()
    assert "after 600 s (attempts: 1), less than the 3600 s" in caplog.text

    @flow(timeout_seconds=7200)
    def limited() -> None:
        new_job("", max_retries=1).run()

    caplog.clear()
    limited()
    assert "after 600 s (attempts: 2), less than the 7" in caplog.text
    caplog.clear()
    new_job("", timeout_seconds=60).run()
    assert "Cloud Run ends" not in caplog.text
    new_job("").run()
    assert [r.levelname for r in caplog.records if "Cloud Run ends" in r.message] == ["INFO"]


# ---------------------------------------------------------------- lines


def test_lines_come_home_as_they_were_written(new_job: NewJob) -> None:
    program = (
        "import sys; print('plain'); "
        'print(\'{"severity": "ERROR", "message": "bad day"}\'); '
        "print('{\"rows\": 3}'); print('to stderr', file=sys.stderr)"
    )
    run = new_job(program).trigger()
    run.wait()
    assert sorted(run.logs()) == ["bad day", "plain", "to stderr", '{"rows": 3}']


def test_lines_that_arrive_late_come_home(cloud_run: CloudRun, new_job: NewJob) -> None:
    cloud_run.hidden_lines = 1
    job = new_job("print('one'); print('two')", log_delay_seconds=600, keep_job=True)
    run = job.trigger()
    while cloud_run.is_alive(run.handle):
        pass
    assert run.status() is JobStatus.RUNNING
    assert run.logs() == ["one"]
    cloud_run.hidden_lines = 0
    assert run.logs() == ["one", "two"]
    again = job.model_copy(update={"log_delay_seconds": 0}).attach(run.handle)
    again.wait()
    assert again.logs() == ["one", "two"]


def test_a_poll_reads_only_what_is_new(cloud_run: CloudRun, new_job: NewJob) -> None:
    run = new_job("print('one')").trigger()
    run.wait()
    run.logs()
    filters = [body["filter"] for body in cloud_run.find_asked("entries:list")]
    assert 'timestamp>="2019-12-31T' in filters[0]
    assert 'timestamp>="2019' not in filters[-1]


def test_reading_lines_asks_no_metadata_server(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing answers under its name, each poll would wait for 20 seconds."""
    run = new_job("print('one')").trigger()
    run.wait()
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        assert run.logs() == ["one"]
        proxy.setblocking(False)
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_lines_that_may_not_be_read_are_no_failure(
    cloud_run: CloudRun, new_job: NewJob, caplog: pytest.LogCaptureFixture
) -> None:
    words = "Permission 'logging.logEntries.list' denied on resource."
    cloud_run.refusals["entries:list"] = refuse(403, "PERMISSION_DENIED", words)
    run = new_job("import time; print('one'); time.sleep(0.5)").trigger()
    run.wait()
    assert run.logs() == []
    told = [r.message for r in caplog.records if "its output can't be read" in r.message]
    assert len(told) == 1
    assert "roles/logging.viewer" in told[0]


def test_lines_are_left_out_of_the_run_s_log_on_demand(
    new_job: NewJob, caplog: pytest.LogCaptureFixture
) -> None:
    run = new_job("print('one')", stream_output=False).trigger()
    run.wait()
    assert run.logs() == ["one"]
    assert "one" not in [r.message for r in caplog.records]


# ---------------------------------------------------------------- refusals


def test_what_is_no_execution_is_lost(new_job: NewJob) -> None:
    job = new_job("")
    with pytest.raises(JobLost, match="is not the path of an execution"):
        job.attach("nightly-abc12")
    with pytest.raises(JobLost, match="there is no such job or execution"):
        job.attach("projects/p/locations/r/jobs/j/executions/e")
    with pytest.raises(JobLost, match="no-such-job: there is no such job"):
        new_job("", image=None, command=[], job_name="no-such-job").trigger()


def test_refusals_say_what_to_do(cloud_run: CloudRun, new_job: NewJob) -> None:
    words = "Permission 'run.jobs.create' denied on resource."
    cloud_run.refusals[r"POST .*/jobs\?"] = refuse(403, "PERMISSION_DENIED", words)
    with pytest.raises(AccessDenied, match=r"roles/run\.developer"):
        new_job("").trigger()
    with pytest.raises(CredentialsError, match="GOOGLE_CLOUD_PROJECT"):
        new_job("", credentials=GcpCredentials(anonymous=True)).trigger()


# ---------------------------------------------------------------- secrets


def test_a_secret_that_is_known_is_refused_in_a_definition(
    cloud_run: CloudRun, new_job: NewJob
) -> None:
    secret = f"canary-{uuid4().hex}"
    register(secret)
    for fields in (
        {"env": {"URL": f"https://me:{secret}@example.org"}},
        {"args": ["--password", secret]},
        {"command": ["load", secret]},
        {"labels": {"a": secret}},
    ):
        with pytest.raises(JobError, match="env_from_secrets") as caught:
            new_job("", **fields).trigger()
        assert secret not in "".join(format_exception(caught.value))
    assert not cloud_run.asked


def test_a_canary_is_nowhere(
    cloud_run: CloudRun, new_job: NewJob, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = f"canary-{uuid4().hex}"
    cloud_run.secrets["token"] = secret
    program = "import os; print(len(os.environ['TOKEN'])); raise SystemExit(3)"
    job = new_job(program, env_from_secrets={"TOKEN": "token"}, keep_job=True)

    @flow(log_prints=True, persist_result=True)
    def careless() -> CloudRunJob:
        print(job)
        with pytest.raises(JobFailed) as caught:
            job.run()
        shown.append("".join(format_exception(caught.value)))
        return job

    shown: list[str] = []
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("google").setLevel(logging.DEBUG)
        job.save("canary")
        careless()
    current.services().close()
    assert str(len(secret)) in caplog.text  # the program had it
    shown += [repr(cloud_run.asked), repr(cloud_run.jobs), repr(job), job.model_dump_json()]
    shown += [repr(each.describe()) for each in cloud_run.executions.values()]
    shown += [repr(r.__dict__) for r in caplog.records]
    shown += [path.read_bytes().decode("latin-1") for path in home.rglob("*") if path.is_file()]
    assert not [text for text in shown if secret in text]


# ---------------------------------------------------------------- kill -9

PROGRAM = """
from flowstone import flow
from flowstone_gcp import CloudRunJob, GcpCredentials

login = GcpCredentials(anonymous=True, project="example-project")
job = CloudRunJob(
    credentials=login, image="python:3", command={command!r}, args=["import time; time.sleep(600)"],
    poll_seconds=0.05, log_delay_seconds=0, endpoint={url!r}, logging_endpoint={url!r},
)
job.save("sleeper")

@flow(flow_run_name="waiting")
def wait():
    run = job.trigger()
    print(run.handle, flush=True)
    run.wait()

wait()
"""


def test_what_a_killed_process_left_is_cleaned_up(
    cloud_run: CloudRun, new_job: NewJob, tmp_path: Path
) -> None:
    environment = make_environment(tmp_path)
    program = PROGRAM.format(command=new_job("").command, url=cloud_run.url)
    handle = kill_in_mid_job(program, tmp_path, environment)
    assert cloud_run.is_alive(handle)
    assert len(cloud_run.jobs) == 1
    shown = run_command(environment, "run", "show", "waiting")
    assert f"job {handle} ('sleeper') may still be running" in " ".join(shown.split())
    done = run_command(environment, "run", "cleanup", "waiting")
    assert f"Cancelled job {handle} ('sleeper')" in " ".join(done.split())
    assert not cloud_run.is_alive(handle)
    assert not cloud_run.jobs
    assert "may still be running" not in run_command(environment, "run", "show", "waiting")
