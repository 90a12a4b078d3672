"""Tasks that send messages in Slack's format, as a bot or by an incoming webhook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from flowstone import make_async_twin, task
from flowstone_slack.credentials import SlackCredentials
from flowstone_slack.errors import translate_errors
from flowstone_slack.forms import Part, make_message
from flowstone_slack.notifier import SlackWebhook


@task
def send_chat_message(
    channel: str,
    slack_credentials: SlackCredentials,
    text: str | None = None,
    attachments: Sequence[Part] | None = None,
    slack_blocks: Sequence[Part] | None = None,
) -> Mapping[str, JsonValue]:
    """Post a message to a channel as a bot, and return Slack's response.

    Example:
        answer = send_chat_message(channel, slack_credentials, text)

    Args:
        channel: its name or id, such as ``#alerts``.
        slack_credentials: the credentials of the bot.
        text: text in Slack's markup, which is not escaped; also shown in notifications.
        attachments: dicts, or objects of the SDK.
        slack_blocks: the layout: dicts, or objects of the SDK.

    Raises:
        CredentialsError: there is no token, or Slack refuses it.
        NotificationInvalid: it can't be sent.
        NotificationUnsent: nothing was posted; it may be sent again.
        NotificationFailed: Slack refused it, or it is unknown whether it was posted.
    """
    message = make_message(text, attachments, slack_blocks)
    with translate_errors(slack_credentials):
        client = slack_credentials.client()
        client.retry_handlers.clear()  # they would repeat messages that may have arrived
        answer = client.api_call("chat.postMessage", json={"channel": channel, **message})
    return answer.data if isinstance(answer.data, dict) else {}


@task
def send_incoming_webhook_message(
    slack_webhook: SlackWebhook,
    text: str | None = None,
    attachments: Sequence[Part] | None = None,
    slack_blocks: Sequence[Part] | None = None,
) -> None:
    """Post a message by an incoming webhook, with the retries of `notify`.

    Example:
        send_incoming_webhook_message(slack_webhook, text)

    Args:
        slack_webhook: the webhook of the channel.
        text: text in Slack's markup, which is not escaped; also shown in notifications.
        attachments: dicts, or objects of the SDK.
        slack_blocks: the layout: dicts, or objects of the SDK.

    Raises:
        NotificationInvalid: it can't be sent, or not to that URL.
        NotificationUnsent: it certainly did not arrive.
        NotificationFailed: it was refused, or it is unknown whether it arrived.
    """
    slack_webhook.post(make_message(text, attachments, slack_blocks))


asend_chat_message = make_async_twin(send_chat_message)
asend_incoming_webhook_message = make_async_twin(send_incoming_webhook_message)
