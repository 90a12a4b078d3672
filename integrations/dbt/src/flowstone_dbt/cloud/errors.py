"""Translation of dbt Cloud's responses to errors of Flowstone; only this module does it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowstone.errors import (
    AccessDenied,
    CredentialsError,
    FlowstoneError,
    JobError,
    JobLost,
    Unreachable,
)
from flowstone.records.redaction import redact

if TYPE_CHECKING:
    import httpx

#: Prefix of all paths of an account.
_ACCOUNT = re.compile(r"^/api/v2/accounts/\d+/")
#: Maximum number of characters that are quoted from a response.
MOST_WORDS = 500
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, BUSY, BROKEN = 401, 403, 404, 429, 500


def make_answer_error(
    where: str, response: httpx.Response, handle: str | None = None
) -> FlowstoneError:
    """Return the error for an unsuccessful response.

    Args:
        where: the service, for the message.
        response: the response.
        handle: the run that the request was about.
    """
    status, asked = response.status_code, describe_request(response.request)
    problem = f"{asked} returned {status}: {find_words(response)}"
    if status == UNAUTHORIZED:
        remedy = "Set `api_key` to a token that is valid at this `domain`."
        return CredentialsError(where, problem, remedy)
    if status == FORBIDDEN:
        remedy = "Check `account_id`, and the permissions of the token."
        return AccessDenied(where, problem, remedy)
    if status == NOT_FOUND:
        remedy = "Check its id and `account_id`, and that the token has access to it."
        return JobLost(where, problem, remedy, handle)
    if status == BUSY or status >= BROKEN:
        return Unreachable(where, problem, "Try again later; see https://status.getdbt.com.")
    remedy = "Check the request, and the `domain` of the credentials."
    return JobError(where, problem, remedy, handle)


def make_transport_error(
    where: str, request: httpx.Request, error: httpx.TransportError
) -> Unreachable:
    """Return the error for a request without a response.

    Args:
        where: the service, for the message.
        request: the request, which may not have been sent.
        error: the reason.
    """
    words = redact(str(error)) or "no answer"
    asked = describe_request(request)
    problem = f"{asked}: dbt Cloud can't be reached: {words} ({type(error).__name__})"
    remedy = "Check the `domain` of the credentials, and the network."
    return Unreachable(where, problem, remedy)


def make_open_error(found: Unreachable) -> Unreachable:
    """Return the error of a request that may have succeeded, without a response."""
    remedy = "The request may have succeeded: look in dbt Cloud before you repeat it."
    return Unreachable(found.where, found.problem, remedy)


def describe_request(request: httpx.Request) -> str:
    """Return a request for messages: ``GET /runs/5/``."""
    return f"{request.method} {_ACCOUNT.sub('/', request.url.path)}"


def find_words(response: httpx.Response) -> str:
    """Return the message in a response, with secrets masked."""
    try:
        found: object = response.json()
    except ValueError:
        return response.reason_phrase or "no reason given"
    status = found.get("status") if isinstance(found, dict) else None
    words = status if isinstance(status, dict) else {}
    said = [words.get("user_message"), words.get("developer_message"), _find_detail(found)]
    told = "; ".join(dict.fromkeys(str(each) for each in said if each))
    return redact(told)[:MOST_WORDS] or response.reason_phrase or "no reason given"


def _find_detail(found: object) -> object:
    return found.get("detail") if isinstance(found, dict) else None
