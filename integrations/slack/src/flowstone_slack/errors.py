"""Translation of Slack's responses and SDK errors to errors of Flowstone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.error import URLError

from slack_sdk.errors import SlackApiError, SlackClientError

from flowstone.errors import (
    CredentialsError,
    NotificationFailed,
    NotificationInvalid,
    NotificationUnsent,
)

if TYPE_CHECKING:
    from flowstone.blocks import Block

#: The token is unknown or revoked: https://api.slack.com/methods/chat.postMessage#errors
DENIED = frozenset(
    {"account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked"}
)
_REMEDIES = {
    "channel_not_found": "Use the name or the id of a channel, and invite the bot to it.",
    "missing_scope": "Add the scope chat:write to the bot, and install it again.",
    "not_in_channel": "Invite the bot to the channel.",
}
_REMEDY = "See https://api.slack.com/methods/chat.postMessage#errors."


@contextmanager
def translate_errors(block: Block) -> Iterator[None]:
    """Raise Flowstone's errors for those of the SDK.

    Raises:
        CredentialsError: the token was refused.
        NotificationUnsent: nothing was posted: Slack can't be reached, or is busy.
        NotificationFailed: Slack refused it, or it is unknown whether it was posted.
    """
    where = f"{block.block_type_name()}{f' {block.name!r}' if block.name else ''}"
    found: Exception
    try:
        yield
    except SlackApiError as error:
        found = _explain_answer(where, error)
    except SlackClientError as error:
        found = NotificationFailed(where, str(error), _REMEDY)
    except (OSError, HTTPException) as error:
        found = _explain_silence(where, error)
    except ValueError as error:
        remedy = "Check `base_url`, and the message."
        found = NotificationInvalid(where, f"this can't be sent: {error}", remedy)
    else:
        return
    raise found  # outside any `except`: the SDK's errors contain the request


def _explain_answer(where: str, error: SlackApiError) -> Exception:
    response = error.response
    status, words = response.status_code, ""
    if isinstance(response.data, dict):
        words = str(response.data.get("error", ""))
    problem = f"it answered {words or status}"
    if words in DENIED:
        return CredentialsError(where, problem, "Check `token`: Slack refuses it.")
    if status == 429 or words == "ratelimited":
        asked = str(response.headers.get("Retry-After", ""))
        after = float(asked) if asked.isdigit() else None
        remedy = "Wait, and send less often."
        return NotificationUnsent(where, problem, remedy, status, after)
    return NotificationFailed(where, problem, _REMEDIES.get(words, _REMEDY), status)


def _explain_silence(where: str, error: OSError | HTTPException) -> NotificationFailed:
    reason = error.reason if isinstance(error, URLError) else error
    problem = f"{reason or type(reason).__name__}"
    # A failure after connecting is no URLError; the message may have been posted.
    if isinstance(error, URLError) and not isinstance(reason, TimeoutError):
        remedy = "Check `base_url`, proxies and certificates."
        return NotificationUnsent(where, f"not reached: {problem}", remedy)
    remedy = "Check there whether it was posted before you send it again."
    return NotificationFailed(where, f"no answer: {problem}", remedy)
