"""The interfaces of blocks, under the names that users look for them by."""

from flowstone.blocks.credentials import Credentials as CredentialsBlock
from flowstone.blocks.database import Database as DatabaseBlock
from flowstone.blocks.objectstore import ObjectStore as ObjectStorageBlock

__all__ = ["CredentialsBlock", "DatabaseBlock", "ObjectStorageBlock"]
