from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from urllib.request import Request, urlopen

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from pydantic import BaseModel, Field, SecretBytes, SecretStr

from flowstone.blocks import (
    Block,
    Credentials,
    EnvSecrets,
    FileSecrets,
    LocalDirectory,
    ObjectStore,
    RemoteFileSystem,
    Secret,
    SecretDict,
)
from flowstone_testing.conformance.blocks import BlockSuite
from flowstone_testing.conformance.credentials import CredentialsSuite
from flowstone_testing.conformance.objectstore import ObjectStoreSuite
from flowstone_testing.conformance.plugins import PluginSuite
from flowstone_testing.conformance.secretprovider import SecretsSuite
from flowstone_testing.objects import MemoryObjects
from flowstone_testing.ports import reserve_closed_port


def canary() -> str:
    return f"canary-{secrets.token_hex(12)}"


class Inner(BaseModel):
    key: SecretStr | None = None
    number: int = 1


class Everything(Block):
    """A block with each kind of field that a block may have."""

    _description: ClassVar[str | None] = "Each kind of field."
    _code_example: ClassVar[str | None] = "Everything()"

    name: str = Field(default="a field called name", description="Its own name.")
    text: SecretStr | None = Field(default=None, description="Secret text.")
    data: SecretBytes | None = Field(default=None, description="Secret bytes.")
    table: SecretDict | None = Field(default=None, description="Secret values.")
    many: list[SecretStr] = Field(default_factory=list, description="Secrets in a list.")
    named: dict[str, SecretStr] = Field(default_factory=dict, description="Secrets by name.")
    inner: Inner = Field(default_factory=Inner, description="A model with a secret in it.")
    plain: dict[str, Any] = Field(default_factory=dict, description="Anything.")
    raw: bytes = Field(default=b"", description="Bytes that are no secret.")
    path: Path = Field(default=Path(), description="A path.")
    aliased: int = Field(default=1, alias="Aliased", description="It has an alias.")
    nested: Secret | None = Field(default=None, description="A block.")


class TestEverything(BlockSuite):
    in_catalog = False

    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [
            Everything(),
            Everything(
                text=canary(),
                data=canary().encode(),
                table={"a": canary(), "b": {"c": [canary()]}},
                many=[canary(), canary()],
                named={"x": canary(), "$y": canary()},
                inner={"key": canary()},
                plain={"$secret": 1, "a": [None, 1.5, {"$block": {}}]},
                raw=b"\0\xff",
                path="a/b",
                nested=Secret(value={"deep": canary()}),
            ),
        ]


class TestSecret(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [Secret(value=canary()), Secret(value={"a": [canary()], "b": 1})]


class TestLocalDirectory(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [LocalDirectory(basepath="data"), LocalDirectory(basepath=Path("/tmp/ä b"))]


class TestLocalObjects(ObjectStoreSuite):
    conditional_writes = True

    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        (tmp_path / "store").mkdir()
        return LocalDirectory(basepath=tmp_path / "store")


class TestMemoryObjects(ObjectStoreSuite):
    conditional_writes = keeps_metadata = versions = True

    big_bytes = 8 * 1024 * 1024  # they are in memory by nature

    @pytest.fixture
    def outside(self) -> Iterator[ObjectStore]:
        outside = MemoryObjects(place=canary())
        yield outside
        outside.delete_folder("")

    @pytest.fixture
    def store(self, outside: MemoryObjects) -> ObjectStore:
        return MemoryObjects(place=outside.place, folder="/some/folder/")


class TestRemoteObjects(ObjectStoreSuite):
    big_bytes = 8 * 1024 * 1024  # fsspec's memory, too

    @pytest.fixture
    def outside(self) -> Iterator[ObjectStore]:
        outside = RemoteFileSystem(basepath=f"memory://{canary()}")
        MemoryFileSystem().mkdir(outside.basepath)
        yield outside
        outside.delete_folder("")

    @pytest.fixture
    def store(self, outside: RemoteFileSystem) -> ObjectStore:
        return RemoteFileSystem(basepath=f"{outside.basepath}/some/folder/")


class GateCredentials(Credentials):
    """A login to the door below."""

    _description: ClassVar[str | None] = "A login to a door."
    _code_example: ClassVar[str | None] = "GateCredentials()"

    url: str = Field(default="http://127.0.0.1:9", description="Where the door is.")
    password: SecretStr | None = Field(default=None, description="What the door asks for.")

    def client(self) -> Request:
        password = self.password.get_secret_value() if self.password else ""
        return Request(self.url, headers={"Authorization": password})

    def _check(self) -> str:
        request = self.client()
        with urlopen(request, timeout=5) as answer:
            text: str = answer.read().decode()
            return text


class Door(BaseHTTPRequestHandler):
    password = canary()

    def do_GET(self) -> None:
        if self.headers["Authorization"] == self.password:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"come in, {self.password}".encode())
        else:
            # It quotes what it got, as some services do.
            self.send_response(403, f"not {self.headers['Authorization']}")
            self.end_headers()

    def log_message(self, *_: object) -> None: ...


class TestDoor(CredentialsSuite):
    @pytest.fixture
    def url(self) -> Iterator[str]:
        with HTTPServer(("127.0.0.1", 0), Door) as server:
            thread = Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()
            thread.join()

    @pytest.fixture
    def good(self, url: str) -> GateCredentials:
        return GateCredentials(url=url, password=Door.password)

    @pytest.fixture
    def refused(self, url: str) -> GateCredentials:
        return GateCredentials(url=url, password=canary())

    @pytest.fixture
    def unreachable(self) -> GateCredentials:
        return GateCredentials(url=f"http://127.0.0.1:{reserve_closed_port()}", password="x")


class TestEnvSecretsBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [EnvSecrets(), EnvSecrets(prefix="APP_")]


class TestFileSecretsBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [FileSecrets(), FileSecrets(directory="/run/secrets")]


class TestEnvSecrets(SecretsSuite):
    name = "env"
    writes = False
    prefix = "FLOWSTONE_TEST_"
    # A variable has no zero byte and no end; all else it takes.

    @pytest.fixture
    def provider(self) -> EnvSecrets:
        return EnvSecrets()

    @pytest.fixture
    def seed(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes], None]:
        return lambda name, value: monkeypatch.setenv(name, os.fsdecode(value))


class TestPrefixedEnvSecrets(TestEnvSecrets):
    prefix = "test_"

    @pytest.fixture
    def provider(self) -> EnvSecrets:
        return EnvSecrets(prefix="FLOWSTONE_")

    @pytest.fixture
    def seed(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes], None]:
        return lambda name, value: monkeypatch.setenv(f"FLOWSTONE_{name}", os.fsdecode(value))


class TestFileSecrets(SecretsSuite):
    name = "file"
    prefix = "deep/er/"

    @pytest.fixture
    def provider(self, tmp_path: Path) -> FileSecrets:
        return FileSecrets(directory=tmp_path / "secrets")


class TestPlugin(PluginSuite):
    plugin = "flowstone"
    package = "flowstone.blocks"
    sdks = ("pydantic", "cryptography", "sqlite3")
