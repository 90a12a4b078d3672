"""Template for Flowstone: credentials, an object store, and tasks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowstone_template.credentials import TemplateCredentials
    from flowstone_template.store import TemplateStore
    from flowstone_template.tasks import template_list_objects, template_upload

_HOMES = {
    "TemplateCredentials": "credentials",
    "TemplateStore": "store",
    "template_list_objects": "tasks",
    "template_upload": "tasks",
}

__all__ = ["TemplateCredentials", "TemplateStore", "template_list_objects", "template_upload"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Lazy: to name a package is not to load its SDK.
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
