"""Container instances: their definitions, their ends, their lines, and what stays secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from traceback import format_exception
from uuid import uuid4

import pytest
from pydantic import SecretStr
from tests.services.container_instances import (
    MISSING_IMAGE,
    SLOW_IMAGE,
    ContainerInstances,
    refuse,
)
from tests.services.entra import Entra
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
from flowstone_azure import (
    AzureContainerInstance,
    AzureContainerInstanceCredentials,
    AzureContainerRegistry,
)

NewJob = Callable[..., AzureContainerInstance]
LONG = "import time; print('begun'); time.sleep(600)"
pytestmark = pytest.mark.usefixtures("home")


def test_the_definition_has_what_the_block_says(
    container_instances: ContainerInstances, new_job: NewJob
) -> None:
    job = new_job(
        "import os; print(os.environ['MODE'], len(os.environ['TOKEN']))",
        env={"MODE": "full"},
        secret_env={"TOKEN": "a-token-of-the-job"},
        cpu=2,
        memory=3.5,
        gpu_count=1,
        gpu_sku="V100",
        identities=["/subscriptions/1/i"],
        subnet_ids=["/subscriptions/1/s"],
        dns_servers=["10.0.0.1"],
        image_registry=AzureContainerRegistry(
            server="shop.azurecr.io", username="me", password=SecretStr("of-the-registry")
        ),
        tags={"team/a": "Data & more"},
    )
    lines = []

    @task
    def load() -> None:
        run = job.trigger()
        run.wait()
        lines.extend(run.logs())

    @flow
    def nightly() -> None:
        load()

    nightly()
    assert lines == ["full 18"]
    (found,) = (body for method, _, body in container_instances.asked if method == "PUT")
    tags = found["tags"]
    assert tags.pop("flowstone_run")
    assert tags == {
        "flowstone_flow": "nightly",
        "flowstone_task": "load",
        "flowstone_once": "true",
        "team-a": "Data & more",
    }
    properties = found["properties"]
    spec = properties["containers"][0]["properties"]
    assert spec["environmentVariables"] == [
        {"name": "MODE", "value": "full"},
        {"name": "TOKEN", "secureValue": "a-token-of-the-job"},
    ]
    gpu = {"count": 1, "sku": "V100"}
    assert spec["resources"]["requests"] == {"cpu": 2.0, "memoryInGB": 3.5, "gpu": gpu}
    assert (properties["osType"], properties["restartPolicy"]) == ("Linux", "Never")
    assert properties["subnetIds"] == [{"id": "/subscriptions/1/s"}]
    assert properties["dnsConfig"] == {"nameServers": ["10.0.0.1"]}
    login = {"server": "shop.azurecr.io", "username": "me", "password": "of-the-registry"}
    assert properties["imageRegistryCredentials"] == [login]
    assert found["identity"]["userAssignedIdentities"] == {"/subscriptions/1/i": {}}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"gpu_count": 1}, "both gpu_count and gpu_sku"),
        ({"env": {"A": "1"}, "secret_env": {"A": "a"}}, "A: both in env"),
        ({"cpu": 0}, "greater than 0"),
        ({"location": ""}, "at least 1 character"),
    ],
)
def test_what_makes_no_group_is_refused_at_once(
    new_job: NewJob, fields: dict[str, object], problem: str
) -> None:
    with pytest.raises(BlockInvalid, match=problem):
        new_job("", **fields)


def test_the_group_is_deleted_at_the_end_and_its_lines_stay(
    container_instances: ContainerInstances, new_job: NewJob
) -> None:
    run = new_job("print('one')").trigger()
    assert len(container_instances.groups) == 1
    run.wait()
    assert not container_instances.groups
    assert run.logs() == ["one"]
    kept = new_job("print('one')", keep_container_group=True).trigger()
    kept.wait()
    assert [*container_instances.groups] == [kept.handle]
    assert kept.logs() == ["one"]


def test_a_group_whose_lines_can_not_be_read_is_left(
    container_instances: ContainerInstances,
    new_job: NewJob,
    caplog: pytest.LogCaptureFixture,
) -> None:
    container_instances.refusals["/logs"] = refuse(403, "AuthorizationFailed", "Not you.")
    run = new_job("import time; print('one'); time.sleep(0.5)").trigger()
    run.wait()
    assert run.logs() == []
    assert "the group is not deleted, to keep its output" in caplog.text
    assert [*container_instances.groups] == [run.handle]
    told = [r.message for r in caplog.records if "its output can't be read" in r.message]
    assert len(told) == 1


# ---------------------------------------------------------------- ends


def test_the_reason_is_azure_s_own(
    container_instances: ContainerInstances, new_job: NewJob
) -> None:
    with pytest.raises(JobFailed, match="exit code 3"):
        new_job("raise SystemExit(3)").run()
    container_instances.events.append(("Killing", "Killing container with id 1: OOM."))
    with pytest.raises(JobFailed, match="exit code 1; Killing: Killing container with id 1: OOM"):
        new_job("raise SystemExit(1)").run()
    with pytest.raises(JobError, match=r"InaccessibleImage.*missing:1' in container group"):
        new_job("", image=MISSING_IMAGE).trigger()


def test_a_container_that_does_not_start_has_failed(
    container_instances: ContainerInstances, new_job: NewJob
) -> None:
    run = new_job("", image=SLOW_IMAGE, task_start_timeout_seconds=0.2).trigger()
    assert run.status() is JobStatus.PENDING
    assert run.logs() == []
    with pytest.raises(JobFailed, match=r"has not started within 0\.2 s"):
        run.wait()
    assert not container_instances.groups


@pytest.mark.parametrize(
    "program",
    [LONG, f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); {LONG}"],
)
def test_what_somebody_stops_is_never_completed(
    container_instances: ContainerInstances, new_job: NewJob, program: str
) -> None:
    job = new_job(program)
    run = job.trigger()
    while "begun" not in run.logs():
        pass
    _, _, _, _, group, *_, name = run.handle.split("/")
    login = job.aci_credentials.get_container_client(job.subscription_id)
    login.container_groups.stop(group, name)
    with pytest.raises(JobCancelled):
        run.wait()
    assert run.status() is JobStatus.CANCELLED
    assert not container_instances.is_alive(run.handle)


def test_one_that_has_ended_is_not_stopped(
    container_instances: ContainerInstances, new_job: NewJob
) -> None:
    job = new_job("print('one')", keep_container_group=True)
    run = job.trigger()
    container_instances.containers.all[0].wait()
    job.make_provider().cancel(run.handle)
    assert run.status() is JobStatus.COMPLETED
    assert not [path for method, path, _ in container_instances.asked if "/stop" in path]


def test_it_measures_what_it_used(new_job: NewJob) -> None:
    @flow
    def measured() -> str:
        new_job("import time; time.sleep(0.2)", cpu=2, memory=0.5).run()
        return str(flow_run.id)

    run_id = measured()
    current.services().journal.flush()
    found = sum_measures(run_id)
    seconds, unit = found["run_seconds"]
    assert unit == "seconds"
    assert seconds >= 0.2
    assert found["vcpu_seconds"][0] == pytest.approx(2 * seconds)
    assert found["memory_gb_seconds"][0] == pytest.approx(seconds / 2)


# ---------------------------------------------------------------- lines


def test_half_a_line_waits_for_its_rest(
    container_instances: ContainerInstances, new_job: NewJob
) -> None:
    container_instances.partial = "hal"
    with new_job(LONG).trigger() as run:
        while not run.logs():
            pass
        assert run.logs() == ["begun"]


def test_lines_are_left_out_of_the_run_s_log_on_demand(
    new_job: NewJob, caplog: pytest.LogCaptureFixture
) -> None:
    run = new_job("print('one')", stream_output=False).trigger()
    run.wait()
    assert run.logs() == ["one"]
    assert "one" not in [r.message for r in caplog.records]


# ---------------------------------------------------------------- refusals


def test_what_is_no_group_is_lost(new_job: NewJob) -> None:
    job = new_job("")
    with pytest.raises(JobLost, match="is not the resource id"):
        job.attach("flowstone-job-1")
    unknown = job.make_provider().start()
    job.attach(unknown).cancel()
    with pytest.raises(JobLost, match="there is no such container group"):
        job.attach(f"{unknown}x")
    with pytest.raises(JobError, match="Resource group 'nowhere' could not be found"):
        new_job("", resource_group_name="nowhere").trigger()


def test_refusals_say_what_to_do(
    container_instances: ContainerInstances, new_job: NewJob, entra: Entra
) -> None:
    container_instances.refusals["PUT"] = refuse(403, "AuthorizationFailed", "Not you.")
    with pytest.raises(AccessDenied, match="Container Instances Contributor"):
        new_job("").trigger()
    job = new_job("")
    wrong = job.aci_credentials.model_copy(update={"client_secret": SecretStr("wrong")})
    with pytest.raises(CredentialsError, match=r"AADSTS7000215.*Check tenant_id"):
        job.model_copy(update={"aci_credentials": wrong}).trigger()
    half = AzureContainerInstanceCredentials(tenant_id="the-tenant")
    with pytest.raises(CredentialsError, match="these fields are not valid credentials"):
        new_job("", aci_credentials=half).trigger()


# ---------------------------------------------------------------- secrets


def test_a_secret_that_is_known_is_refused_in_a_definition(
    container_instances: ContainerInstances, new_job: NewJob
) -> None:
    secret = f"canary-{uuid4().hex}"
    register(secret)
    for fields in (
        {"env": {"URL": f"https://me:{secret}@example.org"}},
        {"command": ["load", secret]},
        {"tags": {"a": secret}},
    ):
        with pytest.raises(JobError, match="secret_env") as caught:
            new_job("", **fields).trigger()
        assert secret not in "".join(format_exception(caught.value))
    assert not container_instances.asked


def test_a_canary_is_nowhere(
    container_instances: ContainerInstances,
    new_job: NewJob,
    home: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret, password = f"canary-{uuid4().hex}", f"canary-{uuid4().hex}"
    monkeypatch.setenv("CANARY", secret)
    program = "import os; print(os.environ['TOKEN']); raise SystemExit(3)"
    job = new_job(
        program,
        secret_env={"TOKEN": "env:CANARY"},
        image_registry=AzureContainerRegistry(server="a.io", username="me", password=password),
        keep_container_group=True,
    )
    shown: list[str] = []

    @flow(log_prints=True, persist_result=True)
    def careless() -> AzureContainerInstance:
        print(job)
        with pytest.raises(JobFailed) as caught:
            job.run()
        shown.append("".join(format_exception(caught.value)))
        return job

    with caplog.at_level(logging.DEBUG):
        job.save("canary")
        careless()
    current.services().close()
    (handle,) = container_instances.groups
    group = container_instances.groups[handle]
    assert secret in json.dumps(group.definition)  # the service had it
    shown += [json.dumps(group.describe(handle)), repr(job), job.model_dump_json()]
    shown += [r.getMessage() for r in caplog.records]
    shown += [path.read_bytes().decode("latin-1") for path in home.rglob("*") if path.is_file()]
    for canary in (secret, password):
        assert not [text for text in shown if canary in text]


# ---------------------------------------------------------------- kill -9

PROGRAM = """
from flowstone import flow
from flowstone_azure import AzureContainerInstance, AzureContainerInstanceCredentials

login = AzureContainerInstanceCredentials(**{login!r})
job = AzureContainerInstance(aci_credentials=login, **{fields!r})
job.save("sleeper")

@flow(flow_run_name="waiting")
def wait():
    run = job.trigger()
    print(run.handle, flush=True)
    run.wait()

wait()
"""


def test_what_a_killed_process_left_is_cleaned_up(
    container_instances: ContainerInstances, new_job: NewJob, tmp_path: Path
) -> None:
    job = new_job("import time; time.sleep(600)")
    secret = job.aci_credentials.client_secret
    assert secret is not None
    environment = make_environment(tmp_path, MY_SECRET=secret.get_secret_value())
    login = job.aci_credentials.model_dump(exclude={"client_secret"})
    fields = job.model_dump(
        include={
            *("image", "resource_group_name", "subscription_id", "location", "command"),
            "task_watch_poll_interval",
        }
    )
    program = PROGRAM.format(login={**login, "client_secret": "env:MY_SECRET"}, fields=fields)
    handle = kill_in_mid_job(program, tmp_path, environment)
    assert container_instances.is_alive(handle)
    shown = run_command(environment, "run", "show", "waiting")
    assert f"job {handle} ('sleeper') may still be running" in " ".join(shown.split())
    done = run_command(environment, "run", "cleanup", "waiting")
    assert f"Cancelled job {handle} ('sleeper')" in " ".join(done.split())
    assert not container_instances.is_alive(handle)
    assert not container_instances.groups
    assert "may still be running" not in run_command(environment, "run", "show", "waiting")
