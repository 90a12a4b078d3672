"""Messages in Slack's own form, as tasks: by a bot, or by an incoming webhook."""

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
    """Post a message to a channel as a bot, and return what Slack answers.

    Example:
        answer = send_chat_message(channel, slack_credentials, text)

    Args:
        channel: its name or id, as ``#alerts``.
        slack_credentials: the bot.
        text: in Slack's own markup, which is not escaped; shown in notifications, too.
        attachments: dicts, or the SDK's own.
        slack_blocks: the layout: dicts, or the SDK's own.

    Raises:
        CredentialsError: there is no token, or Slack does not know it.
        NotificationInvalid: it can't be sent.
        NotificationUnsent: nothing was posted; it may be sent again.
        NotificationFailed: Slack refused it, or nobody knows whether it was posted.
    """
    message = make_message(text, attachments, slack_blocks)
    with translate_errors(slack_credentials):
        client = slack_credentials.client()
        client.retry_handlers.clear()  # it would send again what may have arrived
        answer = client.api_call("chat.postMessage", json={"channel": channel, **message})
    return answer.data if isinstance(answer.data, dict) else {}


@task
def send_incoming_webhook_message(
    slack_webhook: SlackWebhook,
    text: str | None = None,
    attachments: Sequence[Part] | None = None,
    slack_blocks: Sequence[Part] | None = None,
) -> None:
    """Post a message by an incoming webhook; what did not arrive is sent again, as by `notify`.

    Example:
        send_incoming_webhook_message(slack_webhook, text)

    Args:
        slack_webhook: the channel.
        text: in Slack's own markup, which is not escaped; shown in notifications, too.
        attachments: dicts, or the SDK's own.
        slack_blocks: the layout: dicts, or the SDK's own.

    Raises:
        NotificationInvalid: it can't be sent, or not to that URL.
        NotificationUnsent: it did certainly not arrive.
        NotificationFailed: it was refused, or nobody knows whether it arrived.
    """
    slack_webhook.post(make_message(text, attachments, slack_blocks))


asend_chat_message = make_async_twin(send_chat_message)
asend_incoming_webhook_message = make_async_twin(send_incoming_webhook_message)
