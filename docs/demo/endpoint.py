"""A stand-in for AWS: an S3 endpoint on this machine, for as long as the demo runs."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from moto.server import ThreadedMotoServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def local_s3(bucket: str) -> Iterator[None]:
    """Start the endpoint, with one empty bucket, and send the SDK there instead of to AWS."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # or it prints each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ["AWS_ENDPOINT_URL"] = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id="demo",
        aws_secret_access_key="not-a-secret",
    )
    client.create_bucket(Bucket=bucket)
    client.close()
    try:
        yield
    finally:
        server.stop()
