"""MlflowTracking: where runs are tracked, and with which credentials."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from flowstone.blocks import Credentials
from flowstone_mlflow.errors import TrackingUnavailable, refuse_login, translate_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from mlflow import MlflowClient
    from mlflow.utils.rest_utils import MlflowHostCreds

#: The saved block that the observer of ``FLOWSTONE_OBSERVERS`` uses.
BLOCK_VARIABLE = "FLOWSTONE_MLFLOW_BLOCK"
#: MLflow's environment variables for credentials, and the corresponding fields.
VARIABLES = {
    "token": "MLFLOW_TRACKING_TOKEN",
    "username": "MLFLOW_TRACKING_USERNAME",
    "password": "MLFLOW_TRACKING_PASSWORD",
    "ca_file": "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "client_cert_file": "MLFLOW_TRACKING_CLIENT_CERT_PATH",
}
INSECURE = "MLFLOW_TRACKING_INSECURE_TLS"


class MlflowTracking(Credentials):
    """An MLflow server, or a database or folder on this machine, and an experiment there.

    For fields that are not set, MLflow's own environment variables are used, such as
    ``MLFLOW_TRACKING_URI``, ``MLFLOW_TRACKING_TOKEN`` and ``MLFLOW_EXPERIMENT_NAME``.
    """

    _block_type_name: ClassVar[str | None] = "MLflow Tracking"
    _block_type_slug: ClassVar[str | None] = "mlflow-tracking"
    _description: ClassVar[str | None] = "An MLflow server, and the experiment to track runs in."
    _documentation_url: ClassVar[str | None] = "https://mlflow.org/docs/latest/ml/tracking/"
    _code_example: ClassVar[str | None] = (
        "MlflowTracking(\n"
        '    tracking_uri="https://mlflow.acme.com", experiment="churn", token="env:MLFLOW_TOKEN"\n'
        ').save("models")'
    )

    tracking_uri: str | None = Field(
        default=None, description="The server's URL, or a local one such as 'sqlite:///mlflow.db'."
    )
    experiment: str | None = Field(
        default=None, description="The experiment; it is created if it does not exist."
    )
    token: SecretStr | None = Field(default=None, description="A bearer token.")
    username: str | None = Field(
        default=None, description="The user name that the password belongs to."
    )
    password: SecretStr | None = Field(default=None, description="The user's password.")
    verify: bool = Field(default=True, description="Whether to verify the server's certificate.")
    ca_file: Path | None = Field(
        default=None,
        description="A PEM file with the authorities that signed the server's certificate.",
    )
    client_cert_file: Path | None = Field(
        default=None, description="A PEM file with the client's certificate and key."
    )
    artifact_location: str | None = Field(
        default=None,
        description="Where a new experiment stores its artifacts; by default, the server decides, "
        "and a SQLite file uses the folder 'mlruns' beside it.",
    )
    on_retry: Literal["new", "resume"] = Field(
        default="new",
        description="Whether a retry gets its own MLflow run ('new') or continues the previous one "
        "('resume').",
    )
    log_parameters: bool = Field(
        default=True, description="Whether a flow's parameters are logged as params of its run."
    )
    system_metrics: bool = Field(
        default=False,
        description="Whether CPU, memory, disk and network usage are logged with each outermost "
        "flow; needs the extra 'system'.",
    )

    @field_validator("tracking_uri")
    @classmethod
    def _check_uri(cls, value: str | None) -> str | None:
        if value is not None and "@" in value.partition("://")[2].partition("/")[0]:
            raise ValueError(
                "credentials in the URL would not be secret; use `username` and `password`"
            )
        return value

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        if self.token is not None and self.password is not None:
            raise ValueError("set either a token, or a user name and a password")
        return self

    # ------------------------------------------------------------------ settings

    def find_uri(self) -> str:
        """Return the tracking URI: the field, or what MLflow would use."""
        found = self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        found = found or f"sqlite:///{Path('mlflow.db').absolute()}"
        return found.rstrip("/") if self.is_server(found) else found

    def find_experiment(self) -> str:
        """Return the experiment's name: the field, or what MLflow would use."""
        return self.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "Default"

    def pin(self) -> Self:
        """Return a copy whose URI and experiment no longer depend on the environment."""
        named = {"tracking_uri": self.find_uri(), "experiment": self.find_experiment()}
        return self.model_copy(update=named)

    @staticmethod
    def is_server(uri: str) -> bool:
        """Return whether a tracking URI is that of a server."""
        return uri.startswith(("http://", "https://"))

    def make_url(self, experiment_id: str, run_id: str) -> str | None:
        """Return the URL of an MLflow run's page; None without a server."""
        uri = self.find_uri()
        page = f"{uri}/#/experiments/{experiment_id}/runs/{run_id}"
        return page if self.is_server(uri) else None

    def client(self) -> MlflowClient:
        """Return an `MlflowClient` with these credentials; MLflow's global settings don't change.

        Raises:
            CredentialsError: the credentials are incomplete.
            TrackingUnavailable: the database can't be opened.
        """
        # Takes 1 s to import; listing and saving blocks don't need it.
        from flowstone_mlflow.clients import open_client

        uri = self.find_uri()
        self._read_login()
        with translate_errors(f"MLflow at {uri}"):
            return open_client(uri, self._make_login)

    def make_environment(self) -> dict[str, str]:
        """Return the environment variables that make MLflow's functions use these credentials."""
        login = self._read_login()
        found = {VARIABLES[name]: value for name, value in login.items()}
        return found if self.verify else {**found, INSECURE: "true"}

    @contextmanager
    def observe(self, *, required: bool = False) -> Iterator[MlflowTracking]:
        """Track the flows that are called inside the block, each in an MLflow run.

        Args:
            required: whether an unavailable server is an error: at the start of the block, and at
                its end if something could not be sent. Otherwise, unsent data is kept on disk, and
                sent by the next program that tracks to the same place.

        Raises:
            TrackingUnavailable: the server does not answer, and `required` is set.
        """
        # Listing and saving blocks don't need the observer.
        from flowstone_mlflow.trackers import track

        if required and not (check := self.check()).ok:
            raise TrackingUnavailable(
                f"MLflow at {self.find_uri()}", check.reason, "Start it, or don't require it."
            )
        with track(self, required=required):
            yield self

    def _check(self) -> str:
        client, uri = self.client(), self.find_uri()
        with translate_errors(f"MLflow at {uri}"):
            client.get_experiment_by_name(self.find_experiment())
        who = self.username or ("a token" if self.token else "no login")
        return f"MLflow at {uri} with {who}"

    def _make_login(self) -> MlflowHostCreds:
        # Takes 1 s to import, see `client`.
        from mlflow.utils.credentials import get_default_host_creds
        from mlflow.utils.rest_utils import MlflowHostCreds

        login, uri = self._read_login(), self.find_uri()
        if not login and self.verify:
            found: MlflowHostCreds = get_default_host_creds(uri)
            return found
        return MlflowHostCreds(
            uri,
            username=login.get("username"),
            password=login.get("password"),
            token=login.get("token"),
            ignore_tls_verification=not self.verify,
            server_cert_path=login.get("ca_file") if self.verify else None,
            client_cert_path=login.get("client_cert_file"),
        )

    def _read_login(self) -> dict[str, str]:
        """Return the credential fields that are set."""
        if (self.username is None) != (self.password is None):
            raise refuse_login(type(self).__name__, "a user name and a password go together")
        values = {
            "token": self.token and self.token.get_secret_value(),
            "username": self.username,
            "password": self.password and self.password.get_secret_value(),
            "ca_file": self.ca_file and str(self.ca_file.expanduser()),
            "client_cert_file": self.client_cert_file and str(self.client_cert_file.expanduser()),
        }
        return {name: value for name, value in values.items() if value}


def find_chosen_tracking() -> MlflowTracking:
    """Return the tracking that the observer of ``FLOWSTONE_OBSERVERS`` uses."""
    name = os.environ.get(BLOCK_VARIABLE)
    return MlflowTracking.load(name) if name else MlflowTracking()
