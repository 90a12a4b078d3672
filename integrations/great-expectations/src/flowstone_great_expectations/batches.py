"""Batches: the data of one validation, and how its failing rows are separated from the others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from flowstone_great_expectations.errors import ValidationInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowstone_great_expectations.frames import Frame
    from flowstone_great_expectations.results import Evaluated
    from flowstone_great_expectations.suites import Expectations

#: The column of quarantined rows that lists the expectations each of them failed.
REASONS = "failed_expectations"


class SplitRows(NamedTuple):
    """The failing and the passing rows of a batch.

    Attributes:
        failing: the rows that failed, each once, with the expectations that it failed.
        passing: all other rows, in the kind of the input.
    """

    failing: pa.Table
    passing: Any


class DataBatch(ABC):
    """The data of one validation.

    Attributes:
        data: the data in the report, if no rows were quarantined.
        rows: the number of rows; None if only the database knows it.
    """

    data: Any = None
    rows: int | None = None

    @abstractmethod
    def evaluate(
        self, expectations: Expectations, parameters: Mapping[str, Any], *, include_values: bool
    ) -> list[Evaluated]:
        """Return the result of each expectation."""

    @abstractmethod
    def count_failing(self, failed: Sequence[Evaluated]) -> int:
        """Return how many rows failed any of these expectations."""

    @abstractmethod
    def split(self, failed: Sequence[Evaluated]) -> SplitRows:
        """Return the rows that failed any of these expectations, and the others."""


class FrameBatch(DataBatch):
    """A frame in memory."""

    rows: int

    def __init__(self, frame: Frame) -> None:
        self.frame, self.data, self.rows = frame, frame.given, len(frame.data)

    def evaluate(
        self, expectations: Expectations, parameters: Mapping[str, Any], *, include_values: bool
    ) -> list[Evaluated]:
        # Great Expectations takes 3 s to load.
        from flowstone_great_expectations.engine import evaluate_frame

        frame = self.frame.to_pandas()
        return evaluate_frame(frame, expectations, parameters, include_values=include_values)

    def count_failing(self, failed: Sequence[Evaluated]) -> int:
        return int(np.any(self._mark(failed), axis=0).sum()) if failed else 0

    def split(self, failed: Sequence[Evaluated]) -> SplitRows:
        marks = self._mark(failed)
        rows = np.any(marks, axis=0)
        failing = self.frame.to_arrow(rows)
        labels = [each.outcome.label for each in failed]
        return SplitRows(add_reasons(failing, labels, marks[:, rows]), self.frame.filter(~rows))

    def _mark(self, failed: Sequence[Evaluated]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        marks = np.zeros((len(failed), self.rows), dtype=bool)
        for at, each in enumerate(failed):
            marks[at, np.asarray(each.rows, dtype=np.int64)] = True
        return marks


def add_reasons(
    failing: pa.Table, labels: Sequence[str], marks: np.ndarray[Any, np.dtype[np.bool_]]
) -> pa.Table:
    """Return rows with a column that lists the expectations each of them failed.

    Args:
        failing: the rows.
        labels: the labels of the expectations.
        marks: for each label, which of the rows failed it.

    Raises:
        ValidationInvalid: the rows already have a column of that name.
    """
    if REASONS in failing.column_names:
        problem = f"it has a column {REASONS!r}, a name that quarantined rows need"
        raise ValidationInvalid("the data", problem, "Rename it.")
    _, names = np.nonzero(marks.T)
    offsets = np.concatenate([[0], np.cumsum(marks.sum(axis=0))]).astype(np.int32)
    values = pa.array(labels, pa.string()).take(pa.array(names))
    return failing.append_column(REASONS, pa.ListArray.from_arrays(pa.array(offsets), values))
