"""Slack's API and incoming webhooks, as its documentation has them, on this machine."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.services.web import Handler, serve_web

from flowstone_testing.desks import Script

CHANNELS = {"#alerts": "C0123456789", "C0123456789": "C0123456789"}
_HOOK = re.compile(r"/services/T\w+/B\w+/\w+")


class Slack(Script):
    """A workspace.

    Attributes:
        url: its address: the API is at ``/api/``, webhooks are at ``/services/``.
        token: that of its only bot.
        messages: what was posted, as JSON.
        asks_for_patience: the seconds that the next requests are told to wait, one number each.
    """

    def __init__(self, url: str, token: str) -> None:
        super().__init__()
        self.url, self.token = url, token
        self.messages: list[dict[str, Any]] = []
        self.asks_for_patience: list[int] = []


@contextmanager
def serve_slack(token: str) -> Iterator[Slack]:
    """Open a workspace for a while."""
    found: list[Slack] = []

    class Clerk(Handler):
        def do_POST(self) -> None:
            (slack,), body = found, self.read_body()
            if slack.asks_for_patience:  # https://api.slack.com/apis/rate-limits
                after = {"Retry-After": str(slack.asks_for_patience.pop(0))}
                self.respond(429, b'{"ok": false, "error": "ratelimited"}', after)
            elif self.path == "/api/auth.test":
                self._answer(
                    slack, {"user": "flow", "team": "Ours", "url": "https://ours.slack.com"}
                )
            elif self.path == "/api/chat.postMessage":
                self._post(slack, json.loads(body))
            elif _HOOK.fullmatch(self.path):  # https://api.slack.com/messaging/webhooks
                slack.messages.append(json.loads(body))
                self.respond(200, b"ok", {"Content-Type": "text/html"})
            else:
                self.respond_json(200, {"ok": False, "error": "unknown_method"})

        def _answer(self, slack: Slack, more: dict[str, Any]) -> None:
            """Answer as https://api.slack.com/web#responses says: all errors with a status of 200.

            https://api.slack.com/methods/auth.test
            """
            if self.headers.get("Authorization") != f"Bearer {slack.token}":
                more = {"ok": False, "error": "invalid_auth"}
            self.respond_json(200, {"ok": True, **more})

        def _post(self, slack: Slack, message: dict[str, Any]) -> None:
            """Post as https://api.slack.com/methods/chat.postMessage says."""
            channel = CHANNELS.get(message["channel"])
            if channel is None:
                self._answer(slack, {"ok": False, "error": "channel_not_found"})
                return
            if self.headers.get("Authorization") == f"Bearer {slack.token}":
                slack.messages.append(message)
                slack.keep(html.unescape(message.get("text", "")))
            shown = {"text": message.get("text", ""), "bot_id": "B012", "type": "message"}
            self._answer(slack, {"channel": channel, "ts": "1503435956.000247", "message": shown})

    with serve_web(Clerk) as server:
        found.append(Slack(server.url, token))
        yield found[0]
