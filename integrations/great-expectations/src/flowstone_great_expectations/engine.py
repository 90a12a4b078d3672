"""Evaluation of expectations on a frame or a table by Great Expectations, without a context.

It uses Great Expectations' engines and validator like `Batch.validate`. No data source is created,
so no result contains a connection string, and validations in several threads share nothing but the
stand-in of `projects`.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from great_expectations.core.batch import Batch
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
from great_expectations.execution_engine.sqlalchemy_batch_data import SqlAlchemyBatchData
from great_expectations.execution_engine.sqlalchemy_execution_engine import (
    SqlAlchemyExecutionEngine,
)
from great_expectations.validator.validator import Validator

from flowstone_great_expectations.projects import stand_in
from flowstone_great_expectations.results import read_results
from flowstone_great_expectations.settings import leave_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from sqlalchemy import Engine

    from flowstone_great_expectations.results import Evaluated
    from flowstone_great_expectations.suites import Expectations

#: For rows of a frame: the numbers of all failing rows.
_ALL_ROWS = {
    "result_format": "COMPLETE",
    "return_unexpected_index_query": False,
}
#: For a table: the same; without a number, only 20 keys would be returned.
_ALL_KEYS = {**_ALL_ROWS, "partial_unexpected_count": 2**31 - 1}
#: For a table without key columns: counts.
_COUNTS = {"result_format": "BASIC"}


class QuietValidator(Validator):
    """A validator that writes no progress bars to the log of a run."""

    def _determine_progress_bars(self) -> bool:
        return False


def evaluate_frame(
    frame: pd.DataFrame,
    expectations: Expectations,
    parameters: Mapping[str, Any],
    *,
    include_values: bool,
) -> list[Evaluated]:
    """Return the result of each expectation on a DataFrame, whose rows are numbered from 0.

    Args:
        frame: the data.
        expectations: in their order.
        parameters: values for ``$PARAMETER`` references, before those of the suite.
        include_values: whether the result may contain row values.
    """
    wanted = {**_ALL_ROWS, "exclude_unexpected_values": not include_values}
    engine = PandasExecutionEngine()
    return _evaluate(engine, Batch(data=frame), expectations, parameters, wanted, include_values)


def evaluate_table(
    database: Engine,
    table: Mapping[str, Any],
    keys: Sequence[str],
    expectations: Expectations,
    parameters: Mapping[str, Any],
    *,
    include_values: bool,
) -> list[Evaluated]:
    """Return the result of each expectation on a table or query, evaluated by the database.

    Args:
        database: SQLAlchemy's engine.
        table: ``table_name`` and ``schema_name``, or ``query``.
        keys: columns that identify failing rows; none for counts only.
        expectations: in their order.
        parameters: values for ``$PARAMETER`` references, before those of the suite.
        include_values: whether the result may contain row values.
    """
    wanted: dict[str, Any] = {**_COUNTS}
    if keys:
        wanted = {**_ALL_KEYS, "unexpected_index_column_names": list(keys)}
    wanted["exclude_unexpected_values"] = not include_values
    with leave_environment():
        engine = SqlAlchemyExecutionEngine(engine=database, create_temp_table=False)
        # Nothing is written, so read permission is enough.
        data: Any = SqlAlchemyBatchData(engine, **table, create_temp_table=False)
        batch = Batch(data=data)
        return _evaluate(engine, batch, expectations, parameters, wanted, include_values)


def _evaluate(
    engine: PandasExecutionEngine | SqlAlchemyExecutionEngine,
    batch: Batch,
    expectations: Expectations,
    parameters: Mapping[str, Any],
    result_format: Mapping[str, Any],
    include_values: bool,
) -> list[Evaluated]:
    with stand_in():
        validator = QuietValidator(execution_engine=engine, batches=[batch])
        configurations = validator.process_expectations_for_validation(
            [deepcopy(each) for each in expectations.configurations],
            {**expectations.parameters, **parameters},
        )
        found = validator.graph_validate(
            configurations, runtime_configuration={"result_format": dict(result_format)}
        )
    return read_results(found, include_values=include_values)
