"""The part of BlockSuite that is about which fields are secret, and references in their place."""

# ruff: noqa: S301 - it unpickles what it pickled

from __future__ import annotations

import pickle
import re
from typing import TYPE_CHECKING, ClassVar

import pytest

from flowstone.errors import ReferenceUnresolved
from flowstone.records.encoding import dumps
from flowstone.secrets.fields import hides
from flowstone.secrets.values import MASKED
from flowstone_testing.conformance.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.blocks import Block
    from flowstone.context.current import Services


#: How fields are called that hold a secret.
SECRET = re.compile(
    r"(^|_)(password|passwd|passphrase|secret|token|api_?key|(access|private|secret)_key)s?$",
    re.IGNORECASE,
)


class BlockReferences(Suite):
    """Secret fields take references, and nothing follows them before a secret is read.

    Attributes:
        no_secrets: fields that are called like a secret, and hold none.
    """

    no_secrets: ClassVar[frozenset[str]] = frozenset()

    def test_what_is_called_a_secret_is_one(self, examples: Sequence[Block]) -> None:
        """Make the fields that are named a ``SecretStr``: a ``str`` is saved and shown as it is.

        One that holds no secret, such as the token of a page, stands in `no_secrets`.
        """
        plain = {
            f"{type(block).__name__}.{name}"
            for block in examples
            for name, field in type(block).model_fields.items()
            if SECRET.search(name) and _is_text(field.annotation) and name not in self.no_secrets
        }
        assert sorted(plain) == []

    def test_a_secret_field_takes_a_reference(
        self, examples: Sequence[Block], services: Services
    ) -> None:
        """Look for code that reads the secret when the block is made or loaded: it may not be here.

        Validators of a secret field don't see a reference; those of the whole model do.
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


def _is_text(hint: object) -> bool:
    """Whether a field takes a text that is kept as it is."""
    if hint in {str, bytes}:
        return True
    return any(_is_text(part) for part in getattr(hint, "__args__", ()))


def _body(block: Block, services: Services) -> dict[str, object]:
    block.save("kept", overwrite=True)
    return dict(services.documents.get(f"block:{block.block_type_slug()}", "kept").body)
