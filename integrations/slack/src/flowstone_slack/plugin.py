"""The plugin of this package."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "slack-credentials": "flowstone_slack.credentials:SlackCredentials",
            "slack-webhook": "flowstone_slack.notifier:SlackWebhook",
        },
        tasks={
            name: f"flowstone_slack.messages:{name}"
            for name in ("send_chat_message", "send_incoming_webhook_message")
        },
    )
