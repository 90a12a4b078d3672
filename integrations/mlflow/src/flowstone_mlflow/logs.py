"""Logging from flows and tasks: params, metrics, tags, files and datasets."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowstone import get_run_logger
from flowstone_mlflow.errors import TrackingRefused
from flowstone_mlflow.position import Position, find_position

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone_mlflow.spool import Record

#: MLflow's own limits, in characters.
LONGEST_KEY, LONGEST_PARAM, LONGEST_TAG = 250, 6000, 8000
_warned: set[str] = set()


def log_params(params: Mapping[str, object]) -> None:
    """Log params as text; those longer than MLflow accepts are truncated, with a warning.

    Raises:
        MissingContextError: this is outside of a run.
        TrackingRefused: MLflow does not accept a name.
    """
    _hand_over("log_params()", {"params": _cut("param", params, LONGEST_PARAM)})


def log_metrics(metrics: Mapping[str, float], *, step: int = 0) -> None:
    """Log metrics, with the time of the call; they are sent in batches.

    Args:
        metrics: numbers by name.
        step: the training step that they belong to, such as the epoch.

    Raises:
        MissingContextError: this is outside of a run.
        TrackingRefused: MLflow does not accept a name, or a value is not a number.
    """
    now = int(time.time() * 1000)
    rows = [[_check_key("metric", key), _read_number(key, value), now, int(step)]
            for key, value in metrics.items()]  # fmt: skip
    _hand_over("log_metrics()", {"metrics": rows})


def set_tags(tags: Mapping[str, object]) -> None:
    """Set tags as text; those longer than MLflow accepts are truncated, with a warning.

    Raises:
        MissingContextError: this is outside of a run.
        TrackingRefused: MLflow does not accept a name.
    """
    _hand_over("set_tags()", {"tags": _cut("tag", tags, LONGEST_TAG)})


def log_artifact(local_path: str | Path, artifact_path: str | None = None) -> None:
    """Log a file or a folder as it is now: it is copied, so you may delete it after the call.

    Args:
        local_path: the file or folder.
        artifact_path: the folder among the run's artifacts to put it in.

    Raises:
        FileNotFoundError: there is no such file or folder.
        MissingContextError: this is outside of a run.
    """
    source = Path(local_path).absolute()
    if not source.exists():
        raise FileNotFoundError(f"log_artifact(): there is no {str(source)!r}")
    position = _find("log_artifact()")
    if position is not None:
        name = position.spool.copy_in(source)
        _append(position, {"file": [name, artifact_path]})


def log_dict(dictionary: Mapping[str, Any] | list[Any], artifact_file: str) -> None:
    """Log values as a JSON file, or as a YAML file if its name ends in ``.yaml`` or ``.yml``.

    Args:
        dictionary: a dict or list of JSON values.
        artifact_file: the file's name among the run's artifacts, such as ``config/model.json``.

    Raises:
        MissingContextError: this is outside of a run.
        TrackingRefused: a value can't be written as JSON, or the name is not that of a file.
    """
    folder, _, name = artifact_file.rpartition("/")
    if not name or ".." in folder.split("/") or artifact_file.startswith("/"):
        raise TrackingRefused("log_dict()", f"{artifact_file!r} is not the name of a file",
                              "Pass a relative name, such as 'config/model.json'.")  # fmt: skip
    try:
        content = json.dumps(dictionary, indent=2)
    except (TypeError, ValueError) as error:
        problem = f"{artifact_file!r}: {error}"
        raise TrackingRefused("log_dict()", problem, "Pass JSON values only.") from error
    if name.endswith((".yaml", ".yml")):
        # Installed with MLflow; not needed for JSON.
        import yaml

        content = yaml.safe_dump(json.loads(content), sort_keys=False)
    if (position := _find("log_dict()")) is not None:
        _append(
            position, {"file": [position.spool.write_in(name, content.encode()), folder or None]}
        )


def log_dataset(
    dataset: Any, *, name: str | None = None, context: str | None = None, source: str | None = None
) -> None:
    """Log a dataset that the run uses: its name, digest, schema and size, not its rows.

    Args:
        dataset: a dataset of `mlflow.data`, a pandas or polars DataFrame, or an Arrow table.
        name: the name of the dataset, for a DataFrame or table.
        context: what it is used for, such as ``training``.
        source: where a DataFrame or table comes from, such as a URL.

    Raises:
        MissingContextError: this is outside of a run.
        TrackingRefused: it is not a dataset.
    """
    if (position := _find("log_dataset()")) is None:
        return
    # MLflow computes digest and schema. It takes a second to import, so only if needed.
    from flowstone_mlflow.datasets import describe_dataset

    described = describe_dataset(dataset, name=name, source=source)
    _append(position, {"dataset": [described, context]})


# ---------------------------------------------------------------- the spool


def _hand_over(what: str, record: Record) -> None:
    if (position := _find(what)) is not None:
        _append(position, record)


def _append(position: Position, record: Record) -> None:
    position.spool.append(position.run_id, position.attempt, record)


def _find(what: str) -> Position | None:
    """Return where to log; None, with one warning per run, if the run is not tracked."""
    position = find_position(what)
    if position.is_tracked:
        return position
    if position.root_id not in _warned:
        _warned.add(position.root_id)
        get_run_logger().warning(
            "%s: this run is not tracked in MLflow, so nothing is logged there. Call the flow "
            "inside `with tracking.observe():`, or add `mlflow` to FLOWSTONE_OBSERVERS.",
            what,
        )
    return None


def _cut(kind: str, values: Mapping[str, object], longest: int) -> dict[str, str]:
    texts = {_check_key(kind, key): str(value) for key, value in values.items()}
    for key, text in texts.items():
        if len(text) > longest:
            get_run_logger().warning(
                "the %s %r has %s characters; MLflow accepts %s, so it is truncated. "
                "Use `log_dict` for longer values.",
                kind, key, f"{len(text):,}", f"{longest:,}",
            )  # fmt: skip
            texts[key] = text[:longest]
    return texts


def _check_key(kind: str, key: str) -> str:
    if not 0 < len(key) <= LONGEST_KEY:
        problem = f"{key[:40]!r} is not a name: it needs 1 to {LONGEST_KEY} characters"
        raise TrackingRefused(f"a {kind}", problem, "Use a shorter name.")
    return key


def _read_number(key: str, value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # also numbers of NumPy and others
    except (TypeError, ValueError) as error:
        problem = f"the value of {key!r} is a {type(value).__name__}, not a number"
        raise TrackingRefused("log_metrics()", problem, "Use `log_params` for text.") from error
