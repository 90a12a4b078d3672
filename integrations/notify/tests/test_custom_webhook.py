"""Custom requests: each placeholder is filled, and nothing else is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from flowstone.blocks import SecretDict
from flowstone.errors import BlockInvalid, NotificationInvalid
from flowstone_notify import CustomWebhookNotificationBlock
from flowstone_testing.desks import WebDesk, web_desk


@pytest.fixture
def desk() -> Iterator[WebDesk]:
    with web_desk(bytes.decode) as found:
        yield found


def test_each_part_is_filled(desk: WebDesk) -> None:
    block = CustomWebhookNotificationBlock(
        name="chat",
        url=f"{desk.url}/post/{{{{ room }}}}",
        method="PUT",
        params={"key": "{{key}}", "from": "{{name}}"},
        json_data={"text": "{{subject}}: {{body}}", "deep": [{"key": "{{key}}"}, 1, None]},
        headers=SecretDict({"Authorization": "Bearer {{key}}"}),
        cookies=SecretDict({"session": "{{key}}", "as": "{{name}}"}),
        secrets=SecretDict({"key": "canary-of-a-key", "room": "a b/c"}),
    )
    block.notify("a {{room}} & more", subject="Orders")
    ((method, path, headers, body),) = desk.requests
    assert (method, path) == ("PUT", "/post/a%20b%2Fc?key=canary-of-a-key&from=chat")
    assert headers["Authorization"] == "Bearer canary-of-a-key"
    assert headers["Cookie"] == "session=canary-of-a-key; as=chat"
    assert json.loads(body) == {
        "text": "Orders: a {{room}} & more",
        "deep": [{"key": "canary-of-a-key"}, 1, None],
    }
    assert "canary" not in repr(block)


def test_a_form_is_one(desk: WebDesk) -> None:
    CustomWebhookNotificationBlock(
        name="chat", url=desk.url, form_data={"text": "{{body}}", "from": "{{name}}"}
    ).notify("a & b")
    ((_, _, headers, body),) = desk.requests
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert body == b"text=a+%26+b&from=chat"


def test_a_name_that_is_not_there_is_told(desk: WebDesk) -> None:
    block = CustomWebhookNotificationBlock(
        name="chat", url=desk.url, json_data={"text": "{{bodi}}"}
    )
    with pytest.raises(NotificationInvalid, match=r"\{\{bodi\}\}.*Use \{\{body\}\}"):
        block.notify("a note")
    assert not desk.requests


def test_there_is_one_body() -> None:
    with pytest.raises(BlockInvalid, match="not both"):
        CustomWebhookNotificationBlock(
            name="chat", url="https://example.org", json_data={}, form_data={}
        )


def test_the_timeout_has_the_name_that_many_know() -> None:
    fields = {"name": "chat", "url": "https://example.org", "timeout": 3, "headers": {"A": "b"}}
    block = CustomWebhookNotificationBlock.model_validate(fields)
    assert block.timeout_seconds == 3
    block.save("chat")
    assert CustomWebhookNotificationBlock.load("chat").timeout_seconds == 3
