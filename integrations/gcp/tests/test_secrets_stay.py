"""Canaries: random secrets in every field are in nothing that leaves the process."""

from __future__ import annotations

import base64
import json
import logging
import os
import pickle
import traceback
from pathlib import Path

import pytest
from tests.services.tokens import Tokens

from flowstone import flow
from flowstone.context import current
from flowstone_gcp import (
    GcpCredentials,
    GcsBucket,
    cloud_storage_download_blob_as_bytes,
    cloud_storage_upload_blob_from_string,
)


def use(bucket: GcsBucket) -> list[str]:
    """Do everything with a bucket that may go wrong, and return all that it says."""

    @flow(log_prints=True)
    def everything(bucket: GcsBucket, parameter: object) -> None:
        print(bucket, parameter)
        for attempt in (
            lambda: cloud_storage_upload_blob_from_string(b"1", bucket, "a"),
            lambda: cloud_storage_download_blob_as_bytes(bucket, "nothing"),
            lambda: bucket.gcp_credentials.client("no-such-service"),
            lambda: bucket.write_path("large", bytes(9 * 1024 * 1024)),
            lambda: bucket.object_info("large").size,
            lambda: bucket.copy_object("a", "b"),
            lambda: bucket.access(),
            lambda: bucket.presigned_url("a", expires_seconds=0),
        ):
            try:
                said.append(repr(attempt()))
            except Exception as error:
                said.append("".join(traceback.format_exception(error)))
                said.append(repr(error.__dict__))

    said: list[str] = []
    everything(bucket, bucket.gcp_credentials)
    login = bucket.gcp_credentials
    return [*said, repr(login.check()), repr(bucket), str(login), bucket.model_dump_json()]


@pytest.mark.parametrize("service", ["tokens", "refusing"])
def test_canaries_are_nowhere(
    service: str,
    request: pytest.FixtureRequest,
    key: dict[str, str],
    emulated: str,
    bucket_name: str,
    home: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    given: Tokens = request.getfixturevalue(service)
    info = {**key, "token_uri": f"{given.url}/token"}
    login = GcpCredentials(service_account_info=info, endpoint=emulated, timeout_seconds=3)
    customer = base64.b64encode(os.urandom(32)).decode()
    bucket = GcsBucket(bucket=bucket_name, gcp_credentials=login, encryption_key=customer)
    with caplog.at_level(logging.DEBUG):
        bucket.save("canary")
        shown = use(bucket)
        shown += [pickle.dumps(bucket).decode("latin-1"), repr(login._login())]
    current.services().close()
    shown.append(caplog.text)
    shown += [path.read_bytes().decode("latin-1") for path in home.rglob("*") if path.is_file()]
    assert given.asked
    assert any("flow" in text for text in shown)
    line = key["private_key"].splitlines()[3]
    keys = customer, json.dumps(customer)[1:-1], repr(base64.b64decode(customer))[2:-1]
    for canary in (key["private_key_id"], line, json.dumps(line)[1:-1], *keys, *given.given):
        assert not [text for text in shown if canary in text]
