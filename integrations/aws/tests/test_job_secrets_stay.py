"""Canaries: a secret of a job is in no definition, listing, log, error or record."""

from __future__ import annotations

import json
import logging
import traceback
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from flowstone import flow
from flowstone.blocks import Secret
from flowstone.context import current
from flowstone.errors import JobError
from flowstone.records.redaction import register
from flowstone_aws import EcsTaskRun, LambdaFunction

from .conftest import login_at
from .job_examples import GOOD, make_job, make_task

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services.aws_jobs import AwsJobs

    from flowstone.blocks import Job
    from flowstone_aws import AwsCredentials

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:api-AbCdEf"
#: Succeeds where the container has the secret that it refers to, and says no word of it.
HAS = ["sh", "-c", 'test "$TOKEN" = "$(printf %s "$HALF1")$(printf %s "$HALF2")" && echo same']


def has_refused(job: Job) -> str:
    """Return the error of a job that is not started."""
    with pytest.raises(JobError, match=r"`secret(s|_references)`") as caught:
        job.trigger()
    return "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)


def test_canaries_are_nowhere(jobs: AwsJobs, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    canaries = {name: f"canary-{name}-{uuid4().hex}" for name in ("key", "token", "env")}
    login = login_at(jobs.url, aws_secret_access_key=canaries["key"])
    jobs.secrets[ARN] = canaries["token"]
    halves = {"HALF1": canaries["token"][:9], "HALF2": canaries["token"][9:]}
    Secret(value=canaries["env"]).save("api")
    said = repr(canaries["env"])
    jobs.functions.programs["says"] = f"def handler(e, c): print({said}); raise KeyError({said})"
    shown: list[str] = []

    @flow(log_prints=True, persist_result=True)
    def careless() -> list[str]:
        secret = Secret.load("api").get()
        good = make_task(login, HAS, secret_references={"TOKEN": ARN}, env=halves).trigger()
        good.wait()
        assert isinstance(good, EcsTaskRun)
        shown.append(repr(good.describe()))
        for variables in ({"TOKEN": secret}, {"URL": f"https://me:{secret}@here"}):
            for job in (
                make_task(login, GOOD, env=variables),
                make_job(login, "any", GOOD, env=variables),
            ):
                shown.append(has_refused(job))
        words = ["curl", f"--token={secret}"]
        shown.extend(has_refused(each) for each in (
            make_task(login, words), make_job(login, "any", words),
            make_job(login, "any", GOOD, parameters={"token": secret}),
            make_job(login, "any", GOOD, batch_kwargs={"shareIdentifier": secret}),
            make_job(login, "any", GOOD, labels={"token": secret}),
            make_task(login, GOOD, labels={"token": secret}),
            make_task(login, GOOD, cloudwatch_logs_options={"awslogs-group": secret}),
        ))  # fmt: skip
        try:
            LambdaFunction(function_name="says", aws_credentials=login).invoke(tail=True)
        except JobError as error:
            shown.append("".join(traceback.format_exception(error)) + repr(error.__dict__))
        return good.logs()

    with caplog.at_level(logging.DEBUG):
        assert careless() == ["same"]
    current.services().close()
    shown += [jobs.dump()]
    # A handler of somebody's own gets the SDK's lines cleaned.
    shown += [record.getMessage() for record in caplog.records]
    shown += [path.read_bytes().decode("latin-1") for path in home.rglob("*") if path.is_file()]
    assert ARN in jobs.dump()
    assert any("says" in text for text in shown)
    for name, canary in canaries.items():
        for form in (canary, json.dumps(canary)[1:-1]):
            assert not [text for text in shown if form in text], name


@pytest.mark.parametrize("reference", ["aws-secrets:api#token", "aws-ssm:/app/token"])
def test_a_reference_in_clear_variables_is_refused(
    jobs_login: AwsCredentials, reference: str
) -> None:
    task = make_task(jobs_login, GOOD, env={"TOKEN": reference})
    with pytest.raises(JobError, match="is a reference to a secret, and `env` is sent as it is"):
        task.trigger()


def test_a_word_that_is_no_secret_passes(jobs_login: AwsCredentials) -> None:
    register("a-secret-of-somebody")
    assert make_task(jobs_login, GOOD, env={"A": "aws-s3:no", "B": "a secret"}).run() == 0
