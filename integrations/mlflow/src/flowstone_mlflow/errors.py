"""MLflow's errors, translated to Flowstone's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.errors import CredentialsError, FlowstoneError, replace_errors

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

#: Codes after which the same call may succeed later; MLflow also reports a refused connection as
#: `INTERNAL_ERROR`.
PASSING = frozenset(
    {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "IO_ERROR", "ABORTED"}
)
REFUSING = frozenset(
    {"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED", "INVALID_TOKEN"}
)
#: The remedy if MLflow's default format, skops, does not know the types in a model.
_TRUST = (
    "If you trust them, list them in `options={'skops_trusted_types': [...]}`, or pickle the model "
    "with `options={'serialization_format': 'cloudpickle'}`."
)


class TrackingError(FlowstoneError):
    """Something could not be tracked in MLflow.

    Attributes:
        what: the run, model or tracking that failed.
        problem: what went wrong, with MLflow's message.
    """

    def __init__(self, what: str, problem: str, remedy: str) -> None:
        self.what, self.problem, self.remedy = what, problem, remedy
        super().__init__(f"{what}: {problem.rstrip('. ')}. {remedy}")


class TrackingUnavailable(TrackingError, ConnectionError):
    """The MLflow server does not answer."""


class TrackingDenied(TrackingError, PermissionError):
    """The MLflow server refuses the credentials."""


class TrackingRefused(TrackingError, ValueError):
    """MLflow does not accept a value."""


class TrackingMissing(TrackingError, LookupError):
    """MLflow has no such run, model, version or alias."""


class NotTracked(TrackingError, RuntimeError):
    """The code does not belong to a run that is tracked in MLflow."""

    def __init__(self, what: str) -> None:
        super().__init__(
            what,
            "this run is not tracked in MLflow",
            "Call the flow inside `with tracking.observe():`, or add `mlflow` to "
            "FLOWSTONE_OBSERVERS.",
        )


class AutologRefused(TrackingError, RuntimeError):
    """Automatic logging can't be confined to one task here."""


def translate_errors(what: str) -> AbstractContextManager[None]:
    """Raise Flowstone's errors instead of MLflow's.

    Args:
        what: the run, model or server that the call is about.
    """
    return replace_errors(lambda error: find_error(what, error))


def find_error(what: str, error: Exception) -> FlowstoneError | None:
    """Return the error to raise instead of one of MLflow's; None for any other error."""
    code = read_code(error)
    if code is None:
        return None
    problem = describe(error)
    if code in REFUSING or _read_status(error) in {401, 403}:
        return TrackingDenied(what, problem, "Check the token, or user name and password.")
    if code in PASSING:
        return TrackingUnavailable(
            what, problem, "Check the address, and that the server is running."
        )
    # Before 3.2, a missing alias is an invalid value.
    if code == "RESOURCE_DOES_NOT_EXIST" or problem.rstrip(".").endswith("not found"):
        return TrackingMissing(what, problem, "Check the name, version or alias.")
    if "skops_trusted_types" in problem:
        return TrackingRefused(what, problem.partition(". ")[0], _TRUST)
    return TrackingRefused(what, problem, "Correct what MLflow names.")


def read_code(error: BaseException) -> str | None:
    """Return MLflow's code for an error; None if neither MLflow nor its connection raised it."""
    if _is_of_connection(error):
        return "INTERNAL_ERROR"
    if not type(error).__module__.startswith(("mlflow.", "requests.", "sqlalchemy.")):
        return None
    code = str(getattr(error, "error_code", "INTERNAL_ERROR"))
    # MLflow also uses it for any error in this process, such as one of a model.
    if code == "INTERNAL_ERROR" and not _is_of_server(error):
        return "INVALID_PARAMETER_VALUE"
    return code


def is_passing(error: BaseException) -> bool:
    """Return whether a retry may succeed: the server is unavailable or refuses the credentials."""
    code = read_code(error)
    return code in PASSING or code in REFUSING or _read_status(error) in {401, 403}


def _is_of_server(error: BaseException) -> bool:
    if type(error).__name__ in {"RestException", "HTTPError"}:
        return True
    if str(error).startswith("API request to"):
        return True
    cause = error.__cause__ or error.__context__
    return cause is not None and _is_of_connection(cause)


def _is_of_connection(error: BaseException) -> bool:
    kind = type(error)
    module = kind.__module__.partition(".")[0]
    is_of_database = module == "sqlalchemy" and kind.__name__ == "OperationalError"
    is_of_network = module in {"requests", "urllib3"} and kind.__name__ != "HTTPError"
    return is_of_database or is_of_network or isinstance(error, ConnectionError)


def refuse_login(block: str, problem: str) -> CredentialsError:
    """Return the error for incomplete credentials."""
    return CredentialsError(block, problem, "Set one of the two.")


def describe(error: BaseException) -> str:
    """Return the message of an error as one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _read_status(error: BaseException) -> int | None:
    words = str(error)
    for status in (401, 403):
        if f"error code {status}" in words or f"{status} Client Error" in words:
            return status
    return None
