"""HttpNotifier and HttpProvider: base classes of notifiers that post JSON to a secret URL."""

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

#: The service says that it did nothing: the request may be retried.
BUSY = frozenset({429, 503})
#: The credentials in the headers are invalid, or the URL, which is a credential too, was replaced.
DENIED = frozenset({401, 403, 404, 410})
_URL = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REMEDIES = {
    400: "Check the template: the service must accept its JSON.",
    401: "Check the headers: they must contain credentials that the service accepts.",
    403: "Check the URL and the headers: they lack the permission for this.",
    404: "Check the URL: it no longer exists, so create another one at the service.",
    410: "Create another URL at the service: this one was revoked.",
}


class HttpNotifier(Notifier):
    """A notifier that posts to a secret URL; its `make_provider` returns an `HttpProvider`."""

    url: SecretStr = Field(description="The URL to post to; secret, since it is a credential.")
    verify: bool = Field(default=True, description="Whether to verify the server's certificate.")
    allow_private_urls: bool = Field(
        default=True, description="Whether addresses of private networks are allowed."
    )

    def _list_private(self) -> Iterator[str]:
        # The URL may be a reference to a secret, which is not a string.
        with suppress(SecretError):
            yield self.url.get_secret_value()
        yield from super()._list_private()


class HttpProvider(NotifierProvider):
    """Posts to the secret URL of an `HttpNotifier`.

    Args:
        notifier: the block with the URL and the connection options.
        render: returns the JSON value for a note.
        method: the HTTP method.
        headers: the HTTP headers; a Content-Type replaces that of JSON.
        max_body_length: the maximum length of a note's body in characters; None for no limit.
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
        except (ValueError, SecretError):  # it is raised when the URL is used
            host = None
        return f"{kind}{f' {name!r}' if name else ''}{f' at {host}' if host else ''}"

    def deliver(self, note: Note) -> None:
        self.check(self.send(self._render(note)))

    def check(self, answer: Answer) -> None:
        """Raise the error of a response that is not a success.

        Raises:
            NotificationFailed: or one of its subclasses, as `deliver` documents.
        """
        if not answer.ok:
            raise _explain_refusal(self.where, answer)

    def send(
        self, payload: object, *, url: str | None = None, headers: SecretDict | None = None
    ) -> Answer:
        """Send a payload once, and return the response, whatever its status.

        Args:
            payload: a JSON value, or bytes, which are sent unchanged; None sends no body.
            url: a URL to use instead of the notifier's own.
            headers: headers to use instead of the provider's own.

        Raises:
            NotificationUnsent: the server was not reached.
            NotificationInvalid: the payload can't be sent, or not to that URL.
            NotificationFailed: the server was reached, and did not respond in time.
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
            remedy = "Check that the service is up, and check the URL, proxies and certificates."
            raise NotificationUnsent(self.where, f"not reached: {error}", remedy) from None
        except Forbidden as error:
            remedy = "Use a public URL, or set allow_private_urls=True."
            raise NotificationInvalid(self.where, str(error), remedy) from None
        except NoAnswer as error:
            remedy = "Check whether it has arrived before you send it again."
            raise NotificationFailed(self.where, f"no answer: {error}", remedy) from None

    def _encode(self, payload: object) -> bytes:
        if isinstance(payload, bytes):
            return payload
        try:
            return dumps(payload, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            problem = f"the payload is not valid JSON ({type(error).__name__}: {error})"
        remedy = "Send strings, finite numbers, true, false, null, and lists and dicts of these."
        raise NotificationInvalid(self.where, problem, remedy)

    def _read_headers(self, given: SecretDict | None) -> dict[str, str]:
        """Return the headers after checking them: a line break in one would start another."""
        headers: Mapping[str, object] = {} if given is None else given.get_secret_value()
        for name, value in headers.items():
            good = isinstance(value, str) and value.isprintable() and value.isascii()
            if not _NAME.fullmatch(name) or not good:
                problem = f"header {name!r} is not one line of ASCII text"
                raise NotificationInvalid(self.where, problem, "Correct it in `headers`.")
        return {name: str(value) for name, value in headers.items()}

    def _read_url(self, given: str | None) -> str:
        url = (self._notifier.url.get_secret_value() if given is None else given).strip()
        if not _URL.fullmatch(url) or not urlsplit(url).hostname:
            problem = "its URL is not one of http:// or https://, in ASCII"
            raise NotificationInvalid(self.where, problem, "Set `url` to the URL of the service.")
        if "@" in urlsplit(url).netloc:
            problem = "its URL contains credentials, which are not sent"
            remedy = "If it needs them, set `headers`: {'Authorization': 'Basic …'}."
            raise NotificationInvalid(self.where, problem, remedy)
        return url.partition("#")[0]


def _explain_refusal(where: str, answer: Answer) -> NotificationFailed:
    """Return the error of a response that is not a success."""
    status, words = answer.status_code, answer.text.strip()
    problem = f"it answered {status}{f': {words}' if words else ''}"
    if status in BUSY:
        remedy = "Send it again later, or send fewer."
        return NotificationUnsent(where, problem, remedy, status, _read_patience(answer))
    if 300 <= status < 400:
        remedy = "Set `url` to its new location: redirects are not followed."
    else:
        remedy = _REMEDIES.get(status, "See the service's documentation of this status.")
    kind = NotificationDenied if status in DENIED else NotificationFailed
    return kind(where, problem, remedy, status)


def _read_patience(answer: Answer) -> float | None:
    """Return the seconds to wait from a Retry-After header, which is a number or a date."""
    asked = answer.headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - services().clock.time())
    except ValueError:
        return None
