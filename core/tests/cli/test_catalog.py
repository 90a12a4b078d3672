from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .test_plugins import BROKEN, install

if TYPE_CHECKING:
    from flowstone_testing.programs import Home

    from .conftest import InProcess

SHED = """
from flowstone.plugins import Collection, hookimpl

@hookimpl
def collection():
    return Collection(
        tasks={"shed_dig": "shed_tasks:dig", "shed_rake": "shed_tasks:rake"},
        extras={"shed_rake": "shed[rakes]"},
    )
"""
TASKS = """
from flowstone import task

@task
def dig(depth_metres: float, /, *tools: str, soil: "str | None" = None) -> int:
    \"\"\"Dig a hole,
    and say how wide.

    It may rain.

    Args:
        depth_metres: how deep,
            from the ground.
        tools, soil: what with, and in what.

    Raises:
        OSError: there is a rock.
    \"\"\"
    return 1

@task
def rake(leaves):
    return leaves
"""


def shed(home: Home) -> dict[str, str]:
    environ = install(home, "shed", SHED)
    (home.directory / "site" / "shed_tasks.py").write_text(TASKS)
    return environ


def test_a_task_is_shown_with_what_it_takes(home: Home) -> None:
    environ = shed(home)
    [told] = home.run("catalog", "show", "shed_dig", "--json", **environ).json
    assert (told["kind"], told["package"], told["version"]) == ("task", "shed", "1.2")
    assert (told["install"], told["returns"]) == ("pip install shed", "int")
    assert told["summary"] == "Dig a hole, and say how wide."
    assert told["notes"] == "It may rain.\n\nRaises:\n    OSError: there is a rock."
    assert [list(each.values()) for each in told["inputs"]] == [
        ["depth_metres", "float", None, False, "how deep, from the ground."],
        ["*tools", "str", "", False, "what with, and in what."],
        ["soil", "str | None", "None", False, "what with, and in what."],
    ]
    shown = home.run("catalog", "show", "shed_rake", **environ).out
    assert "install  pip install 'shed[rakes]'" in shown
    assert "leaves" in shown


def test_the_list_imports_nothing(home: Home) -> None:
    environ = shed(home)
    (home.directory / "site" / "shed_tasks.py").write_text("raise SystemExit(3)")
    done = home.run("catalog", "ls", "SHED", "--kind", "task", "--json", **environ)
    assert [each["name"] for each in done.json["offers"]] == ["shed_dig", "shed_rake"]
    broken = home.run("catalog", "show", "shed_dig", **environ)
    assert (broken.code, "shed 1.2 is broken" in broken.err) == (1, True)
    assert "Traceback" not in broken.err


def test_a_block_is_shown_with_its_fields(cli: InProcess) -> None:
    [told] = cli("catalog", "show", "secret", "--json").json
    [value] = told["inputs"]
    assert (value["name"], value["secret"], value["default"]) == ("value", True, None)
    assert "Secret.load" in told["example"]
    out = cli("catalog", "show", "secret").out
    assert "required" in out
    assert "pip install flowstone" in out


def test_a_wrong_name_or_kind_is_told_with_near_ones(cli: InProcess) -> None:
    done = cli("catalog", "show", "secert")
    assert (done.code, "Did you mean 'secret'" in done.err) == (1, True)
    assert cli("catalog", "show", "secret", "--kind", "task").code == 1
    done = cli("catalog", "ls", "--kind", "blocks")
    assert (done.code, "'blocks' is not one of block, task" in done.err) == (2, True)
    assert "No installed object has 'xyz' in its name." in cli("catalog", "ls", "xyz").out


def test_a_kind_is_shown_as_words_and_found_by_them(cli: InProcess) -> None:
    for kind in ("secret_provider", "secret provider"):
        assert "env   secret provider  flowstone" in cli("catalog", "ls", "env", "--kind", kind).out
        assert "secret provider  env" in cli("catalog", "show", "env", "--kind", kind).out
    told = cli("plugin", "ls").out + cli("plugin", "show", "flowstone").out
    told += cli("catalog", "show", "x", "--kind", "secret_provider").err
    told += cli("catalog", "ls", "--kind", "x").err
    assert told.count("secret provider") >= 5
    assert "secret_provider" not in re.findall(r"\w+", told)


def test_a_broken_plugin_is_named_beside_the_list(home: Home) -> None:
    environ = install(home, "weeds", BROKEN["ImportError"])
    done = home.run("catalog", "ls", **environ)
    assert (done.code, "weeds" in done.err, "secret" in done.out) == (0, True, True)
