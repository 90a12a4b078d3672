"""Many small objects one way, to S3 or back: by the library's bucket, or by boto3 on threads."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from time import perf_counter

import boto3

name, url, way = sys.argv[1:4]
count, kilobytes = map(int, sys.argv[4:])
BUCKET, PREFIX, THREADS = "objects", "here", 10
source, target = Path("source"), Path("target")
for folder in (source, target):
    folder.mkdir()
os.environ["AWS_ENDPOINT_URL"] = url


def by_library() -> None:
    library = import_module(f"{name}_aws")
    bucket = library.S3Bucket(bucket_name=BUCKET, credentials=library.AwsCredentials())
    began = perf_counter()
    if way == "up":
        bucket.upload_from_folder(source, PREFIX)
    else:
        bucket.download_folder_to_path(PREFIX, target)
    tell(began)


def by_threads() -> None:
    client = boto3.client("s3")

    def upload(path: Path) -> None:
        client.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{path.name}", Body=path.read_bytes())

    def download(key: str) -> None:
        content = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        (target / Path(key).name).write_bytes(content)

    began = perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        if way == "up":
            done = pool.map(upload, source.iterdir())
        else:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=PREFIX)
            done = pool.map(download, [each["Key"] for page in pages for each in page["Contents"]])
        list(done)
    tell(began)


def tell(began: float) -> None:
    print(json.dumps({"ms": 1000 * (perf_counter() - began)}))


if way == "up":
    for number in range(count):
        (source / f"{number}.bin").write_bytes(os.urandom(kilobytes * 1024))
(by_threads if name == "boto3" else by_library)()
assert way == "up" or len([path for path in target.rglob("*") if path.is_file()]) == count
