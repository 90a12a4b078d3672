"""DatabaseSuite: the standard tests of all databases: SQLite, PostgreSQL, a warehouse."""

from flowstone_testing.conformance.database.base import DatabaseBase
from flowstone_testing.conformance.database.changes import FileTests, ScriptTests, UpsertTests
from flowstone_testing.conformance.database.problems import ProblemTests
from flowstone_testing.conformance.database.queries import QueryTests
from flowstone_testing.conformance.database.sharing import SharingTests
from flowstone_testing.conformance.database.stopping import StoppingTests
from flowstone_testing.conformance.database.streams import StreamTests
from flowstone_testing.conformance.database.tables import TableTests
from flowstone_testing.conformance.database.transactions import TransactionTests

__all__ = ["DatabaseBase", "DatabaseSuite"]


class DatabaseSuite(
    QueryTests,
    TableTests,
    StreamTests,
    UpsertTests,
    ScriptTests,
    FileTests,
    TransactionTests,
    ProblemTests,
    SharingTests,
    StoppingTests,
):
    """Join with a fixture `database`: empty, new for each test, and closed after it.

    `DatabaseBase` describes the attributes of the suite.
    """
