"""A hook that tells people what has become of a run."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from flowstone import flow, notify_by, task
from flowstone.blocks import Secret, Webhook
from flowstone.context.current import Services
from flowstone.records.events import LogLine
from flowstone.states import State
from flowstone_testing.desks import WebDesk, web_desk


@pytest.fixture
def desk(services: Services) -> Iterator[WebDesk]:
    with web_desk() as desk:
        Webhook(url=f"{desk.url}/hooks/{secrets.token_hex(12)}").save("alerts")
        yield desk


@pytest.mark.parametrize("saved", [True, False])
def test_a_failed_flow_is_told(desk: WebDesk, saved: bool) -> None:
    hook = notify_by("webhook/alerts" if saved else Webhook.load("alerts"))

    @flow(on_failure=[hook], flow_run_name="nightly 7")
    def load() -> None:
        raise ValueError("12 rows are missing")

    state: State = load(return_state=True)
    assert state.is_failed()
    [told] = desk.received()
    assert "Flow run 'nightly 7' of 'load': Failed" in told
    assert "12 rows are missing" in told


def test_tasks_and_async_flows_tell_it_too(desk: WebDesk) -> None:
    @task(on_completion=[notify_by("webhook/alerts")])
    async def extract() -> int:
        return 1

    @flow(on_completion=[notify_by("webhook/alerts")])
    async def load() -> int:
        return await extract()

    assert asyncio.run(load()) == 1
    told = desk.received()
    assert [("of 'extract': Completed" in text) for text in told] == [True, False]
    assert "of 'load': Completed" in told[1]


def test_a_sync_flow_on_a_loop_tells_it_as_well(desk: WebDesk) -> None:
    @flow(on_completion=[notify_by("webhook/alerts")])
    def load() -> None: ...

    async def notebook() -> None:
        load()

    asyncio.run(notebook())
    assert len(desk.received()) == 1


def test_secrets_are_masked(desk: WebDesk) -> None:
    secret = f"canary-{secrets.token_hex(12)}"
    Secret(value=secret)

    @flow(on_failure=[notify_by("webhook/alerts")])
    def load() -> None:
        raise ValueError(f"cannot log in with {secret}")

    load(return_state=True)
    [told] = desk.received()
    assert secret not in told
    assert "cannot log in with ********" in told


@pytest.mark.parametrize("name", ["webhook/missing", "secret/token"])
def test_what_can_not_be_sent_is_logged(desk: WebDesk, services: Services, name: str) -> None:
    Secret(value="no notifier").save("token")

    @flow(on_completion=[notify_by(name)])
    def load() -> str:
        return "all the same"

    assert load() == "all the same"
    services.journal.flush()
    kept: list[Any] = [event.payload for _, event in services.runs.events()]
    lines = [line.message for line in kept if isinstance(line, LogLine) and line.level >= 40]
    assert len(lines) == 1
    assert "hook" in lines[0]


def test_a_name_of_two_lines_is_one_subject(desk: WebDesk) -> None:
    @flow(on_completion=[notify_by("webhook/alerts")], flow_run_name="two\nlines")
    def load() -> None: ...

    load()
    assert len(desk.received()) == 1
