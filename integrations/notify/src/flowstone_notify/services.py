"""The blocks of services that Apprise reaches; `forms` has how each becomes a URL."""

from __future__ import annotations

from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from flowstone.blocks.notifiers import Notifier
from flowstone_notify.provider import AppriseProvider


def _refuse_login(url: str | None) -> str | None:
    if "@" in urlsplit(url or "").netloc:
        raise ValueError("a login in a URL is shown and saved, and everybody gets it: leave it out")
    return url


def _refuse_separators(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        if not name or set(name) & set(" ,\t\r\n"):
            problem = f"Apprise takes {name!r} for several: give its id, or a name of one word"
            raise ValueError(problem)
    return names


class ServiceNotifier(Notifier):
    """A notifier whose service is reached by Apprise."""

    notify_type: Literal["info", "success", "warning", "failure"] = Field(
        default="info",
        description="What kind of note it is: many services show it as a colour or an image.",
    )

    def make_provider(self) -> AppriseProvider:
        """Return the service, as Apprise reaches it."""
        return AppriseProvider(self)


class AppriseNotifier(ServiceNotifier):
    """Sends notes to any of the services of Apprise, by its URL."""

    _block_type_name: ClassVar[str | None] = "Apprise Notifier"
    _description: ClassVar[str | None] = "Any service that Apprise has a URL for."
    _code_example: ClassVar[str | None] = (
        'AppriseNotifier(url="ntfys://ntfy.example.org/alerts").save("alerts")\n'
        'AppriseNotifier.load("alerts").notify("3 rows are missing")'
    )

    url: SecretStr = Field(description="One of https://appriseit.com/services/; secret.")


class DiscordWebhook(ServiceNotifier):
    """Posts to a channel of Discord."""

    _block_type_name: ClassVar[str | None] = "Discord Webhook"
    _description: ClassVar[str | None] = "A channel of Discord."
    _code_example: ClassVar[str | None] = (
        'DiscordWebhook(webhook_id="123", webhook_token="…").save("alerts")\n'
        'DiscordWebhook.load("alerts").notify("3 rows are missing", subject="Orders")'
    )

    webhook_id: SecretStr = Field(description="The first of the last two parts of its URL.")
    webhook_token: SecretStr = Field(description="The last part of its URL.")
    botname: str | None = Field(default=None, description="Who the note seems to be from.")
    tts: bool = Field(default=False, description="Whether it is read aloud.")
    include_image: bool = Field(default=False, description="Whether an image goes with it.")
    avatar: bool = Field(default=True, description="Whether the sender has an image.")
    avatar_url: str | None = Field(default=None, description="Where the sender's image is.")

    _check_url = field_validator("avatar_url")(_refuse_login)


class MattermostWebhook(ServiceNotifier):
    """Posts to channels of a Mattermost server."""

    _block_type_name: ClassVar[str | None] = "Mattermost Webhook"
    _description: ClassVar[str | None] = "Channels of a Mattermost server."
    _code_example: ClassVar[str | None] = (
        'MattermostWebhook(hostname="chat.example.org", token="…").save("alerts")\n'
        'MattermostWebhook.load("alerts").notify("3 rows are missing", subject="Orders")'
    )

    hostname: str = Field(description="The server's host.")
    secure: bool = Field(default=True, description="Whether the server speaks TLS.")
    token: SecretStr = Field(description="The last part of the incoming webhook's URL.")
    botname: str | None = Field(default=None, description="Who the note seems to be from.")
    channels: list[str] | None = Field(
        default=None, description="Names of channels; by default the webhook's own."
    )
    include_image: bool = Field(default=False, description="Whether the sender has an image.")
    path: str | None = Field(default=None, description="The server's path, where it has one.")
    port: int = Field(default=8065, ge=1, le=65535, description="The server's port.")

    _check_names = field_validator("channels")(_refuse_separators)


class MicrosoftTeamsWebhook(ServiceNotifier):
    """Posts to a chat or channel of Microsoft Teams, by a workflow."""

    _block_type_name: ClassVar[str | None] = "Microsoft Teams Webhook"
    _block_type_slug: ClassVar[str | None] = "ms-teams-webhook"
    _description: ClassVar[str | None] = "A chat or channel of Microsoft Teams, by a workflow."
    _code_example: ClassVar[str | None] = (
        'MicrosoftTeamsWebhook(url="https://….logic.azure.com/workflows/…").save("alerts")\n'
        'MicrosoftTeamsWebhook.load("alerts").notify("3 rows are missing", subject="Orders")'
    )

    url: SecretStr = Field(description="The URL that the workflow's first step shows; secret.")
    include_image: bool = Field(default=True, description="Whether an image goes with it.")
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
    target_user: list[str] | None = Field(default=None, description="Users who are to respond.")
    target_team: list[str] | None = Field(default=None, description="Teams that are to respond.")
    target_schedule: list[str] | None = Field(
        default=None, description="Schedules whose users are to respond."
    )
    target_escalation: list[str] | None = Field(default=None, description="Escalations that begin.")
    region_name: Literal["us", "eu"] = Field(default="us", description="Where the account is.")
    batch: bool = Field(
        default=False, description="Whether all are named in one alert, not in one each."
    )
    tags: list[str] | None = Field(default=None, description="The alert's tags.")
    priority: int | None = Field(
        default=3, ge=1, le=5, description="From 1, the highest, to 5, the lowest."
    )
    alias: str | None = Field(
        default=None, description="A key: alerts of the same are counted as one."
    )
    entity: str | None = Field(default=None, description="What the alert is about.")
    details: dict[str, str] | None = Field(default=None, description="Further facts, by name.")

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
    source: str | None = Field(default="Flowstone", description="What is affected.")
    component: str | None = Field(default="Notification", description="Which part of it.")
    group: str | None = Field(default=None, description="What it belongs to.")
    class_id: str | None = Field(default=None, description="The kind of event.")
    region_name: Literal["us", "eu"] = Field(default="us", description="Where the account is.")
    clickable_url: str | None = Field(default=None, description="A link in the incident.")
    include_image: bool = Field(default=True, description="Whether an image goes with it.")
    custom_details: dict[str, str] | None = Field(
        default=None, description="Further facts, by name."
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

    api_key: SecretStr = Field(description="A key that may send mail.")
    sender_email: str = Field(description="Who sends: an address that SendGrid has verified.")
    to_emails: list[str] = Field(min_length=1, description="To whom: one mail to each.")


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
    to_phone_numbers: list[str] = Field(min_length=1, description="To whom: a message to each.")
