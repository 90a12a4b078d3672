"""Detection of connections that break in the middle, which botocore does not notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.awsrequest import AWSPreparedRequest
    from botocore.client import BaseClient
    from botocore.exceptions import _ClientErrorResponseTypeDef
    from botocore.model import OperationModel

#: Calls that start something each time they arrive: they have no idempotency token.
_ONCE = ("lambda.Invoke", "batch.SubmitJob")
#: Statuses after which it is unknown whether the call was executed.
_UNCERTAIN = frozenset({500, 504})


class _Answer(TypedDict):
    headers: Mapping[str, str]
    status_code: int
    body: object


def watch_connections(client: BaseClient) -> None:
    """Make a client of boto3 detect broken connections."""
    endpoint = client.meta.endpoint_url

    def refuse_half(operation_model: OperationModel, response_dict: _Answer, **_: object) -> None:
        if _is_half(response_dict, operation_model.name):
            raise ConnectionClosedError(endpoint_url=endpoint)

    # The SDK is loaded by the first client, not with the package.
    from botocore.exceptions import ClientError, ConnectionClosedError

    def refuse_to_repeat(
        operation: OperationModel,
        response: tuple[object, _ClientErrorResponseTypeDef] | None,
        caught_exception: Exception | None,
        **_: object,
    ) -> None:
        if caught_exception is not None and _may_have_arrived(caught_exception):
            raise caught_exception
        if response is None or "ResponseMetadata" not in response[1]:
            return
        if response[1]["ResponseMetadata"]["HTTPStatusCode"] in _UNCERTAIN:
            raise ClientError(response[1], operation.name)

    client.meta.events.register("before-send", _expect_nothing)
    client.meta.events.register("before-parse.s3", refuse_half)
    for call in _ONCE:
        client.meta.events.register_first(f"needs-retry.{call}", refuse_to_repeat)


def _may_have_arrived(error: Exception) -> bool:
    """Return whether a request may have arrived although its connection broke."""
    from botocore.exceptions import (  # see above
        ConnectTimeoutError,
        EndpointConnectionError,
        HTTPClientError,
        ProxyConnectionError,
        SSLError,
    )

    before = (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError, SSLError)
    return isinstance(error, HTTPClientError) and not isinstance(error, before)


def _expect_nothing(request: AWSPreparedRequest, **_: object) -> None:
    # botocore hangs if the connection ends after "100 Continue". The header is not signed.
    if "Expect" in request.headers:
        del request.headers["Expect"]


def _is_half(answer: _Answer, operation: str) -> bool:
    """Return whether the connection broke in a response, which the SDK takes for its end.

    A response with a body states its length, or that it ends with the connection. The content of
    an object is not read here: its reader checks it.
    """
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    if answer["status_code"] not in {200, 206} or "transfer-encoding" in headers:
        return False
    if operation == "HeadObject" and "last-modified" not in headers:
        return True
    length = headers.get("content-length")
    if length is None:
        return headers.get("connection", "").lower() != "close"
    if not length.isdigit():
        return True
    body = answer["body"]
    if not isinstance(body, bytes) or operation.startswith("Head"):
        return False
    return "content-encoding" not in headers and len(body) < int(length)
