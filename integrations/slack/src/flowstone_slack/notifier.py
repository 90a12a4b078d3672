"""SlackWebhook: notes in a channel of Slack, or of what speaks its language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import PrivateAttr
from slack_sdk import WebhookClient

from flowstone.blocks.notifiers import HttpNotifier, HttpProvider, Note

#: Slack's own: these begin links and mentions, so that a text could call a whole channel.
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
#: Slack cuts at 40,000 without a mark, and an escaped character counts for five.
LONGEST_BODY = 7_500


class SlackWebhook(HttpNotifier):
    """Posts to a channel by an incoming webhook: Slack, Mattermost, Rocket.Chat, Zulip."""

    _block_type_name: ClassVar[str | None] = "Slack Webhook"
    _description: ClassVar[str | None] = "A channel of Slack, or of a chat that is like it."
    _code_example: ClassVar[str | None] = (
        'SlackWebhook(url="https://hooks.slack.com/services/…").save("alerts")\n'
        'SlackWebhook.load("alerts").notify("3 rows are missing", subject="Orders")'
    )

    #: What is posted in the place of a note.
    _message: Mapping[str, object] | None = PrivateAttr(default=None)

    def post(self, message: Mapping[str, object]) -> None:
        """Send a message in Slack's own form; what did not arrive is sent again, as by `notify`.

        Args:
            message: JSON as Slack documents it: ``text``, ``blocks``, ``attachments``.

        Raises:
            NotificationFailed: as `notify` does.
        """
        self.model_copy(update={"_message": message}).send_note(Note(""))

    def get_client(self) -> WebhookClient:
        """Return a client of Slack's own SDK, for the URL."""
        return WebhookClient(self.url.get_secret_value(), timeout=round(self.timeout_seconds))

    def make_provider(self) -> HttpProvider:
        """Return the channel, as its URL takes notes."""
        return HttpProvider(self, self._render, max_body_length=LONGEST_BODY)

    def _render(self, note: Note) -> object:
        return _render(note) if self._message is None else self._message


def _render(note: Note) -> dict[str, str]:
    body = note.body.translate(_ESCAPES)
    subject = note.subject and f"*{note.subject.translate(_ESCAPES)}*\n"
    return {"text": f"{subject or ''}{body}"}
