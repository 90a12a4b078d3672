"""Errors of ECS, Batch, Lambda and CloudWatch Logs as Flowstone's, by error code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.errors import (
    AccessDenied,
    CredentialsError,
    JobError,
    JobLost,
    Unreachable,
    replace_errors,
)
from flowstone_aws.errors import find_rule, make_error, read_code
from flowstone_aws.rules import ErrorRule

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from flowstone.errors import FlowstoneError

JOB_DENIED = ErrorRule(
    AccessDenied,
    "access is denied",
    "Allow this in the policy of the credentials' user or role; the README lists what each block "
    "needs, such as iam:PassRole for the roles of a task.",
)
JOB_BUSY = ErrorRule(
    Unreachable,
    "the service is overloaded or failed",
    "Try again later, with fewer jobs at a time or more attempts: "
    'AwsClientParameters(config={"retries": {"mode": "adaptive", "total_max_attempts": 20}}).',
)
JOB_DOWN = ErrorRule(
    Unreachable,
    "the service can't be reached, or the connection broke",
    "Check endpoint, region and network; a job that was being started may be running.",
)
NOT_THERE = ErrorRule(
    JobLost,
    "there is no such function, version, cluster or log",
    "Check its name, and that region_name of the credentials is its region.",
)
BAD_JOB = ErrorRule(
    JobError,
    "the request was refused",
    "See AWS's message; check the fields of the block, and the resources that they name.",
)
QUOTA = ErrorRule(
    JobError,
    "a quota is used up",
    "End or delete what you don't need, or ask AWS for a higher quota.",
)
NOT_READY = ErrorRule(
    JobError,
    "the function can't be invoked as it is now",
    "See AWS's message; check its state, its network, its key and its file systems.",
)
TOO_LARGE = ErrorRule(
    JobError,
    "the payload is too large",
    "Lambda takes 6 MB, and 1 MB asynchronously: put the content into a bucket, and its key into "
    "the payload.",
)
REPEATED = ErrorRule(
    JobError,
    "it was already started with other parameters",
    "Change the parameters only between attempts of a run.",
)

_GROUPS: tuple[tuple[ErrorRule, str], ...] = (
    (JOB_DENIED, "AccessDeniedException AccessDenied BlockedException UnauthorizedOperation"),
    (
        JOB_BUSY,
        """
        ServerException ServiceException ServiceUnavailableException Throttling ThrottlingException
        TooManyRequestsException RequestLimitExceeded EC2ThrottledException
        """,
    ),
    (NOT_THERE, "ResourceNotFoundException ClusterNotFoundException ServiceNotFoundException"),
    (
        BAD_JOB,
        """
        ClientException InvalidParameterException InvalidParameterValueException
        InvalidRequestContentException UnsupportedMediaTypeException ModeNotSupportedException
        PlatformTaskDefinitionIncompatibilityException PlatformUnknownException
        UnsupportedFeatureException RecursiveInvocationException ValidationException
        """,
    ),
    (QUOTA, "LimitExceededException ServiceQuotaExceededException ENILimitReachedException"),
    (
        NOT_READY,
        """
        CodeArtifactUserDeletedException CodeArtifactUserFailedException
        CodeArtifactUserPendingException EC2AccessDeniedException
        EC2UnexpectedException EFSIOException EFSMountConnectivityException EFSMountFailureException
        EFSMountTimeoutException ENINotReadyException InvalidRuntimeException
        InvalidSecurityGroupIDException InvalidSubnetIDException InvalidZipFileException
        KMSAccessDeniedException KMSDisabledException KMSInvalidStateException KMSNotFoundException
        NoPublishedVersionException ResourceConflictException ResourceNotReadyException
        RuntimeAliasDeletedException RuntimeVersionDeletedException
        S3FilesMountConnectivityException S3FilesMountFailureException S3FilesMountTimeoutException
        SnapStartException SnapStartNotReadyException SnapStartRegenerationFailureException
        SnapStartTimeoutException SubnetIPAddressLimitReachedException
        """,
    ),
    (TOO_LARGE, "RequestTooLargeException SerializedRequestEntityTooLargeException"),
    (REPEATED, "ConflictException DurableExecutionAlreadyStartedException"),
)
#: By the code in the response of ECS, Batch, Lambda or CloudWatch Logs.
BY_CODE_OF_JOBS = {code: rule for rule, codes in _GROUPS for code in codes.split()}


def translate_job_errors(where: str, who: Callable[[], str]) -> AbstractContextManager[None]:
    """Translate errors of AWS's SDK into `JobError`, `CredentialsError` and related errors.

    Args:
        where: the job and its service, for the message.
        who: returns a description of the credentials; called on errors only.
    """
    return replace_errors(lambda error: translate_job_error(error, where, who))


def translate_job_error(
    error: Exception, where: str, who: Callable[[], str]
) -> FlowstoneError | None:
    """Return Flowstone's error for an error of the SDK; None for other errors."""
    rule = find_job_rule(error)
    return None if rule is None else make_error(rule, error, where, who)


def find_job_rule(error: Exception) -> ErrorRule | None:
    """Return the rule for an error of the SDK in a job; None for other errors."""
    rule = find_rule(error)
    if rule is None or issubclass(rule.kind, CredentialsError):
        return rule
    known = BY_CODE_OF_JOBS.get(read_code(error))
    if known is not None:
        return known
    if issubclass(rule.kind, AccessDenied):
        return JOB_DENIED
    if issubclass(rule.kind, Unreachable):
        return JOB_BUSY if read_code(error) else JOB_DOWN
    return BAD_JOB
