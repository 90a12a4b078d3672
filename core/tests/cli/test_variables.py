from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from flowstone.variables import Variable

if TYPE_CHECKING:
    from flowstone_testing.programs import Home

    from .conftest import InProcess


def test_a_value_is_a_text_if_nothing_is_said(cli: InProcess) -> None:
    assert cli("variable", "set", "answer", "42").out == "The variable 'answer' is set.\n"
    assert Variable.get("answer") == "42"
    assert cli("variable", "get", "answer").out == "42\n"


@pytest.mark.parametrize("value", [42, 1.5, True, None, "ünï", ["a", {"b": [1]}], {"x": None}])
def test_a_json_value_keeps_its_type(cli: InProcess, value: Any) -> None:
    import json

    assert cli("variable", "set", "v", json.dumps(value), "--json-value").code == 0
    assert Variable.get("v", default="none") == value
    found = cli("variable", "get", "v", "--json").json
    assert (found["name"], found["value"], found["version"]) == ("v", value, 1)
    printed = cli("variable", "get", "v").out
    assert printed == (f"{value}\n" if isinstance(value, str) else printed)
    assert isinstance(value, str) or json.loads(printed) == value


def test_what_is_no_json_is_refused(cli: InProcess) -> None:
    done = cli("variable", "set", "v", "{oops", "--json-value")
    assert done.code == 2
    assert "'{oops' is not JSON" in done.err
    assert Variable.get("v") is None


def test_a_variable_is_replaced_only_if_asked(cli: InProcess) -> None:
    cli("variable", "set", "v", "one")
    refused = cli("variable", "set", "v", "two")
    assert refused.code == 1
    assert "--overwrite" in refused.err
    assert Variable.get("v") == "one"
    told = cli("variable", "set", "v", "two", "--overwrite", "--tag", "a", "--json").json
    assert (told["value"], told["tags"], told["version"]) == ("two", ["a"], 2)


def test_variables_are_listed(cli: InProcess) -> None:
    assert cli("variable", "ls").out == "There are no variables yet.\n"
    cli("variable", "set", "b", "text", "--tag", "x", "--tag", "y")
    cli("variable", "set", "a", "[1, 2]", "--json-value")
    lines = cli("variable", "ls").out.splitlines()
    assert lines[0].split() == ["NAME", "VALUE", "TAGS", "UPDATED"]
    assert lines[1].startswith("a     [1, 2]")
    assert lines[2].startswith('b     "text"  x, y')
    assert [each["name"] for each in cli("variable", "ls", "--tag", "y", "--json").json] == ["b"]
    assert cli("variable", "ls", "--tag", "z").out == "No variable matches.\n"


def test_a_variable_is_shown(cli: InProcess) -> None:
    cli("variable", "set", "limits", '{"rows": 10}', "--json-value", "--tag", "nightly")
    lines = cli("variable", "show", "limits").out.splitlines()
    assert [line.split(maxsplit=1)[0] for line in lines] == ["variable", "value", "tags", "set"]
    assert lines[1].split(maxsplit=1)[1] == '{"rows": 10}'
    assert lines[3].endswith("version 1")
    shown = cli("variable", "show", "limits", "--json").json
    assert shown == cli("variable", "get", "limits", "--json").json
    assert shown["tags"] == ["nightly"]


@pytest.mark.parametrize("verb", ["delete", "unset"])
def test_delete_forgets_it(cli: InProcess, verb: str) -> None:
    cli("variable", "set", "limit", "1")
    assert cli("variable", verb, "limit", "--json").json == {"name": "limit", "deleted": True}
    assert Variable.get("limit") is None


def test_the_verbs_are_those_of_other_groups(cli: InProcess) -> None:
    """`unset`, as `delete` was called, is taken and not listed."""
    listed = cli("variable", "--help").out.partition("Commands:")[2]
    verbs = re.findall(r"^  (\w+)", listed, flags=re.MULTILINE)
    assert verbs == ["delete", "get", "ls", "set", "show"]
    assert "Did you mean 'delete'" in cli("variable", "delet", "x").err


@pytest.mark.parametrize("verb", ["delete", "get", "show", "unset"])
def test_an_unknown_name_is_told_with_near_ones(cli: InProcess, verb: str) -> None:
    cli("variable", "set", "batch-size", "1")
    done = cli("variable", verb, "batch-sise")
    assert done.code == 1
    assert "Did you mean 'batch-size'" in done.err


def test_a_flow_of_another_process_reads_it(home: Home) -> None:
    assert home.run("variable", "set", "limit", "7", "--json-value").code == 0
    code = "from flowstone.variables import Variable; print(Variable.get('limit') + 1)"
    assert home.python(code).out == "8\n"
