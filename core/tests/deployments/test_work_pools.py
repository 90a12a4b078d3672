"""Work pools as they are saved, and what is checked when something is deployed to one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flowstone import deploy
from flowstone.deployments import ConcurrencyLimitConfig, run_deployment, serve
from flowstone.deployments.documents import delete_deployment, load_deployment, save_deployment
from flowstone.deployments.presence import Presence
from flowstone.deployments.waits import find_wait_reasons
from flowstone.errors import (
    ConfigurationError,
    InvalidName,
    ObjectAlreadyExists,
    ObjectNotFound,
    UnknownName,
)
from flowstone.infrastructure.variables import merge_variables
from flowstone.infrastructure.work_pools import load_work_pool
from flowstone.records.documents import Document
from flowstone.records.events import make_change_event
from flowstone.records.limits import KIND, WORKING, Limit, check_limit
from flowstone.records.redaction import register
from flowstone.records.states import AwaitingConcurrencySlot
from flowstone.records.work_pools import WorkPool, WorkQueue, encode_work_pool, read_work_pool
from flowstone.workers import (
    change_work_pool,
    create_work_pool,
    delete_work_pool,
    delete_work_queue,
    set_work_queue,
)

from . import flows

if TYPE_CHECKING:
    from flowstone.context.current import Services
    from flowstone_testing.conformance.clock import SteppedClock

pytestmark = pytest.mark.usefixtures("stepped")


def list_limits(services: Services) -> dict[str, object]:
    return {each.name: each.body["slots"] for each in services.documents.find(KIND)}


def test_a_pool_comes_back_as_it_was_saved() -> None:
    made = create_work_pool(
        "p", description="x", concurrency_limit=3, job_variables={"env": {"A": "1"}}
    )
    assert load_work_pool("p") == made
    assert made.queues == (WorkQueue("default"),)
    assert read_work_pool(Document("", "p", encode_work_pool(made), 1, 0.0, 0.0)) == made


def test_what_another_version_saved_is_read() -> None:
    body = {"name": "p", "type": "process", "newer": 1}
    assert read_work_pool(Document("", "p", body, 1, 0.0, 0.0)) == WorkPool("p", "process")


def test_a_pool_is_changed_by_what_is_given(services: Services) -> None:
    create_work_pool("p", concurrency_limit=3, job_variables={"working_dir": "/a"})
    change_work_pool("p", description="new")
    assert load_work_pool("p").concurrency_limit == 3
    assert list_limits(services) == {"work-pool:p": 3}
    changed = change_work_pool("p", concurrency_limit=0, job_variables={}, paused=True)
    assert changed == WorkPool("p", "process", description="new", paused=True)
    assert list_limits(services) == {}


def test_queues_are_ordered_by_priority(services: Services) -> None:
    create_work_pool("p")
    set_work_queue("p", "slow", priority=5, concurrency_limit=2)
    set_work_queue("p", "fast")
    set_work_queue("p", "default", priority=2)
    assert [each.name for each in load_work_pool("p").queues] == ["fast", "default", "slow"]
    assert list_limits(services) == {"work-queue:p/slow": 2}
    delete_work_queue("p", "slow")
    assert list_limits(services) == {}
    assert [each.name for each in load_work_pool("p").queues] == ["fast", "default"]
    with pytest.raises(ConfigurationError, match="each pool has it"):
        delete_work_queue("p", "default")
    with pytest.raises(ObjectNotFound, match="Did you mean 'fast'"):
        delete_work_queue("p", "fasd")


def test_a_pool_is_deleted_with_its_limits(services: Services) -> None:
    create_work_pool("p", concurrency_limit=1)
    set_work_queue("p", "q", concurrency_limit=1)
    delete_work_pool("p")
    assert list_limits(services) == {}
    with pytest.raises(ObjectNotFound, match="there is no work pool named 'p'"):
        load_work_pool("p")


def test_bad_pools_are_refused() -> None:
    create_work_pool("p")
    with pytest.raises(ObjectAlreadyExists, match="work pool 'p' is saved already"):
        create_work_pool("p")
    with pytest.raises(UnknownName, match="no installed package offers an infrastructure named"):
        create_work_pool("q", "ecs")
    with pytest.raises(InvalidName, match="omit /"):
        create_work_pool("a/b")
    with pytest.raises(ConfigurationError, match="concurrency_limit=-1 is too low"):
        create_work_pool("q", concurrency_limit=-1)
    with pytest.raises(ConfigurationError, match="priority=0 is too low"):
        set_work_queue("p", "q", priority=0)
    with pytest.raises(ConfigurationError, match=r"there is no 'comand'\. Did you mean 'command'"):
        create_work_pool("q", job_variables={"comand": "x"})
    with pytest.raises(ConfigurationError, match=r"env\.A: Input should be a valid string"):
        change_work_pool("p", job_variables={"env": {"A": 1}})
    with pytest.raises(ObjectNotFound, match="Did you mean 'p'"):
        change_work_pool("pp", paused=True)


def test_names_of_our_own_limits_are_refused() -> None:
    for name in ("work-pool:p", "work-queue:p/q", "deployment:etl/x", WORKING):
        with pytest.raises(InvalidName, match="reserved for Flowstone"):
            check_limit(Limit(name, 1))


def test_job_variables_never_hold_a_secret(services: Services) -> None:
    register("canary-of-a-pool")
    with pytest.raises(ConfigurationError, match="a secret would be saved") as caught:
        create_work_pool("p", job_variables={"env": {"TOKEN": "canary-of-a-pool"}})
    assert "canary" not in str(caught.value)
    assert services.documents.find("work-pool") == []


def test_later_variables_count_more_and_environments_are_merged() -> None:
    pool = {"env": {"A": "1", "B": "2"}, "working_dir": "/a", "command": "x"}
    deployment = {"env.B": "3", "env": {"C": "4"}, "working_dir": "/b", "command": None}
    assert merge_variables(pool, deployment) == {
        "env": {"A": "1", "B": "3", "C": "4"},
        "working_dir": "/b",
    }
    assert merge_variables(pool, {"env.A": None})["env"] == {"B": "2"}
    assert pool["env"] == {"A": "1", "B": "2"}


def test_a_deployment_is_checked_against_its_pool(services: Services) -> None:
    with pytest.raises(ObjectNotFound, match="there is no work pool named 'p'"):
        flows.etl.deploy("x", work_pool_name="p")
    create_work_pool("p")
    with pytest.raises(ObjectNotFound, match="there is no work queue named 'q'"):
        flows.etl.deploy("x", work_pool_name="p", work_queue_name="q")
    with pytest.raises(ConfigurationError, match=r"deployment 'etl/x': there is no 'image'"):
        flows.etl.deploy("x", work_pool_name="p", job_variables={"image": "x"})
    with pytest.raises(ConfigurationError, match="it has no work pool"):
        flows.etl.deploy("x")
    with pytest.raises(ConfigurationError, match="job_variables is given without a work pool"):
        flows.etl.to_deployment("x", job_variables={"env": {}})
    with pytest.raises(ConfigurationError, match="concurrency_limit='1' is not a number"):
        flows.etl.to_deployment("x", concurrency_limit="1")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="concurrency_limit=0 is too low"):
        flows.etl.to_deployment("x", concurrency_limit=0)
    limit = ConcurrencyLimitConfig(1, "CANCEL")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="there is no collision strategy 'CANCEL'"):
        flows.etl.to_deployment("x", concurrency_limit=limit)
    assert services.documents.find("deployment") == []
    made = flows.etl.to_deployment("x", work_pool_name="p")
    with pytest.raises(ConfigurationError, match="Use `deploy`, and start a worker"):
        serve(made)


def test_several_are_deployed_at_once_or_none(services: Services) -> None:
    create_work_pool("p")
    good = flows.etl.to_deployment("x", concurrency_limit=2)
    bad = flows.greet.to_deployment("x", work_pool_name="nope")
    with pytest.raises(ObjectNotFound):
        deploy(good, bad, work_pool_name="p")
    assert services.documents.find("deployment") == []
    [saved] = deploy(good, work_pool_name="p")
    assert load_deployment("x") == saved
    assert (saved.work_pool_name, saved.concurrency_limit) == ("p", 2)
    assert list_limits(services) == {"deployment:etl/x": 2}
    save_deployment(replace(saved, concurrency_limit=None))
    assert list_limits(services) == {}
    deploy(good, work_pool_name="p")
    delete_deployment("etl/x")
    assert list_limits(services) == {}


def test_a_run_that_waits_says_why(services: Services, stepped: SteppedClock) -> None:
    create_work_pool("p")
    set_work_queue("p", "q")
    flows.etl.deploy("x", work_pool_name="p", work_queue_name="q")
    run = run_deployment("x", timeout=0)

    def explain() -> tuple[str, str]:
        kind, message = find_wait_reasons([services.runs.run(run.id)], stepped.now)[run.id]
        return kind, message

    command = "`flowstone worker start --pool p`"
    assert explain() == ("no_worker", f"no worker is online in its pool: {command}")
    change_work_pool("p", paused=True)
    assert explain() == ("pool_paused", "its work pool is paused: `flowstone pool resume p`")
    change_work_pool("p", paused=False)
    set_work_queue("p", "q", paused=True)
    assert explain()[0] == "queue_paused"
    assert "`flowstone pool queue resume p q`" in explain()[1]
    delete_work_queue("p", "q")
    assert explain() == ("queue_deleted", "the work pool 'p' has no queue 'q' any more")
    set_work_queue("p", "q")
    Presence(WORKING).announce(["p/w"])
    assert explain()[0] == "starting"
    make_full(services, run.id)
    assert explain() == ("limit_full", "it is full")
    delete_work_pool("p")
    told = "its work pool 'p' has been deleted: `flowstone pool create p`"
    assert explain() == ("pool_deleted", told)


def make_full(services: Services, run_id: str) -> None:
    run = services.runs.run(run_id)
    services.runs.record(make_change_event(run, AwaitingConcurrencySlot("it is full"), 0))


def test_a_pool_of_a_newer_version_is_refused(services: Services) -> None:
    create_work_pool("p")
    document = services.documents.get("work-pool", "p")
    services.documents.put("work-pool", "p", {**document.body, "schema_version": 99})
    told = "a newer version .*schema 99.*pip install --upgrade flowstone"
    with pytest.raises(ConfigurationError, match=told):
        change_work_pool("p", job_variables={})
    with pytest.raises(ConfigurationError, match=told):
        flows.etl.deploy("x", work_pool_name="p")
