"""AWS's errors as Flowstone's: tables by exception and by error code, and their translation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone.errors import CredentialsError, FlowstoneError, StorageError, replace_errors
from flowstone.records.redaction import redact
from flowstone_aws.rules import (
    ARCHIVED,
    BAD_LOGIN,
    BAD_REQUEST,
    BAD_SECRET,
    BARE,
    BUSY,
    CERTIFICATE,
    CHANGED,
    CLOCK,
    CONFIGURATION,
    DAMAGED,
    DENIED,
    DOWN,
    EXPIRED,
    MISUSED,
    NO_BUCKET,
    NO_LOGIN,
    NO_OBJECT,
    NO_REGION,
    NO_SECRET,
    NO_SERVICE,
    REFUSED,
    SECRET_KEY,
    SECRET_STATE,
    SECRET_THERE,
    TOO_BIG,
    UNSUPPORTED,
    WRONG_REGION,
    ErrorRule,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

#: Longer messages of AWS are truncated: a proxy's error page has no information after that.
LONGEST = 400
SDKS = ("botocore", "boto3", "s3transfer")


def _make_table(*groups: tuple[ErrorRule, str]) -> dict[str, ErrorRule]:
    return {name: rule for rule, names in groups for name in names.split()}


#: By the name of the exception's class; the nearest ancestor in the table applies.
BY_EXCEPTION = _make_table(
    (NO_LOGIN, "NoCredentialsError NoAuthTokenError"),
    (
        EXPIRED,
        """
        LoginRefreshRequired UnauthorizedSSOTokenError SSOTokenLoadError LoginTokenLoadError
        """,
    ),
    (
        BAD_LOGIN,
        """
        PartialCredentialsError CredentialRetrievalError ProfileNotFound ConfigNotFound
        ConfigParseError InvalidConfigError InfiniteLoopConfigError RefreshWithMFAUnsupportedError
        SSOError TokenRetrievalError UnknownCredentialError UnknownTokenProviderError LoginError
        LoginAuthorizationCodeError LoginInsufficientPermissions MetadataRetrievalError
        InvalidIMDSEndpointError InvalidIMDSEndpointModeError
        """,
    ),
    (
        NO_REGION,
        """
        NoRegionError InvalidRegionError UnknownRegionError UnknownEndpointError
        BaseEndpointResolverError EndpointVariantError UnknownFIPSEndpointError
        EndpointProviderError EndpointResolutionError UnknownEndpointResolutionBuiltInName
        """,
    ),
    (
        NO_SERVICE,
        """
        UnknownServiceError ServiceNotInRegionError DataNotFoundError ApiVersionNotFoundError
        UnsupportedServiceProtocolsError ResourceNotExistsError UnknownAPIVersionError
        NoVersionFound
        """,
    ),
    (
        DOWN,
        """
        ConnectionError EndpointConnectionError ConnectTimeoutError ConnectionClosedError
        HTTPClientError ReadTimeoutError ProxyConnectionError IncompleteReadError
        ResponseStreamingError RetriesExceededError
        """,
    ),
    (CERTIFICATE, "SSLError"),
    (BUSY, "CapacityNotAvailableError"),
    (DAMAGED, "ChecksumError FlexibleChecksumError AwsChunkedWrapperError"),
    (
        CONFIGURATION,
        """
        InvalidChecksumConfigError InvalidDefaultsMode InvalidEndpointConfigurationError
        InvalidEndpointDiscoveryConfigurationError InvalidMaxRetryAttemptsError
        InvalidRetryConfigurationError InvalidRetryModeError InvalidProxiesConfigError
        InvalidS3AddressingStyleError InvalidS3UsEast1RegionalEndpointConfigError
        InvalidSTSRegionalEndpointsConfigError InvalidCrtTransferConfigError
        UnknownSignatureVersionError UnsupportedSignatureVersionError
        UnsupportedS3ConfigurationError UnsupportedS3ControlConfigurationError
        UnsupportedS3AccesspointConfigurationError MissingDependencyException MD5UnavailableError
        UnknownServiceStyle
        """,
    ),
    (
        BAD_REQUEST,
        """
        ParamValidationError ValidationError RangeError UnknownKeyError UnknownParameterError
        AliasConflictParameterError MissingParametersError InvalidDNSNameError
        InvalidHostLabelError InvalidExpressionError UnsupportedS3ArnError
        UnsupportedS3ControlArnError UnsupportedOutpostResourceError S3ValidationError
        UnseekableStreamError
        """,
    ),
    (UNSUPPORTED, "ResponseParserError EventStreamError"),
    (
        MISUSED,
        """
        BotoCoreError Boto3Error UndefinedModelAttributeError MissingServiceIdError
        OperationNotPageableError PaginationError UnknownClientMethodError WaiterError
        WaiterConfigError StubResponseError StubAssertionError UnStubbedResponseError
        ResourceLoadException DynamoDBNeedsConditionError DynamoDBNeedsKeyConditionError
        DynamoDBOperationNotSupportedError
        InvalidSubscriberMethodError TransferNotDoneError S3TransferFailedError
        S3UploadFailedError S3DownloadFailedError S3CopyFailedError FatalError
        """,
    ),
)

#: By the code in the response of S3, STS, Secrets Manager or SSM.
BY_CODE = _make_table(
    (NO_BUCKET, "NoSuchBucket"),
    (NO_OBJECT, "NoSuchKey NoSuchVersion"),
    (NO_SECRET, "ResourceNotFoundException ParameterNotFound ParameterVersionNotFound"),
    (SECRET_THERE, "ResourceExistsException ParameterAlreadyExists"),
    (SECRET_STATE, "InvalidRequestException PreconditionNotMetException"),
    (SECRET_KEY, "DecryptionFailure EncryptionFailure InvalidKeyId"),
    (
        BAD_SECRET,
        """
        InvalidParameterException ValidationException LimitExceededException
        ParameterLimitExceeded ParameterMaxVersionLimitExceeded ParameterPatternMismatchException
        HierarchyLevelLimitExceededException HierarchyTypeMismatchException
        UnsupportedParameterType InvalidFilterKey InvalidFilterOption InvalidFilterValue
        """,
    ),
    (
        DENIED,
        """
        AccessDenied AccessDeniedException AllAccessDisabled AccountProblem 403 Forbidden
        InvalidPayer KMS.AccessDeniedException UnauthorizedAccess
        """,
    ),
    (
        REFUSED,
        """
        InvalidAccessKeyId SignatureDoesNotMatch InvalidClientTokenId UnrecognizedClientException
        AuthFailure NotSignedUp InvalidSecurity CredentialsNotSupported InvalidToken
        IncompleteSignature MissingAuthenticationToken InvalidSignatureException 401 OptInRequired
        MissingSecurityHeader
        """,
    ),
    (EXPIRED, "ExpiredToken ExpiredTokenException TokenRefreshRequired RequestExpired"),
    (CLOCK, "RequestTimeTooSkewed"),
    (
        WRONG_REGION,
        """
        PermanentRedirect 301 TemporaryRedirect Redirect AuthorizationHeaderMalformed
        IllegalLocationConstraintException InvalidLocationConstraint 307
        """,
    ),
    (NO_REGION, "RegionDisabledException"),
    (
        BUSY,
        """
        SlowDown ServiceUnavailable InternalError InternalFailure RequestTimeout
        RequestTimeoutException Throttling ThrottlingException RequestLimitExceeded
        TooManyRequestsException RequestThrottled RequestThrottledException BandwidthLimitExceeded
        InternalServiceError InternalServerError TooManyUpdates
        Busy OperationAborted RestoreAlreadyInProgress XMinioServerNotInitialized
        """,
    ),
    (DAMAGED, "BadDigest InvalidDigest XAmzContentSHA256Mismatch IncompleteBody"),
    (CHANGED, "PreconditionFailed ConditionalRequestConflict 412 409 InvalidRange 416"),
    (ARCHIVED, "InvalidObjectState"),
    (
        TOO_BIG,
        """
        EntityTooLarge EntityTooSmall MaxMessageLengthExceeded InvalidPart InvalidPartOrder
        NoSuchUpload MetadataTooLarge
        """,
    ),
    (
        BAD_REQUEST,
        """
        InvalidBucketName KeyTooLongError InvalidArgument InvalidRequest InvalidURI MalformedXML
        MissingContentLength InvalidStorageClass InvalidTag InvalidEncryptionAlgorithmError
        KMS.NotFoundException KMS.DisabledException ServerSideEncryptionConfigurationNotFoundError
        BucketNotEmpty BucketAlreadyExists BucketAlreadyOwnedByYou TooManyBuckets ValidationError
        MalformedPolicyDocument PackedPolicyTooLarge
        """,
    ),
    (BARE, "400 BadRequest"),
    (
        UNSUPPORTED,
        """
        NotImplemented MethodNotAllowed InvalidAction 405 501 XNotImplemented
        UnknownOperationException
        """,
    ),
)

_BY_STATUS = {400: BARE, 401: REFUSED, 403: DENIED, 405: UNSUPPORTED, 412: CHANGED, 429: BUSY}


def translate_errors(
    where: str, who: Callable[[], str], key: str | None = None
) -> AbstractContextManager[None]:
    """Translate errors of AWS's SDK into `StorageError`, `CredentialsError` and related errors.

    Args:
        where: the bucket or service, for the message.
        who: returns a description of the credentials; called on errors only.
        key: the object, if the error is about one.
    """
    return replace_errors(lambda error: translate(error, where, who, key))


def translate(
    error: Exception, where: str, who: Callable[[], str], key: str | None = None
) -> FlowstoneError | None:
    """Return Flowstone's error for an error of the SDK; None for other errors."""
    rule = find_rule(error, key)
    return None if rule is None else make_error(rule, error, where, who, key)


def make_error(
    rule: ErrorRule, error: Exception, where: str, who: Callable[[], str], key: str | None = None
) -> FlowstoneError:
    """Return the error of Flowstone for an error of the SDK, according to a rule."""
    place = where if key is None or rule is NO_BUCKET else f"{where}/{key}"
    detail = format_details(error)
    if issubclass(rule.kind, CredentialsError):
        return rule.kind(
            f"AWS, with {who()}", f"{rule.problem} for {place} ({detail})", rule.remedy
        )
    return rule.kind(place, f"{rule.problem}, with {who()} ({detail})", _choose_remedy(rule, error))


def find_rule(error: Exception, key: str | None = None) -> ErrorRule | None:
    """Return the rule for an error of the SDK; None for other errors."""
    names = [kind.__name__ for kind in type(error).__mro__ if _is_of_sdk(kind)]
    if not names:
        return None
    if "ClientError" in names:
        return _find_by_answer(getattr(error, "response", {}), key)
    return next((BY_EXCEPTION[name] for name in names if name in BY_EXCEPTION), MISUSED)


def make_refusal(entry: Mapping[str, object], where: str, who: Callable[[], str]) -> FlowstoneError:
    """Return the error for an entry in the `Errors` of a `DeleteObjects` response."""
    key = str(entry.get("Key", ""))
    rule = _find_by_answer({"Error": entry}, key)
    told = f"{entry.get('Code', '')}: {entry.get('Message', '')}"
    kind = rule.kind if issubclass(rule.kind, StorageError) else StorageError
    return kind(f"{where}/{key}", f"{rule.problem}, with {who()} ({redact(told)})", rule.remedy)


def read_code(error: BaseException | None) -> str:
    """Return the code in the service's response, such as ``NoSuchKey`` or ``404``; "" if none."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def format_details(error: Exception) -> str:
    """Return the SDK's message, truncated and without secrets."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    said = response.get("Error", {})
    text = f"{said.get('Code', '')}: {said.get('Message', '')}" if said else str(error)
    text = redact(" ".join(text.split())).strip(" .:")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _is_of_sdk(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in SDKS


def _find_by_answer(response: dict[str, Any], key: str | None) -> ErrorRule:
    code = str(response.get("Error", {}).get("Code", ""))
    if code in BY_CODE:
        return BY_CODE[code]
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if status == 404 or code in {"404", "NotFound"}:
        return NO_BUCKET if key is None else NO_OBJECT
    return _BY_STATUS.get(status, BUSY if status >= 500 else BAD_REQUEST)


def _choose_remedy(rule: ErrorRule, error: Exception) -> str:
    response: dict[str, Any] = getattr(error, "response", None) or {}
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = response.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region")
    if rule is WRONG_REGION and region:
        return f"Set region_name={region!r} in its credentials."
    return rule.remedy
