"""SlackWebhook: notes in a channel of Slack, or of what speaks its language."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from flowstone.blocks.notifiers import HttpNotifier, HttpProvider

if TYPE_CHECKING:
    from flowstone.blocks.notifiers import Note

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

    def make_provider(self) -> HttpProvider:
        """Return the channel, as its URL takes notes."""
        return HttpProvider(self, _render, max_body_length=LONGEST_BODY)


def _render(note: Note) -> dict[str, str]:
    body = note.body.translate(_ESCAPES)
    subject = note.subject and f"*{note.subject.translate(_ESCAPES)}*\n"
    return {"text": f"{subject or ''}{body}"}
