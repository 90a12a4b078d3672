"""Blocks: typed settings, credentials and storage locations, saved by name and loaded anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.blocks.base import Block
    from flowstone.blocks.credentials import Check, Credentials
    from flowstone.blocks.databases.database import Database
    from flowstone.blocks.databases.sqlite import SqliteDatabase
    from flowstone.blocks.jobs.job import Job
    from flowstone.blocks.jobs.job_run import JobRun
    from flowstone.blocks.jobs.provider import JobProvider, JobStatus, Report
    from flowstone.blocks.jobs.shell import ShellOperation
    from flowstone.blocks.login_cache import LoginCache
    from flowstone.blocks.notifiers.note import Note
    from flowstone.blocks.notifiers.notifier import Notifier
    from flowstone.blocks.notifiers.provider import NotifierProvider
    from flowstone.blocks.notifiers.webhook import Webhook
    from flowstone.blocks.object_stores.local import LocalDirectory
    from flowstone.blocks.object_stores.null import NullFileSystem
    from flowstone.blocks.object_stores.object_store import ObjectStore
    from flowstone.blocks.object_stores.paths import ObjectInfo
    from flowstone.blocks.object_stores.remote import RemoteFileSystem
    from flowstone.blocks.secret_providers.local import EnvSecrets, FileSecrets
    from flowstone.blocks.secret_providers.provider import SecretStoreProvider
    from flowstone.blocks.secret_providers.secret import Secret
    from flowstone.blocks.secret_providers.secret_provider import SecretProvider
    from flowstone.blocks.variable import Variable
    from flowstone.secrets.values import SecretDict

__all__ = [
    "Block",
    "Check",
    "Credentials",
    "Database",
    "EnvSecrets",
    "FileSecrets",
    "Job",
    "JobProvider",
    "JobRun",
    "JobStatus",
    "LocalDirectory",
    "LoginCache",
    "Note",
    "Notifier",
    "NotifierProvider",
    "NullFileSystem",
    "ObjectInfo",
    "ObjectStore",
    "RemoteFileSystem",
    "Report",
    "Secret",
    "SecretDict",
    "SecretProvider",
    "SecretStoreProvider",
    "ShellOperation",
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
            ".jobs.job": ("Job",),
            ".jobs.job_run": ("JobRun",),
            ".jobs.provider": ("JobProvider", "JobStatus", "Report"),
            ".jobs.shell": ("ShellOperation",),
            ".login_cache": ("LoginCache",),
            ".notifiers.note": ("Note",),
            ".notifiers.notifier": ("Notifier",),
            ".notifiers.provider": ("NotifierProvider",),
            ".notifiers.webhook": ("Webhook",),
            ".object_stores.local": ("LocalDirectory",),
            ".object_stores.null": ("NullFileSystem",),
            ".object_stores.object_store": ("ObjectStore",),
            ".object_stores.paths": ("ObjectInfo",),
            ".object_stores.remote": ("RemoteFileSystem",),
            ".secret_providers.local": ("EnvSecrets", "FileSecrets"),
            ".secret_providers.provider": ("SecretStoreProvider",),
            ".secret_providers.secret": ("Secret",),
            ".secret_providers.secret_provider": ("SecretProvider",),
            "flowstone.secrets.values": ("SecretDict",),
            ".variable": ("Variable",),
        },
    )
