"""Documents that do not fit their type any more, loaded all the same."""

from __future__ import annotations

import asyncio
import logging
import pickle
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr, field_validator, model_validator

from flowstone.blocks import Block, Secret, SecretDict
from flowstone.blocks.base import Migration
from flowstone.context.current import services
from flowstone.errors import BlockInvalid, DocumentInvalid

pytestmark = pytest.mark.usefixtures("flowstone_services")
CANARY = "canary-9d2f1c"


class Harbor(Block):
    """As it was when it was saved."""

    host: str
    port: int = 80
    token: SecretStr | None = None
    keys: SecretDict | None = None
    login: Secret | None = None
    old: str = "gone"


def save_harbor(**fields: Any) -> None:
    login = Secret(value=CANARY)
    Harbor(host="a", token=CANARY, keys={"k": CANARY}, login=login, **fields).save("harbor")


def change_type() -> Any:
    """Return the type as it is now: `old` is gone, `port` is a tuple, and `user` is new."""

    class Harbor(Block):
        host: str
        port: tuple[int, ...] = (443,)
        token: SecretStr | None = None
        keys: SecretDict | None = None
        login: Secret | None = None
        user: str

        @field_validator("user")
        @classmethod
        def _is_short(cls, value: str) -> str:
            if len(value) > 5:
                raise ValueError("it is too long")
            return value

    return Harbor


def test_what_fits_is_loaded_and_the_rest_is_set_before_it_is_saved(
    caplog: pytest.LogCaptureFixture,
) -> None:
    save_harbor()
    changed = change_type()
    with pytest.raises(DocumentInvalid, match="user"):
        changed.load("harbor")
    with caplog.at_level(logging.WARNING):
        loaded = changed.load("harbor", validate=False)
    assert "without these fields, whose saved values are not valid: old, port" in caplog.text
    assert (loaded.name, loaded.host, loaded.port, loaded.user) == ("harbor", "a", (443,), None)
    assert loaded.token.get_secret_value() == CANARY
    assert loaded.keys.get_secret_value() == {"k": CANARY}
    assert loaded.login.get() == CANARY
    assert CANARY not in f"{loaded!r} {loaded.model_dump()} {caplog.text}"
    with pytest.raises(BlockInvalid, match=r"user: .* set it before you save"):
        loaded.save(overwrite=True)
    with pytest.raises(BlockInvalid, match=r"user: .* set it before you save"):
        pickle.dumps(loaded)
    with pytest.raises(BlockInvalid, match="it is too long"):
        loaded.user = "much too long"
    loaded.user = "me"
    assert loaded.save(overwrite=True) == 2
    assert changed.load("harbor") == loaded


def test_a_document_that_fits_is_loaded_as_ever() -> None:
    save_harbor(port=1)
    assert Harbor.load("harbor", validate=False) == Harbor.load("harbor")
    assert asyncio.run(Harbor.aload("harbor", validate=False)).port == 1
    assert Harbor.load_from_ref("harbor/harbor", validate=False).port == 1
    assert Block.load("harbor/harbor", validate=False) == Harbor.load("harbor")


def test_references_stay_references() -> None:
    Harbor(host="a", token="env:PLACE_TOKEN", keys={"k": "env:PLACE_TOKEN"}).save("harbor")
    loaded = change_type().load("harbor", validate=False)
    assert "env:PLACE_TOKEN" in repr(loaded.token)
    loaded.user = "me"
    loaded.save("again")
    body = services().documents.get("block:harbor", "again").body
    assert body["fields"]["token"] == {"$ref": "env:PLACE_TOKEN"}


def test_a_rule_of_the_whole_block_waits_until_it_is_whole() -> None:
    save_harbor()

    class Harbor(Block):
        host: str
        user: str

        @model_validator(mode="after")
        def _differ(self) -> Any:
            if self.host == self.user:
                raise ValueError("they are the same")
            return self

    loaded = Harbor.load("harbor", validate=False)
    assert loaded.model_dump()["user"] is None
    with pytest.raises(BlockInvalid, match="they are the same"):
        loaded.user = "a"


def test_a_migration_that_fails_is_passed_by() -> None:
    save_harbor()

    def fail(_: dict[str, Any]) -> dict[str, Any]:
        raise KeyError("no")

    class Harbor(Block):
        schema_version: ClassVar[int] = 2
        migrations: ClassVar[dict[int, Migration]] = {1: fail}
        host: str

    with pytest.raises(DocumentInvalid, match="its migration from version 1 failed"):
        Harbor.load("harbor")
    assert Harbor.load("harbor", validate=False).host == "a"
