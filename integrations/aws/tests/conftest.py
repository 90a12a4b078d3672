"""A real S3 over HTTP: moto's server, or with `--live` an account of yours.

With `--live`, FLOWSTONE_AWS_BUCKET names the bucket, and boto3 finds the credentials. The tests
use their own folders in that bucket, and delete them.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import pytest
from tests.services.aws_jobs import serve_aws_jobs
from tests.services.proxy import Proxy
from tests.services.web import Handler, serve_web

from flowstone_aws import AwsClientParameters, AwsCredentials, S3Bucket

if TYPE_CHECKING:
    from tests.services.aws_jobs import AwsJobs
    from tests.services.s3 import Moto


@pytest.fixture(scope="session")
def live(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--live"))


@pytest.fixture(scope="session")
def soak(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--soak"))


@pytest.fixture(scope="session")
def emulator(live: bool, request: pytest.FixtureRequest) -> Moto | None:
    """Moto, as started by `tests/services`; None for a real account."""
    moto: Moto | None = None if live else request.getfixturevalue("moto")
    return moto


@pytest.fixture(scope="session")
def endpoint(emulator: Moto | None) -> str | None:
    """The address of S3 and STS; None for AWS's own."""
    return emulator.url if emulator else None


@pytest.fixture
def fill(emulator: Moto | None) -> Callable[[S3Bucket, int], None]:
    """Creates a number of small objects in a bucket's folder."""

    def fill(bucket: S3Bucket, count: int) -> None:
        if emulator:
            emulator.fill(bucket.bucket_name, f"{bucket.basepath}/", count)
            return
        with ThreadPoolExecutor(32) as pool:
            done = pool.map(lambda number: bucket.write_path(f"{number:06}", b"x"), range(count))
            assert len(list(done)) == count

    return fill


@pytest.fixture(autouse=True)
def no_login_of_yours(live: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the developer's own AWS configuration from tests."""
    if live:
        return
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def login(endpoint: str | None) -> AwsCredentials:
    return login_at(endpoint)


@pytest.fixture
def jobs(live: bool) -> Iterator[AwsJobs]:
    """ECS, Batch, Lambda and CloudWatch Logs on this machine."""
    if live:
        pytest.skip("only on this machine: an account needs a cluster and a queue for it")
    with serve_aws_jobs() as services:
        yield services


@pytest.fixture
def jobs_login(jobs: AwsJobs) -> AwsCredentials:
    """Credentials for the services of `jobs`, with clients open, which takes the SDK a while."""
    login = login_at(jobs.url)
    for service in ("batch", "ecs", "logs"):
        login.client(service)
    return login


@pytest.fixture
def bucket_name(live: bool, login: AwsCredentials) -> str:
    """An existing bucket; a new one, unless it is yours."""
    if live:
        return os.environ["FLOWSTONE_AWS_BUCKET"]
    name = f"test-{uuid4().hex[:16]}"
    login.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def bucket(login: AwsCredentials, bucket_name: str, live: bool) -> Iterator[S3Bucket]:
    """An empty folder of a bucket."""
    folder = f"flowstone/{uuid4().hex[:16]}"
    bucket = S3Bucket(bucket_name=bucket_name, credentials=login, bucket_folder=f"/{folder}/")
    yield bucket
    if live:
        bucket.delete_folder("")


@pytest.fixture
def emulated(live: bool, endpoint: str | None) -> str:
    """The address of the emulator, for tests that an account can't run."""
    if live or endpoint is None:
        pytest.skip("only against the emulator")
    return endpoint


@pytest.fixture
def proxy(emulated: str) -> Iterator[Callable[..., Proxy]]:
    """Proxies before S3 that cut connections."""
    with ExitStack() as stack:
        yield lambda **cuts: stack.enter_context(Proxy(emulated, **cuts))


@pytest.fixture
def ending() -> Iterator[Callable[[bytes], EndingServer]]:
    """Servers that close each connection after a part of a response."""
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(EndingServer(answer))


@pytest.fixture
def refusing() -> Iterator[str]:
    """The address of a service that refuses all credentials, with AWS's messages."""
    with serving(Refusing) as url:
        yield url


@pytest.fixture
def refusing_secrets() -> Iterator[str]:
    """The address of secret services that refuse all credentials, with AWS's messages."""
    with serving(RefusingSecrets) as url:
        yield url


@pytest.fixture
def s3_only() -> Iterator[str]:
    """The address of a service that lists buckets, but has no STS."""
    with serving(S3Only) as url:
        yield url


def login_at(endpoint: str | None, **fields: object) -> AwsCredentials:
    """Return credentials that the emulator accepts, or for AWS those that boto3 finds."""
    if endpoint is None:
        return AwsCredentials(**fields)
    keys = {
        "aws_access_key_id": "AKIAFLOWSTONETESTKEY",
        "aws_secret_access_key": "a-secret-of-the-tests",
        "region_name": "us-east-1",
        "aws_client_parameters": AwsClientParameters(endpoint_url=endpoint),
    }
    return AwsCredentials(**{**keys, **fields})


class EndingServer:
    """A server that reads a request's headers, sends some bytes, and closes the connection.

    Attributes:
        heads: the headers of each request.
    """

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._open: list[socket.socket] = []
        self.heads: list[bytes] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for end in (*self._open, self._listener):
            end.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)  # closed now, with bytes unread, it would be reset
                lines = client.makefile("rb")
                self.heads.append(b"".join(iter(lines.readline, b"\r\n")))
                client.sendall(self._answer)
                client.shutdown(socket.SHUT_WR)


class Answering(Handler):
    """A real HTTP server, for responses that moto does not return."""

    protocol_version = "HTTP/1.1"
    content_type = "text/xml"

    def _answer(self) -> None:
        self.read_body()
        status, text = self.reply(of_sts=self.command == "POST" and self.path == "/")
        self.respond(status, text.encode(), {"Content-Type": self.content_type})

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _answer

    def reply(self, *, of_sts: bool) -> tuple[int, str]:
        raise NotImplementedError


class Refusing(Answering):
    """Refuses all credentials, with AWS's messages: moto checks no signatures."""

    def reply(self, *, of_sts: bool) -> tuple[int, str]:
        if of_sts:
            return 403, (
                '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>'
                "<Type>Sender</Type><Code>InvalidClientTokenId</Code>"
                "<Message>The security token included in the request is invalid.</Message>"
                "</Error><RequestId>1</RequestId></ErrorResponse>"
            )
        return 403, (
            '<?xml version="1.0" encoding="UTF-8"?><Error><Code>InvalidAccessKeyId</Code>'
            "<Message>The AWS Access Key Id you provided does not exist in our records.</Message>"
            "<RequestId>1</RequestId></Error>"
        )


class RefusingSecrets(Answering):
    """Refuses all credentials, with the messages of AWS Secrets Manager and SSM."""

    content_type = "application/x-amz-json-1.1"

    def reply(self, *, of_sts: bool) -> tuple[int, str]:
        return 400, (
            '{"__type": "UnrecognizedClientException", '
            '"message": "The security token included in the request is invalid."}'
        )


class S3Only(Answering):
    """Lists buckets, but has no STS, like some S3-compatible services."""

    def reply(self, *, of_sts: bool) -> tuple[int, str]:
        if of_sts:
            return 405, (
                '<?xml version="1.0" encoding="UTF-8"?><Error><Code>MethodNotAllowed</Code>'
                "<Message>The specified method is not allowed.</Message></Error>"
            )
        return 200, (
            '<?xml version="1.0" encoding="UTF-8"?><ListAllMyBucketsResult><Buckets/>'
            "</ListAllMyBucketsResult>"
        )


@contextmanager
def serving(handler: type[Answering]) -> Iterator[str]:
    with serve_web(handler) as server:
        yield server.url
