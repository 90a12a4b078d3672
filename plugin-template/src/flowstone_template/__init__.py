"""Template for Flowstone: credentials, blocks and tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins import lazy_exports

if TYPE_CHECKING:
    from flowstone_template.credentials import TemplateCredentials

    # % if interface == "database"
    from flowstone_template.database import TemplateDatabase

    # % endif
    # % if interface == "job"
    from flowstone_template.job import TemplateJob

    # % endif
    # % if interface == "notifier"
    from flowstone_template.notifier import TemplateNotifier

    # % endif
    # % if interface == "secrets"
    from flowstone_template.secrets import TemplateSecrets

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
        # % if interface == "job"
        template_run,
        # % endif
        # % if interface == "notifier"
        template_send,
        # % endif
        # % if interface == "store"
        template_upload,
        # % endif
        template_whoami,
    )

__all__ = [
    "TemplateCredentials",
    # % if interface == "database"
    "TemplateDatabase",
    # % endif
    # % if interface == "job"
    "TemplateJob",
    # % endif
    # % if interface == "notifier"
    "TemplateNotifier",
    # % endif
    # % if interface == "secrets"
    "TemplateSecrets",
    # % endif
    # % if interface == "store"
    "TemplateStore",
    "template_list_objects",
    # % endif
    # % if interface == "database"
    "template_query",
    # % endif
    # % if interface == "job"
    "template_run",
    # % endif
    # % if interface == "notifier"
    "template_send",
    # % endif
    # % if interface == "store"
    "template_upload",
    # % endif
    "template_whoami",
]

if not TYPE_CHECKING:
    # Importing the package must not load the SDK.
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".credentials": ("TemplateCredentials",),
            # % if interface == "database"
            ".database": ("TemplateDatabase",),
            # % endif
            # % if interface == "job"
            ".job": ("TemplateJob",),
            # % endif
            # % if interface == "notifier"
            ".notifier": ("TemplateNotifier",),
            # % endif
            # % if interface == "secrets"
            ".secrets": ("TemplateSecrets",),
            # % endif
            # % if interface == "store"
            ".store": ("TemplateStore",),
            # % endif
            ".tasks": [
                # % if interface == "store"
                "template_list_objects",
                # % endif
                # % if interface == "database"
                "template_query",
                # % endif
                # % if interface == "job"
                "template_run",
                # % endif
                # % if interface == "notifier"
                "template_send",
                # % endif
                # % if interface == "store"
                "template_upload",
                # % endif
                "template_whoami",
            ],
        },
    )
