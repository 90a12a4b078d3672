"""The demo, as `make demo` runs it: twice in one home, on S3 and on a directory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "docs" / "demo" / "demo.py"


def _run(home: Path, *args: str) -> str:
    bin_ = Path(sys.executable).parent
    path = os.pathsep.join([str(bin_), os.environ["PATH"]])
    env = {"PATH": path, "HOME": str(home), "FLOWSTONE_HOME": str(home / "flowstone")}
    done = subprocess.run(
        [sys.executable, "-m", "docs.demo.demo", *args],
        env={**env, "COLUMNS": "80", "PYTHONPATH": str(ROOT)},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("args", [(), ("--local",)], ids=["s3", "local"])
def test_the_demo_runs_again_and_again(tmp_path: Path, args: tuple[str, ...]) -> None:
    first, second = _run(tmp_path, *args), _run(tmp_path, *args)
    for shown in (first, second):
        assert "Nov is the wettest month" in shown
        assert re.search(r"wettest-0 +Completed.*2 attempts", shown)
        assert "not-a-secret" not in shown
        assert max(map(len, shown.splitlines())) <= 80
    kept = b"".join(path.read_bytes() for path in (tmp_path / "flowstone").glob("*.db*"))
    assert b"not-a-secret" not in kept


def test_a_person_could_have_written_it() -> None:
    assert len(DEMO.read_text().splitlines()) <= 120
