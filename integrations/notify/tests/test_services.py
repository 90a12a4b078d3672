"""The requests to each service, and Apprise's failures."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.services.vendors import Vendors, open_vendors

from flowstone.errors import (
    BlockInvalid,
    NotificationDenied,
    NotificationFailed,
    NotificationInvalid,
    NotificationUnsent,
)
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
from flowstone_notify.forms import FORMS, MAX_SUBJECT_LENGTH, make_url
from flowstone_notify.services import ServiceNotifier

from .samples import (
    make_apprise,
    make_discord,
    make_mattermost,
    make_opsgenie,
    make_pagerduty,
    make_sendgrid,
    make_teams,
    make_twilio,
)

SID, TOKEN = f"AC{'1' * 32}", "2" * 32


@pytest.fixture
def vendors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendors]:
    with open_vendors() as found:
        for name, value in found.environment.items():
            monkeypatch.setenv(name, value)
        yield found


def send(block: ServiceNotifier | CustomWebhookNotificationBlock, vendors: Vendors) -> str:
    """Send a note and return the body that arrived."""
    block.notify("twelve rows are missing", subject="Orders")
    return vendors.requests[-1][3].decode()


#: Blocks with their required fields, and the Apprise URL.
URLS: dict[str, tuple[ServiceNotifier, str]] = {
    "discord-webhook": (
        DiscordWebhook(webhook_id="7305812946", webhook_token="a_B-c"),
        "discord://7305812946/a_B-c/?tts=no&image=no&avatar=yes",
    ),
    "mattermost-webhook": (
        MattermostWebhook(hostname="chat.example.org", token="abc123"),
        "mmosts://chat.example.org:8065/abc123/?image=no",
    ),
    "ms-teams-webhook": (
        MicrosoftTeamsWebhook(url="https://p.logic.azure.com:443/workflows/ab?sig=c%20d"),
        "https://p.logic.azure.com:443/workflows/ab?sig=c%20d&image=yes&wrap=yes",
    ),
    "opsgenie-webhook": (
        OpsgenieWebhook(apikey="ab-12", target_team=["a-b", "c/d"], details={"k&": "v="}),
        "opsgenie://ab-12/%23a-b/%23c%2Fd/?region=us&batch=no&priority=3&%2Bk%26=v%3D&action=new",
    ),
    "pager-duty-webhook": (
        PagerDutyWebHook(integration_key="ab", api_key="cd"),
        "pagerduty://ab@cd/?source=Flowstone&component=Notification&region=us&image=yes",
    ),
    "sendgrid-email": (
        SendgridEmail(api_key="SG.a", sender_email="me+a@b.org", to_emails=["c@d.org", "e@f.org"]),
        "sendgrid://SG.a:me%2Ba@b.org/c%40d.org/e%40f.org/",
    ),
    "twilio-sms": (
        TwilioSMS(
            account_sid=SID,
            auth_token=TOKEN,
            from_phone_number="+15551234567",
            to_phone_numbers=["+15557654321"],
        ),
        f"twilio://{SID}:{TOKEN}@%2B15551234567/%2B15557654321/",
    ),
    "apprise-notifier": (AppriseNotifier(url="json://a.example.org/b"), "json://a.example.org/b"),
}


@pytest.mark.parametrize("slug", FORMS)
def test_a_block_becomes_one_of_apprises_urls(slug: str) -> None:
    block, url = URLS[slug]
    assert type(block).block_type_slug() == slug
    assert make_url(FORMS[slug], block) == url


def test_discord_gets_all_fields(vendors: Vendors) -> None:
    block = make_discord()
    sent = json.loads(send(block, vendors))
    assert sent["username"] == "Flow Bot"
    assert sent["tts"] is True
    assert sent["content"].splitlines() == ["Orders", "twelve rows are missing"]
    ids = (block.webhook_id.get_secret_value(), block.webhook_token.get_secret_value())
    assert vendors.requests[-1][1] == f"/api/webhooks/{ids[0]}/{ids[1]}"


def test_teams_gets_a_card(vendors: Vendors) -> None:
    block = make_teams()
    assert "twelve rows are missing" in send(block, vendors)
    given, came = urlsplit(block.url.get_secret_value()), urlsplit(vendors.requests[-1][1])
    assert came.path == given.path
    assert parse_qs(came.query)["sig"] == parse_qs(given.query)["sig"]


def test_opsgenie_opens_an_alert(vendors: Vendors) -> None:
    sent = json.loads(send(make_opsgenie(), vendors))
    asked = {each["type"]: each.get("name", each.get("username")) for each in sent["responders"]}
    assert asked == {
        "user": "a.b@example.org",
        "team": "Data&Co/1",
        "schedule": "nights",
        "escalation": "all-of-us",
    }
    assert sent["details"]["table"] == "orders = all?"
    found = {key: sent[key] for key in ("message", "tags", "priority", "alias", "entity")}
    assert found == {
        "message": "Orders",
        "tags": ["flows", "orders"],
        "priority": "P1",
        "alias": "orders/daily",
        "entity": "the orders",
    }


def test_pagerduty_triggers_an_incident(vendors: Vendors) -> None:
    sent = json.loads(send(make_pagerduty(), vendors))
    assert sent["event_action"] == "trigger"
    assert sent["links"] == [{"href": "https://example.org/runs?id=1&all=yes"}]
    assert "images" not in sent
    payload = {key: value for key, value in sent["payload"].items() if key != "summary"}
    assert payload == {
        "severity": "info",
        "source": "ours/orders",
        "component": "the load",
        "group": "data",
        "class": "late",
        "custom_details": {"table": "orders"},
    }


def test_sendgrid_mails_each(vendors: Vendors) -> None:
    block = make_sendgrid().model_copy(update={"to_emails": ["you@example.org", "me@example.org"]})
    sent = json.loads(send(block, vendors))
    assert sent["from"] == {"email": "us+alerts@example.org"}
    assert sent["subject"] == "Orders"
    to = [json.loads(body)["personalizations"][0]["to"] for *_, body in vendors.requests]
    assert sorted(each[0]["email"] for each in to) == ["me@example.org", "you@example.org"]


def test_mattermost_gets_all_fields(vendors: Vendors) -> None:
    sent = json.loads(send(make_mattermost(urlsplit(vendors.url).port or 0), vendors))
    assert sent["username"] == "flow"
    assert sent["channel"] == "orders"
    assert vendors.requests[-1][1].startswith("/chat/hooks/canary")


def test_the_kind_of_a_note_is_passed_on(vendors: Vendors) -> None:
    block = make_pagerduty().model_copy(update={"notify_type": "failure"})
    assert json.loads(send(block, vendors))["payload"]["severity"] == "critical"


def test_nobody_is_made_to_call_everybody(vendors: Vendors) -> None:
    make_discord().notify("@everyone, look at <@123456789012345678>, me@here.org", subject="@here")
    (received,) = vendors.received()
    assert "everyone, look" in received
    assert not [ping for ping in ("@everyone", "@here\n", "<@1") if ping in received]


@pytest.mark.parametrize("slug", [slug for slug, form in FORMS.items() if form.max_body_length])
def test_the_longest_note_is_no_longer_than_the_service_takes(slug: str) -> None:
    """Apprise sends longer text unchanged; services refuse it, or truncate it without a mark."""
    limits = {
        # https://discord.com/developers/docs/resources/webhook#execute-webhook
        "discord-webhook": 2_000,
        # https://developer.pagerduty.com/docs/send-alert-event
        "pager-duty-webhook": 1_024,
        # https://docs.opsgenie.com/docs/alert-api#create-alert
        "opsgenie-webhook": 15_000 + MAX_SUBJECT_LENGTH + 2,
        # https://www.twilio.com/docs/messaging/api/message-resource
        "twilio-sms": 1_600,
        "mattermost-webhook": 4_000,  # the oldest servers; newer ones take 16,383
        "ms-teams-webhook": 28_000,
        "sendgrid-email": 30 * 1024 * 1024 // 4,
    }
    longest = FORMS[slug].max_body_length or 0
    assert longest + MAX_SUBJECT_LENGTH + 2 <= limits[slug]


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    "block",
    [
        make_twilio().model_copy(update={"to_phone_numbers": ["+15557654321", "my sister"]}),
        make_sendgrid().model_copy(update={"to_emails": ["you@example.org", "nobody"]}),
        make_teams().model_copy(update={"url": "https://example.org/no-workflow"}),
        make_discord().model_copy(update={"webhook_token": " "}),
        AppriseNotifier(url="no-such-service://example.org/canary-of-a-secret"),
        AppriseNotifier(url="not a URL, but canary-of-a-secret"),
    ],
    ids=["phone", "mail", "teams", "discord", "scheme", "url"],
)
def test_a_field_that_is_wrong_is_told_and_nothing_sent(
    block: ServiceNotifier, vendors: Vendors
) -> None:
    with pytest.raises(NotificationInvalid, match="Check the fields") as caught:
        block.notify("a note")
    assert "canary" not in str(caught.value)
    assert not vendors.requests


@pytest.mark.parametrize("conduct", ["busy", "refuses"])
def test_what_some_have_got_is_not_sent_again(vendors: Vendors, conduct: str) -> None:
    numbers = ["+15557654321", "+15557654322"]
    vendors.behave("takes", "busy" if conduct == "busy" else "refuses")
    with pytest.raises(NotificationFailed, match="only some recipients received it") as caught:
        make_twilio().model_copy(update={"to_phone_numbers": numbers}).notify("a note")
    assert not isinstance(caught.value, NotificationUnsent)
    assert vendors.tries() == 2


def test_a_login_that_is_refused_is_told_as_such(vendors: Vendors) -> None:
    block = make_mattermost(urlsplit(vendors.url).port or 0)
    block.path = "/elsewhere"
    with pytest.raises(NotificationDenied, match="404") as caught:
        block.notify("a note")
    assert caught.value.status == 404


def test_apprises_own_log_shows_nothing(vendors: Vendors, caplog: pytest.LogCaptureFixture) -> None:
    block = make_discord()
    with caplog.at_level(logging.DEBUG, "apprise"):
        block.notify("a note")
        vendors.behave("refuses")
        with pytest.raises(NotificationFailed):
            block.notify("a note")
    assert vendors.tries() == 2
    assert not [record for record in caplog.records if record.name == "apprise"]


def test_a_reference_is_read_when_it_is_used(
    vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = make_discord().model_copy(update={"webhook_token": "env:DISCORD_TOKEN"})
    monkeypatch.setenv("DISCORD_TOKEN", "the-token-of-today")
    block.notify("a note")
    assert vendors.requests[-1][1].endswith("/the-token-of-today")


def test_any_service_of_apprise(vendors: Vendors) -> None:
    make_apprise(urlsplit(vendors.url).port or 0).notify("a note", subject="Orders")
    assert vendors.received() == ["Orders\r\na note"]


def test_a_public_url_holds_no_login() -> None:
    with pytest.raises(BlockInvalid, match="remove them"):
        DiscordWebhook(webhook_id="1", webhook_token="2", avatar_url="https://me:pw@example.org")


def test_a_name_that_apprise_would_split_is_refused() -> None:
    with pytest.raises(BlockInvalid, match="use the id"):
        OpsgenieWebhook(apikey="ab-12", target_team=["Data and Co"])
