"""What a failure of Apprise means to who sends a note."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowstone.errors import NotificationDenied, NotificationFailed, NotificationUnsent

if TYPE_CHECKING:
    from flowstone_notify.log import DeliveryLog

_STATUS = re.compile(r"\berror=(\d+)")
#: Statuses, and codes of Twilio, that say "not now": nothing was done.
BUSY = frozenset({429, 503, 20429})
#: The login or the secret URL is not known, or not any longer.
DENIED = frozenset({401, 403, 404, 410, 20003})
_BUSY_REMEDY = "Wait, and send less, or later."
_DENIED_REMEDY = "Look at the block's keys and tokens: the service does not know them."
_REMEDY = "Look at what the service says of it."


def explain_failure(where: str, log: DeliveryLog) -> NotificationFailed:
    """Return Flowstone's error for a delivery that has failed.

    Args:
        where: the service; it begins the message.
        log: what Apprise has said meanwhile.
    """
    told = log.describe() or "Apprise has not sent it, and does not say why"
    if log.was_taken:
        remedy = "Look who has got it before you send it again."
        return NotificationFailed(where, f"it went to some, and not to all: {told}", remedy)
    if log.error is not None:
        return _explain_exception(where, log.error, told)
    found = _STATUS.findall(" ".join(log.warnings))
    status = int(found[-1]) if found else None
    if status in BUSY:
        return NotificationUnsent(where, told, _BUSY_REMEDY, status)
    if status in DENIED:
        return NotificationDenied(where, told, _DENIED_REMEDY, status)
    return NotificationFailed(where, told, _REMEDY, status)


def _explain_exception(where: str, error: BaseException, told: str) -> NotificationFailed:
    problem = f"{told} ({type(error).__name__}: {error})"
    if _was_not_sent(error):
        remedy = "Is the service up? Look at proxies and certificates, too."
        return NotificationUnsent(where, f"not reached: {problem}", remedy)
    remedy = "Look there whether it has arrived before you send it again."
    return NotificationFailed(where, f"no answer: {problem}", remedy)


def _was_not_sent(error: BaseException) -> bool:
    """Tell whether an error of requests came before anything was sent."""
    from requests import ConnectionError, ConnectTimeout  # noqa: A004 - comes with the SDK

    if isinstance(error, ConnectTimeout):
        return True
    # Only what failed while it connected is one of "too many tries", with a reason of its own.
    cause = error.args[0] if error.args else None
    return isinstance(error, ConnectionError) and hasattr(cause, "reason")
