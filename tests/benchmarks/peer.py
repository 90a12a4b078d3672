"""Prefect, as a person would install it: an environment of its own, beside ours."""

from __future__ import annotations

import shutil
import subprocess
import sys

from tests.benchmarks.fresh import ROOT, Library

#: What resolved together on that day, and works.
DAY = "2026-09-15"
PACKAGES = (
    "prefect>=3.8,<3.9",
    "prefect-aws",
    "prefect-dbt",
    "prefect-sqlalchemy",
    "dbt-core>=1.11,<1.12",
    "dbt-duckdb",
    "psycopg[binary]",
    "pyarrow",
)
SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}


def install() -> Library:
    """Make the environment, unless it is there, and return it."""
    place = ROOT / ".cache" / "peer"
    python = place / "bin" / "python"
    ready, made = place / "ready", "\n".join((DAY, *PACKAGES))
    if not ready.exists() or ready.read_text("utf-8") != made:
        uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
        subprocess.run(
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, place], check=True
        )
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python,
             "--exclude-newer", DAY, *PACKAGES],
            check=True,
        )  # fmt: skip
        ready.write_text(made, "utf-8")
    return Library("prefect", str(python), SETTINGS)
