from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flowstone import flow, task
from flowstone.concurrency import concurrency, rate_limit
from flowstone.context import current

if TYPE_CHECKING:
    from flowstone_testing.programs import Home

    from .conftest import InProcess


def test_a_limit_is_set_and_listed(cli: InProcess) -> None:
    assert cli("limit", "ls").out == "There are no limits yet.\n"
    assert cli("limit", "set", "db", "--slots", "1").out == "The limit 'db' has 1 slot.\n"
    told = cli("limit", "set", "api", "--slots", "10", "--decay-per-second", "2.5", "--inactive")
    assert told.out == "The limit 'api' has 10 slots, 2.5 a second, and is not active.\n"
    lines = [line.split() for line in cli("limit", "ls").out.splitlines()]
    assert lines[0] == ["NAME", "SLOTS", "IN", "USE", "DECAY", "ACTIVE"]
    assert lines[1] == ["api", "10", "0", "2.5", "a", "second", "no"]
    assert lines[2] == ["db", "1", "0", "yes"]
    assert cli("limit", "ls", "--json").json == [
        {"name": "api", "slots": 10, "active": False, "slot_decay_per_second": 2.5, "in_use": 0},
        {"name": "db", "slots": 1, "active": True, "slot_decay_per_second": 0, "in_use": 0},
    ]


def test_a_limit_is_changed(cli: InProcess) -> None:
    cli("limit", "set", "db", "--slots", "1")
    assert cli("limit", "set", "db", "--slots", "3", "--json").json["slots"] == 3
    assert cli("limit", "show", "db", "--json").json["slots"] == 3


def test_who_holds_slots_is_shown(cli: InProcess) -> None:
    cli("limit", "set", "db", "--slots", "3")
    assert "No slot is in use." in cli("limit", "show", "db").out

    @task(task_run_name="the-task")
    def hold() -> tuple[str, dict[str, Any]]:
        with concurrency("db", occupy=2):
            return cli("limit", "show", "db").out, cli("limit", "show", "db", "--json").json

    @flow
    def f() -> tuple[str, dict[str, Any]]:
        return hold()

    text, told = f()
    assert text.splitlines()[:3] == ["limit   db", "slots   3", "in use  2"]
    assert text.splitlines()[5].split()[:2] == ["the-task", "2"]
    assert "pid " in text
    (holder,) = told["holders"]
    assert (holder["owner"], holder["slots"], holder["rate"]) == ("the-task", 2, False)
    assert told["in_use"] == 2


def test_a_rate_is_shown(cli: InProcess) -> None:
    cli("limit", "set", "api", "--slots", "5", "--decay-per-second", "0.001")
    rate_limit("api", occupy=4)
    assert "in use  4" in cli("limit", "show", "api").out
    assert "decay   0.001 a second" in cli("limit", "show", "api").out


def test_an_inactive_limit_says_so(cli: InProcess) -> None:
    cli("limit", "set", "db", "--slots", "0", "--inactive")
    assert "no: not enforced" in cli("limit", "show", "db").out
    with concurrency("db", timeout_seconds=0):
        pass


def test_reset_frees_the_slots(cli: InProcess) -> None:
    cli("limit", "set", "db", "--slots", "1")
    with concurrency("db"):
        told = cli("limit", "reset", "db").out
        assert told == "Freed the slots of 'db', from 1 holder.\n"
        assert current.services().slots.list_slots() == []
    assert cli("limit", "reset", "db", "--json").json == {"name": "db", "freed": 0}


def test_delete_forgets_it(cli: InProcess) -> None:
    cli("limit", "set", "db", "--slots", "1")
    assert cli("limit", "delete", "db").out == "The limit 'db' is deleted.\n"
    assert cli("limit", "ls", "--json").json == []


@pytest.mark.parametrize("verb", ["show", "delete", "reset"])
def test_an_unknown_name_is_told_with_near_ones(cli: InProcess, verb: str) -> None:
    cli("limit", "set", "tag:db", "--slots", "1")
    done = cli("limit", verb, "tag:bd")
    assert done.code == 1
    assert "Did you mean 'tag:db'" in done.err


@pytest.mark.parametrize(
    "arguments",
    [("db",), ("db", "--slots", "-1"), ("db", "--slots", "1", "--decay-per-second", "-1")],
)
def test_what_is_no_limit_is_refused(cli: InProcess, arguments: tuple[str, ...]) -> None:
    assert cli("limit", "set", *arguments).code == 2
    assert cli("limit", "ls", "--json").json == []


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 201])
def test_what_is_no_name_is_refused(cli: InProcess, name: str) -> None:
    done = cli("limit", "set", name, "--slots", "1")
    assert done.code == 1
    assert "can't be the name of a limit" in done.err


def test_a_program_of_another_process_obeys_it(home: Home) -> None:
    assert home.run("limit", "set", "db", "--slots", "1").code == 0
    code = """
from flowstone.concurrency.sync import concurrency
with concurrency("db"):
    try:
        with concurrency("db", timeout_seconds=0):
            print("two")
    except TimeoutError:
        print("one")
"""
    assert home.python(code).out == "one\n"
    assert home.run("limit", "show", "db", "--json").json["in_use"] == 0
