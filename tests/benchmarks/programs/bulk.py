"""A folder of files, or one large file, one way: by the library's bucket, or by boto3's manager."""

import json
import os
import resource
import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter

import boto3
from boto3.s3.transfer import TransferConfig, create_transfer_manager

name, url, way, kind = sys.argv[1:5]
source, target = Path(sys.argv[5]), Path("target")
BUCKET, PREFIX, THREADS = "bulk", "here", 8
target.mkdir()
os.environ["AWS_ENDPOINT_URL"] = url
names = [path.name for path in source.iterdir()]


class ByLibrary:
    """What a person writes with an integration package."""

    def __init__(self) -> None:
        package, _, way_of = name.partition("-")
        library = import_module(f"{package}_aws")
        words = {"use_obstore": False} if way_of == "sdk" else {}
        login = library.AwsCredentials()
        self.bucket = library.S3Bucket(bucket_name=BUCKET, credentials=login, **words)
        self.bucket.write_path(f"warm/{os.getpid()}", b"x")

    def move(self) -> None:
        if kind == "folder" and way == "up":
            self.bucket.upload_from_folder(source, PREFIX)
        elif kind == "folder":
            self.bucket.download_folder_to_path(PREFIX, target)
        elif way == "up":
            self.bucket.upload_from_path(source / names[0], f"{PREFIX}/{names[0]}")
        else:
            self.bucket.download_object_to_path(f"{PREFIX}/{names[0]}", target / names[0])


class ByManager:
    """What a person writes with boto3 who knows its transfer manager."""

    def __init__(self) -> None:
        self.client = boto3.client("s3")
        self.client.put_object(Bucket=BUCKET, Key=f"warm/{os.getpid()}", Body=b"x")

    def move(self) -> None:
        config = TransferConfig(max_concurrency=THREADS)
        with create_transfer_manager(self.client, config) as manager:
            if way == "up":
                keys = {each: f"{PREFIX}/{each}" for each in names}
                done = [manager.upload(str(source / each), BUCKET, keys[each]) for each in names]
            else:
                pages = self.client.get_paginator("list_objects_v2")
                found = pages.paginate(Bucket=BUCKET, Prefix=f"{PREFIX}/")
                listed = [each["Key"] for page in found for each in page["Contents"]]
                places = {key: str(target / Path(key).name) for key in listed}
                done = [manager.download(BUCKET, key, place) for key, place in places.items()]
            for each in done:
                each.result()


def read_memory(name: str) -> float:
    """Return a figure of this process's memory, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) / 1024


mover = (ByManager if name == "boto3" else ByLibrary)()
before = read_memory("VmRSS")
began, used = perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
mover.move()
ms, after = 1000 * (perf_counter() - began), resource.getrusage(resource.RUSAGE_SELF)
cpu = 1000 * (after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime)
extra = read_memory("VmHWM") - before
if way == "down":
    sizes = {path.name: path.stat().st_size for path in target.rglob("*") if path.is_file()}
    assert sizes == {each: (source / each).stat().st_size for each in names}
print(json.dumps({"ms": ms, "cpu": cpu, "extra": extra}))
