"""The interfaces of blocks, under the names that users look for them by."""

from flowstone.blocks.credentials import Credentials as CredentialsBlock
from flowstone.blocks.databases.database import Database as DatabaseBlock
from flowstone.blocks.object_stores.object_store import ObjectStore as ObjectStorageBlock

__all__ = ["CredentialsBlock", "DatabaseBlock", "ObjectStorageBlock"]
