"""dbt Cloud itself, with `--live`.

The login is that of DBT_CLOUD_TOKEN, DBT_CLOUD_ACCOUNT_ID and DBT_CLOUD_HOST_URL;
FLOWSTONE_DBT_CLOUD_JOB is the number of a job that succeeds, and is run.
"""

from __future__ import annotations

import os

import pytest

from flowstone.testing import flowstone_test_harness
from flowstone_dbt import DbtCloudCredentials, DbtCloudJob, DbtCloudJobRunStatus

#: From the start of the process: a fixture hides it from other tests.
LOGIN = {
    name: os.environ[name]
    for name in ("DBT_CLOUD_TOKEN", "DBT_CLOUD_ACCOUNT_ID", "DBT_CLOUD_HOST_URL")
    if name in os.environ
}


def test_dbt_cloud_itself_runs_a_job(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not request.config.getoption("--live"):
        pytest.skip("only with --live: it runs the job of FLOWSTONE_DBT_CLOUD_JOB")
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    job = DbtCloudJob(
        dbt_cloud_credentials=DbtCloudCredentials(),
        job_id=int(os.environ["FLOWSTONE_DBT_CLOUD_JOB"]),
    )
    with flowstone_test_harness():
        check = job.dbt_cloud_credentials.check()
        assert check.ok, check.reason
        run = job.trigger()
        found = run.fetch_result()
        assert found["status"] == DbtCloudJobRunStatus.SUCCESS
        assert any(line.startswith("step 1: ") for line in run.logs())
        ended = job.trigger()
        ended.cancel()
        assert ended.get_status_code() >= DbtCloudJobRunStatus.SUCCESS
