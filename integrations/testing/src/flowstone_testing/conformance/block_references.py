"""The part of BlockSuite that tests secret fields and the references they take."""

# ruff: noqa: S301 - it unpickles what it pickled

from __future__ import annotations

import inspect
import pickle
import re
from secrets import token_hex
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

import pytest
from pydantic import BaseModel

from flowstone.errors import ReferenceUnresolved
from flowstone.records.encoding import dumps
from flowstone.secrets.fields import hides
from flowstone.secrets.values import MASKED
from flowstone_testing.conformance.loops import assert_lets_others_run
from flowstone_testing.conformance.reaching import (
    ADDRESS,
    assert_own_errors,
    find_calls,
    find_own_methods,
    make_unreachable,
    takes_text,
)
from flowstone_testing.conformance.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowstone.blocks import Block
    from flowstone.context.current import Services


#: Names of fields that hold a secret.
SECRET = re.compile(
    r"(^|_)(password|passwd|passphrase|secret|token|api_?key|(access|private|secret)_key)s?$",
    re.IGNORECASE,
)


class BlockReferences(Suite):
    """Secret fields take references, which are not resolved before the secret is read.

    Attributes:
        no_secrets: fields that are named like a secret but hold none.
    """

    no_secrets: ClassVar[frozenset[str]] = frozenset()

    def test_what_is_called_a_secret_is_one(self, examples: Sequence[Block]) -> None:
        """Make the named fields a ``SecretStr``: a ``str`` is saved and shown in plain text.

        List one that holds no secret, such as the token of a page, in `no_secrets`.
        """
        plain = {
            f"{type(block).__name__}.{name}"
            for block in examples
            for name, field in type(block).model_fields.items()
            if SECRET.search(name) and _is_text(field.annotation) and name not in self.no_secrets
        }
        assert sorted(plain) == []

    def test_a_url_holds_no_password(self, examples: Sequence[Block]) -> None:
        """Refuse a password in the named fields by a validator, or make them secret.

        A URL in a ``str`` is shown and saved in plain text, so a password needs its own field.
        """
        shown = {
            f"{type(model).__name__}.{name}"
            for block in examples
            for model in _walk_models(block)
            for name, field in type(model).model_fields.items()
            if ADDRESS.search(name) and takes_text(field) and _shows_password(model, name)
        }
        assert sorted(shown) == []

    def test_only_errors_of_ours_come_out(self, examples: Sequence[Block]) -> None:
        """Translate the errors that the SDK raises if the connection to the service is refused."""
        for block in examples:
            unreachable = make_unreachable(block)
            for name, call in find_calls(unreachable) if unreachable is not None else ():
                assert_own_errors(f"{type(block).__name__}.{name}", call)

    def test_its_coroutines_let_others_run(self, examples: Sequence[Block]) -> None:
        """Look at the block's own async methods and what they call: nothing may block."""
        for block in examples:
            unreachable = make_unreachable(block)
            for name, method in find_own_methods(unreachable) if unreachable is not None else ():
                if inspect.iscoroutinefunction(method):
                    assert_lets_others_run(f"{type(block).__name__}.{name}", method)

    def test_a_secret_field_takes_a_reference(
        self, examples: Sequence[Block], services: Services
    ) -> None:
        """Look for code that reads the secret when the block is created or loaded: it's too early.

        Validators of a secret field are not called with a reference; those of the model are.
        """
        reference = "env:FLOWSTONE_NO_SUCH_VARIABLE"
        for block in examples:
            fields = {name: getattr(block, name) for name in type(block).model_fields}
            for name, field in type(block).model_fields.items():
                if not hides(field.annotation) or not isinstance(fields[name], MASKED):
                    continue
                referring = block.model_copy(update={name: reference})
                assert reference in repr(referring)
                assert referring == type(block)(**fields | {name: reference})
                assert dumps(reference) in dumps(_body(referring, services))
                assert type(block).load("kept") == referring
                assert pickle.loads(pickle.dumps(referring)) == referring
                with pytest.raises(ReferenceUnresolved, match="FLOWSTONE_NO_SUCH_VARIABLE"):
                    getattr(referring, name).get_secret_value()


def _walk_models(model: BaseModel) -> Iterator[BaseModel]:
    yield model
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _walk_models(value)


def _shows_password(model: BaseModel, name: str) -> bool:
    """Return whether a field accepts a URL with a password and shows it."""
    canary = f"canary-{token_hex(12)}"
    given = {each: getattr(model, each) for each in type(model).model_fields}
    value = given[name]
    scheme = urlsplit(value).scheme if isinstance(value, str) and value else "https"
    try:
        made = type(model)(**{**given, name: f"{scheme}://user:{canary}@example.org"})
    except ValueError as error:
        return canary in str(error)
    return canary in repr(made) or canary in made.model_dump_json()


def _is_text(hint: object) -> bool:
    """Return whether a field stores a string unchanged."""
    if hint in {str, bytes}:
        return True
    parts = getattr(hint, "__args__", ())
    if getattr(hint, "__origin__", None) is dict:
        parts = parts[1:]  # the keys are names
    return any(map(_is_text, parts))


def _body(block: Block, services: Services) -> dict[str, object]:
    block.save("kept", overwrite=True)
    return dict(services.documents.get(f"block:{block.block_type_slug()}", "kept").body)
