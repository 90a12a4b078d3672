"""Translation of errors of Google's SDK, by exception class and by the service's reasons."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowstone.errors import CredentialsError, FlowstoneError, replace_errors
from flowstone.records.redaction import redact, register
from flowstone_gcp.rules import (
    BAD_LOGIN,
    BAD_REQUEST,
    BILLING,
    BUSY,
    CERTIFICATE,
    CHANGED,
    CONFLICT,
    DAMAGED,
    DENIED,
    DISABLED_VERSION,
    DOWN,
    IMPERSONATION,
    MISUSED,
    NO_BUCKET,
    NO_LOGIN,
    NO_OBJECT,
    OF_SECRETS,
    PAYS,
    REFUSED,
    RETAINED,
    UNFINISHED,
    UNSUPPORTED,
    GcpErrorRule,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

#: Longer messages are truncated, such as the error page of a proxy.
LONGEST = 400
SDKS = ("google", "requests", "urllib3")
#: The SDK's messages if IAM returned no token, or no signature, of another service account.
BY_IAM = ("Unable to acquire impersonated credentials", "Error calling sign_bytes")
#: The secret part of an upload session's URL: anyone who has it can write the object.
UPLOAD = re.compile(r"\bupload_id=([\w-]+)")
#: The SDK's message if Cloud Storage has stored only part of a chunk.
PARTLY_KEPT = "Bytes stream is in unexpected state"
STATUS = re.compile(r"""["']code["']: ?(\d{3})""")


def _make_table(*groups: tuple[GcpErrorRule, str]) -> dict[str, GcpErrorRule]:
    return {name: rule for rule, names in groups for name in names.split()}


#: By the name of the exception's class; the nearest ancestor in the table applies.
BY_EXCEPTION = _make_table(
    (
        NO_LOGIN,
        """
        DefaultCredentialsError MalformedError InvalidResource InvalidOperation InvalidValue
        InvalidType OSError
        """,
    ),
    (
        REFUSED,
        """
        RefreshError UserAccessTokenError OAuthError ReauthFailError ReauthSamlChallengeFailError
        Unauthorized Unauthenticated
        """,
    ),
    (
        BAD_LOGIN,
        """
        GoogleAuthError MutualTLSChannelError ClientCertError ResponseError
        DuplicateCredentialArgs
        """,
    ),
    (DENIED, "Forbidden PermissionDenied"),
    (NO_OBJECT, "NotFound"),
    (CHANGED, "PreconditionFailed RequestRangeNotSatisfiable NotModified Aborted"),
    (CONFLICT, "Conflict AlreadyExists"),
    (
        BUSY,
        """
        TooManyRequests ResourceExhausted ServerError InternalServerError Unknown BadGateway
        ServiceUnavailable GatewayTimeout DeadlineExceeded RetryError
        """,
    ),
    (
        DOWN,
        """
        TransportError TimeoutError RequestException ConnectionError ConnectTimeout ReadTimeout
        Timeout ProxyError ChunkedEncodingError TooManyRedirects HTTPError
        ProtocolError IncompleteRead InvalidChunkLength MaxRetryError NewConnectionError
        NameResolutionError ConnectTimeoutError ReadTimeoutError PoolError RequestError
        TransferStalledError ResumableTransferError ResumeIncomplete
        """,
    ),
    (CERTIFICATE, "SSLError"),
    (DAMAGED, "DataCorruption DataLoss ContentDecodingError DecodeError"),
    (
        BAD_REQUEST,
        """
        ClientError BadRequest InvalidArgument FailedPrecondition OutOfRange LengthRequired
        Cancelled InvalidPathError UnseekableStreamError URLRequired MissingSchema InvalidSchema
        InvalidURL InvalidHeader InvalidProxyURL UnrewindableBodyError StreamConsumedError
        """,
    ),
    (
        UNSUPPORTED,
        """
        Redirection MovedPermanently TemporaryRedirect MethodNotAllowed MethodNotImplemented
        InvalidResponse InvalidJSONError JSONDecodeError MissingStatusHeaderError
        """,
    ),
    (
        MISUSED,
        """
        GoogleAPIError GoogleAPICallError AsyncRestUnsupportedParameterError UploadCancelledError
        RetryStrategyError RequestsWarning FileModeWarning RequestsDependencyWarning
        """,
    ),
)

#: By the reason in the service's response, which is more specific than its status:
#: https://cloud.google.com/storage/docs/json_api/v1/status-codes
BY_REASON = _make_table(
    (REFUSED, "authError expired required_login invalid_grant"),
    (BUSY, "rateLimitExceeded userRateLimitExceeded backendError internalError"),
    (RETAINED, "retentionPolicyNotMet objectUnderActiveHold orgPolicyConstraintFailed"),
    (PAYS, "userProjectMissing userProjectInvalid userProjectAccessDenied"),
    (
        BILLING,
        """
        accountDisabled accessNotConfigured userProjectAccountProblem billingNotEnabled
        SERVICE_DISABLED UserProjectAccountProblem
        """,
    ),
    (CHANGED, "conditionNotMet"),
    (CONFLICT, "conflict"),
)


def translate_errors(
    where: str,
    who: Callable[[], str],
    key: str | None = None,
    rules: Mapping[GcpErrorRule, GcpErrorRule] | None = None,
) -> AbstractContextManager[None]:
    """Translate errors of Google's SDK into subclasses of `StorageError` and `CredentialsError`.

    Args:
        where: the bucket or service, for the message.
        who: a function that describes the credentials in use, for the message.
        key: the object, if the operation is about one.
        rules: replacements of general rules for this service, such as `OF_SECRETS`.
    """
    return replace_errors(lambda error: translate(error, where, who, key, rules))


def translate(
    error: Exception,
    where: str,
    who: Callable[[], str],
    key: str | None = None,
    rules: Mapping[GcpErrorRule, GcpErrorRule] | None = None,
) -> FlowstoneError | None:
    """Return the Flowstone error for an error of the SDK; None for any other error."""
    for upload in UPLOAD.findall(str(error)):
        register(upload)
    rule = find_rule(error, key)
    if rule is None:
        return None
    if rules is OF_SECRETS and read_status(error) == "FAILED_PRECONDITION":
        rule = DISABLED_VERSION
    rule = (rules or {}).get(rule, rule)
    place = where if key is None or rule is NO_BUCKET else f"{where}/{key}"
    detail = format_details(error)
    if issubclass(rule.kind, CredentialsError):
        problem = f"{rule.problem} for {place} ({detail})"
        return rule.kind(f"Google Cloud, with {who()}", problem, rule.remedy)
    return rule.kind(place, f"{rule.problem}, with {who()} ({detail})", rule.remedy)


def find_rule(error: BaseException, key: str | None = None) -> GcpErrorRule | None:
    """Return the rule for an error of the SDK; None for any other error."""
    if is_unfinished(error):
        return UNFINISHED
    names = [kind.__name__ for kind in type(error).__mro__ if _is_of_sdk(kind)]
    if not names:
        return None
    cause = getattr(error, "cause", None)
    if "RetryError" in names and isinstance(cause, BaseException):
        return find_rule(cause, key) or DOWN
    reasons = read_reasons(error)
    found = [BY_REASON[reason] for reason in reasons if reason in BY_REASON]
    if "BadRequest" in names and "required" in reasons and "requester pays" in str(error).lower():
        found = [PAYS]
    rule = next(iter(found), None) or _find_login_rule(error, names)
    if rule is None:
        rule = next((BY_EXCEPTION[name] for name in names if name in BY_EXCEPTION), MISUSED)
    return NO_BUCKET if rule is NO_OBJECT and key is None else rule


def is_unfinished(error: BaseException) -> bool:
    """Return whether an upload session is lost, so that the upload has to start again."""
    if isinstance(error, ValueError) and PARTLY_KEPT in str(error):
        return True
    address = str(getattr(getattr(error, "response", None), "url", ""))
    return getattr(error, "code", None) in {404, 410} and UPLOAD.search(address) is not None


def _find_login_rule(error: BaseException, names: list[str]) -> GcpErrorRule | None:
    """Return the rule for a failed request for a token or a signature, if the class has none."""
    if "GoogleAuthError" not in names or not error.args:
        return None
    first = error.args[0]
    if isinstance(first, BaseException):
        # With a response of the metadata server, it has a second argument.
        return find_rule(first) if len(first.args) == 1 else None
    if not str(first).startswith(BY_IAM):
        return BUSY if getattr(error, "retryable", False) else None
    status = STATUS.search(str(error))
    code = int(status[1]) if status else 0
    if code in {403, 404}:
        return IMPERSONATION
    if code == 401:
        return REFUSED
    return BUSY if code == 429 or code >= 500 else BAD_LOGIN


def is_passing(error: BaseException) -> bool:
    """Return whether the same request may succeed when it is repeated."""
    status = getattr(getattr(error, "response", None), "status_code", 0)
    return (
        status in {408, 429}
        or status >= 500
        or isinstance(error, ConnectionError)
        or find_rule(error) in {BUSY, DOWN}
    )


def is_refused(error: BaseException) -> bool:
    """Return whether the connection was refused, or the host name is unknown."""
    if type(error).__name__ in {"NewConnectionError", "NameResolutionError"}:
        return True
    inner = getattr(error, "reason", None) or next(iter(error.args), None)
    return isinstance(inner, BaseException) and is_refused(inner)


def read_reasons(error: BaseException) -> list[str]:
    """Return the reasons in the service's response, such as ``retentionPolicyNotMet``."""
    entries = getattr(error, "errors", None)
    if not isinstance(entries, (list, tuple)):
        return []
    return [str(entry.get("reason", "")) for entry in entries if isinstance(entry, dict)]


def read_status(error: BaseException) -> str:
    """Return the canonical code in the service's response, such as ``FAILED_PRECONDITION``."""
    response = getattr(error, "response", None)
    try:
        found = response.json()["error"]["status"] if response is not None else ""
    except (AttributeError, KeyError, TypeError, ValueError):
        found = ""
    return str(found)


def format_details(error: BaseException) -> str:
    """Return the SDK's message, truncated and without secrets."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, BaseException):
        return format_details(cause)
    text = " ".join((getattr(error, "message", None) or _join_texts(error)).split())
    code = getattr(error, "code", None)
    text = redact(f"{int(code)} {text}" if isinstance(code, int) else text).strip(" .:")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _join_texts(error: BaseException) -> str:
    """Return the texts of an error.

    google-auth appends the response to its own message. A response that it does not accept as
    a token may still contain one, so only the response to a refusal is shown.
    """
    if not error.args or not _is_of_sdk(type(error)):
        return str(error)
    first, *others = error.args
    if isinstance(first, BaseException):
        return _join_texts(first)
    if type(error).__module__.startswith("google."):
        others = [each for each in others if first == BY_IAM[0] and isinstance(each, str)]
    return ": ".join(map(str, [first, *others]))


def _is_of_sdk(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in SDKS
