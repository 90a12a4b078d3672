"""Secret Manager: what is its alone, tasks, and references in many tasks."""

from __future__ import annotations

import asyncio
import logging
import pickle
from pathlib import Path
from traceback import format_exception
from uuid import uuid4

import pytest
from pydantic import SecretStr
from tests.services.doors import expect_a_rotated_secret_to_be_read_again
from tests.services.tokens import Tokens

from flowstone import flow, task, unmapped
from flowstone.blocks import Secret
from flowstone.context import current
from flowstone.errors import CredentialsError, ReferenceUnresolved, SecretMissing, SecretStoreError
from flowstone_gcp import (
    GcpCredentials,
    GcpSecret,
    GcpSecrets,
    acreate_secret,
    adelete_secret,
    adelete_secret_version,
    aread_secret,
    aupdate_secret,
    create_secret,
    delete_secret,
    delete_secret_version,
    read_secret,
    update_secret,
)

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def name() -> str:
    return f"test-{uuid4().hex}"


def test_one_secret_is_read_written_and_deleted(secrets: GcpSecrets, name: str) -> None:
    secret = GcpSecret(
        secret_name=name, gcp_credentials=secrets.gcp_credentials, endpoint=secrets.endpoint
    )
    with pytest.raises(SecretMissing, match=name):
        secret.read_secret()
    first = secret.write_secret(b"first value")
    assert first.endswith(f"/secrets/{name}/versions/1")
    assert secret.write_secret(b"second \xff value").endswith("/versions/2")
    assert asyncio.run(secret.aread_secret()) == b"second \xff value"
    old = secret.model_copy(update={"secret_version": "1"})
    assert old.read_secret() == b"first value"
    path = first.partition("/versions/")[0]
    assert secret.model_copy(update={"secret_name": path}).read_secret() == b"second \xff value"
    assert secret.delete_secret() == path
    with pytest.raises(SecretMissing):
        asyncio.run(secret.adelete_secret())
    assert asyncio.run(secret.awrite_secret(b"third value")) == first
    secret.delete_secret()


@pytest.mark.parametrize("wrong", ["db/password", "a b", "projects/p/secrets/", "x" * 256])
def test_a_name_that_google_would_refuse_is_refused_here(secrets: GcpSecrets, wrong: str) -> None:
    for ask in (secrets.read, lambda name: secrets.write(name, "x"), secrets.delete_secret):
        with pytest.raises(SecretStoreError, match="Use letters, digits"):
            ask(wrong)


def test_a_version_that_would_lead_elsewhere_is_refused(secrets: GcpSecrets, name: str) -> None:
    secrets.write(name, "a value")
    with pytest.raises(SecretStoreError, match="Pass a number, or an alias"):
        secrets.read(name, "1:destroy")
    assert secrets.read(name, "1") == "a value"


def test_a_destroyed_version_is_missing(secrets: GcpSecrets, name: str) -> None:
    secrets.write(name, "first value")
    secrets.write(name, "second value")
    service = secrets.open_service()
    service.destroy_version(name, "2")
    with pytest.raises(SecretMissing, match=r"version 2.* disabled or destroyed"):
        secrets.read(name, "2")
    assert secrets.read(name, "1") == "first value"


def test_a_reference_names_a_version_and_a_path(secrets: GcpSecrets, name: str) -> None:
    secrets.write(name, '{"user": {"name": "me"}}')
    secrets.write(name, '{"user": {"name": "you"}}')
    secrets.save("here")
    for version, value in (("@1", "me"), ("@2", "you"), ("@latest", "you"), ("", "you")):
        assert Secret(value=f"gcp-secret/here:{name}#user.name{version}").get() == value
    with pytest.raises(ReferenceUnresolved, match=r"of Secret\.value .*version"):
        Secret(value=f"gcp-secret/here:{name}@7").get()


def test_replicas_are_kept_where_the_block_says(secrets: GcpSecrets, name: str) -> None:
    secrets.replica_locations = ["europe-west3", "europe-west4"]
    secrets.write(name, "a value")
    client = secrets.gcp_credentials.client("secret_manager", endpoint=secrets.endpoint)
    path = f"projects/{secrets.gcp_credentials.find_project()}/secrets/{name}"
    found = client.get_secret(name=path).replication.user_managed.replicas
    assert [each.location for each in found] == ["europe-west3", "europe-west4"]


def test_without_a_project_it_says_so() -> None:
    nowhere = GcpSecrets(gcp_credentials=GcpCredentials(anonymous=True))
    with pytest.raises(CredentialsError, match="GOOGLE_CLOUD_PROJECT"):
        nowhere.read("any")


def test_tasks_do_what_they_are_named_for(secrets: GcpSecrets, name: str) -> None:
    @flow
    def everything() -> list[str]:
        path = create_secret(name, secrets)
        assert path.endswith(f"/secrets/{name}")
        with pytest.raises(SecretStoreError, match="exists"):
            create_secret(name, secrets)
        with pytest.raises(SecretMissing):
            read_secret(name, secrets)
        assert update_secret(name, "first value", secrets) == f"{path}/versions/1"
        update_secret(name, Secret(value="second value").value, secrets)
        found = [read_secret(name, secrets), read_secret(name, secrets, version_id="1")]
        found += read_secret.map([name, name], unmapped(secrets)).result()
        with pytest.raises(SecretStoreError, match="Pass a number"):
            delete_secret_version(name, "latest", secrets)
        assert delete_secret_version(name, "1", secrets) == f"{path}/versions/1"
        with pytest.raises(SecretMissing):
            read_secret(name, secrets, version_id="1")
        update_secret(name, b"\xff\xfe bytes", secrets)
        with pytest.raises(SecretStoreError, match="UTF-8"):
            read_secret(name, secrets)
        assert delete_secret(name, secrets) == path
        for gone in (read_secret, delete_secret):
            with pytest.raises(SecretMissing):
                gone(name, secrets)
        with pytest.raises(SecretMissing):
            update_secret(name, "a value", secrets)
        return found

    @flow
    async def the_same() -> str:
        await acreate_secret(name, secrets)
        await aupdate_secret(name, "of a coroutine", secrets)
        await aupdate_secret(name, "another", secrets)
        await adelete_secret_version(name, "2", secrets)
        found = await aread_secret(name, secrets, "1")
        await adelete_secret(name, secrets)
        return found

    assert everything() == ["second value", "first value", "second value", "second value"]
    assert asyncio.run(the_same()) == "of a coroutine"


def test_500_tasks_with_three_secrets_ask_google_three_times(
    secrets: GcpSecrets, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    secrets.save("here")
    for number in range(3):
        secrets.write(f"{name}-{number}", f"value {number}")
        Secret(value=f"gcp-secret/here:{name}-{number}").save(f"secret-{number}")

    @task
    def use(number: int) -> bool:
        found = [Secret.load(f"secret-{each}").get() for each in range(3)]
        return found == ["value 0", "value 1", "value 2"] and number >= 0

    @flow
    def many() -> int:
        return sum(use.map(range(500)).result())

    with caplog.at_level(logging.DEBUG, "urllib3.connectionpool"):
        assert many() == 500
    assert len([r for r in caplog.records if ":access" in r.getMessage()]) == 3


def test_a_rotated_secret_is_read_again_after_a_refusal(secrets: GcpSecrets, name: str) -> None:
    expect_a_rotated_secret_to_be_read_again(secrets, "gcp-secret", name)


def test_canaries_are_nowhere(
    secrets: GcpSecrets, name: str, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    canaries = [f"canary-{uuid4().hex}" for _ in range(3)]
    one, two, three = canaries
    shown: list[str] = []

    @flow(log_prints=True, persist_result=True)
    def careless(holder: Secret) -> int:
        print("found", holder.get())
        create_secret(f"{name}-2", secrets)
        update_secret(f"{name}-2", Secret(value=two).value, secrets)
        update_secret(f"{name}-2", SecretStr(three), secrets)
        with pytest.raises(SecretMissing) as caught:
            read_secret(f"{name}-2", secrets, version_id="9")
        shown.append("".join(format_exception(caught.value)))
        return len(read_secret(f"{name}-2", secrets))

    with caplog.at_level(logging.DEBUG):
        for logger in ("google", "google.cloud.secretmanager_v1"):
            logging.getLogger(logger).setLevel(logging.DEBUG)
        secrets.write(f"{name}-1", one)
        secrets.save("here")
        holder = Secret(value=f"gcp-secret/here:{name}-1")
        holder.save("one")
        assert careless(holder) == len(three)
        shown += [repr(holder), holder.model_dump_json(), repr(pickle.dumps(holder))]
    current.services().close()
    shown += [repr(r.__dict__) for r in caplog.records if not r.name.startswith("flowstone")]
    shown += [path.read_bytes().decode("latin-1") for path in home.rglob("*") if path.is_file()]
    for canary in canaries:
        assert not [text for text in shown if canary in text]
    assert ":access" in "".join(shown)


def test_a_refused_login_is_told(key: dict[str, str], refusing: Tokens, drongo: str) -> None:
    wrong = GcpCredentials(service_account_info={**key, "token_uri": f"{refusing.url}/token"})
    with pytest.raises(CredentialsError, match="invalid_grant"):
        GcpSecrets(gcp_credentials=wrong, endpoint=drongo).read("any")
