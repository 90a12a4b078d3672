"""The standard tests, on AWS's blocks and plugin."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import pytest
from pydantic import SecretStr

from flowstone.blocks import Credentials, Job
from flowstone.errors import SecretMissing
from flowstone_aws import (
    AssumeRoleParameters,
    AwsClientParameters,
    AwsCredentials,
    AwsParameters,
    AwsSecret,
    AwsSecrets,
    BatchJob,
    EcsTask,
    LambdaFunction,
    MinIOCredentials,
    S3Bucket,
    aws_secret_create,
    aws_secret_delete,
)
from flowstone_testing import (
    Arguments,
    BlockSuite,
    CredentialsSuite,
    EmulatorGap,
    Example,
    JobSuite,
    ObjectStoreSuite,
    PluginSuite,
    SecretsSuite,
    TaskSuite,
    reserve_closed_port,
)
from flowstone_testing.check.outside import find_sdks

from .job_examples import (
    BAD,
    GOOD,
    LINES,
    LONG,
    make_job,
    make_login,
    make_task,
    register_definition,
)

if TYPE_CHECKING:
    from tests.services.aws_jobs import AwsJobs

IMPATIENT = {"retries": {"total_max_attempts": 1}, "connect_timeout": 2}


@pytest.fixture
def nowhere() -> str:
    """An address without a listening process."""
    return f"http://127.0.0.1:{reserve_closed_port()}"


class TestPlugin(PluginSuite):
    plugin = "aws"
    package = "flowstone_aws"
    sdks = ("boto3", "botocore", "obstore", "s3transfer")


class TestAwsCredentials(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[AwsCredentials]:
        return [
            AwsCredentials(),
            AwsCredentials(
                aws_access_key_id="AKIAEXAMPLE",
                aws_secret_access_key=uuid4().hex,
                aws_session_token=uuid4().hex,
                region_name="eu-central-1",
                assume_role_arn="arn:aws:iam::123456789012:role/loader",
                assume_role_kwargs=AssumeRoleParameters(
                    SerialNumber="arn:aws:iam::123456789012:mfa/me",
                    TokenCode=uuid4().hex,
                    DurationSeconds=3600,
                    Tags=[{"Key": "team", "Value": "data"}],
                ),
            ),
            AwsCredentials(
                profile_name="data",
                aws_client_parameters=AwsClientParameters(
                    endpoint_url="http://localhost:9000/",
                    verify=False,
                    config={"connect_timeout": 3, "s3": {"addressing_style": "path"}},
                ),
            ),
        ]


class TestMinIOCredentials(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[MinIOCredentials]:
        return [
            MinIOCredentials(minio_root_user="minio", minio_root_password=uuid4().hex),
            MinIOCredentials(),
        ]


class TestS3BucketBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[S3Bucket]:
        options = {"StorageClass": "STANDARD_IA", "Metadata": {"team": "data"}}
        return [
            S3Bucket(bucket_name="raw"),
            S3Bucket(
                bucket_name="raw",
                credentials=AwsCredentials(
                    aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key=uuid4().hex
                ),
                bucket_folder="/2026/",
                upload_options=options,
                use_obstore=False,
            ),
            S3Bucket(
                bucket_name="raw",
                credentials=MinIOCredentials(
                    minio_root_user="minio", minio_root_password=uuid4().hex
                ),
                storage_class="STANDARD_IA",
                encryption_key=uuid4().bytes + uuid4().bytes,
                tags={"team": "data"},
                requester_pays=True,
            ),
        ]


class TestAwsSecretsBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[AwsSecrets]:
        login = AwsCredentials(aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key=uuid4().hex)
        return [AwsSecrets(), AwsSecrets(credentials=login)]


class TestAwsParametersBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[AwsParameters]:
        login = AwsCredentials(aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key=uuid4().hex)
        return [AwsParameters(), AwsParameters(credentials=login, key_id="alias/app")]


class TestAwsSecretBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[AwsSecret]:
        login = AwsCredentials(aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key=uuid4().hex)
        return [AwsSecret(secret_name="db"), AwsSecret(secret_name="db", aws_credentials=login)]


class TestAwsSecrets(SecretsSuite):
    name = "aws-secrets"
    versions = True
    prefix = f"flowstone/{uuid4().hex[:12]}/"

    @pytest.fixture
    def provider(self, login: AwsCredentials, emulated: str) -> AwsSecrets:
        return AwsSecrets(credentials=login)

    @pytest.fixture
    def refused(self, refusing_secrets: str) -> AwsSecrets:
        return AwsSecrets(credentials=refused_at(refusing_secrets))


class TestAwsParameters(SecretsSuite):
    name = "aws-ssm"
    versions = True
    prefix = f"/flowstone/{uuid4().hex[:12]}/"
    binary = False

    @pytest.fixture
    def provider(self, login: AwsCredentials, emulated: str) -> AwsParameters:
        return AwsParameters(credentials=login)

    @pytest.fixture
    def refused(self, refusing_secrets: str) -> AwsParameters:
        return AwsParameters(credentials=refused_at(refusing_secrets))


def refused_at(url: str) -> AwsCredentials:
    return AwsCredentials(
        aws_access_key_id="AKIAWRONG",
        aws_secret_access_key="a-wrong-secret",
        region_name="us-east-1",
        aws_client_parameters=AwsClientParameters(endpoint_url=url, config=IMPATIENT),
    )


class TestAwsLogin(CredentialsSuite):
    @pytest.fixture
    def good(self, login: AwsCredentials) -> Credentials:
        return login

    @pytest.fixture
    def refused(self, refusing: str) -> Credentials:
        return AwsCredentials(
            aws_access_key_id="AKIAWRONG",
            aws_secret_access_key="a-wrong-secret",
            aws_client_parameters=AwsClientParameters(endpoint_url=refusing),
        )

    @pytest.fixture
    def unreachable(self, nowhere: str) -> Credentials:
        return AwsCredentials(
            aws_access_key_id="AKIALOST",
            aws_secret_access_key="a-lost-secret",
            aws_client_parameters=AwsClientParameters(endpoint_url=nowhere, config=IMPATIENT),
        )


class TestMinIOLogin(CredentialsSuite):
    @pytest.fixture
    def good(self, emulated: str) -> Credentials:
        return MinIOCredentials(
            minio_root_user="minio",
            minio_root_password="a-good-password",
            aws_client_parameters=AwsClientParameters(endpoint_url=emulated),
        )

    @pytest.fixture
    def refused(self, refusing: str) -> Credentials:
        return MinIOCredentials(
            minio_root_user="minio",
            minio_root_password="a-wrong-password",
            aws_client_parameters=AwsClientParameters(endpoint_url=refusing),
        )

    @pytest.fixture
    def unreachable(self, nowhere: str) -> Credentials:
        return MinIOCredentials(
            minio_root_user="minio",
            minio_root_password="a-lost-password",
            aws_client_parameters=AwsClientParameters(endpoint_url=nowhere, config=IMPATIENT),
        )


class TestS3(ObjectStoreSuite):
    conditional_writes = keeps_metadata = versions = True
    gaps: ClassVar[Mapping[str, EmulatorGap]] = {
        "test_a_large_object_that_was_changed_is_not_written_over": EmulatorGap(
            "moto", "5.2.5", "CompleteMultipartUpload ignores If-Match", pytest.fail.Exception
        ),
        "test_names_of_metadata_may_have_underscores": EmulatorGap(
            "moto", "5.2.5", "WSGI takes an underscore in a header for a dash", AssertionError
        ),
    }
    presigns = True
    # Two pages; `test_ten_thousand_keys_list_right` has ten, and does not write one by one.
    count: ClassVar[int] = 10_000 if "--soak" in sys.argv else 1_100

    @pytest.fixture
    def bucket(self, bucket: S3Bucket) -> S3Bucket:
        """The bucket without the extra `fast`."""
        return bucket.model_copy(update={"use_obstore": False})

    @pytest.fixture
    def store(self, bucket: S3Bucket) -> S3Bucket:
        return bucket

    @pytest.fixture
    def versioned(self, bucket: S3Bucket) -> S3Bucket:
        bucket.credentials.client("s3").put_bucket_versioning(
            Bucket=bucket.bucket_name, VersioningConfiguration={"Status": "Enabled"}
        )
        return bucket

    @pytest.fixture
    def outside(self, store: S3Bucket, live: bool) -> S3Bucket | None:
        if live:
            return None  # a bucket of yours is not empty, and nothing is left in it
        return store.model_copy(update={"bucket_folder": ""})


@pytest.mark.check
class TestS3Fast(TestS3):
    """The same with obstore, which transfers small objects."""

    @pytest.fixture
    def bucket(self, bucket: S3Bucket) -> S3Bucket:
        return bucket.model_copy(update={"use_obstore": True})


class TestEcsTask(JobSuite):
    wanted: ClassVar[Any] = 0
    lines: ClassVar[Sequence[str]] = LINES

    @pytest.fixture
    def good(self, jobs_login: AwsCredentials) -> Job:
        return make_task(jobs_login, GOOD)

    @pytest.fixture
    def bad(self, jobs_login: AwsCredentials) -> Job:
        return make_task(jobs_login, BAD)

    @pytest.fixture
    def long(self, jobs_login: AwsCredentials) -> Job:
        return make_task(jobs_login, LONG)

    @pytest.fixture
    def alive(self, jobs: AwsJobs) -> Callable[[str], bool]:
        return jobs.is_alive


class TestBatchJob(JobSuite):
    wanted: ClassVar[Any] = 0
    lines: ClassVar[Sequence[str]] = LINES

    @pytest.fixture
    def good(self, jobs_login: AwsCredentials) -> Job:
        return make_job(jobs_login, register_definition(jobs_login), GOOD)

    @pytest.fixture
    def bad(self, jobs_login: AwsCredentials) -> Job:
        return make_job(jobs_login, register_definition(jobs_login), BAD)

    @pytest.fixture
    def long(self, jobs_login: AwsCredentials) -> Job:
        return make_job(jobs_login, register_definition(jobs_login), LONG)

    @pytest.fixture
    def alive(self, jobs: AwsJobs) -> Callable[[str], bool]:
        return jobs.is_alive


class TestBatchJobBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[BatchJob]:
        login = make_login()
        more = {"env": {"A": "1"}, "vcpus": 0.5, "memory": 512, "attempts": 2}
        return [
            BatchJob(job_name="a", job_queue="spot", job_definition="loader"),
            make_job(login, "loader:3", GOOD, attempt_seconds=600, **more),
        ]


class TestLambdaFunctionBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[LambdaFunction]:
        login = make_login()
        return [
            LambdaFunction(function_name="resize"),
            LambdaFunction(function_name="resize", qualifier="live", aws_credentials=login),
        ]


class TestEcsTaskBlock(BlockSuite):
    @pytest.fixture
    def examples(
        self,
    ) -> Sequence[EcsTask]:
        login = AwsCredentials(
            aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="a-secret-key"
        )
        return [
            EcsTask(task_definition_arn="loader:3"),
            make_task(
                login, GOOD, secret_references={"TOKEN": "aws-ssm:/app/token"}, env={"A": "1"}
            ),
        ]


def gone(name: str, login: AwsCredentials) -> None:
    with suppress(SecretMissing):
        aws_secret_delete.fn(name, login, force_delete_without_recovery=True)


class TestTasks(TaskSuite):
    plugin = "aws"
    known_names: ClassVar[frozenset[str]] = frozenset({"recovery_window_in_days"})

    @pytest.fixture
    def examples(
        self,
        bucket: S3Bucket,
        login: AwsCredentials,
        jobs_login: AwsCredentials,
        request: pytest.FixtureRequest,
    ) -> Mapping[str, Example]:
        def written() -> str:
            return bucket.write_path(f"raw/{uuid4().hex}", b"name,country\n")

        def onwards() -> Arguments:
            target = f"copies/{uuid4().hex}"
            return {
                "source_path": written(),
                "target_path": target,
                "source_bucket_name": bucket,
                "target_bucket_name": bucket,
            }

        def unused() -> Arguments:
            name = f"flowstone/{uuid4().hex}"
            request.addfinalizer(lambda: gone(name, login))
            return {"secret_name": name, "aws_credentials": login}

        def kept() -> Arguments:
            arguments = unused()
            aws_secret_create.fn(**arguments, secret_value=uuid4().hex)
            return arguments

        return {
            "aws_secret_create": lambda: {**unused(), "secret_value": SecretStr(uuid4().hex)},
            "aws_secret_delete": kept,
            "aws_secret_read": kept,
            "aws_secret_update": lambda: {**kept(), "secret_value": SecretStr(uuid4().hex)},
            "batch_submit": lambda: {
                "job_name": "a",
                "job_queue": "spot",
                "job_definition": register_definition(jobs_login),
                "aws_credentials": jobs_login,
            },
            "client_waiter": lambda: {
                "client": "s3",
                "waiter_name": "bucket_exists",
                "aws_credentials": login,
                "Bucket": bucket.bucket_name,
            },
            "s3_copy": onwards,
            "s3_download": lambda: {"bucket": bucket, "key": written()},
            "s3_list_objects": lambda: {"bucket": bucket, "prefix": written(), "page_size": 10},
            "s3_move": onwards,
            "s3_upload": lambda: {"data": b"1", "bucket": bucket, "key": uuid4().hex},
        }


def test_what_it_needs_besides_flowstone_is_heavy() -> None:
    assert set(find_sdks("flowstone-aws")) >= {"boto3", "botocore", "s3transfer"}
    assert "pydantic" not in find_sdks("flowstone-aws")
