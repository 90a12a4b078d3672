"""The blocks of Apprise's services; `forms` defines their URLs."""

from __future__ import annotations

from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from flowstone.blocks.notifiers import Notifier
from flowstone_notify.provider import AppriseProvider


def _refuse_login(url: str | None) -> str | None:
    if "@" in urlsplit(url or "").netloc:
        raise ValueError("the URL contains credentials, which would be shown: remove them")
    return url


def _refuse_separators(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        if not name or set(name) & set(" ,\t\r\n"):
            problem = f"Apprise would split {name!r}: use the id, or a name of one word"
            raise ValueError(problem)
    return names


class ServiceNotifier(Notifier):
    """A notifier that uses Apprise."""

    notify_type: Literal["info", "success", "warning", "failure"] = Field(
        default="info",
        description="The kind of note, which many services show as a color or an image.",
    )

    def make_provider(self) -> AppriseProvider:
        """Return the provider of the service."""
        return AppriseProvider(self)


class AppriseNotifier(ServiceNotifier):
    """Sends notes to any Apprise service, by its URL."""

    _block_type_name: ClassVar[str | None] = "Apprise Notifier"
    _description: ClassVar[str | None] = "Any Apprise service, by its URL."
    _code_example: ClassVar[str | None] = (
        'AppriseNotifier(url="ntfys://ntfy.example.org/alerts").save("alerts")\n'
        'AppriseNotifier.load("alerts").notify("3 rows are missing")'
    )

    url: SecretStr = Field(description="One of https://appriseit.com/services/; secret.")


class DiscordWebhook(ServiceNotifier):
    """Posts to a Discord channel."""

    _block_type_name: ClassVar[str | None] = "Discord Webhook"
    _description: ClassVar[str | None] = "A Discord channel."
    _code_example: ClassVar[str | None] = (
        'DiscordWebhook(webhook_id="123", webhook_token="…").save("alerts")\n'
        'DiscordWebhook.load("alerts").notify("3 rows are missing", subject="Orders")'
    )

    webhook_id: SecretStr = Field(description="The second-to-last part of its URL.")
    webhook_token: SecretStr = Field(description="The last part of its URL.")
    botname: str | None = Field(default=None, description="The displayed name of the sender.")
    tts: bool = Field(default=False, description="Whether the note is read aloud.")
    include_image: bool = Field(default=False, description="Whether to include an image.")
    avatar: bool = Field(default=True, description="Whether the sender has an image.")
    avatar_url: str | None = Field(default=None, description="The URL of the sender's image.")

    _check_url = field_validator("avatar_url")(_refuse_login)


class MattermostWebhook(ServiceNotifier):
    """Posts to channels of a Mattermost server."""

    _block_type_name: ClassVar[str | None] = "Mattermost Webhook"
    _description: ClassVar[str | None] = "Channels of a Mattermost server."
    _code_example: ClassVar[str | None] = (
        'MattermostWebhook(hostname="chat.example.org", token="…").save("alerts")\n'
        'MattermostWebhook.load("alerts").notify("3 rows are missing", subject="Orders")'
    )

    hostname: str = Field(description="The host name of the server.")
    secure: bool = Field(default=True, description="Whether the server uses TLS.")
    token: SecretStr = Field(description="The last part of the incoming webhook's URL.")
    botname: str | None = Field(default=None, description="The displayed name of the sender.")
    channels: list[str] | None = Field(
        default=None, description="Names of channels; by default the webhook's."
    )
    include_image: bool = Field(default=False, description="Whether the sender has an image.")
    path: str | None = Field(default=None, description="The path of the server, if any.")
    port: int = Field(default=8065, ge=1, le=65535, description="The port of the server.")

    _check_names = field_validator("channels")(_refuse_separators)


class MicrosoftTeamsWebhook(ServiceNotifier):
    """Posts to a Microsoft Teams chat or channel, by a workflow."""

    _block_type_name: ClassVar[str | None] = "Microsoft Teams Webhook"
    _block_type_slug: ClassVar[str | None] = "ms-teams-webhook"
    _description: ClassVar[str | None] = "A Microsoft Teams chat or channel, by a workflow."
    _code_example: ClassVar[str | None] = (
        'MicrosoftTeamsWebhook(url="https://….logic.azure.com/workflows/…").save("alerts")\n'
        'MicrosoftTeamsWebhook.load("alerts").notify("3 rows are missing", subject="Orders")'
    )

    url: SecretStr = Field(description="The URL that the workflow's first step shows; secret.")
    include_image: bool = Field(default=True, description="Whether to include an image.")
    wrap: bool = Field(default=True, description="Whether long lines are wrapped.")


class OpsgenieWebhook(ServiceNotifier):
    """Opens alerts in Opsgenie."""

    _block_type_name: ClassVar[str | None] = "Opsgenie Webhook"
    _description: ClassVar[str | None] = "Alerts in Opsgenie."
    _code_example: ClassVar[str | None] = (
        'OpsgenieWebhook(apikey="…", target_team=["data"]).save("alerts")\n'
        'OpsgenieWebhook.load("alerts").notify("3 rows are missing", subject="Orders")'
    )

    apikey: SecretStr = Field(description="The key of an API integration.")
    target_user: list[str] | None = Field(default=None, description="Users to notify.")
    target_team: list[str] | None = Field(default=None, description="Teams to notify.")
    target_schedule: list[str] | None = Field(
        default=None, description="Schedules whose users to notify."
    )
    target_escalation: list[str] | None = Field(default=None, description="Escalations to start.")
    region_name: Literal["us", "eu"] = Field(default="us", description="The region of the account.")
    batch: bool = Field(
        default=False, description="Whether all share one alert, instead of one each."
    )
    tags: list[str] | None = Field(default=None, description="The alert's tags.")
    priority: int | None = Field(
        default=3, ge=1, le=5, description="The priority, from 1 (highest) to 5 (lowest)."
    )
    alias: str | None = Field(
        default=None, description="A key: alerts with the same alias count as one."
    )
    entity: str | None = Field(default=None, description="What the alert is about.")
    details: dict[str, str] | None = Field(default=None, description="Further details, by name.")

    _check_names = field_validator(
        "target_user", "target_team", "target_schedule", "target_escalation", "tags"
    )(_refuse_separators)


class PagerDutyWebHook(ServiceNotifier):
    """Triggers incidents in PagerDuty."""

    _block_type_name: ClassVar[str | None] = "PagerDuty Webhook"
    _block_type_slug: ClassVar[str | None] = "pager-duty-webhook"
    _description: ClassVar[str | None] = "Incidents in PagerDuty."
    _code_example: ClassVar[str | None] = (
        'PagerDutyWebHook(integration_key="…", api_key="…").save("alerts")\n'
        'PagerDutyWebHook.load("alerts").notify("3 rows are missing", subject="Orders")'
    )

    integration_key: SecretStr = Field(description="The key of the service's Events API v2.")
    api_key: SecretStr = Field(description="A key of the REST API.")
    source: str | None = Field(default="Flowstone", description="The affected system.")
    component: str | None = Field(default="Notification", description="The affected component.")
    group: str | None = Field(default=None, description="The group of the component.")
    class_id: str | None = Field(default=None, description="The kind of event.")
    region_name: Literal["us", "eu"] = Field(default="us", description="The region of the account.")
    clickable_url: str | None = Field(default=None, description="A link in the incident.")
    include_image: bool = Field(default=True, description="Whether to include an image.")
    custom_details: dict[str, str] | None = Field(
        default=None, description="Further details, by name."
    )

    _check_url = field_validator("clickable_url")(_refuse_login)


class SendgridEmail(ServiceNotifier):
    """Sends mail by SendGrid's API."""

    _block_type_name: ClassVar[str | None] = "Sendgrid Email"
    _description: ClassVar[str | None] = "Mail by SendGrid."
    _code_example: ClassVar[str | None] = (
        'email = SendgridEmail(api_key="…", sender_email="us@example.org",\n'
        '                      to_emails=["you@example.org"])\n'
        'email.notify("3 rows are missing", subject="Orders")'
    )

    api_key: SecretStr = Field(description="An API key with permission to send mail.")
    sender_email: str = Field(description="The sender address, verified by SendGrid.")
    to_emails: list[str] = Field(min_length=1, description="Recipients; each gets a separate mail.")


class TwilioSMS(ServiceNotifier):
    """Sends text messages by Twilio."""

    _block_type_name: ClassVar[str | None] = "Twilio SMS"
    _description: ClassVar[str | None] = "Text messages by Twilio."
    _code_example: ClassVar[str | None] = (
        'sms = TwilioSMS(account_sid="AC…", auth_token="…",\n'
        '                from_phone_number="+15551234567", to_phone_numbers=["+15557654321"])\n'
        'sms.notify("3 rows are missing")'
    )

    account_sid: str = Field(description="The account: AC and 32 digits.")
    auth_token: SecretStr = Field(description="The account's token.")
    from_phone_number: str = Field(description="A number that belongs to the account.")
    to_phone_numbers: list[str] = Field(
        min_length=1, description="Recipients, by one message each."
    )
