"""Sample blocks for a check: they fit their fields, and every secret field is set in one."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import AnyUrl, BaseModel, Field, SecretBytes, SecretStr, model_validator

from flowstone.blocks import Block, SecretDict
from flowstone.plugins import get_host
from flowstone.secrets.fields import hides
from flowstone.secrets.walk import secret_texts
from flowstone_testing.check.outside import find_sdks
from flowstone_testing.check.samples import NoSample, make_samples


class Colour(Enum):
    RED = "red"


class Inner(BaseModel):
    word: str
    key: SecretStr | None = None


class Many(Block):
    text: str = Field(min_length=9)
    count: int = Field(ge=5)
    ratio: float = Field(gt=2, lt=4)
    flag: bool
    data: bytes
    place: Path
    kind: Literal["one", "two"]
    colour: Colour
    url: AnyUrl
    either: int | str
    words: list[str]
    pair: tuple[int, str]
    table: dict[str, int]
    inner: Inner
    other: Block
    noted: Annotated[str, "a note"]
    anything: Any
    token: SecretStr | None = None
    raw: SecretBytes | None = None
    options: SecretDict | None = None
    named: dict[str, SecretStr] = Field(default_factory=dict)


class Choosy(Block):
    _code_example: ClassVar[str | None] = 'Choosy(name_of_it="seven").save("x")'
    name_of_it: str

    @model_validator(mode="after")
    def _is_seven(self) -> Choosy:
        if self.name_of_it != "seven":
            raise ValueError("not seven")
        return self


class Telling(Block):
    name_of_it: str = Field(examples=["seven"])
    token: SecretStr | None = None

    @model_validator(mode="after")
    def _is_seven(self) -> Telling:
        if self.name_of_it != "seven":
            raise ValueError("not seven")
        return self


class Exclusive(Block):
    token: SecretStr | None = None
    password: SecretStr | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Exclusive:
        if self.token and self.password:
            raise ValueError("not both")
        return self


class Never(Block):
    what: int

    @model_validator(mode="after")
    def _never(self) -> Never:
        raise ValueError("never")


def test_every_kind_of_field_gets_a_value() -> None:
    little, secret = make_samples(Many)
    assert isinstance(little, Many)
    assert isinstance(secret, Many)
    assert (little.token, little.raw, little.options, little.named) == (None, None, None, {})
    for name, field in Many.model_fields.items():
        if hides(field.annotation):
            assert len("".join(secret_texts(getattr(secret, name)))) >= 12, name


@pytest.mark.parametrize(
    "slug", [offer.name for offer in get_host().offers("block") if not offer.plugin.error]
)
def test_every_installed_type_has_samples(slug: str) -> None:
    kind = get_host().load("block", slug)
    assert {type(found) for found in make_samples(kind)} == {kind}


def test_a_type_that_is_picky_gives_its_own_example() -> None:
    assert make_samples(Choosy) == [Choosy(name_of_it="seven")]


def test_a_field_may_have_examples() -> None:
    plain, secret = make_samples(Telling)
    assert isinstance(plain, Telling)
    assert isinstance(secret, Telling)
    assert (plain.token, secret.name_of_it) == (None, "seven")
    assert secret.token is not None


def test_of_secrets_that_exclude_each_other_each_is_set_once() -> None:
    samples = make_samples(Exclusive)
    assert all(isinstance(each, Exclusive) for each in samples)
    assert [sorted(each.model_fields_set) for each in samples] == [[], ["token"], ["password"]]


def test_where_none_can_be_made_the_reasons_are_told() -> None:
    with pytest.raises(NoSample, match="never"):
        make_samples(Never)


def test_what_a_package_needs_besides_flowstone_is_heavy() -> None:
    assert find_sdks("no-such-distribution") == ()
    assert set(find_sdks("flowstone")) >= {"pyarrow", "pytest"}
