"""Blocks: typed settings, logins and places that are saved by name and loaded anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.blocks.base import Block
    from flowstone.blocks.credentials import Check, Credentials
    from flowstone.blocks.databases.database import Database
    from flowstone.blocks.databases.sqlite import SqliteDatabase
    from flowstone.blocks.email import EmailNotifier, EmailServerCredentials
    from flowstone.blocks.jobs.job import Job
    from flowstone.blocks.jobs.job_run import JobRun, JobStatus, Report
    from flowstone.blocks.jobs.shell import ShellOperation
    from flowstone.blocks.notifiers.notifier import Note, Notifier
    from flowstone.blocks.notifiers.slack import SlackWebhook
    from flowstone.blocks.notifiers.webhook import Webhook
    from flowstone.blocks.object_stores.local import LocalDirectory
    from flowstone.blocks.object_stores.object_store import ObjectInfo, ObjectStore
    from flowstone.blocks.secret_providers.local import EnvSecrets, FileSecrets
    from flowstone.blocks.secret_providers.provider import SecretProvider
    from flowstone.blocks.secret_providers.secret import Secret
    from flowstone.blocks.variable import Variable
    from flowstone.secrets.values import SecretDict

__all__ = [
    "Block",
    "Check",
    "Credentials",
    "Database",
    "EmailNotifier",
    "EmailServerCredentials",
    "EnvSecrets",
    "FileSecrets",
    "Job",
    "JobRun",
    "JobStatus",
    "LocalDirectory",
    "Note",
    "Notifier",
    "ObjectInfo",
    "ObjectStore",
    "Report",
    "Secret",
    "SecretDict",
    "SecretProvider",
    "ShellOperation",
    "SlackWebhook",
    "SqliteDatabase",
    "Variable",
    "Webhook",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".base": ("Block",),
            ".credentials": ("Check", "Credentials"),
            ".databases.database": ("Database",),
            ".databases.sqlite": ("SqliteDatabase",),
            ".email": ("EmailNotifier", "EmailServerCredentials"),
            ".jobs.job": ("Job",),
            ".jobs.job_run": ("JobRun", "JobStatus", "Report"),
            ".jobs.shell": ("ShellOperation",),
            ".notifiers.notifier": ("Note", "Notifier"),
            ".notifiers.slack": ("SlackWebhook",),
            ".notifiers.webhook": ("Webhook",),
            ".object_stores.local": ("LocalDirectory",),
            ".object_stores.object_store": ("ObjectInfo", "ObjectStore"),
            ".secret_providers.local": ("EnvSecrets", "FileSecrets"),
            ".secret_providers.provider": ("SecretProvider",),
            ".secret_providers.secret": ("Secret",),
            "flowstone.secrets.values": ("SecretDict",),
            ".variable": ("Variable",),
        },
    )
