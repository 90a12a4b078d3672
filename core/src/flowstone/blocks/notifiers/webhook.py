"""Webhook: a note, or any payload, as JSON to a secret URL."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import replace
from email.utils import parsedate_to_datetime
from json import dumps
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from flowstone.blocks.notifiers.http import Answer, Forbidden, Manner, NoAnswer, NotSent, send
from flowstone.blocks.notifiers.notifier import Note, Notifier, cut
from flowstone.context.current import services
from flowstone.errors import (
    NotificationDenied,
    NotificationFailed,
    NotificationInvalid,
    NotificationUnsent,
    SecretError,
)
from flowstone.secrets.values import SecretDict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: So many characters of an answer are shown in an error.
SHOWN = 200
#: The service did nothing, and says so: it may be asked again.
BUSY = frozenset({429, 503})
#: The headers' login is not known, or the URL, which is a login too, has been replaced.
DENIED = frozenset({401, 403, 404, 410})
_URL = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PLACE = re.compile(r"\{\{ *(body|subject) *\}\}")
_REMEDIES = {
    400: "Look at the template: is this what the service takes?",
    401: "Look at the headers: they have to bring a login that the service knows.",
    403: "Look at the URL and the headers: they are not allowed to do this.",
    404: "Look at the URL: there is none such any longer, so make another one at the service.",
    410: "Make another URL at the service: this one was taken back.",
}


class WebNotifier(Notifier):
    """What notifiers that post to a secret URL have in common; a provider writes `_payload`."""

    url: SecretStr = Field(description="Where to; secret, as whoever has it can post there.")
    verify: bool = Field(default=True, description="Whether the server's certificate is checked.")
    allow_private_urls: bool = Field(
        default=True, description="Whether the address may be one of a private network."
    )

    def _where(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        try:
            url = urlsplit(self.url.get_secret_value().strip())
            host = url.hostname if url.scheme in {"http", "https"} else None
        except (ValueError, SecretError):  # an error of its own, when it is used
            host = None
        return f"{self.block_type_name()}{name}{f' at {host}' if host else ''}"

    def _private(self) -> Iterator[str]:
        # The URL may be kept elsewhere, and then it is no text of the block's.
        with suppress(SecretError):
            yield self.url.get_secret_value()
        yield from super()._private()

    def _payload(self, note: Note) -> object:
        """Return the JSON value that carries a note."""
        raise NotImplementedError

    def _notify(self, note: Note) -> None:
        self._took(self._send("POST", self._payload(note), {}))

    def _took(self, answer: Answer) -> None:
        if not answer.ok:
            # Before it is cut: the half of a secret is not known as one.
            raise refusal(self._where(), replace(answer, text=self._hide(answer.text)))

    def _send(self, method: str, payload: object, headers: Mapping[str, object]) -> Answer:
        body = None if payload is None else self._json(payload)
        given = _checked(self._where(), headers)
        if body is not None and "content-type" not in {name.lower() for name in given}:
            given["Content-Type"] = "application/json"
        manner = Manner(self.timeout_seconds, self.verify, self.allow_private_urls)
        try:
            return send(method, self._address(), body, given, manner)
        except NotSent as error:
            remedy = "Is the service up, and the URL right? Look at proxies and certificates, too."
            raise NotificationUnsent(self._where(), f"not reached: {error}", remedy) from None
        except Forbidden as error:
            remedy = "Give it a public URL, or set allow_private_urls=True."
            raise NotificationInvalid(self._where(), str(error), remedy) from None
        except NoAnswer as error:
            remedy = "Look there whether it has arrived before you send it again."
            raise NotificationFailed(self._where(), f"no answer: {error}", remedy) from None

    def _json(self, payload: object) -> bytes:
        try:
            return dumps(payload, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            problem = f"the payload is no JSON ({type(error).__name__}: {error})"
        remedy = "Send texts, finite numbers, true, false, null, and lists and dicts of these."
        raise NotificationInvalid(self._where(), problem, remedy)

    def _address(self) -> str:
        url = self.url.get_secret_value().strip()
        if not _URL.fullmatch(url) or not urlsplit(url).hostname:
            problem = "its URL is not one of http:// or https://, in ASCII"
            raise NotificationInvalid(self._where(), problem, "Set `url` to the service's own.")
        if "@" in urlsplit(url).netloc:
            problem = "there is a login in its URL, which is not sent from there"
            remedy = "Set `headers`: {'Authorization': 'Basic …'}, where it takes some."
            raise NotificationInvalid(self._where(), problem, remedy)
        return url.partition("#")[0]


class Webhook(WebNotifier):
    """Sends JSON to a secret URL: notes by a template, or any payload by `call`."""

    _description: ClassVar[str | None] = "A secret URL that takes JSON: notes, or any payload."
    _code_example: ClassVar[str | None] = (
        'Webhook(url="https://example.org/hooks/1").save("ours")\n'
        'Webhook.load("ours").call({"order": 7})'
    )

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field(
        default="POST", description="How it is sent."
    )
    headers: SecretDict = Field(
        default_factory=lambda: SecretDict({}), description="Headers by name; all values secret."
    )
    template: dict[str, Any] = Field(
        default_factory=lambda: {"subject": "{{subject}}", "body": "{{body}}"},
        description="The JSON that carries a note; {{body}} and {{subject}} stand for its texts.",
    )

    def _payload(self, note: Note) -> object:
        return _filled(self.template, {"body": note.body, "subject": note.subject or ""})

    def _notify(self, note: Note) -> None:
        headers = self.headers.get_secret_value()
        self._took(self._send(self.method, self._payload(note), headers))

    def call(self, payload: object = None) -> Answer:
        """Send a payload once, and return the answer, whatever its status.

        Args:
            payload: a JSON value, sent as it is; None sends no body.

        Raises:
            NotificationUnsent: the server was not reached.
            NotificationFailed: it was, and did not answer in time.
        """
        try:
            return self._send(self.method, payload, self.headers.get_secret_value())
        except NotificationFailed as error:
            shown = self._shown(error)
        raise shown

    async def acall(self, payload: object = None) -> Answer:
        """Do as `call`, and let other coroutines run meanwhile."""
        return await asyncio.to_thread(self.call, payload)


def refusal(where: str, answer: Answer) -> NotificationFailed:
    """Return the error of an answer that is no success."""
    status, said = answer.status_code, " ".join(cut(answer.text, SHOWN).split())
    problem = f"it answered {status}{f': {said}' if said else ''}"
    if status in BUSY:
        remedy = "Wait, and send less, or later."
        return NotificationUnsent(where, problem, remedy, status, _patience(answer))
    if 300 <= status < 400:
        remedy = "Set `url` to where it leads now: a redirect is not followed."
    else:
        remedy = _REMEDIES.get(status, "Look at what the service says of it.")
    kind = NotificationDenied if status in DENIED else NotificationFailed
    return kind(where, problem, remedy, status)


def _patience(answer: Answer) -> float | None:
    """Return how many seconds the service asks for: a number, or until a date."""
    asked = answer.headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - services().clock.time())
    except ValueError:
        return None


def _checked(where: str, headers: Mapping[str, object]) -> dict[str, str]:
    """Return headers that can be sent: a line break in one would begin another."""
    for name, value in headers.items():
        good = isinstance(value, str) and value.isprintable() and value.isascii()
        if not _NAME.fullmatch(name) or not good:
            problem = f"header {name!r} is not one line of ASCII text"
            raise NotificationInvalid(where, problem, "Set it right in `headers`.")
    return {name: str(value) for name, value in headers.items()}


def _filled(template: object, texts: Mapping[str, str]) -> object:
    """Return a template with its places filled: once, so that what is put in is not looked at."""
    if isinstance(template, str):
        return _PLACE.sub(lambda place: texts[place[1]], template)
    if isinstance(template, dict):
        return {key: _filled(value, texts) for key, value in template.items()}
    if isinstance(template, list):
        return [_filled(value, texts) for value in template]
    return template
