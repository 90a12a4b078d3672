"""The plugin of this package."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "email-notifier": "flowstone_email.notifier:EmailNotifier",
            "email-server-credentials": "flowstone_email.credentials:EmailServerCredentials",
        },
        tasks={"email_send_message": "flowstone_email.message:email_send_message"},
    )
