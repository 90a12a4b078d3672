"""The host: finds installed plugins, isolates their errors, and loads what they offer."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from traceback import format_exception
from typing import TYPE_CHECKING, Any

import pluggy

from flowstone.errors import MissingExtra, PluginBroken, PluginError, UnknownName
from flowstone.plugins import hookspecs
from flowstone.plugins.collection import Collection, format_kind
from flowstone.plugins.known import find_package_offering
from flowstone.plugins.watchdog import Watchdog
from flowstone.settings import read_plugins_timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from importlib.metadata import EntryPoint

GROUP = "flowstone"
#: The core is a plugin itself, and the first one, so that no other can take one of its names.
CORE = "flowstone"
#: The timeout for loading a plugin, in seconds.
SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Plugin:
    """One installed plugin.

    Attributes:
        error: why it can't be used, or None.
        output: what it printed while it was loaded; it should be nothing.
    """

    name: str
    module: str
    distribution: str
    version: str
    collection: Collection
    error: BaseException | None = None
    output: str = ""

    @property
    def traceback(self) -> str:
        """The traceback of the error; empty if there is none."""
        return "".join(format_exception(self.error)) if self.error else ""

    def make_error(self, problem: str | None = None) -> PluginBroken:
        error = problem or f"{type(self.error).__name__}: {self.error}"
        return PluginBroken(self.name, f"{self.distribution} {self.version}", error)


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer of a plugin: a kind, a name, and a location."""

    kind: str
    name: str
    target: str
    plugin: Plugin


def scan() -> Iterable[EntryPoint]:
    """Return the entry points of all installed plugins, reading only metadata."""
    # Takes about 20 ms; only needed by programs that use plugins.
    from importlib.metadata import entry_points

    return entry_points(group=GROUP)


class Host:
    """Loads plugins once, on first use; safe to use from several threads.

    Each has `seconds` to load; one that hangs counts as broken, like one that raises.
    """

    def __init__(
        self, scan: Callable[[], Iterable[EntryPoint]] = scan, seconds: float = SECONDS
    ) -> None:
        self._scan, self._seconds = scan, seconds
        self._lock = RLock()
        self._plugins: tuple[Plugin, ...] | None = None
        self._offers: dict[tuple[str, str], Offer] = {}

    def plugins(self) -> tuple[Plugin, ...]:
        """Return every installed plugin, including broken ones: the core's first, then by name."""
        with self._lock:
            if self._plugins is None:
                with Watchdog(self._seconds) as watchdog:
                    self._plugins = tuple(self._load(watchdog))
            return self._plugins

    def offers(self, kind: str) -> list[Offer]:
        """Return the offers of a kind by the working plugins, by name, without loading them."""
        self.plugins()
        return sorted(
            (offer for offer in self._offers.values() if offer.kind == kind),
            key=lambda offer: offer.name,
        )

    def offer(self, kind: str, name: str) -> Offer:
        """Return one offer.

        Raises:
            PluginBroken: its plugin could not be loaded.
            UnknownName: no plugin has it.
        """
        plugins = self.plugins()
        if found := self._offers.get((kind, name)):
            return found
        broken = [plugin for plugin in plugins if plugin.error]
        for plugin in broken:
            if name in plugin.collection.tables()[kind] or _mentions(plugin, name):
                raise plugin.make_error() from plugin.error
        names = [offer.name for offer in self.offers(kind)]
        unknown = UnknownName(format_kind(kind), name, names, find_package_offering(kind, name))
        for plugin in broken:
            unknown.add_note(f"It may belong to a broken plugin: {plugin.make_error()}")
        raise unknown

    def load(self, kind: str, name: str) -> Any:
        """Import and return what an offer names.

        Raises:
            MissingExtra: it needs an optional dependency that is not installed.
            PluginBroken: its plugin, or its own module, could not be loaded.
            UnknownName: no plugin has it.
        """
        offer = self.offer(kind, name)
        module, _, attribute = offer.target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            package = module.partition(".")[0]
            extra = offer.plugin.collection.extras.get(name)
            foreign = isinstance(error, ModuleNotFoundError) and error.name
            if extra and foreign and foreign.partition(".")[0] != package:
                raise MissingExtra(f"{format_kind(kind)} {name!r}", extra) from error
            problem = (
                f"{format_kind(kind)} {name!r} can't be loaded: {type(error).__name__}: {error}"
            )
            raise offer.plugin.make_error(problem) from error

    def _load(self, watchdog: Watchdog) -> Iterable[Plugin]:
        manager = _make_manager()
        names: dict[str, str] = {}
        for distribution, version, entry in _sort_by_origin(self._scan()):
            collection, error = Collection(), None
            try:
                _refuse_twin(names, entry.name, distribution)
                collection = watchdog.call(partial(_call_collection, manager, entry))
                self._refuse_clashes(collection, distribution)
            except KeyboardInterrupt:
                raise
            except BaseException as caught:  # noqa: BLE001 - a broken plugin breaks nothing else
                error = caught
                manager = _make_manager()  # a plugin that hangs may still use the other one
            names.setdefault(entry.name, distribution)
            told = watchdog.take_printed()
            plugin = Plugin(entry.name, entry.value, distribution, version, collection, error, told)
            if error is None:
                for kind, table in collection.tables().items():
                    for name, target in table.items():
                        self._offers[kind, name] = Offer(kind, name, target, plugin)
            yield plugin

    def _refuse_clashes(self, collection: Collection, distribution: str) -> None:
        for kind, table in collection.tables().items():
            for name in table:
                if other := self._offers.get((kind, name)):
                    owner = other.plugin.distribution
                    raise PluginError(_describe_clash(kind, name, distribution, owner))


def _make_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    return manager


def _call_collection(manager: pluggy.PluginManager, entry: EntryPoint) -> Collection:
    module = entry.load()
    manager.register(module, entry.name)
    manager.check_pending()
    if not manager.get_hookcallers(module):
        raise PluginError(f"{entry.value} implements no hook: put @hookimpl on `collection`.")
    others = manager.get_plugins() - {module}
    offered = next(iter(manager.subset_hook_caller("collection", others)()), None)
    if not isinstance(offered, Collection):
        found = type(offered).__name__
        raise PluginError(f"{entry.value}.collection() returned {found}: return a Collection.")
    return offered


def _refuse_twin(names: dict[str, str], name: str, distribution: str) -> None:
    if name in names:
        raise PluginError(_describe_clash("plugin", name, distribution, names[name]))


def _describe_clash(kind: str, name: str, claimant: str, owner: str) -> str:
    return (
        f"{format_kind(kind)} {name!r} of {claimant} is offered by {owner} already, "
        "which keeps it. Uninstall one of the two."
    )


def _sort_by_origin(entries: Iterable[EntryPoint]) -> list[tuple[str, str, EntryPoint]]:
    """Return entry points with their distributions and versions: the core's first, then by name."""
    found = [(*_find_origin(entry), entry) for entry in entries]
    return sorted(found, key=lambda each: (each[0] != CORE, each[2].name, each[0]))


def _find_origin(entry: EntryPoint) -> tuple[str, str]:
    if entry.dist is None:
        return entry.module, ""
    metadata = entry.dist.metadata  # parsed again on each access
    return metadata["Name"], metadata["Version"]


def _mentions(plugin: Plugin, name: str) -> bool:
    """Return whether the source of a plugin that can't be loaded has this name in quotes."""
    with suppress(Exception):
        spec = find_spec(plugin.module)
        if spec and spec.origin:
            source = Path(spec.origin).read_text("utf-8", "replace")
            return re.search(rf"""["']{re.escape(name)}["']""", source) is not None
    return False


@cache
def get_host() -> Host:
    """Return the host of this process's installed plugins."""
    return Host(seconds=read_plugins_timeout())


@cache
def get_host_of(package: str) -> Host:
    """Return a host with one package's plugin and the core's own; no other is loaded.

    Args:
        package: the name of its distribution, which need not be installed.
    """
    wanted = {CORE, package}
    return Host(
        lambda: [entry for entry in scan() if _find_origin(entry)[0] in wanted],
        read_plugins_timeout(),
    )
