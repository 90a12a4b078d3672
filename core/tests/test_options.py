from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from flowstone.calls.options import OPTIONS, FlowOptions, TaskOptions, apply_options
from flowstone.errors import ConfigurationError
from flowstone.records.specs import Spec

if TYPE_CHECKING:
    from flowstone.records.runs import Kind

TYPED = {"flow": FlowOptions, "task": TaskOptions}
KINDS: list[Kind] = ["flow", "task"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_has_the_options_that_type_checkers_know(kind: Kind) -> None:
    assert set(OPTIONS[kind]) == set(TYPED[kind].__annotations__)


@pytest.mark.parametrize("kind", KINDS)
def test_help_tells_of_each_option(kind: Kind) -> None:
    text = TYPED[kind].__doc__ or ""
    for row in OPTIONS[kind].values():
        assert row.help.endswith("."), row.name
        assert f"    {row.name}: {row.help}" in text


def test_each_option_is_in_the_spec_and_each_field_of_it_is_an_option() -> None:
    rows = [row for kind in KINDS for row in OPTIONS[kind].values() if row.check is not None]
    kept = {row.field or row.name for row in rows}
    assert kept == {each.name for each in fields(Spec)} - {"kind"}


@pytest.mark.parametrize("kind", KINDS)
def test_none_leaves_an_option_as_it_was(kind: Kind) -> None:
    spec = Spec(kind, "f", retries=3)
    assert apply_options(spec, dict.fromkeys(OPTIONS[kind])) is spec


def test_a_function_of_keys_wins_over_a_policy_in_any_order() -> None:
    def find_key(_call: object, _parameters: object) -> str:
        return "key"

    spec = Spec("task", "f")
    for names in (("cache_policy", "cache_key_fn"), ("cache_key_fn", "cache_policy")):
        values = {"cache_policy": "no policy", "cache_key_fn": find_key}
        new = apply_options(spec, {name: values[name] for name in names})
        assert new.cache_policy.cache_key_fn is find_key


def test_hooks_of_one_state_leave_the_others() -> None:
    def hook(*_: object) -> None: ...

    first = apply_options(Spec("flow", "f"), {"on_failure": [hook], "on_running": hook})
    second = apply_options(first, {"on_failure": (hook, hook)})
    assert {state.name: len(hooks) for state, hooks in second.hooks.items()} == {
        "FAILED": 2,
        "RUNNING": 1,
    }


def test_an_option_of_the_other_kind_is_not_known() -> None:
    with pytest.raises(ConfigurationError, match=r"no option 'flow_run_name'.*'task_run_name'"):
        apply_options(Spec("task", "f"), {"flow_run_name": "x"})
