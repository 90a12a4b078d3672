"""Classes that join the suites for a package which did not: what can be seen from outside."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from typing import TYPE_CHECKING, Any

import pytest

from flowstone.blocks import Block, Credentials, SecretProvider
from flowstone.errors import PluginError
from flowstone.plugins import installed
from flowstone_testing.check.inventory import plugin_of
from flowstone_testing.check.samples import NoSample, samples
from flowstone_testing.conformance.blocks import BlockSuite
from flowstone_testing.conformance.credentials import CredentialsSuite
from flowstone_testing.conformance.plugins import PluginSuite
from flowstone_testing.conformance.secretprovider import SecretsSuite
from flowstone_testing.conformance.suite import Suite
from flowstone_testing.conformance.tasks import TaskFacts, TaskSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.plugins import Plugin

#: They look at files of the package's own tests.
GOLDEN = {
    "test_the_fields_are_those_of_the_version",
    "test_documents_of_every_released_version_load",
}


class AnyName:
    """All names: from outside it is not seen which are known, and each may say its unit."""

    def __contains__(self, name: object) -> bool:
        return True


def classes(package: str) -> dict[str, type[Suite]]:
    """Return classes for pytest, by name; each says in `made_for` what it is of."""
    plugin = plugin_of(package)
    if plugin is None or plugin.error:
        return {}
    module = plugin.module.partition(".")[0]
    made: list[type[Suite]] = [_plugin(plugin, module)]
    for slug, kind in _loaded(plugin, "block"):
        made.append(_block(slug, kind))
        if issubclass(kind, Credentials):
            made.append(_credentials(slug, kind))
    for name, kind in _loaded(plugin, "secret_provider"):
        if issubclass(kind, SecretProvider):
            made.append(_secrets(name, kind))
    if plugin.collection.tasks:
        made.append(_tasks(plugin))
    return {f"Test{number}": cls for number, cls in enumerate(made)}


def _loaded(plugin: Plugin, kind: str) -> Iterator[tuple[str, type[Block]]]:
    for name in plugin.collection.tables()[kind]:
        try:
            found = installed().load(kind, name)
        except PluginError:
            continue  # PluginSuite says so
        if isinstance(found, type) and issubclass(found, Block):
            yield name, found


def _plugin(plugin: Plugin, module: str) -> type[Suite]:
    facts = {"plugin": plugin.name, "package": module, "sdks": heavy(plugin.distribution)}
    return _made(PluginSuite, f"plugin {plugin.name}", facts)


def _block(slug: str, kind: type[Block]) -> type[Suite]:
    @pytest.fixture
    def examples(_: object) -> list[Block]:
        try:
            return samples(kind)
        except NoSample as error:
            pytest.skip(str(error))

    facts = {"examples": examples, "only": _tests(BlockSuite) - GOLDEN}
    return _made(BlockSuite, f"block {slug}", facts)


def _credentials(slug: str, kind: type[Credentials]) -> type[Suite]:
    @pytest.fixture
    def good(_: object) -> Credentials:
        return kind()

    facts = {"good": good, "only": {"test_all_fields_are_optional"}}
    return _made(CredentialsSuite, f"login {slug}", facts)


def _tasks(plugin: Plugin) -> type[Suite]:
    facts = {"plugin": plugin.name, "made_on": list(plugin.collection.tasks)}
    more = {"known_names": AnyName(), "only": _tests(TaskFacts)}
    return _made(TaskSuite, f"tasks of {plugin.name}", {**facts, **more})


def _secrets(name: str, kind: type[SecretProvider]) -> type[Suite]:
    @pytest.fixture
    def provider(_: object) -> SecretProvider:
        return kind()

    only = {"test_all_fields_are_optional", "test_it_is_in_the_catalog"}
    facts = {"provider": provider, "name": name, "only": only}
    return _made(SecretsSuite, f"secret provider {name}", facts)


def _made(suite: type[Suite], made_for: str, facts: dict[str, Any]) -> type[Suite]:
    return type("TestOutside", (suite,), {**facts, "made_for": made_for, "__test__": True})


def _tests(suite: type[Suite]) -> set[str]:
    return {name for name in dir(suite) if name.startswith("test")}


def heavy(name: str) -> tuple[str, ...]:
    """Return the modules of what a package needs and Flowstone does not: its SDKs."""
    wanted = _needs(name, extras=True) - _with_all_it_needs("flowstone")
    homes = packages_distributions().items()
    return tuple(sorted(module for module, dists in homes if wanted & {_plain(d) for d in dists}))


def _needs(name: str, *, extras: bool = False) -> set[str]:
    try:
        lines = [line for line in requires(name) or () if extras or "extra ==" not in line]
    except PackageNotFoundError:
        return set()
    return {_plain(found.group()) for line in lines if (found := re.match(r"[\w.-]+", line))}


def _with_all_it_needs(name: str) -> set[str]:
    found, new = set[str](), {name}
    while new:
        found |= new
        new = {each for known in new for each in _needs(known)} - found
    return found


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
