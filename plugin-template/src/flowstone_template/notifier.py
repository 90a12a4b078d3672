"""TemplateNotifier: the service's channels as notifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from pydantic import Field

from flowstone.blocks import Notifier, NotifierProvider
from flowstone_template.credentials import TemplateCredentials
from flowstone_template.errors import raise_notifier_errors

if TYPE_CHECKING:
    from flowstone.blocks import Note


class TemplateNotifier(Notifier):
    """Sends notes to one channel of the service."""

    _block_type_name: ClassVar[str | None] = "Template Notifier"
    _block_type_slug: ClassVar[str | None] = "template-notifier"
    _description: ClassVar[str | None] = "One channel of the service, as a notifier."
    _code_example: ClassVar[str | None] = (
        'TemplateNotifier(channel="alerts").notify("3 rows are missing", subject="Orders")'
    )

    channel: str = Field(description="The name of the channel.")
    credentials: TemplateCredentials = Field(
        default_factory=TemplateCredentials,
        description="Credentials; default: the environment's.",
    )

    def make_provider(self) -> ChannelProvider:
        """Return the provider that sends to the channel."""
        return ChannelProvider(self)


class ChannelProvider(NotifierProvider):
    """Sends to one channel of the service, with one attempt."""

    #: Maximum length that the service accepts, in characters.
    max_body_length = 10_000

    def __init__(self, notifier: TemplateNotifier) -> None:
        self._notifier = notifier

    @property
    def where(self) -> str:
        return f"{self._notifier.credentials.url or ''}/{self._notifier.channel}"

    def deliver(self, note: Note) -> None:
        notifier = self._notifier
        client = notifier.credentials.client(timeout=notifier.timeout_seconds)
        with client, raise_notifier_errors(self.where):
            content = {"subject": note.subject, "body": note.body}
            client.post(f"/{quote(notifier.channel, safe='')}", json=content).raise_for_status()
