"""The interfaces of blocks, under their names in Prefect."""

from flowstone.blocks.credentials import Credentials as CredentialsBlock
from flowstone.blocks.databases.database import Database as DatabaseBlock
from flowstone.blocks.jobs.job import Job as JobBlock
from flowstone.blocks.jobs.job_run import JobRun
from flowstone.blocks.notifiers.notifier import Notifier as NotificationBlock
from flowstone.blocks.object_stores.object_store import ObjectStore as ObjectStorageBlock
from flowstone.blocks.secret_providers.secret_provider import SecretProvider as SecretBlock

__all__ = [
    "CredentialsBlock",
    "DatabaseBlock",
    "JobBlock",
    "JobRun",
    "NotificationBlock",
    "ObjectStorageBlock",
    "SecretBlock",
]
