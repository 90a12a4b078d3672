"""Requests to dbt Cloud: URLs, retries, and responses."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Literal, cast

import httpx
import pytest
from tests.services.dbt_cloud import ACCOUNT, DbtCloud, Plan

from flowstone.errors import (
    AccessDenied,
    BlockInvalid,
    CredentialsError,
    FlowstoneError,
    JobError,
    JobLost,
    Unreachable,
)
from flowstone_dbt import (
    DbtCloudAdministrativeClient,
    DbtCloudCredentials,
    DbtCloudMetadataClient,
    TriggerJobRunOptions,
)
from flowstone_dbt.cloud.clients import read_artifact, read_data
from flowstone_dbt.cloud.domains import make_metadata_url
from flowstone_dbt.cloud.transport import LONGEST_ASKED, read_retry_after
from flowstone_testing import reserve_closed_port

GET, TRIGGER = r"GET .*/runs/9000/", r"POST .*/run/"


def start_run(cloud: DbtCloud, login: DbtCloudCredentials) -> int:
    with login.get_administrative_client() as client:
        run: int = read_data(client.trigger_job_run(cloud.make_job(Plan())))["id"]
    return run


# ---------------------------------------------------------------- repetition


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 0])
def test_what_changes_nothing_is_repeated(
    status: int, cloud: DbtCloud, login: DbtCloudCredentials, caplog: pytest.LogCaptureFixture
) -> None:
    run = start_run(cloud, login)
    cloud.fail_next(GET, status, times=2)
    with login.get_administrative_client() as client, caplog.at_level(logging.WARNING):
        assert read_data(client.get_run(run))["id"] == run
    assert len(cloud.find_asked(GET)) == 3
    assert caplog.text.count("; retrying in") == 2


def test_repeating_has_an_end(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    run = start_run(cloud, login)
    cloud.fail_next(GET, 503, times=99)
    few = login.model_copy(update={"max_retries": 2})
    with few.get_administrative_client() as client, pytest.raises(Unreachable, match="503"):
        client.get_run(run)
    assert len(cloud.find_asked(GET)) == 3


@pytest.mark.parametrize("status", [429, 503])
def test_a_trigger_is_repeated_where_it_was_refused(
    status: int, cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    cloud.fail_next(TRIGGER, status, times=2)
    start_run(cloud, login)
    assert len(cloud.runs) == 1


@pytest.mark.parametrize("status", [500, 502, 504, 0])
def test_a_trigger_that_may_have_been_done_is_not_repeated(
    status: int, cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    cloud.fail_next(TRIGGER, status, after=True)
    with pytest.raises(Unreachable, match=r"POST /jobs/500/run/.* The request may have succeeded"):
        start_run(cloud, login)
    assert len(cloud.runs) == 1
    assert len(cloud.find_asked(TRIGGER)) == 1


def test_a_deletion_whose_answer_was_lost_is_done(
    cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    job = cloud.make_job()
    cloud.fail_next("DELETE", 502, after=True)
    with login.get_administrative_client() as client:
        client.delete_job(job)
        assert job not in cloud.jobs
        with pytest.raises(JobLost):
            client.delete_job(job)


def test_a_query_of_metadata_is_repeated(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    cloud.fail_next("POST /graphql", 502)
    with login.get_metadata_client() as client:
        assert client.query("{ job { id } }")["data"]["job"]


def test_what_the_service_asks_to_wait_is_read() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=9))
    earlier = format_datetime(datetime.now(UTC) - timedelta(hours=9))
    answers = {"2": 2.0, "0.5": 0.5, later: LONGEST_ASKED, earlier: 0.0, "-1": 0.0, "soon": None}
    for text, seconds in {**answers, "": None}.items():
        assert read_retry_after(httpx.Response(429, headers={"Retry-After": text})) == seconds
    assert read_retry_after(httpx.Response(503)) is None


def test_nobody_listens(login: DbtCloudCredentials) -> None:
    nowhere = f"http://127.0.0.1:{reserve_closed_port()}"
    lost = login.model_copy(update={"domain": nowhere, "max_retries": 1})
    with (
        lost.get_administrative_client() as client,
        pytest.raises(Unreachable, match="can't be reached"),
    ):
        client.trigger_job_run(1)


# ---------------------------------------------------------------- answers


def test_refusals_have_types_and_say_what_to_do(
    cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    cases: list[tuple[dict[str, object], type[FlowstoneError], str]] = [
        (
            {"api_key": "dbtc-a-wrong-token"},
            CredentialsError,
            r"GET / returned 401: Invalid token\. Set `api_key`",
        ),
        ({"api_key": cloud.unprivileged}, AccessDenied, "does not have permission"),
        ({"account_id": 1}, JobLost, "404: The requested resource was not found"),
    ]
    for changes, kind, words in cases:
        other = login.model_copy(update=changes)
        with other.get_administrative_client() as client, pytest.raises(kind, match=words):
            client.get_account()
    with (
        login.get_administrative_client() as client,
        pytest.raises(JobError, match="400: This field is required"),
    ):
        client.call_endpoint("POST", "/jobs/", json={"name": "half"})


def test_another_server_at_that_address_is_told(
    cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    cloud.fail_next("GET", 200)
    with (
        login.get_administrative_client() as client,
        pytest.raises(JobError, match="not a JSON object"),
    ):
        read_data(client.get_account())
    cloud.fail_next("GET", 302, headers={"Location": "https://example.org/"})
    with login.get_administrative_client() as client, pytest.raises(JobError, match="302"):
        client.get_account()


def test_an_account_is_named_by_a_check(login: DbtCloudCredentials) -> None:
    assert login.check().reason == f"account 'Acme Analytics' ({ACCOUNT}) at {login.domain}"


def test_metadata_is_what_the_query_asks_for(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    query = "query ($jobId: BigInt!) { job(id: $jobId) { models { uniqueId status } } }"
    with login.get_metadata_client() as client:
        found = client.query(query, {"jobId": 500})
        assert found["data"]["job"]["models"][0]["uniqueId"] == "model.shop.orders"
        assert cloud.find_asked("POST /graphql")[-1]["variables"] == {"jobId": 500}
        with pytest.raises(JobError, match='Cannot query field "nonsense"'):
            client.query("{ nonsense }")


# ---------------------------------------------------------------- the clients


def test_a_job_is_made_read_and_deleted(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    with login.get_administrative_client() as client:
        job = read_data(client.create_job(1, 2, "nightly", ["dbt seed"], generate_docs=True))
        assert read_data(client.get_job(job["id"], order_by="-id"))["name"] == "nightly"
        client.delete_job(job["id"])
    (body,) = cloud.find_asked(r"POST .*/jobs/$")
    assert body["execute_steps"] == ["dbt seed"]
    assert body["generate_docs"] is True
    assert body["triggers"] == {
        "github_webhook": False,
        "git_provider_webhook": False,
        "schedule": False,
    }


def test_artifacts_are_found_by_run_step_and_job(
    cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    results = {"dbt seed": [("seed.shop.raw", "success", "")], "dbt run": []}
    job = cloud.make_job(Plan(results), steps=["dbt seed", "dbt run"])
    with login.get_administrative_client() as client:
        run = read_data(client.trigger_job_run(job))["id"]
        while read_data(client.get_run(run))["status"] < 10:
            pass
        assert read_data(client.list_run_artifacts(run, step=1)) == []
        assert read_data(client.list_run_artifacts(run)) == ["manifest.json", "run_results.json"]
        seeded = read_artifact(client.get_run_artifact(run, "run_results.json", step=4))
        assert isinstance(seeded, dict)
        assert seeded["results"][0]["unique_id"] == "seed.shop.raw"
        assert read_artifact(client.get_job_artifact(job, "manifest.json")) == {}
        with pytest.raises(JobLost):
            client.get_run_artifact(run, "a name/with ümlauts.json")
    assert cloud.asked[-1][1].endswith("/artifacts/a%20name/with%20%C3%BCmlauts.json")


def test_twins_and_async_blocks(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    async def use() -> None:
        async with login.get_administrative_client() as client:
            job = read_data(await client.acreate_job(1, 2, "nightly", job_type="other"))
            run = read_data(await client.atrigger_job_run(job["id"]))
            assert read_data(await client.aget_run(run["id"]))["id"] == run["id"]
            await client.acancel_run(run["id"])
            await client.adelete_job(job["id"])
            assert read_data(await client.acall_endpoint("get", "projects/"))[0]["name"] == "Shop"
        async with login.get_metadata_client() as metadata:
            assert await metadata.aquery("{ job { id } }")

    asyncio.run(use())


def test_options_go_into_the_body(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    options = TriggerJobRunOptions(git_sha="abc", threads_override=8, steps_override=["dbt run"])
    with login.get_administrative_client() as client:
        client.trigger_job_run(cloud.make_job(), options)
    assert cloud.find_asked(TRIGGER) == [
        {
            "cause": "Triggered by Flowstone",
            "git_sha": "abc",
            "threads_override": 8,
            "steps_override": ["dbt run"],
        }
    ]


# ---------------------------------------------------------------- the credentials


def test_domains_become_urls() -> None:
    for given, kept in {
        " cloud.getdbt.com ": "cloud.getdbt.com",
        "https://ab123.us1.dbt.com/api/v2": "ab123.us1.dbt.com",
        "http://localhost:8000/": "http://localhost:8000",
    }.items():
        assert DbtCloudCredentials(domain=given).domain == kept
    for wrong in ("", "https://", "http://cloud.getdbt.com", "https://a:b@cloud.getdbt.com", "a b"):
        with pytest.raises(BlockInvalid, match="domain"):
            DbtCloudCredentials(domain=wrong)


def test_the_discovery_api_is_beside_the_domain() -> None:
    for domain, url in {
        "cloud.getdbt.com": "https://metadata.cloud.getdbt.com/graphql",
        "emea.dbt.com": "https://metadata.emea.dbt.com/graphql",
        "ab123.us1.dbt.com": "https://ab123.metadata.us1.dbt.com/graphql",
        "dbt.acme.example": "https://metadata.dbt.acme.example/graphql",
    }.items():
        assert make_metadata_url(domain) == url
    named = DbtCloudCredentials(api_key="a" * 20, metadata_domain="graph.acme.example")
    with named.get_metadata_client() as client:
        assert client.where.endswith("https://graph.acme.example/graphql")


def test_the_environment_has_a_login(cloud: DbtCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CredentialsError, match="`api_key` is not set"):
        DbtCloudCredentials().get_administrative_client()
    monkeypatch.setenv("DBT_CLOUD_TOKEN", cloud.token)
    with pytest.raises(CredentialsError, match="`account_id` is not set"):
        DbtCloudCredentials().get_administrative_client()
    monkeypatch.setenv("DBT_CLOUD_ACCOUNT_ID", str(ACCOUNT))
    monkeypatch.setenv("DBT_CLOUD_HOST_URL", f"{cloud.url}/api")
    assert DbtCloudCredentials().check().ok
    # A token of the block is never sent to a host from the environment.
    with DbtCloudCredentials(api_key="a" * 20, account_id=1).client() as client:
        assert client.where == "dbt Cloud account 1 at cloud.getdbt.com"
    monkeypatch.setenv("DBT_CLOUD_HOST_URL", "http://cloud.getdbt.com/api")
    with pytest.raises(CredentialsError, match="unencrypted"):
        DbtCloudCredentials().get_administrative_client()


def test_clients_are_had_by_name(login: DbtCloudCredentials) -> None:
    kinds = {"administrative": DbtCloudAdministrativeClient, "metadata": DbtCloudMetadataClient}
    with login.get_client("administrative") as first, login.get_client("metadata") as second:
        assert [type(first), type(second)] == [*kinds.values()]
    with pytest.raises(CredentialsError, match="Ask for 'administrative' or 'metadata'"):
        login.get_client(cast(Literal["metadata"], "semantic"))
