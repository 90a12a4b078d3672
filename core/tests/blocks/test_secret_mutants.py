"""SecretsSuite bites: a provider with one fault fails the test that is named for it."""

from __future__ import annotations

from textwrap import dedent, indent

import pytest

# Loaded before pytester takes its snapshot of modules, so that there is one of each.
from flowstone_testing.conformance.secretprovider import SecretsSuite

pytestmark = [pytest.mark.slow, pytest.mark.check]  # of the kit, which few changes touch

pytest_plugins = ["pytester"]

SOURCE = """
import logging, pytest
from typing import Any
from flowstone.blocks import EnvSecrets, SecretProvider, SecretStoreProvider
from flowstone.blocks.secret_providers.local import EnvironmentProvider
from flowstone.errors import *
from flowstone_testing.conformance.secretprovider import SecretsSuite

KEPT = {{}}

class VersionedProvider(SecretStoreProvider):
    def __init__(self, shelf): self.shelf = shelf
    where = "the shelf"
    def _kept(self): return KEPT.setdefault(self.shelf, {{}})
    def _found(self, name):
        if name not in self._kept():
            raise SecretMissing("the shelf", f"there is no {{name!r}}", "Put it there.")
        return self._kept()[name]
    def read(self, name, version):
        found = self._found(name)
        number = int(version or len(found))
        if number > len(found):
            raise SecretMissing("the shelf", f"{{name!r}} has no {{number}}", "Name another.")
        return found[number - 1]
    def write(self, name, value):
        self._kept().setdefault(name, []).append(value)
        return str(len(self._kept()[name]))
    def delete(self, name):
        self._found(name)
        del self._kept()[name]
    def list_names(self, prefix):
        return [name for name in self._kept() if name.startswith(prefix)]

class Versioned(SecretProvider):
    versions = True
    shelf: str = ""
    def make_provider(self): return Provider(self.shelf)

class Provider({base}Provider):
    pass
{provider}

class Mutant({block}):
    def make_provider(self): return Provider(getattr(self, "shelf", ""))
{body}

class TestMutant(SecretsSuite):
    in_catalog = {catalog}
    name = {name!r}
    versions, writes = Mutant.versions, Mutant.writes
    prefix = "FLOWSTONE_TEST_"

    @pytest.fixture
    def provider(self, tmp_path):
        options = {{"shelf": str(tmp_path)}} if issubclass(Mutant, Versioned) else {{}}
        return Mutant(**options)

    @pytest.fixture
    def seed(self, provider, monkeypatch):
        if provider.writes:
            return lambda name, value: [provider.write_secret(name, value), None][1]
        return lambda name, value: monkeypatch.setenv(name, value.decode())

    @pytest.fixture
    def refused(self, provider):
        return {refused}
"""

FAULTS = {
    "none": ("Versioned", "", ""),
    "none that reads only": ("EnvSecrets", "", ""),
    "trims": (
        "Versioned",
        "def write(self, name, value): return super().write(name, value.strip())",
        "test_what_is_kept_is_read",
    ),
    "text only": (
        "Versioned",
        "def write(self, n, v): return super().write(n, v.decode('utf-8', 'replace').encode())",
        "test_bytes_are_kept_or_refused",
    ),
    "missing is empty": (
        "Versioned",
        "def _found(self, name): return self._kept().get(name, [b''])",
        "test_what_is_not_there_is_missing",
    ),
    "never replaces": (
        "Versioned",
        "def write(self, n, v): return super().write(n, v) if n not in self._kept() else '1'",
        "test_writing_again_replaces test_the_async_twins_do_the_same",
    ),
    "versions are all the newest": (
        "Versioned",
        "def read(self, name, version): return super().read(name, None)",
        "test_a_version_that_is_not_there_is_missing test_each_version_is_read",
    ),
    "deletes nothing": (
        "Versioned",
        "def delete(self, name): self._found(name)",
        "test_what_is_deleted_is_missing_and_can_be_written_anew",
    ),
    "reads only, and does not say so": (
        "EnvSecrets",
        "def write_secret(self, name, secret_data): return ''",
        "test_a_place_that_is_only_read_says_so",
    ),
    "one page": (
        "Versioned",
        "def list_names(self, prefix): return sorted(super().list_names(prefix))[:100]",
        "test_names_are_listed_by_their_beginning",
    ),
    "lists what has it anywhere": (
        "Versioned",
        "def list_names(self, prefix): return [n for n in self._kept() if prefix[15:] in n]",
        "test_names_are_listed_by_their_beginning",
    ),
    "forgets its fields": (
        "Versioned",
        "@classmethod\ndef load(cls, name): return cls()",
        "test_a_reference_leads_to_it",
    ),
    "a read of its own": (
        "Versioned",
        """
        def write_secret(self, name, value): return self.make_provider().write(name, value)
        def read_secret(self, name, version=None): return self.make_provider().read(name, version)
        """,
        "test_secrets_are_known_to_redaction",
    ),
    "an error that quotes": (
        "Versioned",
        """
        def write_secret(self, name, secret_data):
            if not name:
                raise SecretStoreError("the shelf", f"{secret_data!r} has no name", "Give one.")
            return super().write_secret(name, secret_data)
        """,
        "test_secrets_are_not_in_errors",
    ),
    "a log that quotes": (
        "Versioned",
        """
        def write(self, name, value):
            logging.getLogger("sdk").debug("put %s", value)
            return super().write(name, value)
        """,
        "test_secrets_are_not_in_errors",
    ),
    "a field that is required": (
        "Versioned",
        "key: str",
        "test_all_fields_are_optional",
    ),
    "a twin of its own": (
        "Versioned",
        "async def aread(self, name, version=None): return name",
        "test_the_async_twins_do_the_same",
    ),
    "lets everybody in": (
        "Versioned",
        "",
        "test_a_refused_login_is_told",
    ),
    "not in the catalog": (
        "Versioned",
        "",
        "test_it_is_in_the_catalog",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_secret_providers(pytester: pytest.Pytester, fault: str) -> None:
    base, text, tests = FAULTS[fault]
    written = indent(dedent(text), "    ")
    methods = ("_found", "read", "write", "delete", "list_names")
    is_provider = any(f"def {name}(" in text for name in methods)
    source = SOURCE.format(
        block=base,
        base="Environment" if base == "EnvSecrets" else base,
        provider=written if is_provider else "",
        body="" if is_provider else written,
        catalog=fault == "not in the catalog",
        name="no-such-one" if fault == "not in the catalog" else "",
        refused="provider" if fault == "lets everybody in" else "None",
    )
    pytester.makepyfile(source)
    quiet = ("-p", "no:cacheprovider", "-q", "--timeout=300")
    if not tests:
        assert pytester.runpytest_inprocess(*quiet).parseoutcomes().keys() - {"skipped"} == {
            "passed"
        }
    for test in tests.split():
        outcome = pytester.runpytest_inprocess(*quiet, "-k", test).parseoutcomes()
        assert outcome.get("failed") or outcome.get("errors"), f"{test} does not bite"


def test_each_standard_test_has_a_mutant() -> None:
    bitten = {test for _, _, tests in FAULTS.values() for test in tests.split()}
    assert bitten == {name for name in dir(SecretsSuite) if name.startswith("test_")}
