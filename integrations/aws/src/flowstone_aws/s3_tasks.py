"""S3 as tasks: upload, download, copy, move and list, each with an async version.

If a bucket is passed by name, keys are full keys and sent to S3 unchanged. If it is passed as an
`S3Bucket`, its credentials are used, and keys are paths in its folder, as in its methods. Both
accept ``s3://bucket/key`` for objects in that bucket.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any
from uuid import uuid4

from flowstone import make_async_twin, record_measures, task
from flowstone.blocks.object_stores import ExactKey
from flowstone_aws.credentials import AwsCredentials, MinIOCredentials
from flowstone_aws.parameters import AwsClientParameters
from flowstone_aws.s3 import S3Bucket
from flowstone_aws.s3_provider import S3Provider

Login = AwsCredentials | MinIOCredentials
Bucket = str | S3Bucket


@task
def s3_upload(
    data: bytes | str,
    bucket: Bucket,
    aws_credentials: Login | None = None,
    aws_client_parameters: AwsClientParameters | None = None,
    key: str | None = None,
) -> str:
    """Upload bytes to a bucket, and return the key.

    Args:
        data: the content; text is encoded as UTF-8.
        bucket: the bucket's name, or an `S3Bucket`.
        aws_credentials: the credentials; by default the `S3Bucket`'s, or boto3's own.
        aws_client_parameters: how to connect, instead of the credentials' settings.
        key: the key; by default a random name.

    Raises:
        StorageError: S3 refused the request; see `BucketMissing`, `AccessDenied`.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        key = s3_upload(b"name,country", bucket, key="cities.csv")
    """
    provider = _reach(bucket, aws_credentials, aws_client_parameters)
    content = data.encode() if isinstance(data, str) else data
    key = uuid4().hex if key is None else key
    provider.put(_make_key(provider, bucket, key), BytesIO(content), len(content))
    record_measures(bytes_written=len(content), objects_written=1)
    return key


@task
def s3_download(
    bucket: Bucket,
    key: str,
    aws_credentials: Login | None = None,
    aws_client_parameters: AwsClientParameters | None = None,
) -> bytes:
    """Download an object, and return its content.

    Args:
        bucket: the bucket's name, or an `S3Bucket`.
        key: the object.
        aws_credentials: the credentials; by default the `S3Bucket`'s, or boto3's own.
        aws_client_parameters: how to connect, instead of the credentials' settings.

    Raises:
        ObjectMissing: there is no such object.
        StorageError: S3 refused the request.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        content = s3_download(bucket, key)
    """
    provider = _reach(bucket, aws_credentials, aws_client_parameters)
    content = provider.read(_make_key(provider, bucket, key))
    record_measures(bytes_read=len(content), objects_read=1)
    return content


@task
def s3_copy(
    source_path: str,
    target_path: str,
    source_bucket_name: Bucket,
    aws_credentials: Login | None = None,
    target_bucket_name: Bucket | None = None,
    **copy_kwargs: Any,
) -> str:
    """Copy an object within S3, and return its new key; the content is not downloaded.

    Args:
        source_path: the object.
        target_path: the new key.
        source_bucket_name: the bucket's name, or an `S3Bucket`.
        aws_credentials: the credentials; by default the `S3Bucket`'s, or boto3's own.
        target_bucket_name: the bucket to copy to; the same one by default.
        **copy_kwargs: further arguments of S3's ``CopyObject``.

    Raises:
        ObjectMissing: there is no such object.
        StorageError: S3 refused the request.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        s3_copy(source_path, "archive/2026.csv", source_bucket_name)
    """
    target_bucket = source_bucket_name if target_bucket_name is None else target_bucket_name
    source = _reach(source_bucket_name, aws_credentials)
    target = _reach(target_bucket, aws_credentials or source.credentials)
    key = _make_key(source, source_bucket_name, source_path)
    new_key = _make_key(target, target_bucket, target_path)
    if copy_kwargs:
        given = {"CopySource": {"Bucket": source.bucket, "Key": key}, **copy_kwargs}

        def copy() -> None:
            with target.translate_errors(new_key):
                more = {**target.settings.make_copy(source.settings), **given}
                target.client().copy_object(Bucket=target.bucket, Key=new_key, **more)

        target.retry_refused(copy)
    else:
        target.copy(source, key, new_key)
    record_measures(objects_written=1)
    return target_path


@task
def s3_move(
    source_path: str,
    target_path: str,
    source_bucket_name: Bucket,
    aws_credentials: Login | None = None,
    target_bucket_name: Bucket | None = None,
) -> str:
    """Move an object within S3 by copying and deleting it, and return the new key.

    An object that is moved to its own key is not deleted.

    Args:
        source_path: the object.
        target_path: the new key.
        source_bucket_name: the bucket's name, or an `S3Bucket`.
        aws_credentials: the credentials; by default the `S3Bucket`'s, or boto3's own.
        target_bucket_name: the bucket to move to; the same one by default.

    Raises:
        ObjectMissing: there is no such object.
        StorageError: S3 refused the request.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        s3_move(source_path, "archive/2026.csv", source_bucket_name)
    """
    target_bucket = source_bucket_name if target_bucket_name is None else target_bucket_name
    source = _reach(source_bucket_name, aws_credentials)
    target = _reach(target_bucket, aws_credentials or source.credentials)
    key = _make_key(source, source_bucket_name, source_path)
    new_key = _make_key(target, target_bucket, target_path)
    if source.identify(key) == target.identify(new_key):
        source.head(key)
    else:
        target.copy(source, key, new_key)
        source.delete([key])
        record_measures(objects_written=1, objects_deleted=1)
    return target_path


@task
def s3_list_objects(
    bucket: Bucket,
    aws_credentials: Login | None = None,
    aws_client_parameters: AwsClientParameters | None = None,
    prefix: str = "",
    delimiter: str = "",
    page_size: int | None = None,
    max_items: int | None = None,
    jmespath_query: str | None = None,
) -> list[dict[str, Any]]:
    """Return the objects of a bucket as S3 describes them: ``Key``, ``Size`` and so on.

    Args:
        bucket: the bucket's name, or an `S3Bucket`; keys are then in its folder.
        aws_credentials: the credentials; by default the `S3Bucket`'s, or boto3's own.
        aws_client_parameters: how to connect, instead of the credentials' settings.
        prefix: only keys with this prefix.
        delimiter: omits keys that contain it after the prefix: ``/`` for this folder only.
        page_size: number of objects per response of S3, up to 1000.
        max_items: maximum number of objects.
        jmespath_query: applied to each response, for example ``Contents[?Size > `100`][]``.

    Raises:
        StorageError: S3 refused the request; see `BucketMissing`, `AccessDenied`.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        sizes = {item["Key"]: item["Size"] for item in s3_list_objects(bucket, prefix="raw/")}
    """
    provider = _reach(bucket, aws_credentials, aws_client_parameters)
    folder = provider.make_prefix()
    sizes = {"PageSize": page_size, "MaxItems": max_items}

    def search() -> list[object]:
        with provider.translate_errors():
            pages = provider.client().get_paginator("list_objects_v2")
            found = pages.paginate(
                Bucket=provider.bucket,
                Prefix=folder + prefix,
                Delimiter=delimiter,
                PaginationConfig=sizes,  # type: ignore[arg-type]
                **provider.settings.make_payer(),
            )
            return list(found.search(jmespath_query or "Contents[]"))

    found = provider.retry_refused(search)
    return [_strip_folder(folder, item) for item in found if item is not None]


as3_upload = make_async_twin(s3_upload)
as3_download = make_async_twin(s3_download)
as3_copy = make_async_twin(s3_copy)
as3_move = make_async_twin(s3_move)
as3_list_objects = make_async_twin(s3_list_objects)


#: Aliases of the tasks.
upload_to_bucket, aupload_to_bucket = s3_upload, as3_upload
download_from_bucket, adownload_from_bucket = s3_download, as3_download
copy_objects, acopy_objects = s3_copy, as3_copy
move_objects, amove_objects = s3_move, as3_move
list_objects, alist_objects = s3_list_objects, as3_list_objects


def _reach(
    bucket: Bucket, login: Login | None = None, parameters: AwsClientParameters | None = None
) -> S3Provider:
    if isinstance(bucket, str):
        bucket = S3Bucket(bucket_name=bucket)
    if login is not None or parameters is not None:
        login = login or bucket.credentials
        if parameters is not None:
            login = login.model_copy(update={"aws_client_parameters": parameters})
        bucket = bucket.model_copy(update={"credentials": login})
    return bucket.make_provider()


def _make_key(provider: S3Provider, bucket: Bucket, path: str) -> str:
    if isinstance(bucket, S3Bucket) or path.startswith("s3://"):
        return provider.make_key(path)
    return path


def _strip_folder(folder: str, item: Any) -> Any:
    if isinstance(item, dict) and isinstance(item.get("Key"), str):
        return {**item, "Key": ExactKey(item["Key"].removeprefix(folder))}
    return item
