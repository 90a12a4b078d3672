"""A folder to S3 and back, by boto3's own transfer."""

import json
import os
import sys
from pathlib import Path
from time import perf_counter

import boto3
from boto3.s3.transfer import TransferConfig, create_transfer_manager

url, files, kilobytes = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
client = boto3.client(
    "s3",
    endpoint_url=url,
    region_name="us-east-1",
    aws_access_key_id="x",
    aws_secret_access_key="y",
)
client.create_bucket(Bucket="floor")
source, target = Path("source"), Path("target")
source.mkdir()
target.mkdir()
for number in range(files):
    (source / f"{number}.bin").write_bytes(os.urandom(kilobytes * 1024))

began = perf_counter()
with create_transfer_manager(client, TransferConfig()) as manager:
    for path in source.iterdir():
        manager.upload(str(path), "floor", path.name)
up = perf_counter() - began

began = perf_counter()
with create_transfer_manager(client, TransferConfig()) as manager:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="floor"):
        for found in page["Contents"]:
            manager.download("floor", found["Key"], str(target / found["Key"]))
down = perf_counter() - began
assert len(list(target.iterdir())) == files
print(json.dumps({"up": 1000 * up, "down": 1000 * down}))
