"""Canaries: the token leaves the process only in requests to dbt Cloud."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, cast

import pytest
from tests.services.dbt_cloud import ACCOUNT, Plan, serve_dbt_cloud

from flowstone import flow
from flowstone.context import current
from flowstone.errors import CredentialsError
from flowstone.secrets.resolver import Resolver
from flowstone_dbt import (
    DbtCloudCredentials,
    DbtCloudJob,
    call_dbt_cloud_administrative_api_endpoint,
    run_dbt_cloud_job,
    trigger_dbt_cloud_job_run,
    wait_for_dbt_cloud_job_run,
)

if TYPE_CHECKING:
    from flowstone.ports.services import Clock


def use(job: DbtCloudJob) -> list[str]:
    """Do what may fail, and return all messages."""
    said: list[str] = []
    login = job.dbt_cloud_credentials

    @flow(log_prints=True)
    def everything(job: DbtCloudJob, parameter: object) -> None:
        print(job, parameter)
        attempts: list[Callable[[], object]] = [
            lambda: run_dbt_cloud_job(job, targeted_retries=1),
            lambda: job.trigger().get_run(),
            lambda: trigger_dbt_cloud_job_run(login, job.job_id),
            lambda: wait_for_dbt_cloud_job_run(9000, login, 0.1, 0.02),
            lambda: call_dbt_cloud_administrative_api_endpoint(login, "/nothing/", "GET"),
            lambda: login.get_metadata_client().query("{ nonsense }"),
            lambda: job.attach("1"),
            lambda: vars(login.get_administrative_client()),
        ]
        for attempt in attempts:
            try:
                said.append(repr(attempt()))
            except Exception as error:
                said.append("".join(traceback.format_exception(error)))
                said.append(repr(error.__dict__))

    everything(job, login)
    return [*said, repr(login.check()), repr(job), str(login), job.model_dump_json()]


@pytest.mark.parametrize("is_let_in", [True, False])
def test_canaries_are_nowhere(
    is_let_in: bool, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    canary = f"dbtc-canary-{token_hex(16)}"
    with (
        serve_dbt_cloud(canary if is_let_in else "another") as cloud,
        caplog.at_level(logging.DEBUG),
    ):
        login = DbtCloudCredentials(api_key=canary, account_id=ACCOUNT, domain=cloud.url)
        # dbt's output, and the responses of the service, may quote it.
        words = f"could not log in with {canary}"
        plan = Plan({"dbt build": [("model.shop.a", "error", words)]}, logs=words)
        number = cloud.make_job(Plan(broken=("dbt build",), logs=words), plan)
        job = DbtCloudJob(dbt_cloud_credentials=login, job_id=number, interval_seconds=0.02)
        job.save("canary")
        shown = [*use(job), pickle.dumps(job).decode("latin-1")]
        assert cloud.asked
    current.services().close()
    shown += [path.read_bytes().decode("latin-1") for path in home.rglob("*") if path.is_file()]
    assert any("everything" in text for text in shown)
    shown.append(caplog.text)
    for form in (canary, json.dumps(canary)[1:-1]):
        assert not [text for text in shown if form in text]


@pytest.mark.parametrize(
    "wrong", ["a-token\nwith-a-line", "a-tökèn-with-ümlauts", "a token", "\0a"]
)
def test_a_token_that_can_not_be_sent_is_in_no_error(wrong: str) -> None:
    login = DbtCloudCredentials(api_key=wrong, account_id=1)
    with pytest.raises(CredentialsError, match="contains invalid characters") as caught:
        login.get_administrative_client()
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
    assert wrong not in told
    assert repr(wrong)[1:-1] not in told


class Later:
    """A clock that is set by hand."""

    now = 1000.0

    def time(self) -> float:
        return self.now


def test_a_token_by_reference_is_read_again_where_it_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, services = Later(), current.services()
    ticking = cast("Clock", clock)
    renewing = replace(services, clock=ticking, references=Resolver(ticking, 3600))
    with serve_dbt_cloud() as cloud, current.use_services(renewing):
        login = DbtCloudCredentials(
            api_key="env:MY_DBT_TOKEN", account_id=ACCOUNT, domain=cloud.url
        )
        job = DbtCloudJob(dbt_cloud_credentials=login, job_id=cloud.make_job())

        def change(token: str) -> None:
            cloud.token = token
            monkeypatch.setenv("MY_DBT_TOKEN", token)
            clock.now += 60

        change("dbtc-the-first-token")
        run = job.trigger()
        questions: list[Callable[[], object]] = [
            job.trigger,
            job.get_job,
            run.status,
            run.get_run,
            lambda: trigger_dbt_cloud_job_run.fn(login, job.job_id),
            lambda: login.check().ok or pytest.fail("refused"),
        ]
        for count, question in enumerate(questions):
            change(f"dbtc-token-number-{count}")
            question()
