"""Blocks: typed settings, logins and places that are saved by name and loaded anywhere."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowstone.blocks.base import Block
    from flowstone.blocks.credentials import Check, Credentials
    from flowstone.blocks.database import Database
    from flowstone.blocks.duckdb import DuckDBDatabase
    from flowstone.blocks.email import EmailNotifier, EmailServerCredentials
    from flowstone.blocks.job import Job
    from flowstone.blocks.jobruns import JobRun, JobStatus, Report
    from flowstone.blocks.local import LocalDirectory
    from flowstone.blocks.notifier import Note, Notifier
    from flowstone.blocks.objectstore import ObjectInfo, ObjectStore
    from flowstone.blocks.secret import Secret
    from flowstone.blocks.secretplaces import EnvSecrets, FileSecrets
    from flowstone.blocks.secretprovider import SecretProvider
    from flowstone.blocks.shell import ShellOperation
    from flowstone.blocks.slack import SlackWebhook
    from flowstone.blocks.sqlite import SqliteDatabase
    from flowstone.blocks.variable import Variable
    from flowstone.blocks.webhook import Webhook
    from flowstone.secrets.values import SecretDict

__all__ = [
    "Block",
    "Check",
    "Credentials",
    "Database",
    "DuckDBDatabase",
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

_HOMES = {
    "Block": "base",
    "Check": "credentials",
    "Credentials": "credentials",
    "EmailNotifier": "email",
    "EmailServerCredentials": "email",
    "EnvSecrets": "secretplaces",
    "FileSecrets": "secretplaces",
    "Database": "database",
    "DuckDBDatabase": "duckdb",
    "Job": "job",
    "JobRun": "jobruns",
    "JobStatus": "jobruns",
    "LocalDirectory": "local",
    "Note": "notifier",
    "Notifier": "notifier",
    "ObjectInfo": "objectstore",
    "ObjectStore": "objectstore",
    "Report": "jobruns",
    "Secret": "secret",
    "SecretDict": "masked",
    "SecretProvider": "secretprovider",
    "SqliteDatabase": "sqlite",
    "ShellOperation": "shell",
    "SlackWebhook": "slack",
    "Variable": "variable",
    "Webhook": "webhook",
}


if not TYPE_CHECKING:  # which would take any name for one that is there

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # Lazy: a script that uses one of these need not wait for pydantic to build the others.
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
