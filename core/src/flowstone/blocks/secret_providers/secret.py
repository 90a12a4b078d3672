"""Secret: one secret value, saved by name."""

from __future__ import annotations

from typing import Any, ClassVar

import pydantic
from pydantic import Field

from flowstone.blocks.base import Block


class Secret(Block):
    """A secret value: text, or any JSON value."""

    _description: ClassVar[str | None] = "One secret value: a token, a password, or any JSON value."
    _code_example: ClassVar[str | None] = (
        'Secret(value="s3cr3t-token").save("token")\ntoken = Secret.load("token").get()'
    )

    value: pydantic.Secret[Any] = Field(description="The value; masked in all output.")

    def get(self) -> Any:
        """Return the value in plain text."""
        return self.value.get_secret_value()
