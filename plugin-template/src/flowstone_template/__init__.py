"""Template for Flowstone: a login, what the service brings to flows, and tasks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowstone_template.credentials import TemplateCredentials

    # % if interface == "database"
    from flowstone_template.database import TemplateDatabase

    # % endif
    # % if interface == "notifier"
    from flowstone_template.notifier import TemplateNotifier

    # % endif
    # % if interface == "store"
    from flowstone_template.store import TemplateStore

    # % endif
    from flowstone_template.tasks import (
        # % if interface == "store"
        template_list_objects,
        # % endif
        # % if interface == "database"
        template_query,
        # % endif
        # % if interface == "notifier"
        template_send,
        # % endif
        # % if interface == "store"
        template_upload,
        # % endif
        template_whoami,
    )

_HOMES = {
    "TemplateCredentials": "credentials",
    # % if interface == "database"
    "TemplateDatabase": "database",
    "template_query": "tasks",
    # % endif
    # % if interface == "notifier"
    "TemplateNotifier": "notifier",
    "template_send": "tasks",
    # % endif
    # % if interface == "store"
    "TemplateStore": "store",
    "template_list_objects": "tasks",
    "template_upload": "tasks",
    # % endif
    "template_whoami": "tasks",
}

__all__ = [
    "TemplateCredentials",
    # % if interface == "database"
    "TemplateDatabase",
    # % endif
    # % if interface == "notifier"
    "TemplateNotifier",
    # % endif
    # % if interface == "store"
    "TemplateStore",
    "template_list_objects",
    # % endif
    # % if interface == "database"
    "template_query",
    # % endif
    # % if interface == "notifier"
    "template_send",
    # % endif
    # % if interface == "store"
    "template_upload",
    # % endif
    "template_whoami",
]


if not TYPE_CHECKING:  # which would take any name for one that is there

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # Lazy: to name a package is not to load its SDK.
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
