"""Messages in Slack's format: text, attachments and blocks, without secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from flowstone.errors import NotificationInvalid
from flowstone.records.redaction import redact


@runtime_checkable
class Model(Protocol):
    """A part of a message as a class of the SDK: a block, an attachment."""

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON values."""


Part = Mapping[str, object] | Model


def make_message(
    text: str | None, attachments: Sequence[Part] | None, blocks: Sequence[Part] | None
) -> dict[str, object]:
    """Return the JSON of a message, with secrets that this process knows masked.

    Args:
        text: text in Slack's markup.
        attachments: dicts, or objects of the SDK.
        blocks: dicts, or objects of the SDK.

    Raises:
        NotificationInvalid: the message is empty, or can't be JSON.
    """
    given = {"text": text, "attachments": attachments, "blocks": blocks}
    remedy = "Pass a text, or blocks and attachments as Slack documents them."
    try:
        encoded = json.dumps({key: value for key, value in given.items() if value}, default=_encode)
        message = {key: _mask(value) for key, value in json.loads(encoded).items()}
    except (TypeError, ValueError) as error:
        problem = f"it can't be written as JSON ({type(error).__name__})"
    else:
        if message:
            return message
        problem = "it is empty"
    raise NotificationInvalid("a message for Slack", problem, remedy)


def _encode(value: object) -> object:
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


def _mask(value: object) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _mask(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_mask(each) for each in value]
    return value
