"""The lowest and the newest supported MLflow, each in a separate environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.services.servers import ROOT

PROGRAM = Path(__file__).with_name("versions_program.py")


@pytest.mark.check
@pytest.mark.slow
# MLflow 3.1 requires SQLAlchemy < 3 but does not work with 2.1.
@pytest.mark.parametrize("version", ["==3.1.0 sqlalchemy<2.1", ">=3.17"])
def test_an_environment_of_its_own(version: str, tmp_path: Path) -> None:
    uv = shutil.which("uv") or str(ROOT / ".tools/bin/uv")
    venv = tmp_path / "venv"
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    packages = [str(ROOT / "core"), str(ROOT / "integrations/mlflow")]
    for command in (
        ("venv", "--quiet", "--python", sys.executable, str(venv)),
        (
            "pip",
            "install",
            "--quiet",
            "--python",
            str(python),
            *f"mlflow{version}".split(),
            *packages,
        ),
    ):
        subprocess.run([uv, *command], check=True, cwd=tmp_path)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        "FLOWSTONE_HOME": str(tmp_path / "home"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        [python, PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told.pop("version").startswith("3.1." if "3.1.0" in version else "3.")
    same = {
        "statuses": {"search": "FINISHED", "train": "FINISHED FINISHED FINISHED", "fail": "FAILED"},
        "children": 4,
        "losses": [0.0, 1.0, 2.0],
        "parameters": ["0.5"],
        "files": ["rows.json"],
        "datasets": ["people"],
        "predicted": [0, 0, 1, 1],
        "champion": "1",
        "refused": True,
    }
    assert told == {"sqlite": same, "server": same}
