"""A real Cloud Storage over HTTP: fake-gcs-server, or with `--live` a project of yours.

Live, the bucket's name is in FLOWSTONE_GCP_BUCKET, and the login is what Google's SDK finds. The
tests keep to folders of their own in that bucket, and delete them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.services.bigquery import Emulator
from tests.services.bigquery_jobs import Jobs, serve_jobs
from tests.services.cloud_run import CloudRun, serve_cloud_run
from tests.services.tokens import Tokens, serve_googleapis, serve_tokens

from flowstone_gcp import BigQueryWarehouse, CloudRunJob, GcpCredentials, GcpSecrets, GcsBucket

EMAIL = "loader@example-project.iam.gserviceaccount.com"


@pytest.fixture(scope="session")
def live(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--live"))


@pytest.fixture(scope="session")
def endpoint(live: bool, request: pytest.FixtureRequest) -> str | None:
    """The address of Cloud Storage; None for Google's own."""
    return None if live else request.getfixturevalue("gcs")


@pytest.fixture
def emulated(live: bool, endpoint: str | None) -> str:
    """The address of the emulator, for tests of what a project can't be asked for."""
    if live or endpoint is None:
        pytest.skip("only against the emulator")
    return endpoint


@pytest.fixture(autouse=True)
def no_login_of_yours(live: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's own set-up of Google Cloud is seen by a test."""
    if live:
        return
    for name in [
        name for name in os.environ if name.startswith(("GOOGLE_", "GCLOUD_", "STORAGE_"))
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nowhere")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    # The SDK runs gcloud where it is installed, which looks for a metadata server by itself.
    monkeypatch.setenv("CLOUDSDK_CORE_CHECK_GCE_METADATA", "false")


@pytest.fixture(scope="session")
def private_key() -> str:
    # A key of 2048 bits takes 60 ms to read, and each login reads it.
    made = generate_private_key(public_exponent=65537, key_size=1024)
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def tokens() -> Iterator[Tokens]:
    """Google's token service, for keys whose `token_uri` leads here."""
    with serve_tokens() as found:
        yield found


@pytest.fixture
def googleapis(tokens: Tokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tokens]:
    """The same under Google's own names, where the SDK has its addresses inside."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    with serve_googleapis(tokens, tmp_path) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield tokens


@pytest.fixture
def key(private_key: str, tokens: Tokens) -> dict[str, str]:
    """A service account's key, as Google hands it out."""
    return {
        "type": "service_account",
        "project_id": "example-project",
        "private_key_id": uuid4().hex,
        "private_key": private_key,
        "client_email": EMAIL,
        "client_id": "1",
        "token_uri": f"{tokens.url}/token",
    }


@pytest.fixture
def login(endpoint: str | None, request: pytest.FixtureRequest) -> GcpCredentials:
    """A login by a key at the emulator, or live the one that Google's SDK finds."""
    if endpoint is None:
        return GcpCredentials()
    key = request.getfixturevalue("key")
    return GcpCredentials(service_account_info=key, endpoint=endpoint)


@pytest.fixture
def bucket_name(live: bool, login: GcpCredentials) -> str:
    """A bucket that is there; a fresh one, where it is not yours."""
    if live:
        return os.environ["FLOWSTONE_GCP_BUCKET"]
    name = f"test-{uuid4().hex[:16]}"
    login.client("storage").create_bucket(name)
    return name


@pytest.fixture
def bucket(login: GcpCredentials, bucket_name: str, live: bool) -> Iterator[GcsBucket]:
    """An empty folder of a bucket."""
    folder = f"flowstone/{uuid4().hex[:16]}"
    bucket = GcsBucket(bucket=bucket_name, gcp_credentials=login, bucket_folder=f"/{folder}/")
    yield bucket
    if live:
        bucket.delete_folder("")


@pytest.fixture
def refusing() -> Iterator[Tokens]:
    """A token service that refuses every key, in Google's words."""
    with serve_tokens() as found:
        words = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        found.refusal = 400, words
        yield found


@pytest.fixture
def emulator(live: bool, request: pytest.FixtureRequest) -> Emulator | None:
    """The emulator of BigQuery; None for Google's own."""
    return None if live else request.getfixturevalue("bigquery")


@pytest.fixture
def buckets(emulator: Emulator | None) -> Path:
    """The folder whose folders the emulator of BigQuery takes for buckets."""
    if emulator is None:
        pytest.skip("only against the emulator")
    return emulator.buckets


@pytest.fixture
def jobs(emulator: Emulator | None) -> Iterator[Jobs]:
    """Jobs as Google documents them, in front of the emulator."""
    if emulator is None:
        pytest.skip("only against the emulator")
    with serve_jobs(emulator.url) as found:
        yield found


@pytest.fixture
def warehouse(
    emulator: Emulator | None, request: pytest.FixtureRequest
) -> Iterator[BigQueryWarehouse]:
    """A fresh dataset of the emulator, or live one of your project."""
    name = f"flowstone_{uuid4().hex[:16]}"
    found = BigQueryWarehouse(dataset=name)
    if emulator is not None:
        found.gcp_credentials = GcpCredentials(anonymous=True, project="example-project")
        found.endpoint = request.getfixturevalue("jobs").url
        found.storage_endpoint = emulator.storage
    client = found.get_client()
    client.create_dataset(name)
    with found:
        yield found
    client.delete_dataset(name, delete_contents=True)


@pytest.fixture
def secrets(live: bool, request: pytest.FixtureRequest) -> GcpSecrets:
    """Secret Manager: drongo with a project of its own, or live that of your project."""
    if live:
        return GcpSecrets()
    key = {**request.getfixturevalue("key"), "project_id": f"project-{uuid4().hex[:16]}"}
    endpoint = request.getfixturevalue("drongo")
    return GcpSecrets(gcp_credentials=GcpCredentials(service_account_info=key), endpoint=endpoint)


@pytest.fixture
def cloud_run(live: bool) -> Iterator[CloudRun]:
    """Cloud Run and Cloud Logging, whose tasks are processes of this machine."""
    if live:
        pytest.skip("only against the fake")
    with serve_cloud_run() as found:
        yield found


@pytest.fixture
def new_job(cloud_run: CloudRun) -> Callable[..., CloudRunJob]:
    """Return a function that makes a job of a Python program."""

    def make(program: str, **fields: Any) -> CloudRunJob:
        usual: dict[str, Any] = {
            "credentials": GcpCredentials(anonymous=True, project="example-project"),
            "image": "python:3",
            "command": [sys.executable, "-u", "-c"],
            "args": [program],
            "poll_seconds": 0.05,
            "log_delay_seconds": 0,
            "endpoint": cloud_run.url,
            "logging_endpoint": cloud_run.url,
        }
        return CloudRunJob(**{**usual, **fields})

    return make
