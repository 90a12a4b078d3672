"""SecretsSuite: the standard tests of all secret providers."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from traceback import format_exception
from typing import TYPE_CHECKING, ClassVar
from uuid import uuid4

import pytest

from flowstone.blocks import Secret, SecretProvider
from flowstone.context.current import use_services
from flowstone.errors import (
    AccessDenied,
    CredentialsError,
    SecretMissing,
    SecretReadOnly,
    SecretStoreError,
)
from flowstone.plugins import get_host
from flowstone.records.redaction import redact
from flowstone.testing.memory import memory_services
from flowstone_testing.conformance.suite import Suite, capability, needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flowstone.context.current import Services

#: Values that must be read back unchanged.
VALUES = (
    b"x",
    "pässwörd — ✓".encode(),
    b'{"user": "me", "password": "a\\"b\\\\c"}',
    b"-----BEGIN KEY-----\nabc\n-----END KEY-----\n",
    b" spaces and\ttabs ",
    b"k" * 4000,
)


class SecretsSuite(Suite):
    """Join with a fixture `provider`: a secret manager, or a part of one, without secrets.

    A read-only provider also needs a fixture `seed`, which creates a secret as its owner would.

    Attributes:
        name: the provider's name in the catalog.
        in_catalog: whether it is listed there; False in the suite's own tests.
        binary: whether it stores bytes that are not UTF-8 text; if not, they are refused.
        versions: whether secrets have versions; if not, asking for one is refused.
        writes: whether secrets can be written and deleted; if not, that is refused.
        prefix: the prefix of the secret names in the tests.
        joint: the character that separates words in secret names, if it can't be an underscore.
        count: number of secrets in the test of many; more than a page of the service's listing.
        values: values that must be read back unchanged.
    """

    kind = "secret_provider"
    interface = SecretProvider
    name: ClassVar[str] = ""
    in_catalog: ClassVar[bool] = True
    binary: ClassVar[bool] = True
    versions: ClassVar[bool] = False
    writes: ClassVar[bool] = True
    prefix: ClassVar[str] = ""
    joint: ClassVar[str] = "_"
    count: ClassVar[int] = 120
    values: ClassVar[tuple[bytes, ...]] = VALUES

    @pytest.fixture
    def provider(self) -> SecretProvider:
        raise NotImplementedError("give the suite a fixture `provider`")

    @pytest.fixture
    def refused(self) -> SecretProvider | None:
        """The same provider with credentials that are refused; None if it has no credentials."""
        return None

    @pytest.fixture
    def seed(self, provider: SecretProvider) -> Callable[[str, bytes], None]:
        """Return a function that creates a secret; by default, through the provider."""
        assert provider.writes, "give the suite a fixture `seed`: this provider only reads"

        def put(name: str, value: bytes) -> None:
            provider.write_secret(name, value)

        return put

    @pytest.fixture(autouse=True)
    def services(self, tmp_path: Path) -> Iterator[Services]:
        current = memory_services(tmp_path / "flowstone-home")
        with use_services(current), closing(current):
            yield current

    def test_what_is_kept_is_read(
        self, provider: SecretProvider, seed: Callable[[str, bytes], None]
    ) -> None:
        """Look for values that are trimmed, quoted, decoded or truncated."""
        for number, value in enumerate(self.values):
            name = f"{self.prefix}kept{number}"
            seed(name, value)
            assert provider.read_secret(name) == value
            assert provider.read(name) == value.decode()

    @needs("writes")
    @capability("binary", SecretStoreError)
    def test_bytes_are_kept_or_refused(self, provider: SecretProvider) -> None:
        """Set `binary` to whether bytes can be stored; if not, `write` raises SecretStoreError."""
        name, value = f"{self.prefix}binary", b"\x00\xff\xfe\x80"
        provider.write_secret(name, value)
        assert provider.read_secret(name) == value
        with pytest.raises(SecretStoreError, match="UTF-8"):
            provider.read(name)

    def test_what_is_not_there_is_missing(self, provider: SecretProvider) -> None:
        """Raise SecretMissing with the name in `read` and `delete`."""
        name = f"{self.prefix}nothing{self.joint}here"
        with pytest.raises(SecretMissing, match=f"nothing{self.joint}here"):
            provider.read_secret(name)
        if self.writes:
            with pytest.raises(SecretMissing, match=f"nothing{self.joint}here"):
                provider.delete_secret(name)
        assert name not in provider.ls(self.prefix)

    @needs("writes")
    def test_writing_again_replaces(self, provider: SecretProvider) -> None:
        """Look at `write`: does it create a second secret, or refuse to replace one?"""
        name = f"{self.prefix}again"
        versions = [provider.write(name, value) for value in ("first value", "second value")]
        assert provider.read(name) == "second value"
        assert provider.ls(name) == [name]
        assert versions == ["", ""] or self.versions

    @needs("writes")
    @capability("versions", SecretStoreError, "no versions")
    def test_each_version_is_read(self, provider: SecretProvider) -> None:
        """Look at the version that `write` returns; set `versions` of the block and the suite."""
        name = f"{self.prefix}versions"
        values = ("first value", "second value")
        versions = [provider.write(name, value) for value in values]
        found = [provider.read(name, version or "1") for version in versions]
        assert found == list(values)

    def test_a_version_that_is_not_there_is_missing(
        self, provider: SecretProvider, seed: Callable[[str, bytes], None]
    ) -> None:
        """Pass the version on in `read`; if there are no versions, leave `versions` False."""
        name = f"{self.prefix}versioned"
        seed(name, b"a value of it")
        error = SecretMissing if provider.versions else SecretStoreError
        with pytest.raises(error, match="versioned"):
            provider.read_secret(name, "999")

    @needs("writes")
    def test_what_is_deleted_is_missing_and_can_be_written_anew(
        self, provider: SecretProvider
    ) -> None:
        """Look at `delete`: some services keep deleted secrets, and their names, for a while."""
        name = f"{self.prefix}deleted"
        provider.write(name, "first value")
        provider.delete_secret(name)
        with pytest.raises(SecretMissing, match="deleted"):
            provider.read(name)
        assert name not in provider.ls(self.prefix)
        provider.write(name, "second value")
        assert provider.read(name) == "second value"

    @capability("writes", SecretReadOnly)
    def test_a_place_that_is_only_read_says_so(self, provider: SecretProvider) -> None:
        """Omit `write` and `delete`, and set `writes` of the block and the suite to False."""
        if not self.writes:
            with pytest.raises(SecretReadOnly):
                provider.delete_secret(f"{self.prefix}x")
        provider.write(f"{self.prefix}x", "a value")

    def test_names_are_listed_by_their_beginning(
        self, provider: SecretProvider, seed: Callable[[str, bytes], None]
    ) -> None:
        """Look at `list_names`: full names, from all pages, and nothing but names."""
        names = [f"{self.prefix}list{self.joint}{number:03}" for number in range(self.count)]
        for name in (*names, f"{self.prefix}other"):
            seed(name, b"value-of-a-listed-one")
        assert provider.ls(f"{self.prefix}list{self.joint}") == names
        assert set(names) < set(provider.ls(self.prefix))
        assert provider.ls(f"{self.prefix}list{self.joint}00") == names[:10]
        assert provider.ls(f"{self.prefix}ist{self.joint}") == []
        assert all(provider.read(name) for name in names[:2])

    def test_a_reference_leads_to_it(
        self,
        provider: SecretProvider,
        seed: Callable[[str, bytes], None],
        services: Services,
    ) -> None:
        """Look at the slug: references name the saved provider by it.

        Args:
            provider: the provider.
            seed: creates a secret.
            services: the services that the provider is saved in.
        """
        name, value = f"{self.prefix}referred", {"user": "me", "password": "s3cr3t-of-me"}
        seed(name, json.dumps(value).encode())
        provider.save("here")
        known = self.name or provider.block_type_slug()
        whole = Secret(value=f"{known}/here:{name}")
        part = Secret(value=f"{known}/here:{name}#password")
        assert json.loads(whole.get()) == value
        assert part.get() == "s3cr3t-of-me"
        part.save("part")
        assert Secret.load("part").get() == "s3cr3t-of-me"
        bodies = [
            json.dumps(dict(found.body)) for found in services.documents.find("", prefix=True)
        ]
        assert not [body for body in bodies if "s3cr3t-of-me" in body]

    def test_secrets_are_known_to_redaction(
        self, provider: SecretProvider, seed: Callable[[str, bytes], None]
    ) -> None:
        """Look for a `read_secret` that the provider defines: it must come from the interface."""
        value = f"canary-{uuid4().hex}"
        seed(f"{self.prefix}canary", value.encode())
        provider.read(f"{self.prefix}canary")
        assert value not in redact(f"found {value}")
        assert value not in repr(provider)

    def test_secrets_are_not_in_errors(
        self, provider: SecretProvider, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Look at the errors of `write` and the logs of the SDK: do they contain the value?"""
        value = f"canary-{uuid4().hex}"
        with caplog.at_level("DEBUG"), pytest.raises((SecretStoreError, AccessDenied)) as caught:
            provider.write("", value)
        told = "".join(format_exception(caught.value))
        assert value not in told
        if provider.writes:
            with caplog.at_level("DEBUG"):
                provider.write(f"{self.prefix}logged", value)
                provider.read(f"{self.prefix}logged")
        assert value not in caplog.text

    def test_a_refused_login_is_told(self, refused: SecretProvider | None) -> None:
        """Translate the service's error into CredentialsError or AccessDenied in `read`."""
        if refused is None:
            return
        with pytest.raises((CredentialsError, AccessDenied)):
            refused.read_secret(f"{self.prefix}any")
        with pytest.raises((CredentialsError, AccessDenied)):
            refused.ls(self.prefix)

    def test_all_fields_are_optional(self, provider: SecretProvider) -> None:
        """Give required fields a default: a reference may name a provider without a saved block."""
        required = [n for n, field in type(provider).model_fields.items() if field.is_required()]
        assert not required

    def test_the_async_twins_do_the_same(
        self, provider: SecretProvider, seed: Callable[[str, bytes], None]
    ) -> None:
        """Look for async versions that the provider defines: they must come from the interface."""
        name = f"{self.prefix}twin"
        seed(name, b"value of twins")
        assert asyncio.run(provider.aread(name)) == "value of twins"
        assert asyncio.run(provider.aread_secret(name)) == b"value of twins"
        assert name in asyncio.run(provider.als(self.prefix))
        if provider.writes:
            asyncio.run(provider.awrite(name, "newer value"))
            assert provider.read(name) == "newer value"
            asyncio.run(provider.adelete_secret(name))
            with pytest.raises(SecretMissing):
                provider.read(name)

    def test_it_is_in_the_catalog(self, provider: SecretProvider) -> None:
        """List it in `secret_providers` of the package's `Collection`, and in its `blocks`."""
        if not self.in_catalog:
            return
        assert get_host().load("secret_provider", self.name) is type(provider)
        assert get_host().load("block", provider.block_type_slug()) is type(provider)
