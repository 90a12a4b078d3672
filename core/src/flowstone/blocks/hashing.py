"""Hashes of the values in blocks."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from pydantic import BaseModel

from flowstone.secrets.values import MASKED, Reference
from flowstone.secrets.walk import clear_value


def hash_value(value: object) -> int:
    """Return a hash of any value, including secrets and containers; don't resolve references."""
    if isinstance(value, Reference):
        return hash(value.reference)
    if isinstance(value, MASKED):
        return hash_value(clear_value(value))
    if isinstance(value, BaseModel):
        return hash((type(value), hash_value(value.__dict__)))
    if is_dataclass(value) and not isinstance(value, type):
        return hash_value([getattr(value, each.name) for each in fields(value) if each.compare])
    if isinstance(value, dict):
        return hash(frozenset((key, hash_value(item)) for key, item in value.items()))
    if isinstance(value, (list, tuple)):
        return hash(tuple(map(hash_value, value)))
    if isinstance(value, (set, frozenset)):
        return hash(frozenset(map(hash_value, value)))
    try:
        return hash(value)
    except TypeError:
        return hash(type(value))
