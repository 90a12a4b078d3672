"""The ports: what the engine needs of the world, as small Protocols that many things can fill."""

from flowstone.ports.calls import Asked, Promise, Staging, Standing
from flowstone.ports.observers import Audience, Observer
from flowstone.ports.results import BlobStore, Keeping, Look, Serializer
from flowstone.ports.runners import Caller, Runner
from flowstone.ports.services import Clock, References, Secrets
from flowstone.ports.stores import DocumentStore, Journal, RunStore

__all__ = [
    "Asked",
    "Audience",
    "BlobStore",
    "Caller",
    "Clock",
    "DocumentStore",
    "Journal",
    "Keeping",
    "Look",
    "Observer",
    "Promise",
    "References",
    "RunStore",
    "Runner",
    "Secrets",
    "Serializer",
    "Staging",
    "Standing",
]
