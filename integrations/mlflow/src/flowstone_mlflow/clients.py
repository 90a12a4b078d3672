"""MLflow clients with explicit credentials, without global state or environment variables."""

# mypy: disable-error-code="no-untyped-call"
# MLflow's base classes have no types.

from __future__ import annotations

import fcntl
import json
import os
import posixpath
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from mlflow import MlflowClient
from mlflow.entities import FileInfo
from mlflow.protos.service_pb2 import (
    CreateExperiment,
    CreateRun,
    GetExperimentByName,
    GetRun,
    LogBatch,
    LogInputs,
    MlflowService,
    SearchRuns,
    UpdateRun,
)
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
from mlflow.store.model_registry.rest_store import RestStore as RegistryRestStore
from mlflow.store.tracking.rest_store import RestStore
from mlflow.tracking._model_registry.client import ModelRegistryClient
from mlflow.tracking._tracking_service.client import TrackingServiceClient
from mlflow.utils.proto_json_utils import parse_dict
from mlflow.utils.request_utils import augmented_raise_for_status
from mlflow.utils.rest_utils import (
    _REST_API_PATH_PREFIX,
    MlflowHostCreds,
    extract_api_info_for_service,
    http_request,
    verify_rest_response,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow.store.artifact.artifact_repo import ArtifactRepository

#: Calls that are not retried here: the caller decides when to try again, so that no run is created
#: twice, and an unavailable server is noticed at once.
SINGLE = frozenset(
    {
        CreateExperiment, CreateRun, GetExperimentByName, GetRun, LogBatch, LogInputs, SearchRuns,
        UpdateRun,
    }
)  # fmt: skip
#: Timeout of such a call, in seconds.
PATIENCE = 20
_ROUTES = extract_api_info_for_service(MlflowService, _REST_API_PATH_PREFIX)
#: The path of a server's artifacts.
ARTIFACTS = "/mlflow-artifacts/artifacts"
_migration = threading.Lock()


class _TrackingStore(RestStore):
    def _call_endpoint(self, api: Any, json_body: str | None = None, *args: Any, **kw: Any) -> Any:
        if api not in SINGLE or args or kw:
            return super()._call_endpoint(api, json_body, *args, **kw)
        endpoint, method = _ROUTES[api]
        content = {"params" if method == "GET" else "json": json.loads(json_body or "{}")}
        login = self.get_host_creds()
        answer = http_request(login, endpoint, method, max_retries=0, timeout=PATIENCE, **content)
        found = api.Response()
        parse_dict(verify_rest_response(answer, endpoint).json(), found)
        return found


class _Artifacts(HttpArtifactRepository):
    def __init__(self, uri: str, tracking_uri: str, login: Callable[[], MlflowHostCreds]) -> None:
        self._login = login
        super().__init__(MlflowArtifactsRepository.resolve_uri(uri, tracking_uri))

    @property
    def _host_creds(self) -> MlflowHostCreds:
        login = self._login()
        login.host = self.artifact_uri
        return login

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """List artifacts like MLflow, but without the environment's credentials."""
        login = self._login()
        login.host, _, root = self.artifact_uri.partition(ARTIFACTS)
        folder = posixpath.join(root.lstrip("/"), path or "").rstrip("/")
        answer = http_request(login, ARTIFACTS, "GET", params={"path": folder})
        augmented_raise_for_status(answer)
        return sorted(
            (
                FileInfo(
                    posixpath.join(path or "", each["path"]),
                    each["is_dir"],
                    int(each["file_size"]) if "file_size" in each else None,
                )
                for each in answer.json().get("files", [])
            ),
            key=lambda each: str(each.path),
        )


class _TrackingClient(TrackingServiceClient):
    def __init__(self, uri: str, login: Callable[[], MlflowHostCreds]) -> None:
        self._login, self._rest = login, _TrackingStore(login)
        super().__init__(uri)

    @property
    def store(self) -> RestStore:
        return self._rest

    def _log_url(self, run_id: str) -> None:
        """Print nothing: standard output belongs to the program."""

    def _get_artifact_repo(self, resource_id: str, *, resource: str = "run") -> ArtifactRepository:
        if resource == "run":
            location = self.get_run(resource_id).info.artifact_uri
        else:
            location = self.get_logged_model(resource_id).artifact_location
        if urlsplit(location).scheme == "mlflow-artifacts":
            return _Artifacts(location, self.tracking_uri, self._login)
        return get_artifact_repository(location, tracking_uri=self.tracking_uri)

    def list_artifacts(self, run_id: str, path: str | None = None) -> Any:
        return self._get_artifact_repo(run_id).list_artifacts(path)

    def download_artifacts(self, run_id: str, path: str, dst_path: str | None = None) -> Any:
        return self._get_artifact_repo(run_id).download_artifacts(path, dst_path)


class _RegistryClient(ModelRegistryClient):
    def __init__(self, uri: str, login: Callable[[], MlflowHostCreds]) -> None:
        self._rest = RegistryRestStore(login)
        super().__init__(uri, uri)

    @property
    def store(self) -> RegistryRestStore:
        return self._rest


class _Client(MlflowClient):
    """MLflow's client for a server, with explicit credentials."""

    def __init__(self, uri: str, login: Callable[[], MlflowHostCreds]) -> None:
        super().__init__(uri, uri)
        self._tracking_client = _TrackingClient(uri, login)
        self._registry_client_lazy = _RegistryClient(uri, login)


def open_client(uri: str, login: Callable[[], MlflowHostCreds]) -> MlflowClient:
    """Return a client for a server, or for a database or folder on this machine.

    Args:
        uri: where runs are tracked.
        login: returns the server's credentials, for each call.
    """
    if urlsplit(uri).scheme in {"http", "https"}:
        return _Client(uri, login)
    with _lock_migration(uri):
        return MlflowClient(uri, uri)


@contextmanager
def _lock_migration(uri: str) -> Iterator[None]:
    """Let only one process at a time create the tables of a SQLite file."""
    path = find_database(uri)
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with _migration:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if not path.exists():
                _create_database(path)
            yield
    finally:
        os.close(folder)


def _create_database(path: Path) -> None:
    """Create a database with all its tables, or none if this process is killed before the end.

    MLflow can't open a file with incomplete migrations.
    """
    new = path.with_name(f".{path.name}.new")
    for left in path.parent.glob(f"{new.name}*"):  # left by a killed process
        left.unlink()
    # MLflow 3.1 to 3.8 can't import it with SQLAlchemy 2.1; a server does not need it.
    from mlflow.store.db import utils

    engine = utils.create_sqlalchemy_engine(f"sqlite:///{new}")
    try:
        utils._initialize_tables(engine)  # noqa: SLF001 - there is no public way
    finally:
        engine.dispose()
    new.replace(path)


def find_database(uri: str) -> Path | None:
    """Return the SQLite file of a tracking URI; None for any other URI."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(unquote(uri.removeprefix("sqlite:///").partition("?")[0])).absolute()
