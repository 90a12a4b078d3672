"""One block of each type with every field set, and secrets in the format of its service."""

from __future__ import annotations

import secrets

from flowstone.blocks import SecretDict
from flowstone_notify import (
    AppriseNotifier,
    CustomWebhookNotificationBlock,
    DiscordWebhook,
    MattermostWebhook,
    MicrosoftTeamsWebhook,
    OpsgenieWebhook,
    PagerDutyWebHook,
    SendgridEmail,
    TwilioSMS,
)


def make_discord() -> DiscordWebhook:
    return DiscordWebhook(
        webhook_id=str(secrets.randbelow(10**18) + 10**18),
        webhook_token=f"canary_{secrets.token_urlsafe(40)}",
        botname="Flow Bot",
        tts=True,
        include_image=True,
        avatar=False,
        avatar_url="https://example.org/a.png?size=1&b=2",
    )


def make_teams() -> MicrosoftTeamsWebhook:
    place = f"https://prod-1.westus.logic.azure.com:443/workflows/{secrets.token_hex(16)}"
    query = (
        f"api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={secrets.token_hex(20)}"
    )
    return MicrosoftTeamsWebhook(
        url=f"{place}/triggers/manual/paths/invoke?{query}",
        include_image=False,
        wrap=False,
        notify_type="failure",
    )


def make_opsgenie() -> OpsgenieWebhook:
    return OpsgenieWebhook(
        apikey=f"{secrets.token_hex(4)}-canary-{secrets.token_hex(12)}",
        target_user=["a.b@example.org"],
        target_team=["Data&Co/1"],
        target_schedule=["nights"],
        target_escalation=["all-of-us"],
        batch=True,
        tags=["flows", "orders"],
        priority=1,
        alias="orders/daily",
        entity="the orders",
        details={"table": "orders = all?"},
    )


def make_pagerduty() -> PagerDutyWebHook:
    return PagerDutyWebHook(
        integration_key=secrets.token_hex(16),
        api_key=f"canary+{secrets.token_hex(12)}",
        source="ours/orders",
        component="the load",
        group="data",
        class_id="late",
        clickable_url="https://example.org/runs?id=1&all=yes",
        include_image=False,
        custom_details={"table": "orders"},
    )


def make_sendgrid() -> SendgridEmail:
    return SendgridEmail(
        api_key=f"SG.canary-{secrets.token_urlsafe(16)}",
        sender_email="us+alerts@example.org",
        to_emails=["you@example.org"],
    )


def make_twilio() -> TwilioSMS:
    return TwilioSMS(
        account_sid=f"AC{secrets.token_hex(16)}",
        auth_token=secrets.token_hex(16),
        from_phone_number="+15551234567",
        to_phone_numbers=["+15557654321"],
    )


def make_mattermost(port: int, *, secure: bool = False) -> MattermostWebhook:
    return MattermostWebhook(
        hostname="127.0.0.1",
        secure=secure,
        token=f"canary{secrets.token_hex(12)}",
        botname="flow",
        channels=["orders"],
        include_image=True,
        path="/chat",
        port=port,
    )


def make_custom(url: str) -> CustomWebhookNotificationBlock:
    return CustomWebhookNotificationBlock(
        name="ours",
        url=f"{url}/chat/hooks/{{{{token}}}}",
        params={"from": "{{name}}"},
        json_data={"text": "{{subject}}\n{{body}}", "tags": ["{{name}}", 1]},
        headers=SecretDict({"X-Key": "canary-of-a-header {{key}}"}),
        cookies=SecretDict({"session": "canary-of-a-cookie-{{key}}"}),
        secrets=SecretDict(
            {"token": f"canary{secrets.token_hex(12)}", "key": f"canary{secrets.token_hex(12)}"}
        ),
    )


def make_apprise(port: int) -> AppriseNotifier:
    return AppriseNotifier(url=f"mmost://127.0.0.1:{port}/canary{secrets.token_hex(12)}")
