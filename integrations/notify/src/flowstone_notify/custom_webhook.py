"""CustomWebhookNotificationBlock: notes in custom requests, by templates."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from json import dumps
from typing import ClassVar, Literal, Self
from urllib.parse import quote, urlencode

from pydantic import Field, JsonValue, model_validator

from flowstone.blocks import SecretDict
from flowstone.blocks.notifiers import HttpNotifier, HttpProvider, Note
from flowstone.errors import NotificationInvalid

_PLACE = re.compile(r"\{\{ *([\w-]+) *\}\}")
_FORM = "application/x-www-form-urlencoded"


class CustomWebhookNotificationBlock(HttpNotifier):
    """Sends notes in a custom HTTP request.

    `{{body}}`, `{{subject}}`, `{{name}}` and the names in `secrets` are replaced in the URL, the
    parameters, the data, the headers and the cookies.
    """

    _block_type_name: ClassVar[str | None] = "Custom Webhook"
    _description: ClassVar[str | None] = "A custom HTTP request, by templates."
    _code_example: ClassVar[str | None] = (
        "CustomWebhookNotificationBlock(\n"
        '    name="chat", url="https://chat.example.org/post?key={{key}}",\n'
        '    json_data={"text": "{{subject}}: {{body}}"}, secrets={"key": "…"},\n'
        ').save("chat")'
    )

    name: str = Field(description="The name, for templates and messages.")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field(
        default="POST", description="The HTTP method."
    )
    params: dict[str, str] | None = Field(default=None, description="The query of the URL.")
    json_data: dict[str, JsonValue] | None = Field(default=None, description="The body, as JSON.")
    form_data: dict[str, str] | None = Field(
        default=None, description="The body, as a form; excludes `json_data`."
    )
    headers: SecretDict | None = Field(
        default=None, description="Headers by name; all values are secret."
    )
    cookies: SecretDict | None = Field(
        default=None, description="Cookies by name; all values are secret."
    )
    timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        le=600,
        alias="timeout",
        description="Timeout of one attempt, in seconds.",
    )
    secrets: SecretDict = Field(
        default_factory=lambda: SecretDict({}), description="Values for templates; all are secret."
    )

    @model_validator(mode="after")
    def _check_data(self) -> Self:
        if self.json_data is not None and self.form_data is not None:
            raise ValueError("a request has one body: set json_data or form_data, not both")
        return self

    def make_provider(self) -> CustomProvider:
        """Return the provider that sends to the URL."""
        return CustomProvider(self)


class CustomProvider(HttpProvider):
    """The provider of a `CustomWebhookNotificationBlock`."""

    def __init__(self, block: CustomWebhookNotificationBlock) -> None:
        super().__init__(block, dumps, method=block.method)
        self._block = block

    def deliver(self, note: Note) -> None:
        fill = self._make_filler(note)
        payload, headers = self._write_body(fill)
        self.check(self.send(payload, url=self._write_url(fill), headers=SecretDict(headers)))

    def _make_filler(self, note: Note) -> Filler:
        secret = {key: str(text) for key, text in self._block.secrets.get_secret_value().items()}
        given = {"body": note.body, "subject": note.subject or "", "name": self._block.name}
        return Filler(self.where, secret | given)

    def _write_url(self, fill: Filler) -> str:
        url = fill.text(self._block.url.get_secret_value(), lambda text: quote(text, safe=""))
        query = urlencode(fill.texts(self._block.params))
        return f"{url}{'&' if '?' in url else '?'}{query}" if query else url

    def _write_body(self, fill: Filler) -> tuple[object, dict[str, str]]:
        """Return the body and all headers."""
        block = self._block
        headers = fill.texts(_open(block.headers))
        cookies = fill.texts(_open(block.cookies))
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={text}" for name, text in cookies.items())
        if block.form_data is None:
            return fill.json(block.json_data), headers
        return urlencode(fill.texts(block.form_data)).encode(), {"Content-Type": _FORM, **headers}


def _open(secret: SecretDict | None) -> Mapping[str, object]:
    return {} if secret is None else secret.get_secret_value()


class Filler:
    """Fills placeholders in templates, once: inserted values are not searched for placeholders.

    Args:
        where: the owner of the templates, for messages.
        values: the values by name.
    """

    def __init__(self, where: str, values: Mapping[str, str]) -> None:
        self._where, self._values = where, values

    def text(self, template: str, encode: Callable[[str], str] = str) -> str:
        """Return a text with its placeholders filled.

        Raises:
            NotificationInvalid: a placeholder has no value.
        """
        for name in _PLACE.findall(template):
            if name not in self._values:
                problem = f"there is no value for {{{{{name}}}}} in its templates"
                remedy = "Use {{body}}, {{subject}}, {{name}}, or a name in `secrets`."
                raise NotificationInvalid(self._where, problem, remedy)
        return _PLACE.sub(lambda place: encode(self._values[place[1]]), template)

    def texts(self, templates: Mapping[str, object] | None) -> dict[str, str]:
        """Return texts by name, with their placeholders filled."""
        return {name: self.text(str(text)) for name, text in (templates or {}).items()}

    def json(self, template: object) -> object:
        """Return a JSON value with the placeholders in its strings filled."""
        if isinstance(template, str):
            return self.text(template)
        if isinstance(template, dict):
            return {key: self.json(each) for key, each in template.items()}
        if isinstance(template, list):
            return [self.json(each) for each in template]
        return template
