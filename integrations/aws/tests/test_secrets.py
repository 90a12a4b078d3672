"""Secrets Manager and SSM: their own features, tasks, and references in many tasks."""

from __future__ import annotations

import asyncio
import logging
import pickle
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest

from flowstone import flow, task, unmapped
from flowstone.blocks import Secret
from flowstone.context import current
from flowstone.errors import (
    ReferenceUnresolved,
    SecretMissing,
    SecretStoreError,
)
from flowstone_aws import (
    AwsCredentials,
    AwsParameters,
    AwsSecret,
    AwsSecrets,
    aaws_secret_read,
    aws_secret_create,
    aws_secret_delete,
    aws_secret_read,
    aws_secret_update,
    read_secret,
)

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def name(emulated: str) -> str:
    return f"test/{uuid4().hex}"


def test_one_secret_is_read_written_and_deleted(login: AwsCredentials, name: str) -> None:
    secret = AwsSecret(secret_name=name, aws_credentials=login)
    with pytest.raises(SecretMissing, match=name):
        secret.read_secret()
    arn = secret.write_secret(b"first value")
    assert arn.startswith("arn:aws:secretsmanager:")
    assert secret.write_secret(b"second value") == arn
    assert secret.read_secret() == b"second value"
    assert secret.read_secret(version_stage="AWSPREVIOUS") == b"first value"
    assert asyncio.run(secret.aread_secret(version_stage="AWSCURRENT")) == b"second value"
    with pytest.raises(SecretMissing):
        secret.read_secret(version_id=str(uuid4()))
    assert secret.delete_secret() == arn
    with pytest.raises(SecretMissing, match="delet"):
        secret.read_secret()
    assert asyncio.run(secret.awrite_secret(b"third value")) == arn
    assert secret.read_secret() == b"third value"
    assert secret.write_secret("a text") == arn
    assert (secret.read_secret(), asyncio.run(secret.aread_secret())) == ("a text", "a text")
    assert asyncio.run(secret.adelete_secret(force_delete_without_recovery=True)) == arn
    with pytest.raises(SecretMissing):
        secret.delete_secret(force_delete_without_recovery=True)


def test_a_stage_and_an_id_are_versions(login: AwsCredentials, name: str) -> None:
    provider = AwsSecrets(credentials=login)
    first = provider.write(name, "first value")
    provider.write(name, "second value")
    provider.save("here")
    for version, value in ((first, "first value"), ("AWSPREVIOUS", "first value")):
        assert Secret(value=f"aws-secrets/here:{name}@{version}").get() == value
    with pytest.raises(ReferenceUnresolved, match=r"of Secret\.value .*version"):
        Secret(value=f"aws-secrets/here:{name}@AWSPENDING").get()


def test_a_parameter_has_numbered_versions(login: AwsCredentials, name: str) -> None:
    provider = AwsParameters(credentials=login)
    provider.save("here")
    path = f"/{name}"
    assert provider.write(path, "first value") == "1"
    assert provider.write(path, "second value") == "2"
    assert Secret(value=f"aws-ssm/here:{path}@1").get() == "first value"
    assert Secret(value=f"aws-ssm/here:{path}").get() == "second value"
    found = login.client("ssm").get_parameter(Name=path)["Parameter"]
    assert found["Type"] == "SecureString"


def test_tasks_do_what_they_are_named_for(login: AwsCredentials, name: str) -> None:
    @flow
    def everything() -> list[str | bytes]:
        made = aws_secret_create(
            name, "first value", login, description="d", tags=[{"Key": "a", "Value": "b"}]
        )
        assert made.keys() == {"ARN", "Name", "VersionId"}
        arn = made["ARN"]
        with pytest.raises(SecretStoreError, match="already"):
            aws_secret_create(name, "another value", login)
        changed = aws_secret_update(name, Secret(value="second value").value, login)
        assert (changed["ARN"], changed["Name"]) == (arn, name)
        assert changed["VersionId"] != made["VersionId"]
        found = [aws_secret_read(name, login), read_secret(name, login)]
        found.append(aws_secret_read(name, login, version_stage="AWSPREVIOUS"))
        assert aws_secret_update.submit(name, b"\xff\xfe bytes", login).result()["ARN"] == arn
        found += aws_secret_read.map([name, name], unmapped(login)).result()
        gone_by_now = aws_secret_delete(name, login, force_delete_without_recovery=True)
        assert (gone_by_now["ARN"], gone_by_now["Name"]) == (arn, name)
        assert isinstance(gone_by_now["DeletionDate"], datetime)
        for gone in (aws_secret_read, aws_secret_delete):
            with pytest.raises(SecretMissing):
                gone(name, login)
        with pytest.raises(SecretMissing):
            aws_secret_update(name, "a value", login)
        return found

    @flow
    async def reading() -> str | bytes:
        return await aaws_secret_read(f"{name}-2", login)

    values = everything()
    assert values[:3] == ["second value", "second value", "first value"]
    assert values[3:] == [b"\xff\xfe bytes"] * 2
    AwsSecrets(credentials=login).write(f"{name}-2", "of a coroutine")
    assert asyncio.run(reading()) == "of a coroutine"


def test_500_tasks_with_three_secrets_ask_aws_three_times(
    login: AwsCredentials, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    provider = AwsSecrets(credentials=login)
    provider.save("here")
    for number in range(3):
        provider.write(f"{name}/{number}", f"value {number}")
        Secret(value=f"aws-secrets/here:{name}/{number}").save(f"secret-{number}")

    @task
    def use(number: int) -> bool:
        found = [Secret.load(f"secret-{each}").get() for each in range(3)]
        return found == ["value 0", "value 1", "value 2"] and number >= 0

    @flow
    def many() -> int:
        return sum(use.map(range(500)).result())

    with caplog.at_level(logging.DEBUG, "botocore.endpoint"):
        assert many() == 500
    asked = [r for r in caplog.records if "OperationModel(name=GetSecretValue)" in r.getMessage()]
    assert len(asked) == 3


def test_canaries_are_nowhere(
    login: AwsCredentials, name: str, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    canaries = [f"canary-{uuid4().hex}" for _ in range(4)]
    one, two, three, four = canaries
    shown: list[str] = []

    @flow(log_prints=True, persist_result=True)
    def careless(holder: Secret, other: str) -> int:
        print("found", holder.get())
        aws_secret_create(f"{name}/{other}", Secret(value=three).value, login)
        aws_secret_update(f"{name}/{other}", Secret(value=four).value, login)
        return len(aws_secret_read(f"{name}/{other}", login))

    with caplog.at_level(logging.DEBUG):
        AwsSecrets(credentials=login).write(f"{name}/1", one)
        AwsParameters(credentials=login).write(f"/{name}/2", two)
        AwsSecrets(credentials=login).save("here")
        AwsParameters(credentials=login).save("here")
        for reference in (f"aws-secrets/here:{name}/1", f"aws-ssm/here:/{name}/2"):
            holder = Secret(value=reference)
            holder.save(uuid4().hex)
            assert careless(holder, uuid4().hex) == len(four)
            shown += [repr(holder), holder.model_dump_json(), repr(pickle.dumps(holder))]
        with pytest.raises(ReferenceUnresolved) as caught:
            Secret(value=f"aws-secrets/here:{name}/1#no.path").get()
        shown.append(repr(caught.value))
    current.services().close()
    assert "GetSecretValue" in caplog.text
    assert "GetParameter" in caplog.text
    # A handler of somebody's own gets what a flow prints as it is; the SDK's lines are cleaned.
    shown += [r.getMessage() for r in caplog.records if not r.name.startswith("flowstone")]
    shown += [path.read_bytes().decode("latin-1") for path in home.rglob("*") if path.is_file()]
    for canary in canaries:
        assert not [text for text in shown if canary in text]
