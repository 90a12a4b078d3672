"""SlackWebhook: notes in a channel of Slack or of a compatible service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import PrivateAttr
from slack_sdk import WebhookClient

from flowstone.blocks.notifiers import HttpNotifier, HttpProvider, Note

#: Characters that begin links and mentions in Slack, so that a text could mention a whole channel.
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
#: Slack truncates at 40,000 without a mark, and an escaped character counts as up to five.
LONGEST_BODY = 7_500


class SlackWebhook(HttpNotifier):
    """Posts to a channel by an incoming webhook: Slack, Mattermost, Rocket.Chat, Zulip."""

    _block_type_name: ClassVar[str | None] = "Slack Webhook"
    _description: ClassVar[str | None] = "A channel of Slack or of a compatible service."
    _code_example: ClassVar[str | None] = (
        'SlackWebhook(url="https://hooks.slack.com/services/…").save("alerts")\n'
        'SlackWebhook.load("alerts").notify("3 rows are missing", subject="Orders")'
    )

    #: The message that is posted instead of a note.
    _message: Mapping[str, object] | None = PrivateAttr(default=None)

    def post(self, message: Mapping[str, object]) -> None:
        """Send a message in Slack's format, with the retries of `notify`.

        Args:
            message: the JSON that Slack documents: ``text``, ``blocks``, ``attachments``.

        Raises:
            NotificationFailed: see `notify`.
        """
        self.model_copy(update={"_message": message}).send_note(Note(""))

    def get_client(self) -> WebhookClient:
        """Return a client of Slack's SDK for the URL."""
        return WebhookClient(self.url.get_secret_value(), timeout=round(self.timeout_seconds))

    def make_provider(self) -> HttpProvider:
        """Return the provider that posts to the URL."""
        return HttpProvider(self, self._render, max_body_length=LONGEST_BODY)

    def _render(self, note: Note) -> object:
        return _render(note) if self._message is None else self._message


def _render(note: Note) -> dict[str, str]:
    body = note.body.translate(_ESCAPES)
    subject = note.subject and f"*{note.subject.translate(_ESCAPES)}*\n"
    return {"text": f"{subject or ''}{body}"}
