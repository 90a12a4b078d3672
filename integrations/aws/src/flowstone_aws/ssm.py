"""The Parameter Store of AWS Systems Manager, as a provider for references."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from flowstone.blocks import SecretProvider, SecretStoreProvider
from flowstone.errors import SecretStoreError
from flowstone_aws.credentials import AwsCredentials
from flowstone_aws.errors import translate_errors
from flowstone_aws.logs import keep_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


class AwsParameters(SecretProvider):
    """The Parameter Store of AWS SSM, for references such as ``aws-ssm:/app/db/password@3``.

    A version is a number or a label. Written parameters are SecureStrings of up to 4096 bytes.
    """

    _block_type_name: ClassVar[str | None] = "AWS SSM"
    _description: ClassVar[str | None] = "Parameters in AWS SSM's Parameter Store, decrypted."
    _code_example: ClassVar[str | None] = (
        'AwsParameters().write("/app/db", "s3cr3t")\nAwsParameters().read("/app/db")'
    )

    versions: ClassVar[bool] = True

    credentials: AwsCredentials = Field(
        default_factory=AwsCredentials, description="The credentials; by default, boto3 finds them."
    )
    key_id: str | None = Field(
        default=None, description="The KMS key with which new parameters are encrypted."
    )

    def make_provider(self) -> ParameterStoreProvider:
        """Return the provider for the Parameter Store, with these credentials."""
        return ParameterStoreProvider(self)


class ParameterStoreProvider(SecretStoreProvider):
    """Parameters in AWS SSM, by name."""

    def __init__(self, block: AwsParameters) -> None:
        self._credentials, self._key_id = block.credentials, block.key_id

    @property
    def where(self) -> str:
        endpoint = self._credentials.aws_client_parameters.endpoint_url
        region = self._credentials.region_name
        place = f" at {endpoint}" if endpoint else f" in {region}" if region else ""
        return f"AWS SSM's Parameter Store{place}"

    def read(self, name: str, version: str | None) -> bytes:
        wanted = name if version is None else f"{name}:{version}"
        with self._translate(wanted):
            answer = self._open_client().get_parameter(Name=wanted, WithDecryption=True)
        value: str = answer["Parameter"]["Value"]
        return value.encode()

    def write(self, name: str, value: bytes) -> str:
        try:
            text = value.decode()
        except UnicodeDecodeError:
            problem = f"{name!r} can't be written: a parameter is text, and this is not UTF-8"
            remedy = "Write it as base64, or to AWS Secrets Manager."
            raise SecretStoreError(self.where, problem, remedy) from None
        key = {} if self._key_id is None else {"KeyId": self._key_id}
        with self._translate(name):
            done = self._open_client().put_parameter(
                Name=name, Value=text, Type="SecureString", Overwrite=True, **key
            )
        return str(done["Version"])

    def delete(self, name: str) -> None:
        with self._translate(name):
            self._open_client().delete_parameter(Name=name)

    def list_names(self, prefix: str) -> Iterator[str]:
        begins = [{"Key": "Name", "Option": "BeginsWith", "Values": [prefix]}]
        wanted = {"ParameterFilters": begins} if prefix else {}
        with self._translate():
            pages = self._open_client().get_paginator("describe_parameters").paginate(**wanted)
            for page in pages:
                for parameter in page["Parameters"]:
                    yield parameter["Name"]

    def _open_client(self) -> Any:
        client = self._credentials.client("ssm")
        keep_secrets()
        return client

    def _translate(self, name: str | None = None) -> AbstractContextManager[None]:
        return translate_errors(self.where, self._credentials.describe_login, name)
