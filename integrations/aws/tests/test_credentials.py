"""AwsCredentials and MinIOCredentials: kinds of credentials, and clients that stay valid."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.config import Config

from flowstone.errors import BlockInvalid, CredentialsError
from flowstone_aws import (
    AssumeRoleParameters,
    AwsClientParameters,
    AwsCredentials,
    MinIOCredentials,
    S3Bucket,
)

ROLE = "arn:aws:iam::123456789012:role/loader"


@pytest.fixture
def there(emulated: str) -> AwsClientParameters:
    return AwsClientParameters(endpoint_url=emulated)


def config_of(login: AwsCredentials) -> Any:
    return login.client("s3").meta.config


def key_of(login: AwsCredentials) -> tuple[str | None, str | None, str | None]:
    found = login.get_boto3_session().get_credentials()
    assert found is not None
    frozen = found.get_frozen_credentials()
    return frozen.access_key, frozen.secret_key, frozen.token


# -- ways in -------------------------------------------------------------------------------------


def test_keys_are_taken_as_they_are() -> None:
    login = AwsCredentials(
        aws_access_key_id=" AKIAKEY\n",
        aws_secret_access_key=" secret/with+signs\n",
        aws_session_token="token",
        region_name="eu-central-1",
    )
    assert key_of(login) == ("AKIAKEY", "secret/with+signs", "token")
    assert login.client("s3").meta.region_name == "eu-central-1"


def test_the_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "from-the-environment")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert key_of(AwsCredentials())[:2] == ("AKIAENVIRONMENT1", "from-the-environment")
    assert AwsCredentials().client("s3").meta.region_name == "eu-west-1"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT2")
    assert key_of(AwsCredentials())[0] == "AKIAENVIRONMENT2"


def test_a_profile_is_read_and_read_again(
    emulated: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config, keys = tmp_path / "config", tmp_path / "credentials"
    config.write_text("[profile data]\nregion = eu-north-1\nretry_mode = adaptive\n")
    keys.write_text("[data]\naws_access_key_id = AKIAONE\naws_secret_access_key = one\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    login = AwsCredentials(profile_name="data")
    assert key_of(login)[:2] == ("AKIAONE", "one")
    assert login.client("s3").meta.region_name == "eu-north-1"
    assert config_of(login).retries == {"mode": "adaptive", "total_max_attempts": 4}
    keys.write_text("[data]\naws_access_key_id = AKIATWO\naws_secret_access_key = two\n")
    os.utime(keys, ns=(1, 1))
    assert key_of(login)[:2] == ("AKIATWO", "two")


def test_a_profile_that_is_not_there_is_told_with_near_ones(
    emulated: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[profile data]\nregion = eu-north-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(CredentialsError, match=r"profile 'dta': .* Did you mean 'data'"):
        AwsCredentials(profile_name="dta").client("s3")
    monkeypatch.setenv("AWS_PROFILE", "dta")
    with pytest.raises(CredentialsError, match=r"the SDK's default chain: .* could not be found"):
        AwsCredentials().client("s3")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"aws_access_key_id": "AKIAHALF"}, "…HALF.*aws_secret_access_key is empty"),
        ({"aws_secret_access_key": "half"}, "aws_access_key_id is empty"),
        ({"aws_session_token": "lonely"}, "needs its access key"),
        (
            {
                "assume_role_arn": ROLE,
                "assume_role_kwargs": {"SerialNumber": "arn:aws:iam::1:mfa/me"},
            },
            "TokenCode is empty",
        ),
    ],
)
def test_half_a_login_is_refused(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(CredentialsError, match=problem):
        AwsCredentials(**fields).client("s3")


def test_no_login_at_all_is_told(there: AwsClientParameters) -> None:
    login = AwsCredentials(aws_client_parameters=there, region_name="us-east-1")
    assert not login.check().ok
    assert "no credentials were found" in login.check().reason


def test_a_role_without_a_login_is_told(emulated: str) -> None:
    with pytest.raises(CredentialsError, match="to assume the role"):
        AwsCredentials(assume_role_arn=ROLE).client("s3")


def test_a_key_with_a_line_break_inside_is_refused() -> None:
    with pytest.raises(BlockInvalid, match="control characters") as caught:
        AwsCredentials(aws_access_key_id="AKIA", aws_secret_access_key="first\nsecond")
    assert "second" not in str(caught.value)


def use_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AwsCredentials:
    del folder
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "from-the-environment")
    return AwsCredentials(region_name="us-east-1")


def use_keys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AwsCredentials:
    del folder, monkeypatch
    return AwsCredentials(
        aws_access_key_id="AKIAKEY", aws_secret_access_key="a-secret", region_name="us-east-1"
    )


def use_profile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AwsCredentials:
    file = folder / "credentials"
    file.write_text("[data]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = a-secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    return AwsCredentials(profile_name="data", region_name="us-east-1")


def use_role(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AwsCredentials:
    return use_keys(folder, monkeypatch).model_copy(update={"assume_role_arn": ROLE})


def use_web_identity(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AwsCredentials:
    """As EKS does: https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html."""
    token = folder / "token"
    token.write_text("a-token-of-the-cluster")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_ROLE_SESSION_NAME", "pod")
    return AwsCredentials(region_name="us-east-1")


@pytest.mark.parametrize(
    ("use", "who"),
    [
        (use_environment, "123456789012"),
        (use_keys, "access key"),
        (use_profile, "profile 'data'"),
        (use_role, "assumed-role/loader/flowstone"),
        (use_web_identity, "assumed-role/loader/pod"),
    ],
)
def test_each_way_to_log_in_reaches_a_bucket(
    emulated: str,
    use: Callable[[Path, pytest.MonkeyPatch], AwsCredentials],
    who: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulated)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", emulated)
    login = use(tmp_path, monkeypatch)
    check = login.check()
    assert check.ok, check.reason
    assert who in check.reason
    client = login.client("s3")
    name = f"login-{uuid4().hex}"
    client.create_bucket(Bucket=name)
    bucket = S3Bucket(bucket_name=name, credentials=login)
    bucket.write_path("a.txt", b"1")
    assert bucket.read_path("a.txt") == b"1"
    bucket.delete_object("a.txt")
    client.delete_bucket(Bucket=name)


# -- roles ---------------------------------------------------------------------------------------


def test_a_role_is_assumed_once_for_its_time(login: AwsCredentials, emulated: str) -> None:
    role = login.model_copy(update={"assume_role_arn": ROLE})
    who = "assumed-role/loader/flowstone in account 123456789012, by role"
    assert f"{who} {ROLE} by access key" in role.check().reason
    assert key_of(role) == key_of(role)
    assert key_of(role)[0] != key_of(login)[0]
    role.client("s3").list_buckets()


def test_a_role_that_ends_soon_is_assumed_again(login: AwsCredentials, emulated: str) -> None:
    # AWS's shortest session, 15 minutes, is in the time in which botocore renews at every use.
    short = AssumeRoleParameters(DurationSeconds=900, RoleSessionName="short")
    role = login.model_copy(update={"assume_role_arn": ROLE, "assume_role_kwargs": short})
    client = role.client("sts")
    assert client.get_caller_identity()["UserId"].endswith(":short")
    assert key_of(role)[0] != key_of(role)[0]
    assert role.client("sts") is client


def test_a_role_that_is_refused_is_named(refusing: str) -> None:
    login = AwsCredentials(
        aws_access_key_id="AKIAWRONG",
        aws_secret_access_key="a-wrong-secret",
        assume_role_arn=ROLE,
        aws_client_parameters=AwsClientParameters(endpoint_url=refusing),
    )
    with pytest.raises(
        CredentialsError, match=f"…RONG: the credentials were refused for the role {ROLE}"
    ):
        login.client("s3").list_buckets()
    assert not login.check().ok


# -- clients -------------------------------------------------------------------------------------


def test_equal_blocks_share_a_client_in_this_process(login: AwsCredentials) -> None:
    again = pickle.loads(pickle.dumps(login))
    assert again is not login
    assert again.client("s3") is login.client("s3")
    assert login.client("s3", region_name="eu-west-1") is not login.client("s3")
    other = login.model_copy(update={"region_name": "eu-west-1"})
    assert other.client("s3") is not login.client("s3")


def test_many_threads_get_one_client() -> None:
    login = AwsCredentials(aws_access_key_id="AKIATHREADS", aws_secret_access_key="of-threads")
    found: list[object] = []
    ready = threading.Barrier(8)

    def work() -> None:
        ready.wait()
        found.append(login.client("s3"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_of_a_fork_has_its_own_client(login: AwsCredentials) -> None:
    before = id(login.client("s3"))
    kept = login.client("s3")  # so that its id is not given to another
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        client = login.client("s3")
        client.list_buckets()
        os.write(write, b"own" if id(client) != before else b"same")
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        assert answer.read() == b"own"
    os.waitpid(child, 0)
    assert login.client("s3") is kept


def test_clients_try_again_and_have_connections_enough() -> None:
    login = AwsCredentials(aws_access_key_id="AKIA", aws_secret_access_key="secret")
    config = config_of(login)
    assert config.retries == {"mode": "standard", "total_max_attempts": 4}
    assert config.max_pool_connections == 50
    assert config.signature_version == "s3v4"


@pytest.mark.parametrize(
    ("endpoint", "wanted"),
    [
        (None, "when_supported"),
        ("https://s3.eu-central-1.amazonaws.com", "when_supported"),
        ("https://minio.example:9000", "when_required"),
    ],
)
def test_other_services_get_checksums_only_where_they_are_required(
    endpoint: str | None, wanted: str
) -> None:
    login = AwsCredentials(
        aws_access_key_id="AKIA",
        aws_secret_access_key="secret",
        aws_client_parameters=AwsClientParameters(endpoint_url=endpoint),
    )
    config = config_of(login)
    assert config.request_checksum_calculation == wanted
    assert config.response_checksum_validation == wanted


def test_an_endpoint_of_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    login = AwsCredentials(aws_access_key_id="AKIA", aws_secret_access_key="secret")
    assert config_of(login).request_checksum_calculation == "when_supported"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://minio.example:9000")
    assert config_of(login).request_checksum_calculation == "when_required"
    own = {"request_checksum_calculation": "when_supported"}
    login = login.model_copy(update={"aws_client_parameters": AwsClientParameters(config=own)})
    assert config_of(login).request_checksum_calculation == "when_supported"


def test_client_parameters_are_used(tmp_path: Path) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.write_text("")
    parameters = AwsClientParameters(
        endpoint_url="https://s3.example:9000/",
        verify_cert_path=certificate,
        config={"connect_timeout": 3, "retries": {"total_max_attempts": 7, "mode": "adaptive"}},
    )
    assert parameters.get_params_override() == {
        "endpoint_url": "https://s3.example:9000",
        "verify": str(certificate),
        "config": {
            "connect_timeout": 3,
            "retries": {"total_max_attempts": 7, "mode": "adaptive"},
        },
    }
    login = AwsCredentials(
        aws_access_key_id="AKIA",
        aws_secret_access_key="secret",
        aws_client_parameters=parameters,
    )
    assert login.client("s3").meta.endpoint_url == "https://s3.example:9000"
    assert config_of(login).connect_timeout == 3
    assert config_of(login).retries == {"total_max_attempts": 7, "mode": "adaptive"}
    assert config_of(login).max_pool_connections == 50


def test_a_botocore_config_is_taken_and_saved_as_options() -> None:
    parameters = AwsClientParameters(config=Config(connect_timeout=3))
    assert parameters.config == {"connect_timeout": 3}


def test_public_data_needs_no_login(there: AwsClientParameters) -> None:
    unsigned = there.model_copy(update={"config": {"signature_version": "unsigned"}})
    AwsCredentials(aws_client_parameters=unsigned).client("s3").list_buckets()


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"config": {"conect_timeout": 3}}, "Did you mean 'connect_timeout'"),
        ({"config": {"retries": {"mode": "never"}}}, "settings can't be used"),
        ({"api_version": "1999-01-01"}, "1999-01-01"),
    ],
)
def test_client_parameters_that_are_wrong_are_told(
    parameters: dict[str, Any], problem: str
) -> None:
    login = AwsCredentials(
        aws_access_key_id="AKIA",
        aws_secret_access_key="secret",
        aws_client_parameters=AwsClientParameters(**parameters),
    )
    with pytest.raises(CredentialsError, match=problem):
        login.client("s3")


def test_a_service_that_is_not_there_is_told(login: AwsCredentials) -> None:
    with pytest.raises(CredentialsError, match=r"no such service.* s33"):
        login.client("s33")


@pytest.mark.parametrize(
    "parameters",
    [
        {"endpoint_url": "https://user:hidden-in-the-url@s3.example"},
        {"config": {"proxies": {"https": "http://user:hidden-in-the-url@proxy.example:3128"}}},
    ],
)
def test_a_login_in_a_url_is_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(BlockInvalid, match="must not contain credentials") as caught:
        AwsCredentials(aws_client_parameters=parameters)
    assert "hidden-in-the-url" not in str(caught.value)


def test_an_endpoint_is_a_url() -> None:
    with pytest.raises(BlockInvalid, match="start with http"):
        AwsCredentials(aws_client_parameters={"endpoint_url": "localhost:9000"})


def test_parameters_are_keys_and_arguments() -> None:
    role = AssumeRoleParameters(
        ExternalId="e", TokenCode="123456", Tags=[{"Key": "a", "Value": "b"}]
    )
    assert role.get_params_override() == {
        "ExternalId": "e",
        "TokenCode": "123456",
        "Tags": [{"Key": "a", "Value": "b"}],
    }
    assert role.arguments() == {"RoleSessionName": "flowstone"} | role.get_params_override()
    assert AssumeRoleParameters().get_params_override() == {}
    url = "https://s3.example"
    for one, same, other in (
        (AwsClientParameters(endpoint_url=url, config={"a": 1}),) * 2 + (AwsClientParameters(),),
        (role, role.model_copy(), AssumeRoleParameters()),
        (
            AwsCredentials(aws_secret_access_key="s", aws_client_parameters={"endpoint_url": url}),
            AwsCredentials(aws_secret_access_key="s", aws_client_parameters={"endpoint_url": url}),
            AwsCredentials(aws_secret_access_key="t", aws_client_parameters={"endpoint_url": url}),
        ),
    ):
        assert {one: 1}[same] == 1
        assert other not in {one: 1}


def test_the_names_people_know_are_there(login: AwsCredentials) -> None:
    assert login.get_s3_client() is login.client("s3")
    assert login.get_client("s3") is login.client("s3")
    assert login.get_secrets_manager_client() is login.client("secretsmanager")


def test_minio_says_who_it_is(emulated: str) -> None:
    login = MinIOCredentials(
        minio_root_user="minio",
        minio_root_password="a-good-password",
        aws_client_parameters=AwsClientParameters(endpoint_url=emulated),
    )
    check = login.check()
    assert check.ok
    assert check.reason == f"user 'minio' can log in at {emulated}"
    with pytest.raises(CredentialsError, match="minio_root_password is empty"):
        MinIOCredentials(minio_root_user="minio").client("s3")


def test_a_service_without_sts_is_asked_as_s3(s3_only: str) -> None:
    login = AwsCredentials(
        aws_access_key_id="minio",
        aws_secret_access_key="a-good-password",
        aws_client_parameters=AwsClientParameters(endpoint_url=s3_only),
    )
    check = login.check()
    assert check.ok, check.reason
    assert check.reason == f"access key …inio can log in at {s3_only}"


def test_a_login_by_reference_is_good(
    login: AwsCredentials, emulated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = login.aws_secret_access_key
    assert given
    monkeypatch.setenv("SECRET_OF_THE_TESTS", given.get_secret_value())
    by_reference = login.model_copy(update={"aws_secret_access_key": "env:SECRET_OF_THE_TESTS"})
    check = by_reference.check()
    assert check.ok, check.reason
    monkeypatch.delenv("SECRET_OF_THE_TESTS")
    lost = login.model_copy(update={"aws_secret_access_key": "env:NO_SECRET_OF_THE_TESTS"})
    told = lost.check()
    assert not told.ok
    assert "'NO_SECRET_OF_THE_TESTS' is not set" in told.reason


def test_sessions_share_what_the_sdk_knows_of_a_service() -> None:
    """It takes 50 ms to read, which another set of credentials need not repeat."""
    first, second = (
        AwsCredentials(aws_access_key_id=key, aws_secret_access_key="s" * 40).client("s3")
        for key in ("AKIAFIRST", "AKIASECOND")
    )
    assert first is not second
    assert first.meta.service_model.metadata is second.meta.service_model.metadata
