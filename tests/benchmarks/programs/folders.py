"""A folder to S3 and back, by the library's bucket."""

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter

name, url, files, kilobytes = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
os.environ["AWS_ENDPOINT_URL"] = url
source, target = Path("source"), Path("target")
source.mkdir()
for number in range(files):
    (source / f"{number}.bin").write_bytes(os.urandom(kilobytes * 1024))

library = import_module(f"{name}_aws")
login = library.AwsCredentials(
    aws_access_key_id="x", aws_secret_access_key="y", region_name="us-east-1"
)
login.get_s3_client().create_bucket(Bucket=name)
bucket = library.S3Bucket(bucket_name=name, credentials=login)

began = perf_counter()
bucket.upload_from_folder(source, "here")
up = perf_counter() - began
began = perf_counter()
bucket.download_folder_to_path("here", target)
down = perf_counter() - began
assert len([path for path in target.rglob("*") if path.is_file()]) == files
print(json.dumps({"up": 1000 * up, "down": 1000 * down}))
