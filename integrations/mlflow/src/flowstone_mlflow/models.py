"""Flavors of models, and the results of the model tasks."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from flowstone_mlflow.errors import TrackingRefused

#: The flavor of a model by the package that its class, or one of its bases, comes from.
FLAVORS = {
    "catboost": "catboost",
    "keras": "tensorflow",
    "lightgbm": "lightgbm",
    "mlflow": "pyfunc",
    "onnx": "onnx",
    "prophet": "prophet",
    "pyspark": "spark",
    "sentence_transformers": "sentence_transformers",
    "sklearn": "sklearn",
    "spacy": "spacy",
    "statsmodels": "statsmodels",
    "tensorflow": "tensorflow",
    "torch": "pytorch",
    "transformers": "transformers",
    "xgboost": "xgboost",
}


@dataclass(frozen=True)
class LoggedModel:
    """A model that was logged.

    Attributes:
        uri: its URI in MLflow, such as ``models:/m-4f…``.
        name: its name.
        run_id: the MLflow run that it was logged to.
        version: its version in the registry; None if it was not registered.
    """

    uri: str
    name: str
    run_id: str
    version: str | None = None


@dataclass(frozen=True)
class ModelVersion:
    """A version in the registry.

    Attributes:
        name: the registered model.
        version: the number, as text.
    """

    name: str
    version: str

    @property
    def uri(self) -> str:
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True)
class Promotion:
    """An alias that was pointed at a version.

    Attributes:
        alias: the alias.
        current: its current version.
        previous: its previous version; None for a new alias.
    """

    alias: str
    current: ModelVersion
    previous: ModelVersion | None


def detect_flavor(model: object) -> str:
    """Return the flavor of a model.

    Raises:
        TrackingRefused: its library is not known.
    """
    for kind in type(model).__mro__:
        if (found := FLAVORS.get(kind.__module__.partition(".")[0])) is not None:
            return found
    kind = type(model)
    raise TrackingRefused(
        "mlflow_log_model()",
        f"no flavor is known for {kind.__module__}.{kind.__qualname__}",
        "Pass the `flavor`, such as 'pyfunc' for an `mlflow.pyfunc.PythonModel`.",
    )


def find_flavor(name: str) -> str:
    """Return the name of one of MLflow's flavors.

    Raises:
        TrackingRefused: MLflow has no such flavor.
    """
    load_flavor(name)
    return name


def load_flavor(name: str) -> Any:
    """Import one of MLflow's flavors.

    Raises:
        TrackingRefused: MLflow has no such flavor.
    """
    problem = f"MLflow has no flavor {name!r}, or its library is not installed"
    refusal = TrackingRefused("MLflow", problem, "Try 'sklearn' or 'pyfunc'.")
    if not name.isidentifier():
        raise refusal
    try:
        return importlib.import_module(f"mlflow.{name}")
    except ModuleNotFoundError as error:
        raise refusal from error


def list_requirements(flavor: Any) -> list[str] | None:
    """Return a flavor's requirements at the installed versions; None if they are not known."""
    found = getattr(flavor, "get_default_pip_requirements", None)
    return None if found is None else list(found())
