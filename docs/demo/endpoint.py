"""A stand-in for AWS: an S3 endpoint on this machine, for as long as the demo runs."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.services.s3 import moto

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def local_s3(bucket: str) -> Iterator[None]:
    """Start the endpoint, with one empty bucket, and send the SDK there instead of to AWS."""
    with moto() as service:
        service.make_bucket(bucket)
        os.environ["AWS_ENDPOINT_URL"] = service.url
        yield
