"""TemplateNotifier: the service's channels as notifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from pydantic import Field

from flowstone.blocks import Notifier
from flowstone_template.credentials import TemplateCredentials
from flowstone_template.errors import sent

if TYPE_CHECKING:
    from flowstone.blocks import Note


class TemplateNotifier(Notifier):
    """Tells people something in one channel of the service."""

    _block_type_name: ClassVar[str | None] = "Template Notifier"
    _block_type_slug: ClassVar[str | None] = "template-notifier"
    _description: ClassVar[str | None] = "One channel of the service, as a notifier."
    _code_example: ClassVar[str | None] = (
        'TemplateNotifier(channel="alerts").notify("3 rows are missing", subject="Orders")'
    )
    #: What the service takes at most, in characters.
    _longest_body: ClassVar[int | None] = 10_000

    channel: str = Field(description="The name of the channel.")
    credentials: TemplateCredentials = Field(
        default_factory=TemplateCredentials, description="The login; by default the environment's."
    )

    def _where(self) -> str:
        return f"{self.credentials.url or ''}/{self.channel}"

    def _notify(self, note: Note) -> None:
        client = self.credentials.client(timeout=self.timeout_seconds)
        with client, sent(self._where()):
            content = {"subject": note.subject, "body": note.body}
            client.post(f"/{quote(self.channel, safe='')}", json=content).raise_for_status()
