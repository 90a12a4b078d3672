"""Transactions: a group of tasks whose results are kept together, or undone together."""

from flowstone.locking import IsolationLevel
from flowstone.results.transaction import (
    CommitMode,
    Transaction,
    TransactionState,
    atransaction,
    get_transaction,
    transaction,
)

__all__ = [
    "CommitMode",
    "IsolationLevel",
    "Transaction",
    "TransactionState",
    "atransaction",
    "get_transaction",
    "transaction",
]
