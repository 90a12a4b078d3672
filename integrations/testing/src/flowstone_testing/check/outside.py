"""Test classes for a package that has none: the checks that are possible from outside."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from typing import TYPE_CHECKING, Any

import pytest

from flowstone.blocks import Block, Credentials, SecretProvider
from flowstone.errors import PluginError
from flowstone.plugins import get_host
from flowstone_testing.check.inventory import find_plugin
from flowstone_testing.check.samples import NoSample, make_samples
from flowstone_testing.conformance.blocks import BlockSuite
from flowstone_testing.conformance.credentials import CredentialsSuite
from flowstone_testing.conformance.plugins import PluginSuite, normalize_name
from flowstone_testing.conformance.secretprovider import SecretsSuite
from flowstone_testing.conformance.suite import Suite
from flowstone_testing.conformance.tasks import TaskFacts, TaskSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.plugins import Plugin

#: They read files of the package's own tests.
GOLDEN = {
    "test_the_fields_are_those_of_the_version",
    "test_documents_of_every_released_version_load",
}


class AnyName:
    """All names: from outside, known names can't be distinguished, and each may include a unit."""

    def __contains__(self, name: object) -> bool:
        return True


def make_classes(package: str) -> dict[str, type[Suite]]:
    """Return classes for pytest, by name; `made_for` of each names what it tests."""
    plugin = find_plugin(package)
    if plugin is None or plugin.error:
        return {}
    module = plugin.module.partition(".")[0]
    made: list[type[Suite]] = [_make_plugin_suite(plugin, module)]
    for slug, kind in _load_blocks(plugin, "block"):
        made.append(_make_block_suite(slug, kind))
        if issubclass(kind, Credentials):
            made.append(_make_credentials_suite(slug, kind))
    for name, kind in _load_blocks(plugin, "secret_provider"):
        if issubclass(kind, SecretProvider):
            made.append(_make_secrets_suite(name, kind))
    if plugin.collection.tasks:
        made.append(_make_task_suite(plugin))
    return {f"Test{number}": cls for number, cls in enumerate(made)}


def _load_blocks(plugin: Plugin, kind: str) -> Iterator[tuple[str, type[Block]]]:
    for name in plugin.collection.tables()[kind]:
        try:
            found = get_host().load(kind, name)
        except PluginError:
            continue  # PluginSuite reports it
        if isinstance(found, type) and issubclass(found, Block):
            yield name, found


def _make_plugin_suite(plugin: Plugin, module: str) -> type[Suite]:
    facts = {"plugin": plugin.name, "package": module, "sdks": find_sdks(plugin.distribution)}
    return _make_suite(PluginSuite, f"plugin {plugin.name}", facts)


def _make_block_suite(slug: str, kind: type[Block]) -> type[Suite]:
    @pytest.fixture
    def examples(_: object) -> list[Block]:
        try:
            return make_samples(kind)
        except NoSample as error:
            pytest.skip(str(error))

    facts = {"examples": examples, "only": _list_tests(BlockSuite) - GOLDEN}
    return _make_suite(BlockSuite, f"block {slug}", facts)


def _make_credentials_suite(slug: str, kind: type[Credentials]) -> type[Suite]:
    @pytest.fixture
    def good(_: object) -> Credentials:
        return kind()

    facts = {"good": good, "only": {"test_all_fields_are_optional"}}
    return _make_suite(CredentialsSuite, f"login {slug}", facts)


def _make_task_suite(plugin: Plugin) -> type[Suite]:
    facts = {"plugin": plugin.name, "made_on": list(plugin.collection.tasks)}
    more = {"known_names": AnyName(), "only": _list_tests(TaskFacts)}
    return _make_suite(TaskSuite, f"tasks of {plugin.name}", {**facts, **more})


def _make_secrets_suite(name: str, kind: type[SecretProvider]) -> type[Suite]:
    @pytest.fixture
    def provider(_: object) -> SecretProvider:
        return kind()

    only = {"test_all_fields_are_optional", "test_it_is_in_the_catalog"}
    facts = {"provider": provider, "name": name, "only": only}
    return _make_suite(SecretsSuite, f"secret provider {name}", facts)


def _make_suite(suite: type[Suite], made_for: str, facts: dict[str, Any]) -> type[Suite]:
    return type("TestOutside", (suite,), {**facts, "made_for": made_for, "__test__": True})


def _list_tests(suite: type[Suite]) -> set[str]:
    return {name for name in dir(suite) if name.startswith("test")}


def find_sdks(name: str) -> tuple[str, ...]:
    """Return the modules of a package's dependencies that Flowstone doesn't have: its SDKs."""
    wanted = _find_needs(name, extras=True) - _find_all_needs("flowstone")
    homes = packages_distributions().items()
    return tuple(
        sorted(module for module, dists in homes if wanted & {normalize_name(d) for d in dists})
    )


def _find_needs(name: str, *, extras: bool = False) -> set[str]:
    try:
        lines = [line for line in requires(name) or () if extras or "extra ==" not in line]
    except PackageNotFoundError:
        return set()
    return {
        normalize_name(found.group()) for line in lines if (found := re.match(r"[\w.-]+", line))
    }


def _find_all_needs(name: str) -> set[str]:
    found, new = set[str](), {name}
    while new:
        found |= new
        new = {each for known in new for each in _find_needs(known)} - found
    return found
