"""Transactions: commit the results of a group of tasks together, or roll all of them back."""

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
