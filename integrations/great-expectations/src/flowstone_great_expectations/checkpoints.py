"""Checkpoints of the caller's own contexts, run with their actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from great_expectations import Checkpoint
from great_expectations.exceptions.exceptions import DataContextError, GreatExpectationsError

from flowstone.records.redaction import redact
from flowstone_great_expectations.errors import CheckpointFailed
from flowstone_great_expectations.projects import make_current, open_context
from flowstone_great_expectations.results import read_result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from great_expectations.checkpoint.checkpoint import CheckpointResult
    from great_expectations.data_context.data_context.abstract_data_context import (
        AbstractDataContext,
    )

    from flowstone_great_expectations.results import Evaluated


def run_in_context(
    checkpoint: object,
    context: object,
    batch_parameters: Mapping[str, Any],
    expectation_parameters: Mapping[str, Any],
    *,
    include_values: bool,
) -> tuple[str, list[Evaluated]]:
    """Run a checkpoint with its actions; return its name and the result of each expectation.

    Meanwhile its context is the current one of the process, so only one checkpoint runs at a time.

    Args:
        checkpoint: its name in the context, or the checkpoint itself.
        context: the caller's context, or the folder of its project.
        batch_parameters: the batch to use, or the DataFrame.
        expectation_parameters: values for ``$PARAMETER`` references.
        include_values: whether the result may contain row values.

    Raises:
        CheckpointFailed: there is no such checkpoint, or it or one of its actions could not be run.
    """
    opened = open_context(context)
    with make_current(opened):
        found = _find(checkpoint, opened)
        try:
            result = found.run(
                batch_parameters=dict(batch_parameters),
                expectation_parameters=dict(expectation_parameters),
            )
        except Exception as error:
            raise _explain(found.name, error) from error
    return found.name, _read(result, include_values=include_values)


def _find(checkpoint: object, context: AbstractDataContext) -> Checkpoint:
    if isinstance(checkpoint, Checkpoint):
        return checkpoint
    name = str(checkpoint)
    try:
        return context.checkpoints.get(name)
    except (DataContextError, GreatExpectationsError) as error:
        names = ", ".join(sorted(repr(each.name) for each in context.checkpoints.all())) or "none"
        problem = f"it is not in the context, which has: {names}"
        raise CheckpointFailed(name, problem, "Check the name and the context.") from error


def _explain(name: str, error: Exception) -> CheckpointFailed:
    words = redact(" ".join(str(error).partition("[SQL:")[0].split()).rstrip("."))
    problem = f"it could not be run: {type(error).__name__}: {words}"
    return CheckpointFailed(
        name, problem, "Correct its data source, its parameters or its actions."
    )


def _read(result: CheckpointResult, *, include_values: bool) -> list[Evaluated]:
    runs = list(result.run_results.values())
    names = [each.name for each in result.checkpoint_config.validation_definitions]
    if len(names) != len(runs):  # two with the same suite and batch have one result
        names = [each.suite_name for each in runs]
    return [
        read_result(each, include_values=include_values, validation=name if len(runs) > 1 else None)
        for name, run in zip(names, runs, strict=True)
        for each in run.results
    ]
