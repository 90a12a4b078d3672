"""Translation of errors of Azure's SDK, by exception class and by the service's error codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flowstone.errors import AccessDenied, CredentialsError, FlowstoneError, replace_errors
from flowstone.records.redaction import redact
from flowstone_azure.rules import (
    ARCHIVED,
    BAD_LOGIN,
    BAD_REQUEST,
    BUSY,
    CHANGED,
    DAMAGED,
    DELETED_SECRET,
    DENIED,
    DOWN,
    EXPIRED,
    FILE_AND_FOLDER,
    LEASED,
    MISUSED,
    NO_CONTAINER,
    NO_LOGIN,
    NO_OBJECT,
    NOT_EMPTY,
    OF_SECRETS,
    PROTECTED,
    REFUSED,
    SNAPSHOTS,
    THERE,
    TOO_BIG,
    UNCOMMITTED,
    UNSUPPORTED,
    WRONG_KIND,
    AzureErrorRule,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

#: Longer messages are truncated, such as the error page of a proxy.
LONGEST = 400
#: The SDK's words before the list of attempted credentials, and for refused credentials.
_CHAIN, _REFUSED = "Attempted credentials:", "Authentication failed"


def _make_table(*groups: tuple[AzureErrorRule, str]) -> dict[str, AzureErrorRule]:
    return {name: rule for rule, names in groups for name in names.split()}


#: By the name of the exception's class, or of its nearest base class. Responses of the service
#: (`HttpResponseError`) are looked up by their error code first.
BY_EXCEPTION = _make_table(
    (NO_LOGIN, "CredentialUnavailableError"),
    (REFUSED, "AzureSigningError"),
    (BAD_LOGIN, "ClientAuthenticationError AuthenticationRequiredError"),
    (
        DOWN,
        """
        ServiceRequestError ServiceResponseError ServiceRequestTimeoutError
        ServiceResponseTimeoutError IncompleteReadError
        """,
    ),
    (DAMAGED, "DecodeError"),
    (
        MISUSED,
        """
        AzureError HttpResponseError ResourceExistsError ResourceNotFoundError
        ResourceModifiedError ResourceNotModifiedError TooManyRedirectsError ODataV4Error
        StreamConsumedError StreamClosedError ResponseNotReadError PartialBatchErrorException
        """,
    ),
)

#: By the error code in the service's response.
BY_CODE = _make_table(
    (
        NO_CONTAINER,
        """
        ContainerNotFound ContainerBeingDeleted ContainerDisabled AccountIsDisabled
        AccountBeingCreated
        """,
    ),
    (NO_OBJECT, "BlobNotFound"),
    (
        DENIED,
        """
        AuthorizationFailure AuthorizationPermissionMismatch AuthorizationProtocolMismatch
        AuthorizationResourceTypeMismatch AuthorizationServiceMismatch
        AuthorizationSourceIPMismatch InsufficientAccountPermissions PublicAccessNotPermitted
        UnauthorizedBlobOverwrite
        """,
    ),
    (PROTECTED, "BlobImmutableDueToPolicy BlobImmutableDueToLegalHold"),
    (
        LEASED,
        """
        LeaseAlreadyBroken LeaseAlreadyPresent LeaseIdMismatchWithBlobOperation
        LeaseIdMismatchWithContainerOperation LeaseIdMismatchWithLeaseOperation LeaseIdMissing
        LeaseIsBreakingAndCannotBeAcquired LeaseIsBreakingAndCannotBeChanged
        LeaseIsBrokenAndCannotBeRenewed LeaseLost LeaseNotPresentWithBlobOperation
        LeaseNotPresentWithContainerOperation LeaseNotPresentWithLeaseOperation SystemInUse
        InfiniteLeaseDurationRequired
        """,
    ),
    (SNAPSHOTS, "SnapshotsPresent"),
    (
        REFUSED,
        """
        AuthenticationFailed InvalidAuthenticationInfo NoAuthenticationInformation
        KeyBasedAuthenticationNotPermitted
        """,
    ),
    (BUSY, "ServerBusy InternalError OperationTimedOut PendingCopyOperation"),
    (
        CHANGED,
        """
        AppendPositionConditionNotMet BlobOverwritten ConditionNotMet CopyIdMismatch
        InvalidBlockList InvalidRange MaxBlobSizeConditionNotMet NoPendingCopyOperation
        SequenceNumberConditionNotMet SourceConditionNotMet TargetConditionNotMet
        """,
    ),
    (UNCOMMITTED, "InvalidBlobOrBlock"),
    (THERE, "AccountAlreadyExists BlobAlreadyExists ContainerAlreadyExists ResourceAlreadyExists"),
    (
        WRONG_KIND,
        """
        InvalidBlobType InvalidSourceBlobType BlobOperationNotSupported
        IncrementalCopyBlobMismatch OperationNotAllowedOnIncrementalCopyBlob
        """,
    ),
    (
        FILE_AND_FOLDER,
        "OperationNotSupportedOnDirectory PathConflict ResourceTypeMismatch",
    ),
    (NOT_EMPTY, "DirectoryIsNotEmpty DirectoryNotEmpty"),
    (ARCHIVED, "BlobArchived BlobBeingRehydrated"),
    (
        TOO_BIG,
        """
        BlockCountExceedsLimit BlockListTooLong ContentLengthLargerThanTierLimit
        RequestBodyTooLarge MetadataTooLarge
        """,
    ),
    (
        BAD_REQUEST,
        """
        BlobAccessTierNotSupportedForAccountType BlobNotArchived
        BlobTierInadequateForContentLength CannotChangeToLowerTier CannotVerifyCopySource
        ConditionHeadersNotSupported CopyAcrossAccountsNotSupported EmptyMetadataKey
        IncrementalCopyOfEarlierSnapshotNotAllowed
        IncrementalCopyOfEarlierVersionSnapshotNotAllowed IncrementalCopySourceMustBeSnapshot
        InvalidBlobTier InvalidBlockId InvalidHeaderValue InvalidInput InvalidMd5
        InvalidMetadata InvalidOperation InvalidPageRange InvalidQueryParameterValue
        InvalidResourceName InvalidSourceBlobUrl InvalidUri InvalidVersionForPageBlobOperation
        InvalidXmlDocument InvalidXmlNodeValue Md5Mismatch MissingContentLengthHeader
        MissingRequiredHeader MissingRequiredQueryParameter MissingRequiredXmlNode
        MultipleConditionHeadersNotSupported OutOfRangeInput OutOfRangeQueryParameterValue
        PreviousSnapshotCannotBeNewer PreviousSnapshotNotFound
        PreviousSnapshotOperationNotSupported RequestUrlFailedToParse
        SequenceNumberIncrementTooLarge SnapshotCountExceeded SnapshotOperationRateExceeded
        """,
    ),
    (
        UNSUPPORTED,
        """
        FeatureNotSupported FeatureVersionMismatch InvalidHttpVerb NotImplemented UnsupportedHeader
        UnsupportedHttpVerb UnsupportedQueryParameter UnsupportedXmlNode APINotImplemented
        FeatureNotYetSupportedForHierarchicalNamespaceAccounts
        """,
    ),
)

#: Codes for valid credentials that lack the permission for this operation.
NARROW = frozenset(
    {
        "AuthorizationPermissionMismatch",
        "AuthorizationResourceTypeMismatch",
        "AuthorizationServiceMismatch",
        "InsufficientAccountPermissions",
    }
)
_BY_STATUS = {401: REFUSED, 403: DENIED, 405: UNSUPPORTED, 412: CHANGED, 416: CHANGED, 429: BUSY}


class DescribedLogin(Protocol):
    """The methods of a login that error messages need."""

    def who(self) -> str:
        """Describe the credentials in use, without secrets."""

    def find_problem(self) -> str:
        """Return a known problem with the credentials; "" if there is none."""


def translate_errors(
    where: str,
    login: DescribedLogin,
    key: str | None = None,
    rules: Mapping[AzureErrorRule, AzureErrorRule] | None = None,
) -> AbstractContextManager[None]:
    """Translate errors of Azure's SDK into subclasses of `StorageError` and `CredentialsError`.

    Args:
        where: the container or the account, for the message.
        login: the credentials, for the message.
        key: the object, if the operation is about one.
        rules: replacements of general rules for this service, such as `OF_SECRETS`.
    """
    return replace_errors(lambda error: translate(error, where, login, key, rules))


def translate(
    error: Exception,
    where: str,
    login: DescribedLogin,
    key: str | None = None,
    rules: Mapping[AzureErrorRule, AzureErrorRule] | None = None,
) -> FlowstoneError | None:
    """Return the Flowstone error for an error of the SDK; None for any other error."""
    rule = find_rule(error, key)
    if rule is None:
        return None
    if rules is OF_SECRETS and is_recoverable(error):
        rule = DELETED_SECRET
    rule = (rules or {}).get(rule, rule)
    place = where if key is None or rule is NO_CONTAINER else f"{where}/{key}"
    problem, detail = rule.problem, format_details(error)
    if issubclass(rule.kind, (AccessDenied, CredentialsError)) and (known := login.find_problem()):
        # Azure's responses to an expired SAS differ, and none states the reason.
        rule, problem = EXPIRED, known
    if issubclass(rule.kind, CredentialsError):
        return rule.kind(
            f"Azure, with {login.who()}", f"{problem} for {place} ({detail})", rule.remedy
        )
    return rule.kind(place, f"{problem}, with {login.who()} ({detail})", rule.remedy)


def find_rule(error: Exception, key: str | None = None) -> AzureErrorRule | None:
    """Return the rule for an error of the SDK; None for any other error."""
    names = [kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("azure.")]
    if not names:
        return None
    code, status = read_code(error), getattr(error, "status_code", None)
    if code == "AuthenticationFailed" and "time frame" in str(error):
        return EXPIRED
    if code in BY_CODE:
        return BY_CODE[code]
    found = next((BY_EXCEPTION[name] for name in names if name in BY_EXCEPTION), MISUSED)
    if found is BAD_LOGIN and _CHAIN in str(error) and not _find_refusal(error):
        return NO_LOGIN
    if found is not MISUSED or not status:
        return found
    if status == 404:
        return NO_CONTAINER if key is None else NO_OBJECT
    return _BY_STATUS.get(status, BUSY if status >= 500 else BAD_REQUEST)


def read_code(error: BaseException | None) -> str:
    """Return the service's error code, such as ``BlobNotFound``; "" if there is none."""
    code = getattr(error, "error_code", None) or _read_odata(error, "code")
    return str(getattr(code, "value", code) or "")


def is_recoverable(error: BaseException | None) -> bool:
    """Return whether a secret can't be written because it was deleted, and can be recovered."""
    inner = _read_odata(error, "innererror")
    return isinstance(inner, dict) and inner.get("code") == "ObjectIsDeletedButRecoverable"


def _read_odata(error: BaseException | None, name: str) -> object:
    """Return an entry of the error in a JSON response; None if it has none."""
    return getattr(getattr(error, "error", None), name, None)


def format_details(error: Exception) -> str:
    """Return the SDK's message, truncated and without secrets."""
    code = read_code(error)
    # The lines after the first are the request's id, the time and the response in XML.
    line = _find_refusal(error) or next(iter(_read_lines(error)), "")
    text = redact(" ".join(f"{code}: {line}".split()) if code else line).strip(" .:")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _find_refusal(error: Exception) -> str:
    """Return why the SDK's chain refused credentials; "" if no reason was found."""
    lines = _read_lines(error)
    refusals = (line.strip() for line in lines if line.startswith("\t") and _REFUSED in line)
    return next(refusals, "") if _CHAIN in lines else ""


def _read_lines(error: Exception) -> list[str]:
    return str(getattr(error, "message", error) or error).strip().splitlines()
