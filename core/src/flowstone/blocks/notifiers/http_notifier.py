"""HttpNotifier and HttpProvider: what notifiers that post JSON to a secret URL are made of."""

from __future__ import annotations

import re
from contextlib import suppress
from email.utils import parsedate_to_datetime
from json import dumps
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from flowstone.blocks.notifiers.http import Answer, Forbidden, Manner, NoAnswer, NotSent, send
from flowstone.blocks.notifiers.notifier import Notifier
from flowstone.blocks.notifiers.provider import NotifierProvider
from flowstone.context.current import services
from flowstone.errors import (
    NotificationDenied,
    NotificationFailed,
    NotificationInvalid,
    NotificationUnsent,
    SecretError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flowstone.blocks.notifiers.note import Note
    from flowstone.secrets.values import SecretDict

#: The service did nothing, and says so: it may be asked again.
BUSY = frozenset({429, 503})
#: The headers' login is not known, or the URL, which is a login too, has been replaced.
DENIED = frozenset({401, 403, 404, 410})
_URL = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REMEDIES = {
    400: "Look at the template: is this what the service takes?",
    401: "Look at the headers: they have to bring a login that the service knows.",
    403: "Look at the URL and the headers: they are not allowed to do this.",
    404: "Look at the URL: there is none such any longer, so make another one at the service.",
    410: "Make another URL at the service: this one was taken back.",
}


class HttpNotifier(Notifier):
    """A notifier that posts to a secret URL; its `make_provider` returns an `HttpProvider`."""

    url: SecretStr = Field(description="Where to; secret, as whoever has it can post there.")
    verify: bool = Field(default=True, description="Whether the server's certificate is checked.")
    allow_private_urls: bool = Field(
        default=True, description="Whether the address may be one of a private network."
    )

    def _list_private(self) -> Iterator[str]:
        # The URL may be kept elsewhere, and then it is no text of the block's.
        with suppress(SecretError):
            yield self.url.get_secret_value()
        yield from super()._list_private()


class HttpProvider(NotifierProvider):
    """The secret URL of an `HttpNotifier`.

    Args:
        notifier: says where, and how to connect.
        render: returns the JSON value that carries a note.
        method: of the request.
        headers: of the request; one of Content-Type replaces that of JSON.
        max_body_length: characters that a note's body may have; None is any number.
    """

    def __init__(
        self,
        notifier: HttpNotifier,
        render: Callable[[Note], object],
        *,
        method: str = "POST",
        headers: SecretDict | None = None,
        max_body_length: int | None = None,
    ) -> None:
        self._notifier, self._render = notifier, render
        self._method, self._headers = method, headers
        self.max_body_length = max_body_length

    @property
    def where(self) -> str:
        kind, name = self._notifier.block_type_name(), self._notifier.name
        try:
            url = urlsplit(self._notifier.url.get_secret_value().strip())
            host = url.hostname if url.scheme in {"http", "https"} else None
        except (ValueError, SecretError):  # an error of its own, when it is used
            host = None
        return f"{kind}{f' {name!r}' if name else ''}{f' at {host}' if host else ''}"

    def deliver(self, note: Note) -> None:
        self.check(self.send(self._render(note)))

    def check(self, answer: Answer) -> None:
        """Raise the error of an answer that is no success.

        Raises:
            NotificationFailed: or its kin, as `deliver` says.
        """
        if not answer.ok:
            raise _explain_refusal(self.where, answer)

    def send(
        self, payload: object, *, url: str | None = None, headers: SecretDict | None = None
    ) -> Answer:
        """Send a payload once, and return the answer, whatever its status.

        Args:
            payload: a JSON value, or bytes, sent as they are; None sends no body.
            url: another than the notifier's own.
            headers: others than the provider's own.

        Raises:
            NotificationUnsent: the server was not reached.
            NotificationInvalid: this can't be sent, or not to that URL.
            NotificationFailed: the server was reached, and did not answer in time.
        """
        body = None if payload is None else self._encode(payload)
        fields = self._read_headers(self._headers if headers is None else headers)
        if body is not None and "content-type" not in {name.lower() for name in fields}:
            fields["Content-Type"] = "application/json"
        block = self._notifier
        manner = Manner(block.timeout_seconds, block.verify, block.allow_private_urls)
        try:
            return send(self._method, self._read_url(url), body, fields, manner)
        except NotSent as error:
            remedy = "Is the service up, and the URL right? Look at proxies and certificates, too."
            raise NotificationUnsent(self.where, f"not reached: {error}", remedy) from None
        except Forbidden as error:
            remedy = "Give it a public URL, or set allow_private_urls=True."
            raise NotificationInvalid(self.where, str(error), remedy) from None
        except NoAnswer as error:
            remedy = "Look there whether it has arrived before you send it again."
            raise NotificationFailed(self.where, f"no answer: {error}", remedy) from None

    def _encode(self, payload: object) -> bytes:
        if isinstance(payload, bytes):
            return payload
        try:
            return dumps(payload, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            problem = f"the payload is no JSON ({type(error).__name__}: {error})"
        remedy = "Send texts, finite numbers, true, false, null, and lists and dicts of these."
        raise NotificationInvalid(self.where, problem, remedy)

    def _read_headers(self, given: SecretDict | None) -> dict[str, str]:
        """Return the headers, if they can be sent: a line break in one would begin another."""
        headers: Mapping[str, object] = {} if given is None else given.get_secret_value()
        for name, value in headers.items():
            good = isinstance(value, str) and value.isprintable() and value.isascii()
            if not _NAME.fullmatch(name) or not good:
                problem = f"header {name!r} is not one line of ASCII text"
                raise NotificationInvalid(self.where, problem, "Set it right in `headers`.")
        return {name: str(value) for name, value in headers.items()}

    def _read_url(self, given: str | None) -> str:
        url = (self._notifier.url.get_secret_value() if given is None else given).strip()
        if not _URL.fullmatch(url) or not urlsplit(url).hostname:
            problem = "its URL is not one of http:// or https://, in ASCII"
            raise NotificationInvalid(self.where, problem, "Set `url` to the service's own.")
        if "@" in urlsplit(url).netloc:
            problem = "there is a login in its URL, which is not sent from there"
            remedy = "Set `headers`: {'Authorization': 'Basic …'}, where it takes some."
            raise NotificationInvalid(self.where, problem, remedy)
        return url.partition("#")[0]


def _explain_refusal(where: str, answer: Answer) -> NotificationFailed:
    """Return the error of an answer that is no success."""
    status, words = answer.status_code, answer.text.strip()
    problem = f"it answered {status}{f': {words}' if words else ''}"
    if status in BUSY:
        remedy = "Wait, and send less, or later."
        return NotificationUnsent(where, problem, remedy, status, _read_patience(answer))
    if 300 <= status < 400:
        remedy = "Set `url` to where it leads now: a redirect is not followed."
    else:
        remedy = _REMEDIES.get(status, "Look at what the service says of it.")
    kind = NotificationDenied if status in DENIED else NotificationFailed
    return kind(where, problem, remedy, status)


def _read_patience(answer: Answer) -> float | None:
    """Return how many seconds the service asks for: a number, or until a date."""
    asked = answer.headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - services().clock.time())
    except ValueError:
        return None
