"""Secrets of saved blocks that this process has not loaded are in no deployment, pool or run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from flowstone import deploy
from flowstone.context.current import services
from flowstone.deployments import add_schedule, run_deployment
from flowstone.deployments.documents import save_deployment
from flowstone.errors import ConfigurationError, ParameterTypeError
from flowstone.infrastructure.variables import check_variables, load_infrastructure
from flowstone.records.runs import RunQuery
from flowstone.records.work_pools import KIND
from flowstone.schedules import Cron
from flowstone.workers import change_work_pool, create_work_pool

from . import flows

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("stepped")


def save_secret(name: str, clear: str, *, form: str = "str") -> None:
    """Save a `Secret` block as another process has done: this one does not know what is in it."""
    content = clear.encode() if form == "bytes" else json.dumps(clear).encode()
    token = services().sealer.seal(content, "block:secret")
    body = {"type": "secret", "schema": 1, "fields": {"value": {"$secret": token, "as": form}}}
    services().documents.put("block:secret", name, body)


def set_variable(value: str) -> None:
    change_work_pool("p", job_variables={"env.TOK": value})


def create_pool(value: str) -> None:
    create_work_pool("q", job_variables={"env": {"TOK": f"Bearer {value}"}})


def deploy_variable(value: str) -> None:
    flows.greet.deploy("y", work_pool_name="p", job_variables={"env.TOK": value})


def run_variable(value: str) -> None:
    run_deployment("x", {"who": "me"}, timeout=0, job_variables={"env.TOK": value})


@pytest.mark.parametrize("save", [set_variable, create_pool, deploy_variable, run_variable])
def test_a_saved_secret_is_no_job_variable(save: Callable[[str], None]) -> None:
    create_work_pool("p")
    flows.greet.deploy("x", work_pool_name="p")
    canary = f"canary-of-{save.__name__}"
    save_secret("s", canary)
    with pytest.raises(ConfigurationError, match=r"would be saved and shown: env\.TOK") as caught:
        save(canary)
    assert canary not in str(caught.value)
    pools = services().documents.find(KIND)
    assert [each.name for each in pools] == ["p"]
    assert canary not in str(pools)


def run_parameter(value: str) -> None:
    run_deployment("x", {"who": value}, timeout=0)


def deploy_parameter(value: str) -> None:
    deploy(flows.greet.to_deployment("y", parameters={"who": value}), work_pool_name="p")


def schedule_parameter(value: str) -> None:
    add_schedule("x", Cron("0 9 * * *", parameters={"who": value}))


@pytest.mark.parametrize("save", [run_parameter, deploy_parameter, schedule_parameter])
def test_a_saved_secret_is_no_parameter(save: Callable[[str], None]) -> None:
    create_work_pool("p")
    save_deployment(flows.greet.to_deployment("x"))
    canary = f"canary-of-{save.__name__}"
    save_secret("s", canary, form="bytes")
    with pytest.raises(ParameterTypeError, match=r"who: it holds a secret\. Save it in a block"):
        save(canary)
    assert services().runs.runs(RunQuery()) == []
    assert canary not in str(services().documents.find("deployment"))


def test_what_is_sealed_with_another_key_does_not_stand_in_the_way() -> None:
    body = {"type": "secret", "schema": 1, "fields": {"value": {"$secret": "fs1.x.y", "as": "str"}}}
    services().documents.put("block:secret", "old", body)
    save_secret("z", "canary-after-another")
    assert create_work_pool("p", job_variables={"env": {"A": "1"}}).job_variables
    with pytest.raises(ConfigurationError, match="would be saved and shown"):
        change_work_pool("p", job_variables={"command": "x canary-after-another"})


@pytest.mark.parametrize(
    "variables",
    [
        {"env.DB_PASSWORD": "x"},
        {"env": {"api_token": "x"}},
        {"env.A": "ghp_0123456789"},
        {"command": "run --key AKIAABCDEFGHIJKLMNOP"},
    ],
)
def test_what_looks_like_a_secret_is_no_job_variable(variables: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="would be saved and shown"):
        create_work_pool("p", job_variables=variables)


def test_names_that_only_contain_such_a_word_are_free() -> None:
    create_work_pool("p", job_variables={"env": {"TOKEN_URL": "x", "SECRETS_DIR": "/a"}})


def test_what_was_saved_before_goes_on() -> None:
    """A worker refuses no pool that was made when this was allowed."""
    check_variables("p", load_infrastructure("process"), {"env": {"DB_PASSWORD": "x"}})
