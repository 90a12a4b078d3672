"""Notifications for Flowstone by Apprise: Teams, Discord, PagerDuty and many other services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone_notify.custom_webhook import CustomWebhookNotificationBlock
    from flowstone_notify.services import (
        AppriseNotifier,
        DiscordWebhook,
        MattermostWebhook,
        MicrosoftTeamsWebhook,
        OpsgenieWebhook,
        PagerDutyWebHook,
        SendgridEmail,
        TwilioSMS,
    )

__all__ = [
    "AppriseNotifier",
    "CustomWebhookNotificationBlock",
    "DiscordWebhook",
    "MattermostWebhook",
    "MicrosoftTeamsWebhook",
    "OpsgenieWebhook",
    "PagerDutyWebHook",
    "SendgridEmail",
    "TwilioSMS",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".custom_webhook": ("CustomWebhookNotificationBlock",),
            ".services": (
                "AppriseNotifier",
                "DiscordWebhook",
                "MattermostWebhook",
                "MicrosoftTeamsWebhook",
                "OpsgenieWebhook",
                "PagerDutyWebHook",
                "SendgridEmail",
                "TwilioSMS",
            ),
        },
    )
