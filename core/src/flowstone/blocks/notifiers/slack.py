"""SlackWebhook: notes in a channel of Slack, or of what speaks its language."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from flowstone.blocks.notifiers.webhook import WebNotifier

if TYPE_CHECKING:
    from flowstone.blocks.notifiers.notifier import Note

#: Slack's own: these begin links and mentions, so that a text could call a whole channel.
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class SlackWebhook(WebNotifier):
    """Posts to a channel by an incoming webhook: Slack, Mattermost, Rocket.Chat, Zulip."""

    _block_type_name: ClassVar[str | None] = "Slack Webhook"
    _description: ClassVar[str | None] = "A channel of Slack, or of a chat that is like it."
    _code_example: ClassVar[str | None] = (
        'SlackWebhook(url="https://hooks.slack.com/services/…").save("alerts")\n'
        'SlackWebhook.load("alerts").notify("3 rows are missing", subject="Orders")'
    )
    #: Slack cuts at 40,000 without a mark, and an escaped character counts for five.
    _longest_body: ClassVar[int | None] = 7_500

    def _payload(self, note: Note) -> object:
        body = note.body.translate(_ESCAPES)
        subject = note.subject and f"*{note.subject.translate(_ESCAPES)}*\n"
        return {"text": f"{subject or ''}{body}"}
