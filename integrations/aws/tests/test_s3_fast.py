"""Small objects with obstore: used where possible, and the SDK does the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.services.web import Handler, serve_web

from flowstone.errors import ObjectExists, ObjectMissing
from flowstone_aws import AwsClientParameters, AwsCredentials, S3Bucket
from flowstone_aws.s3_fast import S3FastClient, open_fast

Proxies = Callable[..., Any]
BY_OBSTORE = b"flowstone-aws obstore"
KEYS = {"aws_access_key_id": "AKIAFLOWSTONETESTKEY", "aws_secret_access_key": "of-the-tests"}


def at(url: str, bucket: str = "raw", **config: object) -> S3Bucket:
    parameters = AwsClientParameters(endpoint_url=url, config=config or None)
    login = AwsCredentials(region_name="us-east-1", aws_client_parameters=parameters, **KEYS)
    return S3Bucket(bucket_name=bucket, credentials=login)


class Seen:
    """A bucket behind a proxy, which records the sender of each request."""

    def __init__(self, proxy: Any, bucket: str) -> None:
        self._proxy, self.bucket = proxy, at(proxy.url, bucket)
        self._before = 0

    def who(self) -> list[str]:
        """Return the senders of requests since the last call, in order."""
        sent = bytes(self._proxy.seen[0][self._before :])
        self._before += len(sent)
        lines = [line for line in sent.split(b"\r\n") if line.lower().startswith(b"user-agent:")]
        return ["obstore" if BY_OBSTORE in line else "sdk" for line in lines]


@pytest.fixture
def seen(proxy: Proxies, bucket_name: str) -> Seen:
    return Seen(proxy(), bucket_name)


def test_small_objects_go_by_obstore(seen: Seen, tmp_path: Path) -> None:
    seen.bucket.write_path("a b/ä+%.txt", b"1", metadata={"team": "data"})
    assert seen.bucket.read_path("a b/ä+%.txt") == b"1"
    done = seen.bucket.download_object_to_path("a b/ä+%.txt", tmp_path / "a")
    assert done.read_bytes() == b"1"
    assert seen.who() == ["obstore"] * 3
    info = seen.bucket.object_info("a b/ä+%.txt")
    assert (info.content_type, info.metadata) == ("text/plain", {"team": "data"})


def test_it_can_be_turned_off(seen: Seen) -> None:
    bucket = seen.bucket.model_copy(update={"use_obstore": False})
    bucket.write_path("a", b"1")
    assert bucket.read_path("a") == b"1"
    assert seen.who() == ["sdk"] * 2
    assert bucket.make_provider().parallel < seen.bucket.make_provider().parallel


def test_larger_objects_go_by_the_sdk(seen: Seen) -> None:
    content = bytes(600_000)
    seen.bucket.write_path("a", content)
    assert seen.who() == ["sdk"]
    assert [seen.bucket.read_path("a") for _ in range(5)] == [content] * 5
    assert seen.who() == ["obstore", "sdk"] * 3 + ["sdk"] * 2  # it has learned


def test_conditions_are_left_to_the_sdk(seen: Seen) -> None:
    seen.bucket.write_path("a", b"1", if_none_match="*")
    with pytest.raises(ObjectExists):
        seen.bucket.write_path("a", b"2", if_none_match="*")
    assert set(seen.who()) == {"sdk"}


@pytest.mark.parametrize(
    "options",
    [{"ServerSideEncryption": "AES256"}, {"Tagging": "a=b"}, {"Metadata": {"Content-Type": "x"}}],
)
def test_options_that_it_lacks_are_left_to_the_sdk(seen: Seen, options: dict[str, Any]) -> None:
    seen.bucket.model_copy(update={"upload_options": options}).write_path("a", b"1")
    assert seen.who() == ["sdk"]


def test_options_that_it_has(seen: Seen, login: AwsCredentials) -> None:
    options = {"StorageClass": "STANDARD_IA", "CacheControl": "no-cache", "Metadata": {"a": "b"}}
    bucket = seen.bucket.model_copy(update={"upload_options": options})
    bucket.write_path("a", b"1", content_type="text/x")
    assert seen.who() == ["obstore"]
    found = login.client("s3").head_object(Bucket=bucket.bucket_name, Key="a")
    wanted = {**options, "ContentType": "text/x"}
    assert {name: found.get(name) for name in wanted} == wanted


def test_what_is_missing_is_said_by_the_sdk(seen: Seen) -> None:
    with pytest.raises(ObjectMissing) as caught:
        seen.bucket.read_path("a")
    assert "obstore" not in str(caught.value)
    assert seen.who() == ["obstore", "sdk"]


class Odd(Handler):
    """Responds with content whose ETag is that of other content, or not at all to obstore."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []
    content: ClassVar[bytes] = b"1"
    refuses: ClassVar[bool] = False

    def do_GET(self) -> None:
        is_fast = BY_OBSTORE.decode() in self.headers["User-Agent"]
        Odd.asked.append("obstore" if is_fast else "sdk")
        headers = {
            "ETag": f'"{md5(b"2", usedforsecurity=False).hexdigest()}"',
            "Last-Modified": "Wed, 12 Oct 2022 17:50:00 GMT",
        }
        self.respond(503 if is_fast and Odd.refuses else 200, Odd.content, headers)


@pytest.mark.parametrize(("content", "refuses"), [(b"1", False), (b"2", True)])
def test_the_sdk_does_what_fails_and_soon_all(
    monkeypatch: pytest.MonkeyPatch, content: bytes, refuses: bool
) -> None:
    monkeypatch.setattr(Odd, "content", content)
    monkeypatch.setattr(Odd, "refuses", refuses)
    monkeypatch.setattr(Odd, "asked", [])
    with serve_web(Odd) as server:
        bucket = at(server.url)
        assert [bucket.read_path("a") for _ in range(5)] == [content] * 5
    assert Odd.asked == ["obstore", "sdk"] * 3 + ["sdk"] * 2


def test_keys_that_it_would_change_are_left_to_the_sdk(seen: Seen) -> None:
    client = seen.bucket.credentials.client("s3")
    for key in ("a//b", "a/./b", "a/"):
        client.put_object(Bucket=seen.bucket.bucket_name, Key=key, Body=b"1")
    seen.who()
    assert {seen.bucket.read_path(each.path) for each in seen.bucket.list_objects()} == {b"1"}
    assert "obstore" not in seen.who()


def open_here(bucket: S3Bucket) -> S3FastClient | None:
    login = bucket.credentials._login()
    parameters = bucket.credentials.aws_client_parameters
    fast = open_fast(login, parameters, bucket.bucket_name)
    if fast is None:
        return None
    assert isinstance(fast.client, S3FastClient)
    return fast.client


@pytest.mark.parametrize(
    ("url", "bucket", "config", "endpoint"),
    [
        (None, "raw", {}, "https://raw.s3.eu-central-1.amazonaws.com"),
        (None, "raw.data", {}, "https://s3.eu-central-1.amazonaws.com"),
        ("http://localhost:9000", "raw", {}, "http://localhost:9000"),
        ("http://localhost:9000/s3", "raw", {}, "http://localhost:9000/s3"),
        ("http://x.y", "raw", {"s3": {"addressing_style": "virtual"}}, "http://raw.x.y"),
    ],
)
def test_the_address_is_that_of_the_sdk(
    url: str | None,
    bucket: str,
    config: dict[str, Any],
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    parameters = AwsClientParameters(endpoint_url=url, config=config or None)
    login = AwsCredentials(region_name="eu-central-1", aws_client_parameters=parameters, **KEYS)
    fast = open_here(S3Bucket(bucket_name=bucket, credentials=login))
    assert fast is not None
    found = fast.store.config
    assert found["endpoint"] == endpoint
    assert str(found["virtual_hosted_style_request"]) == str(f"//{bucket}." in endpoint).lower()


@pytest.mark.parametrize(
    "config",
    [
        {"proxies": {"https": "http://proxy:8080"}},
        {"s3": {"use_accelerate_endpoint": True}},
        {"s3": {"payload_signing_enabled": True}},
        {"signature_version": "s3"},
    ],
)
def test_connections_that_it_lacks_are_left_to_the_sdk(config: dict[str, Any]) -> None:
    assert open_here(at("http://localhost:9000", **config)) is None


def test_authorities_are_left_to_the_sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = AwsClientParameters(verify=tmp_path)
    login = AwsCredentials(aws_client_parameters=parameters, **KEYS)
    assert open_here(S3Bucket(bucket_name="raw", credentials=login)) is None
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    assert open_here(at("https://localhost:9000")) is not None
    monkeypatch.setenv("AWS_CA_BUNDLE", "/authorities.pem")
    assert open_here(at("https://localhost:9000")) is None


def test_variables_of_its_own_change_nothing(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://nowhere.invalid")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    seen.bucket.write_path("a", b"1")
    assert seen.who() == ["obstore"]
    assert KEYS["aws_access_key_id"].encode() in bytes(seen._proxy.seen[0])
    monkeypatch.setenv("AWS_SERVER_SIDE_ENCRYPTION", "aws:kms")
    seen.bucket.write_path("a", b"1")
    assert seen.who() == ["sdk"]


def test_it_asks_for_new_keys(seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program provides keys that expire at once, so that each request has its own keys."""
    program = tmp_path / "keys.py"
    program.write_text(
        "import json, time\n"
        "ends = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + 5))\n"
        "keys = {'AccessKeyId': f'AKIA{time.time_ns()}', 'SecretAccessKey': 'of-the-tests'}\n"
        "print(json.dumps({'Version': 1, 'SessionToken': 'a', 'Expiration': ends, **keys}))\n"
    )
    config = tmp_path / "config"
    config.write_text(
        f"[profile data]\nregion = us-east-1\ncredential_process = {sys.executable} {program}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    there = seen.bucket.credentials.aws_client_parameters
    login = AwsCredentials(profile_name="data", aws_client_parameters=there)
    bucket = S3Bucket(bucket_name=seen.bucket.bucket_name, credentials=login)
    fast = open_here(bucket)
    assert fast is not None
    provide = fast.store.credential_provider
    assert provide is not None
    first, second = provide(), provide()
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first["access_key_id"] != second["access_key_id"]
    bucket.write_path("a", b"1")
    assert seen.who() == ["obstore"]


FORK = """
import os, signal, sys
from flowstone_aws import AwsCredentials, S3Bucket

bucket = S3Bucket(bucket_name=sys.argv[1], credentials=AwsCredentials())
bucket.write_path("forked", b"1")
child = os.fork()
if not child:
    signal.alarm(60)
    os._exit(0 if bucket.read_path("forked") == b"1" else 1)
sys.exit(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_the_child_of_a_fork_goes_by_the_sdk(emulated: str, bucket_name: str) -> None:
    login = {name.upper(): value for name, value in KEYS.items()}
    around = {**os.environ, **login, "AWS_ENDPOINT_URL": emulated, "AWS_REGION": "us-east-1"}
    subprocess.run([sys.executable, "-c", FORK, bucket_name], env=around, check=True)
