from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, SecretStr

from flowstone import manifests
from flowstone.blocks import Block, LocalDirectory, Secret, SecretDict, Variable
from flowstone.context import current
from flowstone.errors import FlowstoneError
from flowstone.testing import flowstone_test_harness

if TYPE_CHECKING:
    from .conftest import InProcess


class Wagon(Block):
    """Holds what a block may hold."""

    label: str = ""
    count: int = 1
    anything: Any = None
    raw: bytes = b""
    path: Path = Path()
    tokens: list[SecretStr] = Field(default_factory=list)
    table: SecretDict | None = None
    next: Block | None = None


FILE = """
flowstone: 1
variables:
  region: eu-central-1
  limits: {value: {soft: 1}, tags: [ops]}
limits:
  database: {slots: 3}
  api: {slots: 10, slot_decay_per_second: 2.5, active: false}
blocks:
  wagon/last:
    fields: {label: "from {{ variables.region }} to {{ env.STATION }}, {{{{ here }}"}
  wagon/first:
    fields:
      count: 3
      anything: {block: 1, deep: [{{ variables.limits }}, null]}
      next: "{{ blocks.wagon.last }}"
""".replace("{{ variables.limits }}", '"{{ variables.limits }}"')


@pytest.fixture(autouse=True)
def station(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATION", "Ulm")


def apply(cli: InProcess, text: str, *options: str) -> Any:
    done = cli("apply", "-", "--json", *options, stdin=text)
    assert (done.code, done.err) == (0, "")
    return {f"{each['section']}.{each['key']}": each["action"] for each in done.json}


def refused(cli: InProcess, text: str) -> str:
    before = current.services().documents.find("", prefix=True)
    done = cli("apply", "-", stdin=text)
    assert done.code == 1
    assert current.services().documents.find("", prefix=True) == before
    again = cli("diff", "-", stdin=text)
    assert (again.code, again.err) == (2, done.err)
    return done.err


def test_a_file_is_applied_once(cli: InProcess) -> None:
    assert cli("diff", "-", stdin=FILE).code == 1
    assert set(apply(cli, FILE).values()) == {"create"}
    assert cli("diff", "-", stdin=FILE).code == 0
    documents = current.services().documents.find("", prefix=True)
    assert set(apply(cli, FILE).values()) == {"keep"}
    assert current.services().documents.find("", prefix=True) == documents
    first = Wagon.load("first")
    assert first.anything == {"block": 1, "deep": [{"soft": 1}, None]}
    assert isinstance(first.next, Wagon)
    assert first.next.label == "from eu-central-1 to Ulm, {{ here }}"
    assert Variable.load("limits").tags == ("ops",)
    [limit] = [each for each in cli("limit", "ls", "--json").json if each["name"] == "api"]
    assert (limit["slots"], limit["active"]) == (10, False)


def test_what_is_exported_says_the_same(cli: InProcess, tmp_path: Path) -> None:
    apply(cli, FILE)
    text = cli("export").out
    assert text.startswith("flowstone: 1\n")
    assert cli("diff", "-", stdin=text).code == 0
    with flowstone_test_harness():
        assert set(apply(cli, text).values()) == {"create"}
        assert cli("export").out == text
    path = tmp_path / "out.yaml"
    assert cli("export", "-o", str(path), "--only", "limits").code == 0
    assert "variables" not in path.read_text()
    assert cli("diff", str(tmp_path)).code == 0
    assert cli("export", "-o", str(tmp_path)).code == 1


def test_a_diff_names_what_is_different(cli: InProcess) -> None:
    apply(cli, FILE)
    changed = FILE.replace("slots: 3", "slots: 4").replace("count: 3", "count: 5")
    done = cli("diff", "-", stdin=changed)
    assert done.code == 1
    assert "slots: 3 → 4" in done.out
    assert "count: 3 → 5" in done.out
    told = cli("diff", "-", "--json", stdin=changed).json
    [limit] = [each for each in told if each["key"] == "database"]
    assert limit["changes"] == [{"path": "slots", "was": 3, "now": 4}]
    assert apply(cli, changed)["limits.database"] == "change"
    assert apply(cli, changed)["limits.database"] == "keep"


def test_secrets_stay_where_a_file_leaves_them(cli: InProcess) -> None:
    word = "canary-in-a-manifest"
    wagon = Wagon(tokens=[word, f"{word}-2"], table={"a": word}, next=Secret(value=word))
    wagon.save("w")
    Secret(value=word).save("s")
    text = cli("export").out
    assert apply(cli, text) == {"blocks.wagon/w": "keep", "blocks.secret/s": "keep"}
    bare = "flowstone: 1\nblocks: {wagon/w: {fields: {count: 2}}, secret/s: {}}"
    shown = [text, cli("diff", "-", stdin=bare).out, cli("diff", "-", "--json", stdin=bare).out]
    assert apply(cli, bare) == {"blocks.wagon/w": "change", "blocks.secret/s": "keep"}
    found = Wagon.load("w")
    assert (found.count, found.table) == (2, wagon.table)
    forget = "flowstone: 1\nblocks: {wagon/w: {fields: {table: {set: false}}}}"
    shown.append(cli("diff", "-", stdin=forget).out)
    assert "table: set → not set" in shown[-1]
    apply(cli, forget)
    assert Wagon.load("w").table is None
    for wrong in (
        f"flowstone: 1\nblocks: {{wagon/w: {{fields: {{tokens: [{word}-3]}}}}}}",
        f"flowstone: 1\nblocks: {{wagon/x: {{fields: {{table: {{b: {word}-3}}}}}}}}",
    ):
        shown.append(refused(cli, wrong))
        assert "a secret must not be in a file in plain text" in shown[-1]
    assert "but none is: pass its value" in refused(
        cli, "flowstone: 1\nblocks: {secret/new: {fields: {value: {set: true}}}}"
    )
    assert not [text for text in shown if word in text]


WRONG = {
    "x: 1": "1 : the file must begin with `flowstone: 1`",
    "": "the file must begin with",
    "- 1": "the file must begin with",
    "flowstone: 2": "1 flowstone: format 2 is not known; write 1",
    "flowstone: 1\nblock: {}": "2 block: there is no such section. Did you mean 'blocks'?",
    "flowstone: 1\nblocks: [1]": "2 blocks: a section has names with their values",
    "flowstone: 1\nvariables: {a: 1, a: 2}": "2 variables.a: the key occurs twice",
    "flowstone: 1\nvariables: {a: &x 1, b: *x}": "2 variables.a: anchors are not supported",
    "flowstone: 1\nvariables: {a: !!python/name:os 1}": "the tag 'python/name:os' is not supported",
    "flowstone: 1\nvariables: {<<: {a: 1}}": "a key must be a plain string",
    "flowstone: 1\nvariables: {? [a] : 1}": "a key must be a plain string",
    "flowstone: 1\nvariables: {a: .inf}": ".inf is not a number that JSON has",
    "flowstone: 1\nvariables: {a: [1": "that is not YAML",
    "flowstone: 1\n---\nflowstone: 1": "that is not YAML",
    "flowstone: 1\nvariables: {a: \x07}": "that is not YAML",
    "flowstone: 1\nvariables: {a: " + "[" * 900 + "]" * 900 + "}": "nested too deep",
    "flowstone: 1\nvariables: {a: {b: 1}}": "2 variables.a: write `value: …`",
    "flowstone: 1\nvariables: {a: {value: 1, tags: x}}": "variables.a.tags: tags are a list",
    "flowstone: 1\nvariables: {a/b: 1}": "variables.a/b: ",
    'flowstone: 1\nvariables: {a: "{{ variables.b }}"}': "a variable can't refer to another",
    'flowstone: 1\nvariables: {a: "{{ env.NOT_SET_HERE }}"}': "no environment variable 'NOT_SET",
    'flowstone: 1\nvariables: {a: "{{ region }}"}': "'region' is not a reference: write {{",
    "flowstone: 1\nlimits: {a: 1}": "2 limits.a: write `slots: NUMBER`",
    "flowstone: 1\nlimits: {a: {slots: true}}": "limits.a.slots: True is not a whole number",
    "flowstone: 1\nlimits: {a: {slots: 1, actve: true}}": "Did you mean 'active'?",
    "flowstone: 1\nlimits: {a: {slots: -1}}": "2 limits.a: ",
    "flowstone: 1\nblocks: {raw: {}}": "2 blocks.raw: its key must be TYPE/NAME",
    "flowstone: 1\nblocks: {scret/a: {}}": "Did you mean 'secret'",
    "flowstone: 1\nblocks: {wagon/a: {field: {}}}": "write `fields:`",
    "flowstone: 1\nblocks: {wagon/a: {fields: [1]}}": "fields are names with values",
    "flowstone: 1\nblocks: {wagon/a: {fields: {cuont: 1}}}": "wagon/a.fields.cuont: ",
    "flowstone: 1\nblocks: {wagon/a: {fields: {count: x}}}": "wagon/a.fields.count: ",
    "flowstone: 1\nblocks: {wagon/a: {schema: 9}}": "upgrade its package",
    "flowstone: 1\nblocks: {wagon/a: {schema: a}}": "wagon/a.schema: 'a' is not a version of wagon",
    "flowstone: 1\nblocks: {wagon/a: {schema: 0}}": "wagon/a.schema: 0 is not a version of wagon",
    "flowstone: true": "1 flowstone: format True is not known; write 1",
    "flowstone: 1\nvariables: {a: " + "9" * 5000 + "}": "variables.a: a number has 4000 digits",
    'flowstone: 1\nblocks: {wagon/a: {fields: {label: "{{ env.X }"}}}': "braces are not closed",
    'flowstone: 1\nblocks: {wagon/a: {fields: {label: "{{{{ {{"}}}': "braces are not closed",
    "flowstone: 1\nblocks:\n wagon/a:\n  fields:\n   next: {block: wagon/b}": ":5 blocks.wagon/a.f",
    "flowstone: 1\nblocks: {wagon/a: {fields: {next: {block: wagon/a}}}}": "it is in itself",
    'flowstone: 1\nblocks: {wagon/a: {fields: {label: "a {{ blocks.x.y }}"}}}': "whole value",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_file_is_refused_whole_with_the_place(cli: InProcess, text: str) -> None:
    good = "\nlimits: {fine: {slots: 1}}" if text.startswith("flowstone: 1\nblocks") else ""
    assert WRONG[text].replace("1 : ", "1: ") in refused(cli, text + good)


def test_all_problems_are_told_at_once_and_none_twice(cli: InProcess) -> None:
    text = """
flowstone: 1
limits: {a: {slots: x}, b: {slots: y}}
blocks:
  wagon/a: {fields: {next: {block: wagon/b}}}
  wagon/b: {fields: {count: z}}
"""
    told = refused(cli, text).splitlines()
    assert told[0] == "Error: 3 problems in the files; nothing was written:"
    assert [line.split()[0] for line in told[1:4]] == [
        "standard", "standard", "standard",
    ]  # fmt: skip
    assert "wagon/a" not in "".join(told)


def test_several_files_and_directories_are_one(cli: InProcess, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.yaml").write_text("flowstone: 1\nvariables: {a: 1}")
    wagon = '{wagon/w: {fields: {count: "{{ variables.a }}"}}}'
    (tmp_path / "deep/b.yml").write_text(f"flowstone: 1\nblocks: {wagon}")
    assert cli("apply", str(tmp_path)).code == 0
    assert Wagon.load("w").count == 1
    (tmp_path / "c.yaml").write_text("flowstone: 1\nvariables: {a: 2}")
    done = cli("apply", str(tmp_path / "a.yaml"), str(tmp_path / "c.yaml"))
    assert f"{tmp_path}/c.yaml:2 variables.a: it is a duplicate of {tmp_path}/a.yaml:2" in done.err
    (tmp_path / "empty").mkdir()
    for wrong in ("nowhere.yaml", str(tmp_path / "empty")):
        assert cli("apply", wrong).code == 1
    (tmp_path / "d.yaml").write_bytes(b"\xff\xfe\x00")
    assert "is not UTF-8" in cli("apply", str(tmp_path / "d.yaml")).err


def test_prune_deletes_what_no_file_names(cli: InProcess) -> None:
    apply(cli, FILE)
    Variable.set("other", 1)
    LocalDirectory(basepath="x").save("other")
    assert cli("prune", "-", stdin=FILE).code == 1  # nobody says yes
    done = cli("prune", "-", "--yes", "--only", "variables", "--json", stdin=FILE)
    assert [(each["section"], each["key"], each["action"]) for each in done.json] == [
        ("variables", "other", "delete")
    ]
    assert Variable.get("other") is None
    assert "1 deleted" in cli("prune", "-", "--yes", stdin=FILE).out
    assert "All saved entries are in the files." in cli("prune", "-", "--yes", stdin=FILE).out
    assert cli("diff", "-", stdin=FILE).code == 0


def test_prune_leaves_what_the_files_refer_to(cli: InProcess) -> None:
    """Or what they say could not be loaded any more."""
    Secret(value="a word of three").save("deep")
    Wagon(next=Secret.load("deep")).save("inner")
    Wagon(next=Wagon.load("inner")).save("outer")
    Wagon(label="alone").save("other")
    text = "flowstone: 1\nblocks: {wagon/outer: {fields: {next: {block: wagon/inner}}}}"
    done = cli("prune", "-", "--yes", stdin=text)
    assert "deleted  blocks.wagon/other" in done.out
    assert "Kept: wagon/inner, which is in no file, because wagon/outer refers to it." in done.err
    assert Wagon.load("outer").next == Wagon(next=Secret(value="a word of three"))
    assert "There is nothing to delete." in cli("prune", "-", "--yes", stdin=text).out


def test_what_somebody_else_changed_meanwhile_is_left(cli: InProcess) -> None:
    apply(cli, FILE)
    source = manifests.read("f", FILE.replace("count: 3", "count: 9").replace("3}", "4}"), NAMES)
    plan = manifests.make_plan([source])
    Wagon(label="theirs").save("first", overwrite=True)
    outcome = {step.key: error for step, error in plan.run() if step.action != "keep"}
    assert isinstance(outcome["wagon/first"], FlowstoneError)
    assert outcome["database"] is None
    assert Wagon.load("first").label == "theirs"


NAMES = [section.name for section in manifests.SECTIONS]
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
KEYS = TEXTS | st.sampled_from(["block", "set", "type", "fields", "$bytes", "$dict", "$block"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS | st.sampled_from(["{{ variables.x }}", "{{{{", "2024-01-01", "no", "0x1F", "1e3"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
WAGONS = st.builds(
    Wagon, label=TEXTS, anything=VALUES, raw=st.binary(max_size=8), count=st.integers()
)


@settings(max_examples=80, deadline=None)
@given(WAGONS, WAGONS, VALUES)
def test_everything_comes_back_from_an_export(one: Wagon, other: Wagon, value: Any) -> None:
    with flowstone_test_harness():
        one.next = other
        one.save("one")
        other.save("other")
        Variable.set("v", value, ["a tag"])
        text = manifests.export_sections(manifests.find_sections())
        plan = manifests.make_plan([manifests.read("export", text, NAMES)])
        assert not plan.differs, json.dumps([step.changes for step in plan.steps])
        with flowstone_test_harness():
            plan = manifests.make_plan([manifests.read("export", text, NAMES)])
            assert not [error for _, error in plan.run() if error]
            assert manifests.export_sections(manifests.find_sections()) == text
            assert Wagon.load("one") == one
            assert Variable.load("v").value == value
