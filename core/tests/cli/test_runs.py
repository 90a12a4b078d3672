from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest

from flowstone import flow, get_run_logger, tags, task
from flowstone.cache_policies import INPUTS

if TYPE_CHECKING:
    from .conftest import InProcess


@task
def double(number: int) -> int:
    if number == 13:
        raise ValueError("thirteen\nis unlucky")
    get_run_logger().debug("doubling %d", number)
    return 2 * number


@task(retries=1)
def flaky(seen: list[int]) -> int:
    seen.append(1)
    if len(seen) == 1:
        raise OSError("the first time fails")
    return len(seen)


@flow(name="inner")
def inner_flow() -> int:
    return double(4)


@flow(name="numbers", flow_run_name="numbers-of-{count}")
def numbers(count: int, where: str = "here") -> int:
    get_run_logger().info("counting to %d", count)
    inner_flow()
    return len(double.map(range(count)).result())


@flow(name="broken")
def broken() -> None:
    double(13)


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()[1:]]


@task(persist_result=True, cache_policy=INPUTS)
def kept(what: object) -> int:
    return 1


@flow(name="keeps")
def keeps() -> None:
    kept(1)
    kept(1)
    kept(Lock())
    double(1)


def test_a_task_run_tells_why_it_hit_or_missed(cli: InProcess) -> None:
    keeps()
    told = [
        "miss: no result is kept (input what ",
        "hit: result of run ",
        "not cached: argument 'what' is a lock, which can't be hashed",
    ]
    for number, why in enumerate(told):
        assert f"\ncache    {why}" in cli("run", "show", f"kept-{number}").out
        assert cli("run", "show", f"kept-{number}", "--json").json["cache"].startswith(why)
    assert "\ncache" not in cli("run", "show", "double-0").out
    assert cli("run", "show", "double-0", "--json").json["cache"] is None
    assert "miss" not in cli("run", "show", "keeps").out


def test_an_empty_store_says_so(cli: InProcess) -> None:
    assert cli("run", "ls").out == "There are no runs yet.\n"
    assert cli("run", "ls", "--flow", "x").out == "No run matches.\n"
    assert cli("run", "ls", "--json").json == []


def test_runs_are_listed_newest_first_with_what_matters(cli: InProcess) -> None:
    numbers(3)
    with pytest.raises(ValueError, match="thirteen"):
        broken()
    done = cli("run", "ls")
    assert done.out.splitlines()[0].split() == [
        *["ID", "NAME", "FLOW", "STATE", "STARTED", "TOOK", "TASKS", "REASON"]
    ]
    [first, second, third] = rows(done.out)
    assert (first[2], first[3]) == ("broken", "Failed")
    assert first[-5:] == ["0/1", "ValueError:", "thirteen", "is", "unlucky"]
    assert second[2:4] == ["inner", "Completed"]
    assert third[1:4] == ["numbers-of-3", "numbers", "Completed"]
    assert third[-1] == "3"
    assert "\x1b" not in done.out


def test_the_list_as_json_has_exact_times_and_counts(cli: InProcess) -> None:
    with tags("nightly"):
        numbers(13)
    [nested, found] = cli("run", "ls", "--json").json
    assert found["name"] == "numbers-of-13"
    assert found["state"]["type"] == "COMPLETED"
    assert found["tasks"] == {"total": 13, "completed": 13}
    assert nested["tasks"] == {"total": 1, "completed": 1}
    assert found["tags"] == ["nightly"]
    assert found["started"].endswith("+00:00")
    assert found["duration_seconds"] >= 0
    assert set(found) == {
        *["id", "kind", "name", "unit", "state", "created", "started", "ended"],
        *["duration_seconds", "attempts", "tags", "version", "root_id", "parent_id", "tasks"],
        *["deployment", "code", "scheduled_time", "waits"],
    }


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (["--state", "failed"], ["broken"]),
        (["--state", "Completed"], ["inner", "numbers"]),
        (["--state", "failed", "--state", "COMPLETED"], ["broken", "inner", "numbers"]),
        (["--flow", "numbers"], ["numbers"]),
        (["--tag", "weekly"], ["broken"]),
        (["--tag", "weekly", "--flow", "numbers"], []),
        (["--limit", "1"], ["broken"]),
    ],
)
def test_the_list_is_filtered(cli: InProcess, choice: list[str], expected: list[str]) -> None:
    numbers(2)
    with tags("weekly"), pytest.raises(ValueError, match="thirteen"):
        broken()
    found = cli("run", "ls", *choice, "--json").json
    assert [run["unit"] for run in found] == expected


def test_a_list_that_was_cut_says_so(cli: InProcess) -> None:
    for _ in range(3):
        inner_flow()
    assert "older ones: --before" in cli("run", "ls", "--limit", "2").err
    assert cli("run", "ls", "--limit", "3").err == ""


def test_an_unknown_state_names_near_ones(cli: InProcess) -> None:
    done = cli("run", "ls", "--state", "faild")
    assert done.code == 2
    assert "'faild' is not a state. Did you mean 'Failed'" in done.err


@pytest.mark.parametrize("part", [slice(None), slice(-12, None), slice(0, 30)])
def test_a_run_is_found_by_id_and_by_parts_of_it(cli: InProcess, part: slice) -> None:
    inner_flow()
    [found] = cli("run", "ls", "--json").json
    assert cli("run", "show", found["id"][part], "--json").json["id"] == found["id"]


def test_the_id_in_the_list_finds_the_run(cli: InProcess) -> None:
    numbers(2)
    for row, run in zip(rows(cli("run", "ls").out), cli("run", "ls", "--json").json, strict=True):
        assert cli("run", "show", row[0], "--json").json["id"] == run["id"]


def test_an_unknown_run_names_near_ones(cli: InProcess) -> None:
    numbers(2)
    done = cli("run", "show", "numbers-of-3")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("Error: there is no run 'numbers-of-3'. Did you mean 'numbers-of-2'")


def test_the_names_told_for_an_unknown_run_are_those_of_the_list(cli: InProcess) -> None:
    numbers(12)
    told = cli("run", "show", "double-99").err
    assert "there is no run 'double-99'" in told
    assert told.count("'double-") == 1


def test_a_run_shows_its_facts_and_its_tree(cli: InProcess) -> None:
    numbers(3, where="there")
    text = cli("run", "show", "numbers-of-3").out
    assert "where = 'there'" in text
    tree = text.partition("\n\n")[2].splitlines()
    assert [line.split("  Completed")[0] for line in tree] == [
        "numbers-of-3",
        *[tree[1].split("  Completed")[0], "    double-0"],
        *["  double-0", "  double-1", "  double-2"],
    ]
    assert "flow inner  Completed" in tree[1]


def test_attempts_and_messages_are_in_the_tree(cli: InProcess) -> None:
    @flow(flow_run_name="tries")
    def tries() -> None:
        flaky([])
        double(13, return_state=True)

    tries()
    text = cli("run", "show", "tries").out
    assert "flaky-0  Completed" in text
    assert "2 attempts" in text
    assert "ValueError: thirteen is unlucky" in text


def test_long_maps_are_folded_and_failures_are_not(cli: InProcess) -> None:
    with pytest.raises(ValueError, match="thirteen"):
        numbers(100)
    text = cli("run", "show", "numbers-of-100").out
    assert "double-13  Failed" in text
    assert "… and 96 more completed" in text
    assert len(text.splitlines()) < 30
    whole = cli("run", "show", "numbers-of-100", "--all").out
    assert sum("double-" in line for line in whole.splitlines()) == 101
    assert "more completed" not in whole


def test_a_tree_as_json_is_whole(cli: InProcess) -> None:
    numbers(13)
    found = cli("run", "show", "numbers-of-13", "--json").json
    assert found["parameters"] == {"count": 13, "where": "here"}
    assert [child["name"] for child in found["children"][1:]] == [f"double-{n}" for n in range(13)]
    assert found["children"][0]["children"][0]["name"] == "double-0"


def test_a_part_of_a_tree_is_shown_with_what_it_belongs_to(cli: InProcess) -> None:
    numbers(1)
    root = cli("run", "show", "numbers-of-1", "--json").json
    nested = root["children"][0]
    found = cli("run", "show", nested["id"]).out
    assert f"numbers-of-1 ({root['id']})" in found
    assert len(cli("run", "show", nested["id"], "--json").json["children"]) == 1


def test_a_deep_tree_is_shown(cli: InProcess) -> None:
    @task
    def deeper(depth: int) -> int:
        return deeper(depth - 1) if depth else 0

    @flow(flow_run_name="deep")
    def deep() -> int:
        return deeper(60)

    deep()
    assert cli("run", "show", "deep").out.count("deeper-0") == 61


def messages(found: Any) -> list[str]:
    return [line["message"] for line in found]


def test_logs_are_in_order_with_who_said_them(cli: InProcess) -> None:
    numbers(2)
    text = cli("run", "logs", "numbers-of-2").out
    counting = next(line for line in text.splitlines() if "counting to 2" in line)
    assert counting.split("  ")[-2].endswith("numbers-of-2")
    assert "INFO" in counting
    found = cli("run", "logs", "numbers-of-2", "--json").json
    assert messages(found)[0].startswith("began")
    assert messages(found)[-1] == "ended Completed"
    assert [line["at"] for line in found] == sorted(line["at"] for line in found)


def test_every_level_stands_apart_from_the_name_of_the_run(cli: InProcess) -> None:
    @flow(flow_run_name="alarm")
    def alarm() -> None:
        get_run_logger().critical("fire")

    alarm()
    assert " CRITICAL alarm  fire" in cli("run", "logs", "alarm").out


def test_logs_of_a_part_are_its_own(cli: InProcess) -> None:
    numbers(2)
    nested = cli("run", "show", "numbers-of-2", "--json").json["children"][0]
    found = cli("run", "logs", nested["id"], "--json").json
    assert "counting to 2" not in messages(found)
    assert {line["run"] for line in found} <= {nested["name"], "double-0"}


def test_logs_are_chosen_by_level(cli: InProcess) -> None:
    with pytest.raises(ValueError, match="thirteen"):
        broken()
    found = cli("run", "logs", broken_name(cli), "--level", "error", "--json").json
    assert {line["level"] for line in found} == {"ERROR"}
    done = cli("run", "logs", broken_name(cli), "--level", "CRITICAL")
    assert (done.code, done.out) == (0, "")
    assert "nothing of CRITICAL or above" in done.err


def broken_name(cli: InProcess) -> str:
    name: str = cli("run", "ls", "--flow", "broken", "--json").json[0]["name"]
    return name


def test_following_a_run_that_has_ended_ends(cli: InProcess) -> None:
    numbers(1)
    plain = cli("run", "logs", "numbers-of-1").out
    assert cli("run", "logs", "numbers-of-1", "--follow").out == plain
    assert cli("run", "logs", "numbers-of-1", "--follow", "--json").code == 2


def test_control_characters_reach_no_terminal(cli: InProcess) -> None:
    @flow(flow_run_name="evil\x1b]0;owned\x07")
    def evil() -> None:
        get_run_logger().info("red \x1b[31malert")

    evil()
    for command in (["run", "ls"], ["run", "show", "evil\x1b]0;owned\x07"]):
        text = cli(*command).out
        assert "\x1b" not in text
        assert "\\x1b]0;owned\\x07" in text
    name = cli("run", "ls", "--json").json[0]["name"]
    assert "\\x1b[31malert" in cli("run", "logs", name).out


def test_pages_lead_through_all_runs(cli: InProcess) -> None:
    for number in range(5):
        numbers.with_options(flow_run_name=f"page-{number}")(1)
    found: list[str] = []
    for _ in range(4):
        more = ("--before", found[-1]) if found else ()
        page = cli("run", "ls", "--flow", "num*", "--last", "2", "--json", *more).json
        found += [run["name"] for run in page]
    assert found == [f"page-{number}" for number in reversed(range(5))]
    first = cli("run", "ls", "--limit", "2", "--flow", "numbers")
    before = first.err.split("--before ")[1].split()[0]
    second = cli("run", "ls", "--limit", "2", "--flow", "numbers", "--before", before)
    assert [row[1] for row in rows(second.out)] == ["page-2", "page-1"]


def test_runs_are_listed_by_time(cli: InProcess) -> None:
    numbers(1)
    assert len(cli("run", "ls", "--since", "1h", "--json").json) == 2
    assert cli("run", "ls", "--until", "1h").out == "No run matches.\n"
    assert cli("run", "ls", "--since", "2999-01-01").out == "No run matches.\n"
    assert len(cli("run", "ls", "--until", "2999-01-01T10:00:00+02:00", "--json").json) == 2
    wrong = cli("run", "ls", "--since", "yesterday")
    assert wrong.code == 2
    assert "'yesterday' is neither an age, such as 2h or 7d, nor a date" in wrong.err


def test_flows_are_chosen_by_a_pattern(cli: InProcess) -> None:
    numbers(1)
    assert [run["unit"] for run in cli("run", "ls", "--flow", "inn*", "--json").json] == ["inner"]
    assert len(cli("run", "ls", "--flow", "*n*", "--json").json) == 2
    assert cli("run", "ls", "--flow", "[in]*").out == "No run matches.\n"


@pytest.mark.parametrize("command", ["show", "logs", "graph"])
def test_the_name_of_a_flow_means_its_newest_run(cli: InProcess, command: str) -> None:
    numbers(1)
    numbers(2)
    assert cli("run", command, "numbers").out == cli("run", command, "numbers-of-2").out
    missing = cli("run", command, "numbrs")
    assert (missing.code, "there is no run 'numbrs'" in missing.err) == (1, True)
    assert cli("run", command, "*").code == 1
