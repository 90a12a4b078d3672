"""Logins as keys: of dicts, and of caches."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr

from flowstone.blocks import Credentials, Secret, SecretDict

pytestmark = pytest.mark.usefixtures("flowstone_services")


class Options(BaseModel):
    region: str = "here"
    more: dict[str, Any] = Field(default_factory=dict)


class Key(Credentials):
    """A login with fields of all kinds."""

    user: str = ""
    password: SecretStr | None = None
    keys: SecretDict | None = None
    token: Secret | None = None
    options: Options = Options()
    hosts: tuple[str, ...] = ()

    def client(self) -> None: ...

    def _check(self) -> str:
        return self.user


FIELDS = {
    "user": "me",
    "password": "of-mine",
    "keys": {"a": "of-mine", "b": {"c": ["of-mine"]}},
    "token": Secret(value={"deep": ["of-mine"]}),
    "options": {"more": {"b": 1, "a": [2]}},
    "hosts": ("a", "b"),
}


def test_equal_logins_are_one_key() -> None:
    opened = []

    @lru_cache
    def open_client(login: Key) -> int:
        opened.append(login)
        return len(opened)

    again = {**FIELDS, "options": {"more": {"a": [2], "b": 1}}}
    assert [open_client(Key(**FIELDS)), open_client(Key(**again)), open_client(Key())] == [1, 1, 2]
    saved = Key(**FIELDS)
    saved.save("key")
    assert open_client(Key.load("key")) == 1
    assert len({Key(**FIELDS), Key(**again), saved}) == 1


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_makes_a_difference(field: str) -> None:
    less = {name: value for name, value in FIELDS.items() if name != field}
    assert hash(Key(**less)) != hash(Key(**FIELDS))


def test_no_reference_is_resolved() -> None:
    one = Key(password="env:NOWHERE_TO_BE_FOUND", keys={"a": "env:NOWHERE_TO_BE_FOUND"})
    assert hash(one) == hash(one.model_copy())
    assert hash(one) != hash(Key(password="env:ELSEWHERE"))
