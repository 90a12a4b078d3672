"""The table of services: how the fields of each block form an Apprise URL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from pydantic import SecretStr

if TYPE_CHECKING:
    from pydantic import BaseModel

#: Maximum length of a subject: a service without subjects gets it before the body.
MAX_SUBJECT_LENGTH = 250


@dataclass(frozen=True, slots=True)
class UrlForm:
    """How the fields of a block form a service's URL.

    Attributes:
        place: the URL without its query. `{name}` is a percent-encoded field, and `{name:#}` puts
            a mark before each value; a part in brackets is omitted if its field is empty. A list
            becomes several segments of the path.
        query: Apprise's arguments, each with the field of its value.
        constants: constant arguments.
        details: a field whose items are passed by their own names.
        max_body_length: maximum characters of a body, beside the longest subject.
        pings: whether a text could mention a whole channel; such mentions are broken up.
    """

    place: str
    query: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    details: str | None = None
    max_body_length: int | None = None
    pings: bool = False


#: By the slug of the block type. For all arguments, see https://appriseit.com/services/.
FORMS: Mapping[str, UrlForm] = {
    "apprise-notifier": UrlForm("{url:raw}"),
    "discord-webhook": UrlForm(
        "discord://[{botname}@]{webhook_id}/{webhook_token}/",
        {"tts": "tts", "image": "include_image", "avatar": "avatar", "avatar_url": "avatar_url"},
        max_body_length=2_000 - MAX_SUBJECT_LENGTH - 2,
        pings=True,
    ),
    "mattermost-webhook": UrlForm(
        "{secure:mmosts|mmost}://[{botname}@]{hostname}:{port}[/{path:path}]/{token}/",
        {"channels": "channels", "image": "include_image"},
        max_body_length=4_000 - MAX_SUBJECT_LENGTH - 2,
        pings=True,
    ),
    "ms-teams-webhook": UrlForm(
        "{url:raw}", {"image": "include_image", "wrap": "wrap"}, max_body_length=1_000
    ),
    "opsgenie-webhook": UrlForm(
        "opsgenie://{apikey}[/{target_user:@}][/{target_team:#}]"
        "[/{target_schedule:*}][/{target_escalation:^}]/",
        {
            "region": "region_name",
            "batch": "batch",
            "tags": "tags",
            "priority": "priority",
            "alias": "alias",
            "entity": "entity",
        },
        # Without it, a note of the type "info" is added to an alert, of which there is none.
        {"action": "new"},
        details="details",
        max_body_length=15_000,
    ),
    "pager-duty-webhook": UrlForm(
        "pagerduty://{integration_key}@{api_key}/",
        {
            "source": "source",
            "component": "component",
            "group": "group",
            "class": "class_id",
            "region": "region_name",
            "click": "clickable_url",
            "image": "include_image",
        },
        details="custom_details",
        max_body_length=1_024 - MAX_SUBJECT_LENGTH - 2,
    ),
    "sendgrid-email": UrlForm(
        "sendgrid://{api_key}:{sender_email:address}/{to_emails}/", max_body_length=100_000
    ),
    "twilio-sms": UrlForm(
        "twilio://{account_sid}:{auth_token}@{from_phone_number}/{to_phone_numbers}/",
        max_body_length=1_600 - MAX_SUBJECT_LENGTH - 2,
    ),
}
_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_FIELD = re.compile(r"\{(\w+)(?::([^{}]*))?\}")
#: Characters that are not percent-encoded, by field.
_KEPT = {"address": "@", "path": "/", "raw": None}


def make_url(form: UrlForm, block: BaseModel) -> str:
    """Return the Apprise URL of a block, which contains the block's secrets."""
    place = _OPTIONAL.sub(lambda part: _write_optional(part[1], block), form.place)
    place = _FIELD.sub(lambda found: _write_field(found, block), place)
    query = _list_arguments(form, block)
    if not query:
        return place
    return f"{place}{'&' if '?' in place else '?'}{urlencode(query, quote_via=quote)}"


def _write_optional(part: str, block: BaseModel) -> str:
    found = _FIELD.search(part)
    return part if found and _read(block, found[1]) not in (None, "", []) else ""


def _write_field(found: re.Match[str], block: BaseModel) -> str:
    value, how = _read(block, found[1]), found[2] or ""
    if "|" in how:
        return how.split("|")[0 if value else 1]
    if how == "raw":
        return str(value)
    mark, kept = ("", _KEPT[how]) if how in _KEPT else (how, "")
    values = value if isinstance(value, list) else [value]
    return "/".join(quote(f"{mark}{each}".strip("/"), safe=kept or "") for each in values)


def _list_arguments(form: UrlForm, block: BaseModel) -> dict[str, str]:
    given = {name: _read(block, source) for name, source in form.query.items()}
    details = _read(block, form.details) if form.details else None
    if isinstance(details, Mapping):
        given |= {f"+{name}": value for name, value in details.items()}
    texts = {name: _write_argument(value) for name, value in given.items()}
    return {name: text for name, text in texts.items() if text} | dict(form.constants)


def _write_argument(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def _read(block: BaseModel, name: str) -> object:
    value: object = getattr(block, name)
    return value.get_secret_value() if isinstance(value, SecretStr) else value
