"""AWS for Flowstone: logins, S3 buckets as object stores, secrets, and tasks for both."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowstone_aws.credentials import AwsCredentials, MinIOCredentials
    from flowstone_aws.parameters import AssumeRoleParameters, AwsClientParameters
    from flowstone_aws.s3 import S3Bucket
    from flowstone_aws.s3_tasks import (
        acopy_objects,
        adownload_from_bucket,
        alist_objects,
        amove_objects,
        as3_copy,
        as3_download,
        as3_list_objects,
        as3_move,
        as3_upload,
        aupload_to_bucket,
        copy_objects,
        download_from_bucket,
        list_objects,
        move_objects,
        s3_copy,
        s3_download,
        s3_list_objects,
        s3_move,
        s3_upload,
        upload_to_bucket,
    )
    from flowstone_aws.secrets import AwsSecret, AwsSecrets
    from flowstone_aws.secrets_tasks import (
        aaws_secret_create,
        aaws_secret_delete,
        aaws_secret_read,
        aaws_secret_update,
        acreate_secret,
        adelete_secret,
        aread_secret,
        aupdate_secret,
        aws_secret_create,
        aws_secret_delete,
        aws_secret_read,
        aws_secret_update,
        create_secret,
        delete_secret,
        read_secret,
        update_secret,
    )
    from flowstone_aws.ssm import AwsParameters

__all__ = [
    "AssumeRoleParameters",
    "AwsClientParameters",
    "AwsCredentials",
    "AwsParameters",
    "AwsSecret",
    "AwsSecrets",
    "MinIOCredentials",
    "S3Bucket",
    "aaws_secret_create",
    "aaws_secret_delete",
    "aaws_secret_read",
    "aaws_secret_update",
    "acopy_objects",
    "acreate_secret",
    "adelete_secret",
    "adownload_from_bucket",
    "alist_objects",
    "amove_objects",
    "aread_secret",
    "as3_copy",
    "as3_download",
    "as3_list_objects",
    "as3_move",
    "as3_upload",
    "aupdate_secret",
    "aupload_to_bucket",
    "aws_secret_create",
    "aws_secret_delete",
    "aws_secret_read",
    "aws_secret_update",
    "copy_objects",
    "create_secret",
    "delete_secret",
    "download_from_bucket",
    "list_objects",
    "move_objects",
    "read_secret",
    "s3_copy",
    "s3_download",
    "s3_list_objects",
    "s3_move",
    "s3_upload",
    "update_secret",
    "upload_to_bucket",
]

_HOMES = {
    "AssumeRoleParameters": "parameters",
    "AwsClientParameters": "parameters",
    "AwsCredentials": "credentials",
    "MinIOCredentials": "credentials",
    "AwsParameters": "ssm",
    "AwsSecret": "secrets",
    "AwsSecrets": "secrets",
    "S3Bucket": "s3",
}
#: Where the rest is: tasks, by a word of their names.
_TASKS = {True: "secrets_tasks", False: "s3_tasks"}


if not TYPE_CHECKING:  # which would take any name for one that is there

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # Lazy: who uses a bucket need not wait for the task engine, nor anybody here for pydantic.
        home = _HOMES.get(name) or _TASKS["secret" in name]
        return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return __all__
