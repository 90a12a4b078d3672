"""Credentials for a real server behind a proxy: token, password, certificates; none leaks."""

from __future__ import annotations

import base64
import json
import pickle
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr, ValidationError
from tests.services.certificates import find_authority
from tests.services.recorder import Recorded, Recorder, serve_recorder

from flowstone import flow
from flowstone.errors import CredentialsError
from flowstone_mlflow import (
    MlflowTracking,
    current_run_id,
    log_artifact,
    log_dict,
    log_metrics,
    log_params,
    mlflow_load_model,
    mlflow_log_model,
    mlflow_task,
)
from flowstone_testing.ports import reserve_closed_port

from .conftest import EXPERIMENT, Place
from .test_models import LABELS, ROWS, fit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator


@contextmanager
def guard(url: str, login: str, secured_by: ssl.SSLContext | None = None) -> Iterator[Recorder]:
    """Run a reverse proxy that requires credentials in front of a server."""
    words = json.dumps({"error_code": "UNAUTHENTICATED", "message": "You are not authenticated."})

    def refuse(request: Recorded) -> Any:
        if request.headers.get("authorization") == login:
            return None
        return (
            401,
            [("Content-Type", "application/json"), ("Content-Length", str(len(words)))],
            (words.encode()),
        )

    with serve_recorder(url, secured_by) as recorder:
        recorder.refuse = refuse
        yield recorder


def make_basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@mlflow_task
def train(depth: int) -> str:
    log_params({"depth": depth})
    log_metrics({"loss": depth})
    return current_run_id()


@flow
def search(file: Path) -> list[str]:
    log_artifact(file)
    log_dict({"rows": 3}, "rows.json")
    logged = mlflow_log_model(fit(), "classifier")
    loaded: Any = mlflow_load_model(logged.uri)
    assert list(loaded.predict(ROWS)) == LABELS
    return [train(depth) for depth in range(2)]


def test_each_login_reaches_runs_files_and_models(mlflow_server: str, tmp_path: Path) -> None:
    file = tmp_path / "report.txt"
    file.write_text("rows")
    token, password = f"canary-{token_hex(8)}", f"canary-{token_hex(8)}"
    authority = find_authority()
    logins: list[tuple[str, dict[str, Any], ssl.SSLContext | None]] = [
        (f"Bearer {token}", {"token": token}, None),
        (make_basic("ada", password), {"username": "ada", "password": password}, None),
        (
            f"Bearer {token}",
            {"token": token, "ca_file": authority.ca},
            authority.make_context(),
        ),
    ]
    for login, fields, secured_by in logins:
        with guard(mlflow_server, login, secured_by) as recorder:
            url = recorder.url.replace("127.0.0.1", "localhost") if secured_by else recorder.url
            name = f"logins-{token_hex(4)}"
            tracking = MlflowTracking(tracking_uri=url, experiment=name, **fields)
            assert tracking.check().ok, tracking.check().reason
            with tracking.observe():
                ids = search(file)
            guarded = Place(tracking)
            (root,) = [run for run in guarded.list_runs() if run.info.run_id not in ids]
            assert guarded.files(root) == ["report.txt", "rows.json"]
            read = guarded.client.download_artifacts(root.info.run_id, "report.txt", str(tmp_path))
            assert Path(read).read_text() == "rows"
            assert all(each.headers["authorization"] == login for each in recorder.take())
        place = Place(MlflowTracking(tracking_uri=mlflow_server, experiment=name))
        (parent,) = [run for run in place.list_runs() if "mlflow.parentRunId" not in run.data.tags]
        assert place.files(parent) == ["report.txt", "rows.json"]
        assert {run.info.run_id for run in place.list_runs()} == {parent.info.run_id, *ids}
        assert {run.info.status for run in place.list_runs()} == {"FINISHED"}


def test_a_certificate_that_nobody_vouches_for_is_refused(mlflow_server: str) -> None:
    authority = find_authority()
    with serve_recorder(mlflow_server, authority.make_context()) as recorder:
        url = recorder.url.replace("127.0.0.1", "localhost")
        check = MlflowTracking(tracking_uri=url).check()
        assert not check.ok
        assert "certificate" in check.reason.lower()
        assert MlflowTracking(tracking_uri=url, ca_file=authority.ca).check().ok


def test_no_secret_is_in_any_output(
    mlflow_server: str, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    canary = f"canary-{token_hex(12)}"
    with guard(mlflow_server, "Bearer other") as recorder:
        refused = MlflowTracking(tracking_uri=recorder.url, experiment="x", token=canary)
        said = [repr(refused), str(refused), refused.model_dump_json(), repr(refused.check())]
        assert not refused.check().ok
        with refused.observe():
            search_briefly()
    spooled = [path for path in _find_home().rglob("*") if path.is_file()]
    assert spooled  # the credentials were refused, so everything is kept
    said += [path.read_bytes().decode("latin-1") for path in spooled]
    assert caplog.text
    assert "does not answer" in caplog.text
    out = capfd.readouterr()
    for text in [*said, caplog.text, out.out, out.err, pickle.dumps(refused).decode("latin-1")]:
        assert canary not in text
        assert base64.b64encode(canary.encode()).decode() not in text


def _find_home() -> Path:
    from flowstone.observers import make_observer_directory

    return make_observer_directory("mlflow")


@flow
def search_briefly() -> None:
    log_params({"depth": 1})


def test_a_link_leads_from_the_flow_run_to_its_mlflow_run(mlflow_server: str) -> None:
    from flowstone.artifacts import Artifact
    from flowstone.context import current
    from flowstone.records.events import ARTIFACT_SAVED, ArtifactVersion

    tracking = MlflowTracking(tracking_uri=mlflow_server, experiment=EXPERIMENT)

    @flow
    def linked() -> str:
        return current_run_id()

    with tracking.observe():
        run_id = linked()
    services = current.services()
    services.journal.flush()
    events = [event for _, event in services.runs.events(kinds=[ARTIFACT_SAVED])]
    (link,) = [e.payload for e in events if isinstance(e.payload, ArtifactVersion)]
    assert link.kind == "link"
    assert link.data["link"].startswith(f"{mlflow_server}/#/experiments/")
    assert link.data["link"].endswith(f"/runs/{run_id}")
    assert Artifact is not None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"tracking_uri": "https://ada:pw@mlflow.acme.com"},
            "credentials in the URL would not be secret",
        ),
        ({"token": "t", "username": "ada", "password": "p"}, "set either a token"),
        ({"on_retry": "sometimes"}, "on_retry"),
    ],
)
def test_bad_fields_are_told(fields: dict[str, Any], words: str) -> None:
    with pytest.raises((ValidationError, ValueError), match=words):
        MlflowTracking(**fields)


def test_half_a_login_is_none() -> None:
    with pytest.raises(CredentialsError, match="go together"):
        MlflowTracking(tracking_uri="http://127.0.0.1:9", username="ada").client()


def test_mlflows_own_variables_are_read(
    mlflow_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = f"canary-{token_hex(8)}"
    with guard(mlflow_server, f"Bearer {token}") as recorder:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", recorder.url)
        assert not MlflowTracking().check().ok
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", token)
        assert MlflowTracking().check().ok
        other = MlflowTracking(token=SecretStr("other"))  # a field overrides the variable
        assert not other.check().ok
        assert reserve_closed_port()
