"""Webhook: posts a note, or any payload, as JSON to a secret URL."""

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
    """Sends JSON to a secret URL: notes with a template, or any payload with `call`."""

    _description: ClassVar[str | None] = "A secret URL that accepts JSON: notes, or any payload."
    _code_example: ClassVar[str | None] = (
        'Webhook(url="https://example.org/hooks/1").save("ours")\n'
        'Webhook.load("ours").call({"order": 7})'
    )

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field(
        default="POST", description="The HTTP method."
    )
    headers: SecretDict = Field(
        default_factory=lambda: SecretDict({}),
        description="HTTP headers by name; all values are secret.",
    )
    template: dict[str, Any] = Field(
        default_factory=lambda: {"subject": "{{subject}}", "body": "{{body}}"},
        description="The JSON of a note, with the placeholders {{body}} and {{subject}}.",
    )

    def make_provider(self) -> HttpProvider:
        """Return the provider for the URL."""
        return HttpProvider(self, self._fill_template, method=self.method, headers=self.headers)

    def call(self, payload: object = None) -> Answer:
        """Send a payload once, and return the response, whatever its status.

        Args:
            payload: a JSON value, sent unchanged; None sends no body.

        Raises:
            NotificationUnsent: the server was not reached.
            NotificationFailed: it was reached, and did not respond in time.
        """
        try:
            return self.make_provider().send(payload)
        except NotificationFailed as error:
            masked = self._mask_error(error)
        raise masked

    async def acall(self, payload: object = None) -> Answer:
        """Async version of `call`."""
        return await run_in_thread(self.call, payload)

    def _fill_template(self, note: Note) -> object:
        return _fill(self.template, {"body": note.body, "subject": note.subject or ""})


def _fill(template: object, texts: Mapping[str, str]) -> object:
    """Return a template with its placeholders replaced; inserted text is not expanded."""
    if isinstance(template, str):
        return _PLACE.sub(lambda place: texts[place[1]], template)
    if isinstance(template, dict):
        return {key: _fill(value, texts) for key, value in template.items()}
    if isinstance(template, list):
        return [_fill(value, texts) for value in template]
    return template
