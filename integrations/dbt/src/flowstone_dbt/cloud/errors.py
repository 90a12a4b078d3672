"""dbt Cloud's answers become Flowstone's errors here, and nowhere else."""

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

#: What all paths of an account begin with.
_ACCOUNT = re.compile(r"^/api/v2/accounts/\d+/")
#: So many characters of an answer are quoted.
MOST_WORDS = 500
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, BUSY, BROKEN = 401, 403, 404, 429, 500


def make_answer_error(
    where: str, response: httpx.Response, handle: str | None = None
) -> FlowstoneError:
    """Return Flowstone's error for an answer that is none of success.

    Args:
        where: what was asked, for the message.
        response: the answer.
        handle: the run that was asked about.
    """
    status, asked = response.status_code, describe_request(response.request)
    problem = f"{asked} returned {status}: {find_words(response)}"
    if status == UNAUTHORIZED:
        remedy = "Give `api_key` a token that is valid at this `domain`."
        return CredentialsError(where, problem, remedy)
    if status == FORBIDDEN:
        remedy = "Check `account_id`, and what the token is permitted to do."
        return AccessDenied(where, problem, remedy)
    if status == NOT_FOUND:
        remedy = "Check its number and `account_id`, and that the token may see it."
        return JobLost(where, problem, remedy, handle)
    if status == BUSY or status >= BROKEN:
        return Unreachable(where, problem, "Try again later; see https://status.getdbt.com.")
    remedy = "Check what was asked for, and the `domain` of the credentials."
    return JobError(where, problem, remedy, handle)


def make_transport_error(
    where: str, request: httpx.Request, error: httpx.TransportError
) -> Unreachable:
    """Return Flowstone's error for a request without an answer.

    Args:
        where: what was asked, for the message.
        request: what was sent, or was to be.
        error: why there is no answer.
    """
    words = redact(str(error)) or "no answer"
    asked = describe_request(request)
    problem = f"{asked}: dbt Cloud can't be reached: {words} ({type(error).__name__})"
    remedy = "Check the `domain` of the credentials, and the network."
    return Unreachable(where, problem, remedy)


def make_open_error(found: Unreachable) -> Unreachable:
    """Return the error of a request that may have been done, though nobody says so."""
    remedy = "The request may have succeeded: look in dbt Cloud before you repeat it."
    return Unreachable(found.where, found.problem, remedy)


def describe_request(request: httpx.Request) -> str:
    """Return a request as messages name it: ``GET /runs/5/``."""
    return f"{request.method} {_ACCOUNT.sub('/', request.url.path)}"


def find_words(response: httpx.Response) -> str:
    """Return what an answer says in words; secrets are masked."""
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
