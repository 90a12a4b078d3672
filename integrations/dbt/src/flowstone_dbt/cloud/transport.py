"""Requests to dbt Cloud: retried if that is safe; failures become errors of Flowstone."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from random import SystemRandom
from typing import TYPE_CHECKING

import httpx

from flowstone.blocks.jobs import get_job_logger
from flowstone.errors import CredentialsError, FlowstoneError, Unreachable
from flowstone_dbt.cloud.errors import (
    NOT_FOUND,
    describe_request,
    make_answer_error,
    make_open_error,
    make_transport_error,
)
from flowstone_dbt.stopping import pause_for

if TYPE_CHECKING:
    from ssl import SSLContext

    from flowstone_dbt.cloud.records import Query

#: The outcome of a request.
Found = httpx.Response | httpx.TransportError
#: Responses after which an idempotent request is retried.
TRANSIENT = frozenset({429, 500, 502, 503, 504})
#: Responses that mean that nothing was done.
REFUSING = frozenset({429, 503})
#: Idempotent methods.
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
#: Seconds before the first retry without `Retry-After`; each further delay is twice as long.
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
#: Maximum delay in seconds that `Retry-After` can request.
LONGEST_ASKED = 300.0


class Transport:
    """An httpx client with retries.

    Args:
        where: the prefix of messages.
        api_key: the token.
        timeout_seconds: timeout of the connection, and of waiting for data, in seconds.
        max_retries: maximum number of retries of a request.

    Raises:
        CredentialsError: the token contains characters that can't be sent.
    """

    def __init__(
        self, where: str, api_key: str, *, timeout_seconds: float, max_retries: int
    ) -> None:
        self.where, self._max_retries = where, max_retries
        headers = {"Authorization": f"Token {_check_key(where, api_key)}"}
        self._client = httpx.Client(
            headers={**headers, "Accept": "application/json", "User-Agent": "flowstone-dbt"},
            timeout=timeout_seconds,
            verify=_make_tls(),
        )

    def close(self) -> None:
        self._client.close()

    def send(
        self,
        method: str,
        url: str,
        *,
        params: Query | None = None,
        json: object = None,
        is_repeatable: bool | None = None,
        handle: str | None = None,
    ) -> httpx.Response:
        """Send a request and return the response.

        Args:
            method: the HTTP method.
            url: the URL.
            params: the query parameters; those that are None are omitted.
            json: the body.
            is_repeatable: whether the request is idempotent; by default, the method decides. Others
                are retried only if they were certainly not executed.
            handle: the run that the request is about.

        Raises:
            CredentialsError: the token was refused.
            AccessDenied: the token lacks a permission.
            JobLost: the object does not exist.
            Unreachable: there was no response, or the service is busy or broken.
            JobError: the request was refused for another reason.
        """
        repeatable = method.upper() in REPEATABLE if is_repeatable is None else is_repeatable
        query = {name: value for name, value in (params or {}).items() if value is not None}
        request = self._client.build_request(method, url, params=query, json=json)
        pause, left = FIRST_PAUSE, self._max_retries
        while True:
            found = self._ask(request)
            is_first = left == self._max_retries
            if isinstance(found, httpx.Response) and (
                found.is_success or _is_gone(found, is_first=is_first)
            ):
                return found
            if not left or not _may_repeat(found, is_repeatable=repeatable):
                break
            self._wait(request, found, pause)
            pause, left = min(2 * pause, LONGEST_PAUSE), left - 1
        raise self._make_error(request, found, handle, is_repeatable=repeatable)

    def _make_error(
        self,
        request: httpx.Request,
        found: Found,
        handle: str | None,
        *,
        is_repeatable: bool,
    ) -> FlowstoneError:
        if isinstance(found, httpx.Response):
            error = make_answer_error(self.where, found, handle)
        else:
            error = make_transport_error(self.where, request, found)
            error.__cause__ = found
        is_open = not is_repeatable and not _may_repeat(found, is_repeatable=False)
        return make_open_error(error) if is_open and isinstance(error, Unreachable) else error

    def _ask(self, request: httpx.Request) -> Found:
        try:
            return self._client.send(request)
        except httpx.TransportError as error:
            return error

    def _wait(self, request: httpx.Request, found: Found, pause: float) -> None:
        """Wait as long as the response requests, or else about `pause` seconds, and log it."""
        asked = read_retry_after(found) if isinstance(found, httpx.Response) else None
        seconds = SystemRandom().uniform(pause / 2, pause) if asked is None else asked
        words = str(getattr(found, "status_code", type(found).__name__))
        asked_for = describe_request(request)
        message = "%s: %s returned %s; retrying in %.1f s"
        get_job_logger().warning(message, self.where, asked_for, words, seconds)
        pause_for(seconds)


def read_retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that a response asks to wait; None if it doesn't."""
    text = response.headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), LONGEST_ASKED)


def _may_repeat(found: Found, *, is_repeatable: bool) -> bool:
    """Return whether a retry may help, and can't do anything twice."""
    if isinstance(found, httpx.Response):
        return found.status_code in (TRANSIENT if is_repeatable else REFUSING)
    return is_repeatable or isinstance(found, httpx.ConnectError | httpx.ConnectTimeout)


def _is_gone(response: httpx.Response, *, is_first: bool) -> bool:
    """Return whether a retried deletion had succeeded before."""
    deleting = response.request.method == "DELETE"
    return deleting and not is_first and response.status_code == NOT_FOUND


def _check_key(where: str, key: str) -> str:
    """Return a token that is valid in a header; errors of httpx would quote it."""
    key = key.strip()
    if key and key.isascii() and key.isprintable() and " " not in key:
        return key
    problem = "`api_key` is empty, or contains invalid characters"
    raise CredentialsError(where, problem, "Copy the token from dbt Cloud's settings again.")


@cache
def _make_tls() -> SSLContext:
    """Return one context for all clients, as creating one takes 20 ms."""
    return httpx.create_ssl_context()
