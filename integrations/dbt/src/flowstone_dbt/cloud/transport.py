"""Requests to dbt Cloud: repeated where that is safe, and answered or an error of Flowstone's."""

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

#: What comes of sending a request.
Found = httpx.Response | httpx.TransportError
#: Answers after which a request that changes nothing, or the same twice, is repeated.
TRANSIENT = frozenset({429, 500, 502, 503, 504})
#: Answers which say that nothing was done.
REFUSING = frozenset({429, 503})
#: Methods that may be repeated: what was done twice is as if it was done once.
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
#: Seconds before the first repetition, where the answer says nothing; each pause is twice as long.
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
#: No longer is waited for what `Retry-After` asks, in seconds.
LONGEST_ASKED = 300.0


class Transport:
    """One client of httpx, and the rules of repeating.

    Args:
        where: what messages begin with.
        api_key: the token.
        timeout_seconds: seconds to connect, and to wait for data.
        max_retries: how often a request is repeated, at most.

    Raises:
        CredentialsError: the token can't be sent.
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
        """Send a request, and return its answer.

        Args:
            method: of HTTP.
            url: where to.
            params: the query; what is None is left out.
            json: the body.
            is_repeatable: whether doing it twice is the same as once; by default the method says.
                What is not is repeated only where it was certainly not done.
            handle: the run that it is about.

        Raises:
            CredentialsError: the token was refused.
            AccessDenied: the token may not do that.
            JobLost: there is no such thing.
            Unreachable: no answer, or only that the service is busy or broken.
            JobError: it was refused for another reason.
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
        """Wait as long as the answer asks, or else about as long as the pause, and log it."""
        asked = read_retry_after(found) if isinstance(found, httpx.Response) else None
        seconds = SystemRandom().uniform(pause / 2, pause) if asked is None else asked
        words = str(getattr(found, "status_code", type(found).__name__))
        asked_for = describe_request(request)
        message = "%s: %s returned %s; retrying in %.1f s"
        get_job_logger().warning(message, self.where, asked_for, words, seconds)
        pause_for(seconds)


def read_retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that an answer asks to wait; None where it asks nothing."""
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
    """Tell whether a request is to be sent again: it may help, and does nothing twice."""
    if isinstance(found, httpx.Response):
        return found.status_code in (TRANSIENT if is_repeatable else REFUSING)
    return is_repeatable or isinstance(found, httpx.ConnectError | httpx.ConnectTimeout)


def _is_gone(response: httpx.Response, *, is_first: bool) -> bool:
    """Tell whether a deletion that is repeated was done before."""
    deleting = response.request.method == "DELETE"
    return deleting and not is_first and response.status_code == NOT_FOUND


def _check_key(where: str, key: str) -> str:
    """Return a token as a header can have it; errors of httpx would quote it."""
    key = key.strip()
    if key and key.isascii() and key.isprintable() and " " not in key:
        return key
    problem = "`api_key` is empty, or contains invalid characters"
    raise CredentialsError(where, problem, "Copy the token from dbt Cloud's settings again.")


@cache
def _make_tls() -> SSLContext:
    """Return one context for all clients: each takes 20 ms to make."""
    return httpx.create_ssl_context()
