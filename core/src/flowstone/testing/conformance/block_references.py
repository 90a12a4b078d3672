"""The part of BlockSuite that is about references in the place of secrets."""

# ruff: noqa: S301 - it unpickles what it pickled

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from flowstone.blocks.masked import hides
from flowstone.blocks.referring import MASKED
from flowstone.errors import ReferenceUnresolved
from flowstone.testing.conformance.suite import Suite
from flowstone.wire import dumps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.ambient import Services
    from flowstone.blocks import Block


class BlockReferences(Suite):
    """Secret fields take references, and nothing follows them before a secret is read."""

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


def _body(block: Block, services: Services) -> dict[str, object]:
    block.save("kept", overwrite=True)
    return dict(services.documents.get(f"block:{block.block_type_slug()}", "kept").body)
