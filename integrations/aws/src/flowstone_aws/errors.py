"""AWS's errors as Flowstone's: one table by exception, one by S3's codes, one way through."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowstone.errors import (
    AccessDenied,
    BucketMissing,
    CredentialsError,
    FlowstoneError,
    ObjectMissing,
    StorageError,
    Unreachable,
)
from flowstone.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: Longer texts of AWS's are cut: a proxy's error page says nothing after that.
LONGEST = 400
SDKS = ("botocore", "boto3", "s3transfer")


@dataclass(frozen=True, slots=True)
class Rule:
    """What an error of AWS's means: our kind of it, its problem and what to do."""

    kind: type[StorageError | CredentialsError]
    problem: str
    remedy: str


NO_BUCKET = Rule(
    BucketMissing,
    "there is no such bucket",
    "Check the bucket's name, and that region and endpoint are those it was made in.",
)
NO_OBJECT = Rule(ObjectMissing, "there is no such object", "`list_objects` shows what is there.")
DENIED = Rule(
    AccessDenied,
    "access is denied",
    "Let these credentials do this in the policy of the user, role, bucket or key; S3 says the "
    "same of a missing object where they may not list the bucket.",
)
REFUSED = Rule(
    CredentialsError,
    "the login was refused",
    "Check the access key, its secret and the session token; a new key takes a few seconds.",
)
EXPIRED = Rule(
    CredentialsError,
    "the login has expired",
    "Log in again (`aws sso login`, `aws login`), or give a new session token.",
)
CLOCK = Rule(
    CredentialsError,
    "the request was signed at another time than it is at AWS",
    "Set this machine's clock.",
)
NO_LOGIN = Rule(
    CredentialsError,
    "no login was found",
    "Give aws_access_key_id and aws_secret_access_key, or a profile_name, or set up the "
    'environment; for public data, AwsClientParameters(config={"signature_version": "unsigned"}).',
)
BAD_LOGIN = Rule(
    CredentialsError,
    "the login can't be made",
    "Check the profile in ~/.aws/config and ~/.aws/credentials, or the service that hands out "
    "the credentials.",
)
WRONG_REGION = Rule(
    StorageError,
    "the bucket is in another region",
    "Set region_name of the credentials to the bucket's.",
)
NO_REGION = Rule(
    CredentialsError,
    "the region is missing or unknown",
    "Set region_name, as 'eu-central-1', or AWS_DEFAULT_REGION.",
)
CONFIGURATION = Rule(
    CredentialsError,
    "the client's settings can't be used",
    "Check aws_client_parameters, ~/.aws/config and the AWS_* variables.",
)
DOWN = Rule(
    Unreachable,
    "the service can't be reached, or the connection broke",
    "Check endpoint, region and network, and try again.",
)
BUSY = Rule(
    Unreachable,
    "the service is overloaded or failed",
    "Try again later, with fewer parallel requests or more attempts: "
    'AwsClientParameters(config={"retries": {"total_max_attempts": 8}}); if it never works, check '
    "that endpoint_url is an S3 endpoint.",
)
CERTIFICATE = Rule(
    Unreachable,
    "the TLS connection can't be trusted",
    "Check use_ssl and endpoint_url, or give the certificate of your authority as "
    "verify_cert_path.",
)
DAMAGED = Rule(Unreachable, "the content was damaged on its way", "Try again.")
CHANGED = Rule(StorageError, "it was changed meanwhile", "Try again.")
ARCHIVED = Rule(
    StorageError,
    "the object is archived",
    "Restore it first: `client('s3').restore_object(...)`.",
)
TOO_BIG = Rule(
    StorageError,
    "its size is not allowed",
    "An object holds 5 TB at most, and its parts 5 MB to 5 GB.",
)
BAD_REQUEST = Rule(
    StorageError,
    "the request can't be made like this",
    "Check the names of bucket and object, and the options.",
)
BARE = Rule(
    StorageError,
    "the request was refused without a word",
    "The token may have expired, or the region be another: the credentials' `check()` tells.",
)
UNSUPPORTED = Rule(
    StorageError,
    "the service does not know this request",
    "Check that endpoint_url is an S3 endpoint, and that it offers this.",
)
NO_SERVICE = Rule(
    CredentialsError,
    "there is no such service, or not here",
    "Check the service's name, the region and boto3's version.",
)
MISUSED = Rule(
    StorageError,
    "the AWS SDK was used in a way it does not allow",
    "Update boto3 and flowstone-aws; if it stays, report it with the traceback.",
)


def _table(*groups: tuple[Rule, str]) -> dict[str, Rule]:
    return {name: rule for rule, names in groups for name in names.split()}


#: By the name of the exception's class; the nearest ancestor counts.
BY_EXCEPTION = _table(
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

#: By the code in the answer of S3 or STS.
BY_CODE = _table(
    (NO_BUCKET, "NoSuchBucket"),
    (NO_OBJECT, "NoSuchKey NoSuchVersion"),
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


@contextmanager
def translated(where: str, who: Callable[[], str], key: str | None = None) -> Iterator[None]:
    """Turn what AWS's SDK raises inside into `StorageError`, `CredentialsError` and their kin.

    Args:
        where: the bucket or service, for the message.
        who: says which credentials are used; called when something went wrong.
        key: the object, where it is about one.
    """
    try:
        yield
    except Exception as error:
        told = translate(error, where, who, key)
        if told is None:
            raise
        raise told from error


def translate(
    error: Exception, where: str, who: Callable[[], str], key: str | None = None
) -> FlowstoneError | None:
    """Return our error for one of the SDK's; None for anybody else's."""
    rule = rule_of(error, key)
    if rule is None:
        return None
    place = where if key is None or rule is NO_BUCKET else f"{where}/{key}"
    detail = details(error)
    if issubclass(rule.kind, CredentialsError):
        return rule.kind(
            f"AWS, with {who()}", f"{rule.problem} for {place} ({detail})", rule.remedy
        )
    return rule.kind(place, f"{rule.problem}, with {who()} ({detail})", _remedy(rule, error))


def rule_of(error: Exception, key: str | None = None) -> Rule | None:
    """Return what an error of the SDK means; None for anybody else's."""
    names = [kind.__name__ for kind in type(error).__mro__ if _is_of_sdk(kind)]
    if not names:
        return None
    if "ClientError" in names:
        return _by_answer(getattr(error, "response", {}), key)
    return next((BY_EXCEPTION[name] for name in names if name in BY_EXCEPTION), MISUSED)


def refusal_of(entry: Mapping[str, Any], where: str, who: Callable[[], str]) -> FlowstoneError:
    """Return our error for one entry in the list of what S3 did not do, in its `DeleteObjects`."""
    key = str(entry.get("Key", ""))
    rule = _by_answer({"Error": entry}, key)
    told = f"{entry.get('Code', '')}: {entry.get('Message', '')}"
    kind = rule.kind if issubclass(rule.kind, StorageError) else StorageError
    return kind(f"{where}/{key}", f"{rule.problem}, with {who()} ({redact(told)})", rule.remedy)


def code_of(error: BaseException | None) -> str:
    """Return the code in the service's answer, as ``NoSuchKey`` or ``404``; "" if there is none."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def details(error: Exception) -> str:
    """Return the SDK's own words, short and without secrets."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    said = response.get("Error", {})
    text = f"{said.get('Code', '')}: {said.get('Message', '')}" if said else str(error)
    text = redact(" ".join(text.split())).strip(" .:")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _is_of_sdk(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in SDKS


def _by_answer(response: dict[str, Any], key: str | None) -> Rule:
    code = str(response.get("Error", {}).get("Code", ""))
    if code in BY_CODE:
        return BY_CODE[code]
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if status == 404 or code in {"404", "NotFound"}:
        return NO_BUCKET if key is None else NO_OBJECT
    return _BY_STATUS.get(status, BUSY if status >= 500 else BAD_REQUEST)


def _remedy(rule: Rule, error: Exception) -> str:
    response: dict[str, Any] = getattr(error, "response", None) or {}
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = response.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region")
    if rule is WRONG_REGION and region:
        return f"Set region_name={region!r} in its credentials."
    return rule.remedy
