"""The inventory of a package: what it offers, and which suites it should use."""

from __future__ import annotations

import json
import pkgutil
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import flowstone_testing
from flowstone.errors import PluginError
from flowstone.plugins import Plugin, format_kind, get_host
from flowstone_testing import conformance
from flowstone_testing.conformance.plugins import PluginSuite, normalize_name
from flowstone_testing.conformance.suite import Suite
from flowstone_testing.levels import ExpectedSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone_testing.check.facts import FactLog


def find_plugin(package: str) -> Plugin | None:
    """Return the plugin of a distribution, a module, or a plugin's name; None if there is none."""
    wanted = normalize_name(package)
    found = get_host().plugins()
    for names in (_distribution, _module, _name):
        for plugin in found:
            if normalize_name(names(plugin)) == wanted:
                return plugin
    return None


def take_stock(package: str, facts: FactLog) -> None:
    """Record the facts of a package, and which suites it should use."""
    facts.note_step("loading the installed plugins")
    plugin = find_plugin(package)
    if plugin is None:
        known = sorted({plugin.distribution for plugin in get_host().plugins()})
        facts.note_package(name=package, known=known)
        facts.note_end()
        return
    facts.note_package(
        name=plugin.distribution,
        version=plugin.version,
        plugin=plugin.name,
        tests=[str(path) for path in find_tests(plugin)],
        error=plugin.traceback,
    )
    if not plugin.error:
        for suite in find_suites():
            subjects = list(_subjects(suite, plugin, facts))
            if subjects:
                facts.note_expected(
                    ExpectedSuite(suite.__name__, flowstone_testing.__name__, subjects)
                )
    facts.note_end()


def find_suites() -> list[type[Suite]]:
    """Return the suites that apply to what packages offer, PluginSuite first."""
    for found in pkgutil.walk_packages(conformance.__path__, f"{conformance.__name__}."):
        import_module(found.name)
    every = {
        found
        for found in _iterate_subclasses(Suite)
        if found.kind and found.__name__.endswith("Suite")
    }
    kit = [found for found in every if found.__module__.startswith(conformance.__name__)]
    return [PluginSuite, *sorted(kit, key=lambda found: (found.kind, found.__name__))]


def find_tests(plugin: Plugin) -> list[Path]:
    """Return the tests of a package that is installed from its source tree (editable)."""
    try:
        text = distribution(plugin.distribution).read_text("direct_url.json")
    except PackageNotFoundError:
        return []
    url = urlsplit(json.loads(text)["url"]) if text else None
    if url is None or url.scheme != "file":
        return []
    return sorted((Path(unquote(url.path)) / "tests").rglob("test_conformance.py"))


def _subjects(suite: type[Suite], plugin: Plugin, facts: FactLog) -> Iterator[str]:
    if suite is PluginSuite:
        yield plugin.name
        return
    for name in plugin.collection.tables().get(suite.kind, ()):
        if suite.interface is None:
            yield name
            continue
        facts.note_step(f"importing {format_kind(suite.kind)} {name!r}")
        try:
            found = get_host().load(suite.kind, name)
        except PluginError:
            continue  # PluginSuite reports it
        if isinstance(found, type) and issubclass(found, suite.interface):
            yield name


def _iterate_subclasses(suite: type[Suite]) -> Iterator[type[Suite]]:
    for found in suite.__subclasses__():
        yield found
        yield from _iterate_subclasses(found)


def _distribution(plugin: Plugin) -> str:
    return plugin.distribution


def _module(plugin: Plugin) -> str:
    return plugin.module.partition(".")[0]


def _name(plugin: Plugin) -> str:
    return plugin.name
