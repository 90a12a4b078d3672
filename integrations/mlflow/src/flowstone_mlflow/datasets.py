"""Descriptions of datasets in MLflow's format."""

from __future__ import annotations

from typing import Any

from mlflow.data.dataset import Dataset
from mlflow.data.pandas_dataset import from_pandas

from flowstone_mlflow.errors import TrackingRefused, translate_errors


def describe_dataset(
    dataset: Any, *, name: str | None = None, source: str | None = None
) -> dict[str, Any]:
    """Return the description of a dataset or DataFrame as JSON values.

    Args:
        dataset: a dataset of `mlflow.data`, a DataFrame, or an Arrow table.
        name: the name of the dataset, for a DataFrame or table.
        source: where a DataFrame or table comes from, such as a URL.

    Raises:
        TrackingRefused: it is neither.
    """
    if not isinstance(dataset, Dataset):
        given: Any = source  # None is fine, too
        with translate_errors("log_dataset()"):
            dataset = from_pandas(_to_pandas(dataset), source=given, name=name)
    found: dict[str, Any] = dataset.to_dict()
    return {key: value for key, value in found.items() if value is not None}


def _to_pandas(frame: Any) -> Any:
    module = type(frame).__module__.partition(".")[0]
    if module == "pandas":
        return frame
    if module in {"polars", "pyarrow"}:
        return frame.to_pandas()
    raise TrackingRefused(
        "log_dataset()",
        f"{type(frame).__name__} is not a dataset",
        "Pass a dataset of `mlflow.data`, a pandas or polars DataFrame, or an Arrow table.",
    )
