"""What comes into the fields of a block: references are taken, masks refused, secrets known."""

from __future__ import annotations

from typing import Any

from flowstone.blocks.validation import misread, refused
from flowstone.records import redaction
from flowstone.secrets.fields import adopted
from flowstone.secrets.values import masks, texts


def admitted(value: Any, title: str, field: str = "") -> Any:
    """Return a block, or the value of one field of it, with the references in it made such.

    What is secret in it is hidden from now on from whatever leaves the process.

    Raises:
        ValidationError: a reference is misspelt, or a secret is only the mask of one.
    """
    try:
        value = adopted(value, f"{title}.{field}" if field else title)
    except ValueError as error:
        problem = str(error)
    else:
        if shown := masks(value):
            raise refused(title, [field] if field else shown)
        for text in texts(value):
            redaction.register(text)
        return value
    raise misread(title, field, problem)
