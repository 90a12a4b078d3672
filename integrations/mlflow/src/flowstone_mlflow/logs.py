"""What runs log: params, metrics, tags, files and data sets, to the MLflow run of their own run."""

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
    """Log params, each as text; what is longer than MLflow takes is cut, with a warning.

    Raises:
        MissingContextError: the code is in no run.
        TrackingRefused: a name is not one that MLflow takes.
    """
    _hand_over("log_params()", {"params": _cut("param", params, LONGEST_PARAM)})


def log_metrics(metrics: Mapping[str, float], *, step: int = 0) -> None:
    """Log metrics, with the time of the call; they are sent in batches.

    Args:
        metrics: numbers by name.
        step: where in a training they belong, such as the epoch.

    Raises:
        MissingContextError: the code is in no run.
        TrackingRefused: a name is not one that MLflow takes, or a value no number.
    """
    now = int(time.time() * 1000)
    rows = [[_check_key("metric", key), _read_number(key, value), now, int(step)]
            for key, value in metrics.items()]  # fmt: skip
    _hand_over("log_metrics()", {"metrics": rows})


def set_tags(tags: Mapping[str, object]) -> None:
    """Set tags, each as text; what is longer than MLflow takes is cut, with a warning.

    Raises:
        MissingContextError: the code is in no run.
        TrackingRefused: a name is not one that MLflow takes.
    """
    _hand_over("set_tags()", {"tags": _cut("tag", tags, LONGEST_TAG)})


def log_artifact(local_path: str | Path, artifact_path: str | None = None) -> None:
    """Log a file or a folder, as it is now: it is copied, and may be deleted after the call.

    Args:
        local_path: the file or folder.
        artifact_path: the folder among the run's artifacts to put it in.

    Raises:
        FileNotFoundError: there is no such file or folder.
        MissingContextError: the code is in no run.
    """
    source = Path(local_path).absolute()
    if not source.exists():
        raise FileNotFoundError(f"log_artifact(): there is no {str(source)!r}")
    position = _find("log_artifact()")
    if position is not None:
        name = position.spool.copy_in(source)
        _append(position, {"file": [name, artifact_path]})


def log_dict(dictionary: Mapping[str, Any] | list[Any], artifact_file: str) -> None:
    """Log values as a file of JSON, or of YAML where its name ends so.

    Args:
        dictionary: JSON values.
        artifact_file: the file's name among the run's artifacts, such as ``config/model.json``.

    Raises:
        MissingContextError: the code is in no run.
        TrackingRefused: a value has no form in JSON, or the name is not that of a file.
    """
    folder, _, name = artifact_file.rpartition("/")
    if not name or ".." in folder.split("/") or artifact_file.startswith("/"):
        raise TrackingRefused("log_dict()", f"{artifact_file!r} is not the name of a file",
                              "Give it a relative name, such as 'config/model.json'.")  # fmt: skip
    try:
        content = json.dumps(dictionary, indent=2)
    except (TypeError, ValueError) as error:
        problem = f"{artifact_file!r}: {error}"
        raise TrackingRefused("log_dict()", problem, "Log values that JSON has.") from error
    if name.endswith((".yaml", ".yml")):
        # Comes with MLflow; JSON needs none of it.
        import yaml

        content = yaml.safe_dump(json.loads(content), sort_keys=False)
    if (position := _find("log_dict()")) is not None:
        _append(
            position, {"file": [position.spool.write_in(name, content.encode()), folder or None]}
        )


def log_dataset(
    dataset: Any, *, name: str | None = None, context: str | None = None, source: str | None = None
) -> None:
    """Log which data the run used: its name, digest, columns and size, not its rows.

    Args:
        dataset: a data set of `mlflow.data`, or a frame of pandas, polars or Arrow.
        name: the data set's name, for a frame.
        context: what it is used for, such as ``training``.
        source: from where the frame comes, such as a URL.

    Raises:
        MissingContextError: the code is in no run.
        TrackingRefused: it is none of those.
    """
    if (position := _find("log_dataset()")) is None:
        return
    # MLflow computes digest and schema; who logs no data sets need not import it.
    from flowstone_mlflow.datasets import describe_dataset

    described = describe_dataset(dataset, name=name, source=source)
    _append(position, {"dataset": [described, context]})


# ---------------------------------------------------------------- handing over


def _hand_over(what: str, record: Record) -> None:
    if (position := _find(what)) is not None:
        _append(position, record)


def _append(position: Position, record: Record) -> None:
    position.spool.append(position.run_id, position.attempt, record)


def _find(what: str) -> Position | None:
    """Return where to; None, with one warning a run, where nobody sends it."""
    position = find_position(what)
    if position.is_tracked:
        return position
    if position.root_id not in _warned:
        _warned.add(position.root_id)
        get_run_logger().warning(
            "%s: nothing tracks this run in MLflow, so what it logs there is left out. Call the "
            "flow inside `with tracking.observe():`, or name `mlflow` in FLOWSTONE_OBSERVERS.",
            what,
        )
    return None


def _cut(kind: str, values: Mapping[str, object], longest: int) -> dict[str, str]:
    texts = {_check_key(kind, key): str(value) for key, value in values.items()}
    for key, text in texts.items():
        if len(text) > longest:
            get_run_logger().warning(
                "the %s %r has %s characters; MLflow takes %s, so the rest is cut. "
                "`log_dict` takes more.",
                kind, key, f"{len(text):,}", f"{longest:,}",
            )  # fmt: skip
            texts[key] = text[:longest]
    return texts


def _check_key(kind: str, key: str) -> str:
    if not 0 < len(key) <= LONGEST_KEY:
        problem = f"{key[:40]!r} is not a name: it needs 1 to {LONGEST_KEY} characters"
        raise TrackingRefused(f"a {kind}", problem, "Give it a shorter name.")
    return key


def _read_number(key: str, value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # numbers of numpy and others, too
    except (TypeError, ValueError) as error:
        problem = f"the value of {key!r} is a {type(value).__name__}, not a number"
        raise TrackingRefused("log_metrics()", problem, "Log texts by `log_params`.") from error
