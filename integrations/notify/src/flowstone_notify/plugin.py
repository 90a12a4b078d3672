"""The plugin of this package."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "apprise-notifier": "flowstone_notify.services:AppriseNotifier",
            "custom-webhook": ("flowstone_notify.custom_webhook:CustomWebhookNotificationBlock"),
            "discord-webhook": "flowstone_notify.services:DiscordWebhook",
            "mattermost-webhook": "flowstone_notify.services:MattermostWebhook",
            "ms-teams-webhook": "flowstone_notify.services:MicrosoftTeamsWebhook",
            "opsgenie-webhook": "flowstone_notify.services:OpsgenieWebhook",
            "pager-duty-webhook": "flowstone_notify.services:PagerDutyWebHook",
            "sendgrid-email": "flowstone_notify.services:SendgridEmail",
            "twilio-sms": "flowstone_notify.services:TwilioSMS",
        }
    )
