"""Canaries: random secrets in every field are in nothing that leaves the process."""

from __future__ import annotations

import base64
import json
import logging
import os
import pickle
import traceback
from pathlib import Path
from uuid import uuid4

import pytest

from flowstone import flow
from flowstone.context import current
from flowstone_aws import (
    AssumeRoleParameters,
    AwsClientParameters,
    AwsCredentials,
    MinIOCredentials,
    S3Bucket,
    s3_download,
    s3_list_objects,
    s3_upload,
)
from flowstone_aws.logs import redact_line

ROLE = "arn:aws:iam::123456789012:role/loader"


@pytest.fixture
def canaries() -> dict[str, str]:
    return {
        name: f"canary/{name}+{uuid4().hex}"
        for name in ("aws_secret_access_key", "aws_session_token", "minio_root_password")
    } | {
        "TokenCode": uuid4().hex,
        "encryption_key": base64.b64encode(os.urandom(32)).decode(),
    }


def buckets(url: str, canaries: dict[str, str], name: str) -> list[S3Bucket]:
    there = AwsClientParameters(endpoint_url=url, config={"retries": {"max_attempts": 0}})
    keys = {
        "aws_access_key_id": "AKIACANARY",
        "aws_secret_access_key": canaries["aws_secret_access_key"],
        "aws_session_token": canaries["aws_session_token"],
        "aws_client_parameters": there,
    }
    mfa = AssumeRoleParameters(
        SerialNumber="arn:aws:iam::1:mfa/me", TokenCode=canaries["TokenCode"]
    )
    logins = [
        AwsCredentials(**keys),
        AwsCredentials(**keys, assume_role_arn=ROLE, assume_role_kwargs=mfa),
        MinIOCredentials(
            minio_root_user="minio",
            minio_root_password=canaries["minio_root_password"],
            aws_client_parameters=there,
        ),
    ]
    key = canaries["encryption_key"]
    return [S3Bucket(bucket_name=name, credentials=login, encryption_key=key) for login in logins]


def use(bucket: S3Bucket, tmp_path: Path) -> list[str]:
    """Run everything that may fail with a bucket, and return all messages."""

    @flow(log_prints=True)
    def everything(bucket: S3Bucket, parameter: object) -> None:
        print(bucket, parameter)
        for attempt in (
            lambda: s3_upload(b"1", bucket, key="a"),
            lambda: s3_upload(bytes(9 * 1024 * 1024), bucket, key="large"),
            lambda: s3_download(bucket, "nothing"),
            lambda: s3_list_objects(bucket),
            lambda: bucket.object_info("large"),
            lambda: bucket.download_object_to_path("large", tmp_path),
            lambda: bucket.copy_object("a", "b"),
            lambda: bucket.presigned_url("a"),
            lambda: bucket.credentials.client("no-such-service"),
        ):
            try:
                attempt()
            except Exception as error:
                said.append("".join(traceback.format_exception(error)))
                said.append(repr(error.__dict__))

    said: list[str] = []
    everything(bucket, bucket.credentials)
    check = bucket.credentials.check()
    return [*said, repr(check), repr(bucket), str(bucket.credentials), bucket.model_dump_json()]


@pytest.mark.parametrize("service", ["emulated", "refusing", "s3_only"])
def test_canaries_are_nowhere(
    service: str,
    request: pytest.FixtureRequest,
    bucket_name: str,
    canaries: dict[str, str],
    home: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = request.getfixturevalue(service)
    shown: list[str] = []
    with caplog.at_level(logging.DEBUG):
        for number, bucket in enumerate(buckets(url, canaries, bucket_name)):
            bucket.save(f"canary-{number}")
            shown += use(bucket, tmp_path)
            shown.append(pickle.dumps(bucket).decode("latin-1"))
            shown.append(repr(bucket.credentials._login()))
    current.services().close()
    shown.append(caplog.text)
    shown += [path.read_bytes().decode("latin-1") for path in home.rglob("*") if path.is_file()]
    assert "botocore" in caplog.text
    assert any("flow" in text for text in shown)
    for name, canary in canaries.items():
        for form in (canary, json.dumps(canary)[1:-1], canary.replace("/", "%2F")):
            assert not [text for text in shown if form in text], name
    raw = base64.b64decode(canaries["encryption_key"])
    assert not [text for text in shown if repr(raw)[2:-1] in text or raw.decode("latin-1") in text]


def test_what_a_role_was_given_is_not_logged(
    login: AwsCredentials, emulated: str, caplog: pytest.LogCaptureFixture
) -> None:
    fresh = AssumeRoleParameters(RoleSessionName=uuid4().hex)
    role = login.model_copy(update={"assume_role_arn": ROLE, "assume_role_kwargs": fresh})
    with caplog.at_level(logging.DEBUG):
        role.client("s3").list_buckets()
        found = role.get_boto3_session().get_credentials()
    assert found is not None
    given = found.get_frozen_credentials()
    assert "AssumeRole" in caplog.text
    assert str(given.access_key) in caplog.text
    assert str(given.secret_key) not in caplog.text
    assert str(given.token) not in caplog.text


@pytest.mark.parametrize(
    "line",
    [
        "CanonicalRequest:\nGET\n/\nhost:x\nx-amz-security-token:HIDDEN\n\nhost",
        "headers={'X-Amz-Security-Token': b'HIDDEN', 'Content-Length': '0'}",
        "GET /a?X-Amz-Security-Token=HIDDEN&X-Amz-Signature=1",
        "<SecretAccessKey>HIDDEN</SecretAccessKey><SessionToken>HIDDEN</SessionToken>",
        '{"AccessKeyId": "AKIA", "SecretAccessKey": "HIDDEN", "Token" : "HIDDEN"}',
        "{'roleCredentials': {'secretAccessKey': 'HIDDEN', 'sessionToken': 'HIDDEN'}}",
        "body={'Action': 'AssumeRole', 'TokenCode': 'HIDDEN'}",
        "Action=AssumeRole&TokenCode=HIDDEN&Version=1",
    ],
)
def test_tokens_never_seen_before_are_known_by_their_place(line: str) -> None:
    assert "HIDDEN" not in redact_line(line)
    assert len(redact_line(line)) > 20
