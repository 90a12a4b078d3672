"""ObjectStoreSuite: the standard tests of all object stores: a directory, S3, GCS, Azure."""

from flowstone_testing.conformance.objectstore.addresses import AddressTests
from flowstone_testing.conformance.objectstore.arrivals import ArrivalTests
from flowstone_testing.conformance.objectstore.base import ObjectStoreBase
from flowstone_testing.conformance.objectstore.folders import FolderTests
from flowstone_testing.conformance.objectstore.objects import ObjectTests
from flowstone_testing.conformance.objectstore.paths import PathTests
from flowstone_testing.conformance.objectstore.syncing import SyncTests
from flowstone_testing.conformance.objectstore.transfers import TransferTests
from flowstone_testing.conformance.objectstore.versions import VersionTests
from flowstone_testing.conformance.objectstore.write_options import WriteOptionTests

__all__ = ["ObjectStoreBase", "ObjectStoreSuite"]


class ObjectStoreSuite(
    PathTests,
    ObjectTests,
    TransferTests,
    FolderTests,
    AddressTests,
    WriteOptionTests,
    VersionTests,
    ArrivalTests,
    SyncTests,
):
    """Join with a fixture `store`, and with `outside` if the block has a folder.

    `ObjectStoreBase` describes them and the attributes of the suite.
    """
