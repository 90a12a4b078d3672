"""Webhook: a note, or any payload, as JSON to a secret URL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from flowstone.blocks.async_twins import run_in_thread
from flowstone.blocks.notifiers.http_notifier import HttpNotifier, HttpProvider
from flowstone.errors import NotificationFailed
from flowstone.secrets.values import SecretDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.blocks.notifiers.http import Answer
    from flowstone.blocks.notifiers.note import Note

_PLACE = re.compile(r"\{\{ *(body|subject) *\}\}")


class Webhook(HttpNotifier):
    """Sends JSON to a secret URL: notes by a template, or any payload by `call`."""

    _description: ClassVar[str | None] = "A secret URL that takes JSON: notes, or any payload."
    _code_example: ClassVar[str | None] = (
        'Webhook(url="https://example.org/hooks/1").save("ours")\n'
        'Webhook.load("ours").call({"order": 7})'
    )

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field(
        default="POST", description="How it is sent."
    )
    headers: SecretDict = Field(
        default_factory=lambda: SecretDict({}), description="Headers by name; all values secret."
    )
    template: dict[str, Any] = Field(
        default_factory=lambda: {"subject": "{{subject}}", "body": "{{body}}"},
        description="The JSON that carries a note; {{body}} and {{subject}} stand for its texts.",
    )

    def make_provider(self) -> HttpProvider:
        """Return the URL, and how notes are sent there."""
        return HttpProvider(self, self._fill_template, method=self.method, headers=self.headers)

    def call(self, payload: object = None) -> Answer:
        """Send a payload once, and return the answer, whatever its status.

        Args:
            payload: a JSON value, sent as it is; None sends no body.

        Raises:
            NotificationUnsent: the server was not reached.
            NotificationFailed: it was, and did not answer in time.
        """
        try:
            return self.make_provider().send(payload)
        except NotificationFailed as error:
            masked = self._mask_error(error)
        raise masked

    async def acall(self, payload: object = None) -> Answer:
        """Do as `call`, and let other coroutines run meanwhile."""
        return await run_in_thread(self.call, payload)

    def _fill_template(self, note: Note) -> object:
        return _fill(self.template, {"body": note.body, "subject": note.subject or ""})


def _fill(template: object, texts: Mapping[str, str]) -> object:
    """Return a template with its places filled: once, so that what is put in is not looked at."""
    if isinstance(template, str):
        return _PLACE.sub(lambda place: texts[place[1]], template)
    if isinstance(template, dict):
        return {key: _fill(value, texts) for key, value in template.items()}
    if isinstance(template, list):
        return [_fill(value, texts) for value in template]
    return template
