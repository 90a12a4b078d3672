"""Slack's markup, and its responses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.services.web import Handler, serve_web

from flowstone.errors import NotificationDenied, NotificationFailed
from flowstone_slack import SlackWebhook
from flowstone_testing.desks import web_desk

#: https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks
ANSWERS: dict[str, tuple[int, type[NotificationFailed]]] = {
    "invalid_payload": (400, NotificationFailed),
    "user_not_found": (400, NotificationFailed),
    "action_prohibited": (403, NotificationDenied),
    "channel_not_found": (404, NotificationDenied),
    "channel_is_archived": (410, NotificationDenied),
    "rollup_error": (500, NotificationFailed),
}


@contextmanager
def answering(status: int, words: str) -> Iterator[str]:
    """Serve one response to every request."""

    class Answer(Handler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-length", str(len(words)))
            self.end_headers()
            self.wfile.write(words.encode())

    with serve_web(Answer) as server:
        yield f"{server.url}/services/T0/B0/x1y2z3"


@pytest.mark.parametrize("words", ANSWERS)
def test_what_slack_answers_is_told(words: str) -> None:
    status, kind = ANSWERS[words]
    with answering(status, words) as url, pytest.raises(NotificationFailed, match=words) as caught:
        SlackWebhook(url=url).notify("a note")
    assert type(caught.value) is kind
    assert caught.value.status == status


def test_nobody_can_be_made_to_call_everybody() -> None:
    with web_desk() as desk:
        SlackWebhook(url=desk.url).notify("<!channel> a & b", subject="<@U1>")
    assert json.loads(desk.requests[0][3]) == {"text": "*&lt;@U1&gt;*\n&lt;!channel&gt; a &amp; b"}


def test_slack_itself_takes_a_note(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--live"):
        pytest.skip("only with --live: it posts to the channel of FLOWSTONE_SLACK_URL")
    SlackWebhook(url="env:FLOWSTONE_SLACK_URL").notify("a note of the tests", subject="flowstone")
