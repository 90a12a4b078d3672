from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from flowstone.calls.option_types import FlowOptions, TaskOptions
from flowstone.calls.options import OPTIONS, apply_options
from flowstone.errors import ConfigurationError
from flowstone.records.specs import Spec
from flowstone.settings import Settings

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
        assert not row.default.endswith("."), row.name
        assert f"    {row.name}: {row.help} Default: {row.default}." in text


def test_the_defaults_that_are_told_are_those_that_hold() -> None:
    """Of options that are values; what the others find out is tested where they are used."""
    flow, task, settings = Spec("flow", "f"), Spec("task", "t"), Settings()
    delays = {settings.flow_retry_delay_seconds, settings.task_retry_delay_seconds}
    held = {
        "retries": {settings.flow_retries, settings.task_retries},
        "retry_delay_seconds": delays,
        "log_prints": {settings.log_prints},
        "persist_result": {settings.persist_results},
        "refresh_cache": {settings.refresh_cache},
        "validate_parameters": {flow.validate_parameters},
        "cache_result_in_memory": {flow.cache_result_in_memory, task.cache_result_in_memory},
    }
    told = {
        row.name: re.findall(r"\b(?:True|False|0)$", row.default)
        for rows in OPTIONS.values()
        for row in rows.values()
    }
    values = {name: words[0] for name, words in told.items() if words}
    assert values.keys() == held.keys()
    for name, each in held.items():
        assert each == {{"True": True, "False": False, "0": 0}[values[name]]}, name


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
