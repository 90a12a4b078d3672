"""The tests of this package on the oldest and the newest Great Expectations, by uv."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.check, pytest.mark.slow]

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PACKAGES = (
    "core[arrow,testing]",
    "integrations/duckdb[arrow]",
    "integrations/great-expectations[mysql,postgresql,sqlite]",
    "integrations/sqlalchemy[mysql,postgresql]",
    "integrations/testing[database]",
)
#: Replaces the services of the workspace, whose other requirements are not installed there.
SERVICES = """
import os, pytest

@pytest.fixture
def postgres():
    return os.environ["MATRIX_POSTGRES"]
"""
VERSIONS = {
    "oldest": ["great-expectations==1.7.0", "pandas==2.2.*", "pyarrow==18.*", "numpy==2.0.*"],
    "oldest, with the newest pandas": ["great-expectations==1.7.0", "pandas>=3"],
    "newest": ["great-expectations"],
}


@pytest.mark.parametrize("versions", VERSIONS)
def test_all_tests_pass(versions: str, tmp_path: Path, postgres: str) -> None:
    uv = shutil.which("uv") or str(ROOT / ".tools/bin/uv")
    python = tmp_path / "venv/bin/python"
    own = [f"{ROOT}/{package}" for package in PACKAGES]
    more = ["polars", "pytest>=9"]
    for command in (
        ["venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv")],
        [
            *("pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)),
            *(*own, *more, *VERSIONS[versions]),
        ],
    ):
        subprocess.run([uv, *command], check=True)
    (tmp_path / "matrix_services.py").write_text(SERVICES)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow: long\n    check: rare\n")
    done = subprocess.run(
        [
            *(str(python), "-m", "pytest", "-q", "-x", str(HERE)),
            *("-c", str(tmp_path / "pytest.ini"), "--rootdir", str(HERE.parent)),
            *("--confcutdir", str(HERE), "--import-mode=importlib", "-p", "no:cacheprovider"),
            *("-p", "matrix_services", "-m", "not check", "-k", "not mariadb"),
        ],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "MATRIX_POSTGRES": postgres},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
