"""`flowstone plugin check` on the packages that are made here: every level is full."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# The template's level is found on each change, too: of its wheel, in tests/wheels.
pytestmark = [pytest.mark.slow, pytest.mark.check]
COMMAND = str(Path(sys.executable).with_name("flowstone"))

#: The suites that each package's offers ask for.
SUITES = {
    "flowstone_aws": {
        "PluginSuite",
        "BlockSuite",
        "CredentialsSuite",
        "ObjectStoreSuite",
        "SecretsSuite",
        "TaskSuite",
    },
    "flowstone_azure": {
        "PluginSuite",
        "BlockSuite",
        "CredentialsSuite",
        "ObjectStoreSuite",
        "TaskSuite",
    },
    "flowstone_dbt": {
        "PluginSuite",
        "BlockSuite",
        "CredentialsSuite",
        "JobSuite",
        "TaskSuite",
    },
    "flowstone_dask": {"PluginSuite", "RunnerSuite"},
    "flowstone_duckdb": {"PluginSuite", "BlockSuite", "DatabaseSuite"},
    "flowstone_email": {
        "PluginSuite",
        "BlockSuite",
        "CredentialsSuite",
        "NotifierSuite",
        "TaskSuite",
    },
    "flowstone_gcp": {
        "PluginSuite",
        "BlockSuite",
        "CredentialsSuite",
        "DatabaseSuite",
        "ObjectStoreSuite",
        "TaskSuite",
    },
    "flowstone_mlflow": {
        "PluginSuite",
        "BlockSuite",
        "CredentialsSuite",
        "ObserverSuite",
        "TaskSuite",
    },
    "flowstone_great_expectations": {"PluginSuite", "BlockSuite", "TaskSuite"},
    "flowstone_notify": {"PluginSuite", "BlockSuite", "NotifierSuite"},
    "flowstone_snowflake": {
        "PluginSuite",
        "BlockSuite",
        "CredentialsSuite",
        "DatabaseSuite",
        "TaskSuite",
    },
    "flowstone_sqlalchemy": {"PluginSuite", "BlockSuite", "CredentialsSuite", "DatabaseSuite"},
    "flowstone_ray": {"PluginSuite", "RunnerSuite"},
    "flowstone_slack": {
        "PluginSuite",
        "BlockSuite",
        "CredentialsSuite",
        "NotifierSuite",
        "TaskSuite",
    },
    "flowstone": {
        "PluginSuite",
        "BlockSuite",
        "DatabaseSuite",
        "JobSuite",
        "NotifierSuite",
        "ObjectStoreSuite",
        "ObserverSuite",
        "RunnerSuite",
        "SecretsSuite",
        "TaskSuite",
    },
    "flowstone-template": {
        "PluginSuite",
        "BlockSuite",
        "CredentialsSuite",
        "ObjectStoreSuite",
        "DatabaseSuite",
        "NotifierSuite",
        "TaskSuite",
    },
}
#: Core's own suites run here anyway, next to its tests; that the command finds them takes a minute.
LONG = {"flowstone"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    soak = metafunc.config.getoption("--soak")
    metafunc.parametrize("package", [name for name in SUITES if soak or name not in LONG])


def test_every_level_is_full(package: str) -> None:
    done = subprocess.run(
        [COMMAND, "plugin", "check", package, "--level", "full", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    levels = {suite["suite"]: suite["level"] for suite in report["suites"]}
    assert levels.keys() >= SUITES[package]
    missing = [what for suite in report["suites"] for what in suite["missing"]]
    assert (set(levels.values()), missing, report["problems"]) == ({"full"}, [], [])
    assert (report["level"], done.returncode) == ("full", 0)
