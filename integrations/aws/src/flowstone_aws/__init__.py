"""AWS for Flowstone: logins, S3 buckets as object stores, and S3 tasks."""

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

__all__ = [
    "AssumeRoleParameters",
    "AwsClientParameters",
    "AwsCredentials",
    "MinIOCredentials",
    "S3Bucket",
    "acopy_objects",
    "adownload_from_bucket",
    "alist_objects",
    "amove_objects",
    "as3_copy",
    "as3_download",
    "as3_list_objects",
    "as3_move",
    "as3_upload",
    "aupload_to_bucket",
    "copy_objects",
    "download_from_bucket",
    "list_objects",
    "move_objects",
    "s3_copy",
    "s3_download",
    "s3_list_objects",
    "s3_move",
    "s3_upload",
    "upload_to_bucket",
]

_HOMES = {
    "AssumeRoleParameters": "parameters",
    "AwsClientParameters": "parameters",
    "AwsCredentials": "credentials",
    "MinIOCredentials": "credentials",
    "S3Bucket": "s3",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Lazy: who uses a bucket need not wait for the task engine, nor anybody here for pydantic.
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 's3_tasks')}"), name)


def __dir__() -> list[str]:
    return __all__
