"""Canaries: random secrets in every field are in nothing that leaves the process."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

import pytest
from pydantic import SecretStr
from tests.services.snowflake import PASSWORD, Snowflake

from flowstone import flow
from flowstone.context import current
from flowstone.records.access import StoreAccess
from flowstone_snowflake import SnowflakeConnector, SnowflakeCredentials, snowflake_query
from flowstone_snowflake.clouds import make_location


def use(connector: SnowflakeConnector, value: str) -> list[str]:
    """Do what may go wrong, and return all that it says."""
    said: list[str] = []

    @flow(log_prints=True)
    def everything(connector: SnowflakeConnector, parameter: object) -> None:
        print(connector, parameter)
        attempts: list[Callable[[], object]] = [
            lambda: snowflake_query("SELECT CAST(? AS INTEGER)", connector, [value]),
            lambda: snowflake_query("SELECT * FROM nowhere WHERE a = ?", connector, [value]),
            lambda: connector.insert("guarded", [{"id": value}], create=True),
            lambda: connector.credentials.resolve_private_key(),
            lambda: connector.credentials.client(),
            connector.access,
        ]
        for attempt in attempts:
            try:
                said.append(repr(attempt()))
            except Exception as error:
                said.append("".join(traceback.format_exception(error)))
                said.append(repr(error.__dict__))

    everything(connector, connector.credentials)
    login = connector.credentials
    return [*said, repr(login.check()), repr(connector), str(login), connector.model_dump_json()]


@pytest.mark.parametrize("is_let_in", [True, False])
def test_canaries_are_nowhere(
    is_let_in: bool,
    database: SnowflakeConnector,
    emulated: Snowflake,
    home: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    names = ("private_key_passphrase", "token", "passcode", "oauth_client_secret", "password")
    canaries = {name: f"canary-{token_hex(16)}" for name in names}
    value = f"canary-{token_hex(16)}"
    if is_let_in:
        canaries["password"] = PASSWORD
    fields = {**database.credentials.model_dump(), **canaries}
    login = SnowflakeCredentials(**{name: given for name, given in fields.items() if given})
    connector = database.model_copy(update={"credentials": login})
    with caplog.at_level(logging.DEBUG):
        connector.save("canary")
        shown = use(connector, value)
        shown += [pickle.dumps(connector).decode("latin-1")]
    connector.close()
    current.services().close()
    ours = [each.getMessage() for each in caplog.records if not each.name.startswith("snowflake")]
    shown += [path.read_bytes().decode("latin-1") for path in home.rglob("*") if path.is_file()]
    assert any("everything" in text for text in shown)
    # At DEBUG, the connector's own log has the service's words, which quote values.
    assert value not in "".join([*shown, *ours])
    shown.append(caplog.text)
    for canary in canaries.values():
        for form in (canary, json.dumps(canary)[1:-1]):
            assert not [text for text in shown if form in text]


def test_a_private_key_is_in_no_error() -> None:
    canary = token_hex(32)
    for key in (f"-----BEGIN PRIVATE KEY-----\n{canary}\n-----END PRIVATE KEY-----", canary):
        login = SnowflakeCredentials(account="a", user="b", private_key=key)
        with pytest.raises(Exception, match="can't be read") as caught:
            login.client()
        assert canary not in "".join(traceback.format_exception(caught.value))


def test_a_bucket_s_key_is_shown_by_no_access() -> None:
    secrets = {"access_key_id": SecretStr("AK"), "secret_access_key": SecretStr("canary-key")}
    access = StoreAccess("s3", "raw", secrets=secrets)
    assert "canary-key" in str(make_location(access, "AWS_EU_WEST_1")), "a statement needs it"
    assert "canary-key" not in repr(access)
