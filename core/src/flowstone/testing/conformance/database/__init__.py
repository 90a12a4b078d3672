"""DatabaseSuite: what every database does, be it SQLite, DuckDB, PostgreSQL or a warehouse."""

from flowstone.testing.conformance.database.base import DatabaseBase
from flowstone.testing.conformance.database.problems import ProblemTests
from flowstone.testing.conformance.database.queries import QueryTests
from flowstone.testing.conformance.database.sharing import SharingTests
from flowstone.testing.conformance.database.stopping import StoppingTests
from flowstone.testing.conformance.database.tables import TableTests
from flowstone.testing.conformance.database.transactions import TransactionTests

__all__ = ["DatabaseBase", "DatabaseSuite"]


class DatabaseSuite(
    QueryTests, TableTests, TransactionTests, ProblemTests, SharingTests, StoppingTests
):
    """Join with a fixture `database`: empty, fresh, closed after.

    See `DatabaseBase` for what can be switched.
    """
