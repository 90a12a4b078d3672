"""The result caching of a flow or task, from its options and those of the enclosing flow."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from flowstone.locking import IsolationLevel
from flowstone.results.policies import DEFAULT, NO_CACHE, CachePolicy, TaskCall
from flowstone.results.result_store import (
    CacheOptions,
    CallCache,
    ResultFiles,
    ResultLookup,
    open_serializer,
    open_storage,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.context.current import ResultOptions, Scope, Services
    from flowstone.ports import ResultCache
    from flowstone.settings import Settings

#: By flow or task, its resolved options, and the services and options that they were resolved from.
_opened: WeakKeyDictionary[Any, tuple[tuple[Any, ...], CacheOptions]] = WeakKeyDictionary()


def open_cache(
    unit: Any,
    services: Services,
    keeps: ResultOptions,
    run_id: str,
    parent: Scope | None,
    lineage: str,
) -> ResultCache:
    """Return the result cache of one run.

    Args:
        unit: the flow or task.
        services: for the settings, the time and the home.
        keeps: the options for results.
        run_id: the id of the run.
        parent: the parent run.
        lineage: for a flow called by another one, what is the same in each attempt of the latter.
    """
    # A saved storage block has to be loaded.
    caching = partial(_open_options, unit, services, keeps)
    if unit.spec.kind == "flow":
        call = TaskCall(unit, {}, run_id, {}, lineage="" if unit.yields else lineage)
        return FlowResultCache(caching, call, unit.parameters.bind_by_name, run_id)
    owner = None if parent is None else parent.owner
    flow_run = run_id if owner is None else owner.run.id
    arguments, lineage = ({}, "") if owner is None else (_list_arguments(owner), owner.lineage)
    call = TaskCall(unit, {}, flow_run, arguments, lineage=lineage)
    return CallCache(caching, call, unit.parameters.bind_by_name, run_id)


def _list_arguments(owner: Scope) -> dict[str, Any]:
    """Return the arguments of a flow run's call, including `self` for a method."""
    request = getattr(owner, "request", None)  # missing in a worker process of one of its tasks
    held = {} if request is None else request.unit.parameters.held
    return {**held, **owner.arguments} if held else owner.arguments


def _open_options(unit: Any, services: Services, keeps: ResultOptions) -> CacheOptions:
    made_of = (services, *keeps)
    kept = _opened.get(unit)
    if kept is not None and all(a is b for a, b in zip(kept[0], made_of, strict=True)):
        return kept[1]
    spec = unit.spec
    policy = _choose_policy(spec.cache_policy, services.settings)
    storage = keeps.storage if policy.key_storage is None else policy.key_storage
    refresh = spec.refresh_cache
    serializer = open_serializer(keeps.serializer, services)
    store = ResultFiles(open_storage(storage, services), serializer, services)
    caching = CacheOptions(
        policy,
        store,
        spec.cache_expiration,
        services.settings.refresh_cache if refresh is None else refresh,
        spec.result_storage_key,
        policy.isolation_level is IsolationLevel.SERIALIZABLE,
        policy.lock_manager,
    )
    _opened[unit] = made_of, caching
    return caching


def _choose_policy(own: CachePolicy | None, settings: Settings) -> CachePolicy:
    if settings.disable_caching or (own is None and settings.default_no_cache):
        return NO_CACHE
    return DEFAULT if own is None else own


class FlowResultCache(CallCache):
    """Caches the return value of a flow run by the run's id; for a subflow, also by its call.

    The latter is looked up when the parent is executed again, so the subflow's tasks don't run
    again.
    """

    __slots__ = ()

    def look(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], patience: float | None = None
    ) -> ResultLookup:
        whole = ResultLookup(self._run_id, "")
        found = super().look(args, kwargs, patience) if self._call.lineage else None
        if found is None or found.key is None:
            return whole
        return found if found.found else found._replace(told="")
