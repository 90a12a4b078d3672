"""Key Vault: what is its alone, tasks, and references in many tasks."""

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
from tests.services.key_vault import LONGEST, Vault

from flowstone import flow, task, unmapped
from flowstone.blocks import Secret
from flowstone.context import current
from flowstone.errors import (
    AccessDenied,
    BlockInvalid,
    CredentialsError,
    ReferenceUnresolved,
    SecretMissing,
    SecretStoreError,
)
from flowstone_azure import (
    AzureCredentials,
    AzureKeyVault,
    AzureKeyVaultSecret,
    akey_vault_delete_secret,
    akey_vault_read_secret,
    akey_vault_write_secret,
    key_vault_delete_secret,
    key_vault_read_secret,
    key_vault_write_secret,
)

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def name() -> str:
    return f"test-{uuid4().hex}"


def test_one_secret_is_read_written_and_deleted(key_vault: AzureKeyVault, name: str) -> None:
    secret = AzureKeyVaultSecret(
        secret_name=name, vault_url=key_vault.vault_url, credentials=key_vault.credentials
    )
    with pytest.raises(SecretMissing, match=name):
        secret.read_secret()
    first = secret.write_secret(b"first value")
    second = secret.write_secret("zweiter Wärt".encode())
    assert len(first) == len(second) == 32
    assert asyncio.run(secret.aread_secret()) == "zweiter Wärt".encode()
    assert secret.model_copy(update={"secret_version": first}).read_secret() == b"first value"
    secret.delete_secret()
    with pytest.raises(SecretMissing):
        asyncio.run(secret.adelete_secret())
    third = asyncio.run(secret.awrite_secret(b"third value"))
    assert third not in {first, second}
    assert secret.read_secret() == b"third value"


@pytest.mark.parametrize("wrong", ["db/password", "a b", "with_underscore", "x" * 128])
def test_a_name_that_azure_would_refuse_is_refused_here(
    key_vault: AzureKeyVault, wrong: str
) -> None:
    for ask in (key_vault.read, lambda name: key_vault.write(name, "x"), key_vault.delete_secret):
        with pytest.raises(SecretStoreError, match="Use letters, digits and hyphens"):
            ask(wrong)


def test_what_is_too_long_is_refused(key_vault: AzureKeyVault, name: str) -> None:
    with pytest.raises(SecretStoreError, match="up to 25 KB"):
        key_vault.write(name, "x" * (LONGEST + 1))
    with pytest.raises(SecretMissing):
        key_vault.read(name)


def test_a_disabled_secret_says_so(vault: Vault, key_vault: AzureKeyVault, name: str) -> None:
    key_vault.write(name, "a value")
    vault.secrets[name].is_enabled = False
    with pytest.raises(AccessDenied, match=r"disabled secret.*Check that the secret is enabled"):
        key_vault.read(name)


def test_a_denied_identity_is_told_which_role_it_needs(
    vault: Vault, key_vault: AzureKeyVault, name: str
) -> None:
    vault.denied = True
    with pytest.raises(AccessDenied, match="'Key Vault Secrets User'"):
        key_vault.read(name)


def test_a_reference_names_a_version_and_a_path(key_vault: AzureKeyVault, name: str) -> None:
    first = key_vault.write(name, '{"user": {"name": "me"}}')
    key_vault.write(name, '{"user": {"name": "you"}}')
    key_vault.save("here")
    for version, value in ((f"@{first}", "me"), ("", "you")):
        assert Secret(value=f"azure-keyvault/here:{name}#user.name{version}").get() == value
    with pytest.raises(ReferenceUnresolved, match=r"of Secret\.value .*version"):
        Secret(value=f"azure-keyvault/here:{name}@{uuid4().hex}").get()


def test_the_vault_may_come_from_the_environment(
    key_vault: AzureKeyVault, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_vault.write(name, "a value")
    usual = AzureKeyVault(credentials=key_vault.credentials)
    with pytest.raises(CredentialsError, match="AZURE_KEYVAULT_URL"):
        usual.read(name)
    monkeypatch.setenv("AZURE_KEYVAULT_URL", str(key_vault.vault_url))
    assert usual.read(name) == "a value"
    monkeypatch.delenv("AZURE_KEYVAULT_URL")
    monkeypatch.setenv("KEY_VAULT_NAME", "shop")
    assert usual.make_provider().where == "Key Vault https://shop.vault.azure.net"


@pytest.mark.parametrize("url", ["http://shop.vault.azure.net", "shop", "https://me:x@shop.net"])
def test_a_vault_without_a_safe_address_is_refused(url: str) -> None:
    with pytest.raises(BlockInvalid, match="vault_url"):
        AzureKeyVault(vault_url=url)


def test_a_token_is_not_sent_to_another_domain(
    vault: Vault, key_vault: AzureKeyVault, identity: AzureCredentials
) -> None:
    options = {**identity.client_options, "verify_challenge_resource": True}
    careful = identity.model_copy(update={"client_options": options})
    with pytest.raises(CredentialsError, match="asks for a token of another service"):
        key_vault.model_copy(update={"credentials": careful}).read("any")
    assert not vault.asked


def test_tasks_do_what_they_are_named_for(key_vault: AzureKeyVault, name: str) -> None:
    @flow
    def everything() -> list[str]:
        first = key_vault_write_secret(name, "first value", key_vault)
        key_vault_write_secret(name, Secret(value="second value").value, key_vault)
        found = [
            key_vault_read_secret(name, key_vault),
            key_vault_read_secret(name, key_vault, version=first),
        ]
        found += key_vault_read_secret.map([name, name], unmapped(key_vault)).result()
        with pytest.raises(SecretStoreError, match="base64"):
            key_vault_write_secret(name, b"\xff\xfe", key_vault)
        key_vault_delete_secret(name, key_vault)
        for gone in (key_vault_read_secret, key_vault_delete_secret):
            with pytest.raises(SecretMissing):
                gone(name, key_vault)
        return found

    @flow
    async def the_same() -> str:
        await akey_vault_write_secret(name, "of a coroutine", key_vault)
        found = await akey_vault_read_secret(name, key_vault)
        await akey_vault_delete_secret(name, key_vault)
        return found

    assert everything() == ["second value", "first value", "second value", "second value"]
    assert asyncio.run(the_same()) == "of a coroutine"


def test_500_tasks_with_three_secrets_ask_the_vault_three_times(
    vault: Vault, key_vault: AzureKeyVault, name: str
) -> None:
    key_vault.save("here")
    for number in range(3):
        key_vault.write(f"{name}-{number}", f"value {number}")
        Secret(value=f"azure-keyvault/here:{name}-{number}").save(f"secret-{number}")

    @task
    def use(number: int) -> bool:
        found = [Secret.load(f"secret-{each}").get() for each in range(3)]
        return found == ["value 0", "value 1", "value 2"] and number >= 0

    @flow
    def many() -> int:
        return sum(use.map(range(500)).result())

    assert many() == 500
    assert len([each for each in vault.asked if each.startswith("GET /secrets/")]) == 3


def test_a_rotated_secret_is_read_again_after_a_refusal(
    key_vault: AzureKeyVault, name: str
) -> None:
    expect_a_rotated_secret_to_be_read_again(key_vault, "azure-keyvault", name)


def test_canaries_are_nowhere(
    key_vault: AzureKeyVault, name: str, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    canaries = [f"canary-{uuid4().hex}" for _ in range(3)]
    one, two, three = canaries
    secret = key_vault.credentials.client_secret
    assert secret is not None
    canaries.append(secret.get_secret_value())
    shown: list[str] = []

    @flow(log_prints=True, persist_result=True)
    def careless(holder: Secret, vault: AzureKeyVault) -> int:
        print("found", holder.get(), vault)
        key_vault_write_secret(f"{name}-2", Secret(value=two).value, key_vault)
        key_vault_write_secret(f"{name}-2", SecretStr(three), key_vault)
        with pytest.raises(SecretMissing) as caught:
            key_vault_read_secret(f"{name}-2", key_vault, version=uuid4().hex)
        shown.append("".join(format_exception(caught.value)))
        return len(key_vault_read_secret(f"{name}-2", key_vault))

    with caplog.at_level(logging.DEBUG):
        key_vault.write(f"{name}-1", one)
        key_vault.save("here")
        holder = Secret(value=f"azure-keyvault/here:{name}-1")
        holder.save("one")
        assert careless(holder, key_vault) == len(three)
        shown += [repr(holder), holder.model_dump_json(), repr(pickle.dumps(key_vault))]
    current.services().close()
    assert "/secrets/" in caplog.text
    shown += [r.getMessage() for r in caplog.records if not r.name.startswith("flowstone")]
    shown += [path.read_bytes().decode("latin-1") for path in home.rglob("*") if path.is_file()]
    for canary in canaries:
        assert not [text for text in shown if canary in text]
