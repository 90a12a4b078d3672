"""Translation of Apprise's failures to errors of Flowstone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowstone.errors import NotificationDenied, NotificationFailed, NotificationUnsent

if TYPE_CHECKING:
    from flowstone_notify.log import DeliveryLog

_STATUS = re.compile(r"\berror=(\d+)")
#: Statuses, and codes of Twilio, that mean "retry later": nothing was done.
BUSY = frozenset({429, 503, 20429})
#: Statuses of credentials or secret URLs that are unknown or revoked.
DENIED = frozenset({401, 403, 404, 410, 20003})
_BUSY_REMEDY = "Wait, and send less often."
_DENIED_REMEDY = "Check the block's keys and tokens: the service refuses them."
_REMEDY = "See what the service reports."


def explain_failure(where: str, log: DeliveryLog) -> NotificationFailed:
    """Return the error for a failed delivery.

    Args:
        where: the service, as the prefix of the message.
        log: Apprise's log of the delivery.
    """
    told = log.describe() or "Apprise did not send it and gives no reason"
    if log.was_taken:
        remedy = "Check who received it before you send it again."
        return NotificationFailed(where, f"only some recipients received it: {told}", remedy)
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
        remedy = "Check that the service is up, and proxies and certificates."
        return NotificationUnsent(where, f"not reached: {problem}", remedy)
    remedy = "Check there whether it has arrived before you send it again."
    return NotificationFailed(where, f"no answer: {problem}", remedy)


def _was_not_sent(error: BaseException) -> bool:
    """Return whether an error of requests was raised before anything was sent."""
    from requests import ConnectionError, ConnectTimeout  # noqa: A004 - comes with the SDK

    if isinstance(error, ConnectTimeout):
        return True
    # Only errors while connecting are "max retries exceeded", with a separate reason.
    cause = error.args[0] if error.args else None
    return isinstance(error, ConnectionError) and hasattr(cause, "reason")
