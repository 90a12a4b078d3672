"""The ports: small protocols for what the engine needs, which can be implemented in many ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.ports.calls import CallRequest, CurrentRun, PendingRun, RunTransaction
    from flowstone.ports.observers import Observer, Observers
    from flowstone.ports.results import BlobStore, CacheLookup, ResultCache, Serializer
    from flowstone.ports.runners import RemoteCaller, Runner, RunnerSettings
    from flowstone.ports.services import Clock, Sealer, SecretReferences
    from flowstone.ports.stores import DocumentStore, Journal, RunStore, StoreInfo, StoreUpkeep

__all__ = [
    "BlobStore",
    "CacheLookup",
    "CallRequest",
    "Clock",
    "CurrentRun",
    "DocumentStore",
    "Journal",
    "Observer",
    "Observers",
    "PendingRun",
    "RemoteCaller",
    "ResultCache",
    "RunStore",
    "RunTransaction",
    "Runner",
    "RunnerSettings",
    "Sealer",
    "SecretReferences",
    "Serializer",
    "StoreInfo",
    "StoreUpkeep",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".calls": ("CallRequest", "CurrentRun", "PendingRun", "RunTransaction"),
            ".observers": ("Observer", "Observers"),
            ".results": ("BlobStore", "CacheLookup", "ResultCache", "Serializer"),
            ".runners": ("RemoteCaller", "Runner", "RunnerSettings"),
            ".services": ("Clock", "Sealer", "SecretReferences"),
            ".stores": ("DocumentStore", "Journal", "RunStore", "StoreInfo", "StoreUpkeep"),
        },
    )
