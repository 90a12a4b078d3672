"""Tasks for models: log, register, alias, promote and load them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from flowstone import make_async_twin, task
from flowstone_mlflow.credentials import MlflowTracking
from flowstone_mlflow.errors import (  # noqa: F401 - their docstrings name all
    NotTracked,
    TrackingMissing,
    TrackingRefused,
    TrackingUnavailable,
    translate_errors,
)
from flowstone_mlflow.models import (
    LoggedModel,
    ModelVersion,
    Promotion,
    detect_flavor,
    list_requirements,
    load_flavor,
)
from flowstone_mlflow.position import current_run_id, current_tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient


@task
def mlflow_log_model(
    model: object,
    name: str,
    *,
    flavor: str | None = None,
    registered_model_name: str | None = None,
    pip_requirements: Sequence[str] | Literal["infer"] | None = None,
    run_id: str | None = None,
    tracking: MlflowTracking | None = None,
    options: Mapping[str, object] | None = None,
) -> LoggedModel:
    """Log a model to an MLflow run, and register it if `registered_model_name` is set.

    Args:
        model: the model.
        name: the model's name in the run.
        flavor: MLflow's name for its library, such as ``sklearn``; by default detected from its
            class.
        registered_model_name: the registered model that this becomes a version of.
        pip_requirements: the packages needed to load it; by default, those of the flavor at their
            installed versions. With ``"infer"``, MLflow loads the model in a subprocess to find
            them, which takes 10 to 20 seconds.
        run_id: the MLflow run; by default that of the flow.
        tracking: where the run is tracked; by default as the flow is.
        options: further arguments of MLflow's ``log_model``, such as ``signature``.

    Returns:
        The logged model, with its URI.

    Raises:
        NotTracked: the flow is not tracked, and no run was given.
        TrackingRefused: MLflow can't log the model.
        TrackingUnavailable: the server does not answer.

    Example:
        logged = mlflow_log_model(model, name, run_id=run_id, tracking=tracking)
    """
    tracking, run_id = tracking or current_tracking(), run_id or current_run_id()
    module = load_flavor(flavor or detect_flavor(model))
    # It takes 1 s to import.
    from flowstone_mlflow.fluent import activate, hear

    given: dict[str, object] = {"registered_model_name": registered_model_name, **(options or {})}
    if pip_requirements != "infer":
        given["pip_requirements"] = (
            list_requirements(module) if pip_requirements is None else list(pip_requirements)
        )
    values = {"python_model": model} if module.__name__ == "mlflow.pyfunc" else {}
    positional = () if values else (model,)
    with translate_errors(f"model {name!r}"), activate(tracking, run_id), hear():
        info = module.log_model(*positional, name=name, **values, **given)
    version = info.registered_model_version
    return LoggedModel(info.model_uri, name, run_id, None if version is None else str(version))


@task
def mlflow_register_model(
    model_uri: str,
    name: str,
    *,
    tags: Mapping[str, str] | None = None,
    tracking: MlflowTracking | None = None,
) -> ModelVersion:
    """Register a logged model as a new version.

    Args:
        model_uri: the model: ``models:/m-…``, or ``runs:/<run id>/<name>``.
        name: the registered model; it is created if it does not exist.
        tags: tags of the version.
        tracking: where the registry is; by default where the flow is tracked.

    Raises:
        NotTracked: the flow is not tracked, and no `tracking` was given.
        TrackingMissing: there is no such model.
        TrackingUnavailable: the server does not answer.

    Example:
        version = mlflow_register_model(model_uri, name, tracking=tracking)
    """
    tracking = tracking or current_tracking()
    # It takes 1 s to import.
    import mlflow

    from flowstone_mlflow.fluent import activate, hear

    with translate_errors(f"model {model_uri!r}"), activate(tracking), hear():
        made = mlflow.register_model(model_uri, name, tags=dict(tags) if tags else None)
    return ModelVersion(name, str(made.version))


@task
def mlflow_set_alias(
    name: str, alias: str, version: str | int, *, tracking: MlflowTracking | None = None
) -> Promotion:
    """Point an alias at a version of a registered model.

    Args:
        name: the registered model.
        alias: the alias, such as ``champion``.
        version: the version to point it at.
        tracking: where the registry is; by default where the flow is tracked.

    Returns:
        The current version of the alias, and the previous one.

    Raises:
        NotTracked: the flow is not tracked, and no `tracking` was given.
        TrackingMissing: there is no such model or version.
        TrackingUnavailable: the server does not answer.

    Example:
        mlflow_set_alias(name, alias, version, tracking=tracking)
    """
    return _move_alias((tracking or current_tracking()).client(), name, alias, str(version))


@task
def mlflow_promote_model(
    name: str,
    *,
    from_alias: str = "challenger",
    to_alias: str = "champion",
    tracking: MlflowTracking | None = None,
) -> Promotion:
    """Point an alias at the version of another: the challenger becomes the champion.

    Args:
        name: the registered model.
        from_alias: the alias of the version to promote; it is kept.
        to_alias: the alias that is moved.
        tracking: where the registry is; by default where the flow is tracked.

    Returns:
        The current version of `to_alias`, and the previous one.

    Raises:
        NotTracked: the flow is not tracked, and no `tracking` was given.
        TrackingMissing: there is no such model, or `from_alias` names no version of it.
        TrackingUnavailable: the server does not answer.

    Example:
        mlflow_promote_model(name, from_alias="challenger", tracking=tracking)
    """
    client = (tracking or current_tracking()).client()
    with translate_errors(f"alias {from_alias!r} of model {name!r}"):
        version = client.get_model_version_by_alias(name, from_alias).version
    return _move_alias(client, name, to_alias, str(version))


@task
def mlflow_load_model(
    model_uri: str, *, flavor: str = "pyfunc", tracking: MlflowTracking | None = None
) -> object:
    """Load a model. That may run code from the model, so load only models that you trust.

    Args:
        model_uri: the model: ``models:/<name>@<alias>``, ``models:/<name>/<version>``,
            ``models:/m-…`` or ``runs:/<run id>/<name>``.
        flavor: the flavor to load it as: ``pyfunc``, or its library's, such as ``sklearn``.
        tracking: where it is tracked; by default where the flow is.

    Raises:
        NotTracked: the flow is not tracked, and no `tracking` was given.
        TrackingMissing: there is no such model, version or alias.
        TrackingUnavailable: the server does not answer.

    Example:
        model = mlflow_load_model(model_uri, tracking=tracking)
    """
    tracking, module = tracking or current_tracking(), load_flavor(flavor)
    # It takes 1 s to import.
    from flowstone_mlflow.fluent import activate, hear

    with translate_errors(f"model {model_uri!r}"), activate(tracking), hear():
        loaded: object = module.load_model(model_uri)
    return loaded


amlflow_log_model = make_async_twin(mlflow_log_model)
amlflow_register_model = make_async_twin(mlflow_register_model)
amlflow_set_alias = make_async_twin(mlflow_set_alias)
amlflow_promote_model = make_async_twin(mlflow_promote_model)
amlflow_load_model = make_async_twin(mlflow_load_model)


def _move_alias(client: MlflowClient, name: str, alias: str, version: str) -> Promotion:
    what = f"version {version} of model {name!r}"
    previous = _find_alias(client, name, alias)
    with translate_errors(what):
        client.get_model_version(name, version)
    try:
        with translate_errors(what):
            client.set_registered_model_alias(name, alias, version)
    except TrackingRefused:
        if _find_alias(client, name, alias) is None:
            raise
        # MLflow inserts a new alias. Another process has done so at the same time.
        with translate_errors(what):
            client.set_registered_model_alias(name, alias, version)
    return Promotion(alias, ModelVersion(name, version), previous)


def _find_alias(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """Return the version that an alias points to; None if there is no such alias."""
    try:
        with translate_errors(f"alias {alias!r} of model {name!r}"):
            found = client.get_model_version_by_alias(name, alias)
    except (TrackingMissing, TrackingRefused):  # MLflow has two errors for that
        return None
    return ModelVersion(name, str(found.version))
