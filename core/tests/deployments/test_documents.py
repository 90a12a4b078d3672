from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from flowstone import flow
from flowstone.deployments import (
    Deployment,
    add_schedule,
    delete_deployment,
    pause_deployment,
    pause_schedule,
    remove_schedule,
    resume_deployment,
    resume_schedule,
    run_deployment,
    serve,
)
from flowstone.deployments.documents import (
    find_deployments,
    load_deployment,
    save_deployment,
    set_paused_at_shutdown,
)
from flowstone.errors import (
    ConfigurationError,
    InvalidName,
    ObjectAlreadyExists,
    ObjectNotFound,
    ParameterTypeError,
    ScheduleInvalid,
)
from flowstone.records.deployments import KIND, encode_deployment
from flowstone.records.redaction import register
from flowstone.records.runs import RunQuery
from flowstone.records.states import SCHEDULED
from flowstone.schedules import Cron, Interval, RRule

from .flows import etl, greet, log_in, take_anything

if TYPE_CHECKING:
    from flowstone.context.current import Services
    from flowstone_testing.conformance.clock import SteppedClock

pytestmark = pytest.mark.usefixtures("services")


def test_a_deployment_has_what_the_code_says(services: Services) -> None:
    made = etl.to_deployment(
        "nightly",
        cron="0 3 * * *",
        parameters={"n": 5, "day": dt.date(2026, 3, 1)},
        tags=["b", "a"],
        version="7",
    )
    assert made.full_name == "etl/nightly"
    assert made.entrypoint.endswith("flows:etl")
    assert (made.parameters, made.tags) == ({"n": 5, "day": "2026-03-01"}, ("a", "b"))
    assert (made.description, made.version, made.paused) == ("Double a number.", "7", False)
    saved = save_deployment(made)
    assert saved.id
    assert load_deployment("etl/nightly") == load_deployment("nightly") == saved
    assert services.documents.get(KIND, "etl/nightly").body == encode_deployment(saved)


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        ({"cron": "@daily"}, ["cron '@daily'"]),
        ({"cron": ["@daily", "@hourly"]}, ["cron '@daily'", "cron '@hourly'"]),
        ({"interval": 90}, ["every 1m 30s"]),
        ({"interval": [90, dt.timedelta(days=2)]}, ["every 1m 30s", "every 2d"]),
        ({"rrule": "FREQ=DAILY"}, ["rrule 'FREQ=DAILY'"]),
        ({"schedule": Interval(60)}, ["every 1m"]),
        (
            {"schedules": [Cron("@daily"), RRule("FREQ=DAILY")]},
            ["cron '@daily'", "rrule 'FREQ=DAILY'"],
        ),
        ({"schedules": []}, []),
        ({}, []),
    ],
)
def test_there_are_five_ways_to_say_when(options: dict[str, object], rules: list[str]) -> None:
    made = etl.to_deployment("x", **options)  # type: ignore[arg-type]
    assert [str(each) for each in made.schedules] == rules


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"cron": "@daily", "interval": 5}, "interval and cron are given"),
        ({"corn": "@daily"}, "there is no option 'corn'. Did you mean 'cron'"),
        ({"schedules": ["@daily"]}, "'@daily' is not a schedule"),
        ({"schedules": [Cron("@daily"), Cron("@daily")]}, "two of its schedules have the slug"),
    ],
)
def test_options_that_can_not_be_used_are_refused(options: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        etl.to_deployment("x", **options)  # type: ignore[arg-type]


def test_rules_that_can_not_be_used_are_refused() -> None:
    with pytest.raises(ScheduleInvalid, match="'99' is not a valid minute"):
        etl.to_deployment("x", cron="99 * * * *")


@pytest.mark.parametrize("name", ["", "a/b", "a%", "a\n", "x" * 201])
def test_names_that_nobody_could_use_are_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        etl.to_deployment(name)


def test_a_flow_that_no_other_process_can_load_is_refused() -> None:
    @flow
    def local() -> None:
        pass

    with pytest.raises(ConfigurationError, match="it is defined inside"):
        local.to_deployment("x")


# ------------------------------------------------------------ parameters


def test_parameters_are_checked_when_it_is_made() -> None:
    with pytest.raises(ParameterTypeError) as caught:
        etl.to_deployment("x", parameters={"n": "many", "day": "someday", "m": 1})
    assert set(caught.value.problems) == {"n", "day", "m"}
    assert "There are: 'day', 'n'" in caught.value.problems["m"]


def test_parameters_of_schedules_are_checked_with_those_of_the_deployment() -> None:
    with pytest.raises(ParameterTypeError, match="who"):
        greet.to_deployment("x", cron="@daily")
    with pytest.raises(ParameterTypeError, match="who"):
        greet.to_deployment("x", schedule=Cron("@daily", parameters={"who": 5}))
    made = greet.to_deployment("x", schedule=Cron("@daily", parameters={"who": "Ann"}))
    assert made.schedules[0].parameters == {"who": "Ann"}


def test_parameters_are_checked_when_a_run_is_made(services: Services) -> None:
    save_deployment(greet.to_deployment("x"))
    for wrong in ({}, {"who": 5}, {"who": "Ann", "whom": "Bob"}):
        with pytest.raises(ParameterTypeError):
            run_deployment("greet/x", wrong, timeout=0)
    assert services.runs.runs(RunQuery()) == []
    run = run_deployment("greet/x", {"who": "Ann"}, timeout=0)
    assert (run.state.type, run.parameters, run.deployment) == (
        SCHEDULED,
        {"who": "Ann"},
        "greet/x",
    )


def test_the_check_can_be_left_out(services: Services) -> None:
    save_deployment(greet.to_deployment("x", enforce_parameter_schema=False))
    assert run_deployment("x", {"whom": 5}, timeout=0).parameters == {"whom": 5}


def test_secrets_are_not_kept_as_parameters() -> None:
    register("hunter2-hunter2")
    for wrong in ("plain", SecretStr("plain")):
        with pytest.raises(ParameterTypeError, match="it is a secret"):
            log_in.to_deployment("x", parameters={"token": wrong})
    with pytest.raises(ParameterTypeError, match="it holds a secret"):
        greet.to_deployment("x", parameters={"who": "hunter2-hunter2"})


def test_what_json_has_no_form_for_is_refused() -> None:
    with pytest.raises(ParameterTypeError, match="can't be written as JSON"):
        take_anything.to_deployment("x", parameters={"strange": object()})


def test_more_parameters_than_are_named_can_be_given() -> None:
    made = take_anything.to_deployment("x", parameters={"a": 1, "b": 2})
    assert made.parameters == {"a": 1, "b": 2}


# ------------------------------------------------------------ deployed again


def test_a_deploy_changes_what_the_code_sets_and_nothing_else() -> None:
    first = save_deployment(etl.to_deployment("x", cron="@daily", tags=["a"]))
    pause_deployment("etl/x")
    again = save_deployment(etl.to_deployment("x", interval=60, parameters={"n": 3}))
    assert again.id == first.id
    assert again.is_paused
    assert (again.tags, again.parameters) == ((), {"n": 3})
    assert [str(each) for each in again.schedules] == ["every 1m"]


def test_an_empty_list_of_schedules_clears_them() -> None:
    save_deployment(etl.to_deployment("x", cron="@daily"))
    assert save_deployment(etl.to_deployment("x", schedules=[])).schedules == ()


def test_added_schedules_stay_unless_the_code_has_one_of_that_slug() -> None:
    save_deployment(etl.to_deployment("x", cron="@daily"))
    extra = add_schedule("x", Cron("@hourly", parameters={"n": 2}))
    add_schedule("x", Cron("@weekly", slug="mine"))
    again = save_deployment(etl.to_deployment("x", schedule=Interval(60, slug="mine")))
    assert again.added_schedules == (extra,)
    assert [each.slug for each in again.all_schedules] == ["mine", extra.slug]
    remove_schedule("x", extra.slug or "")
    assert load_deployment("x").added_schedules == ()


def test_schedules_that_can_not_be_added_or_removed_are_refused() -> None:
    save_deployment(etl.to_deployment("x", schedule=Cron("@daily", slug="mine")))
    with pytest.raises(ObjectAlreadyExists, match="mine"):
        add_schedule("x", Cron("@hourly", slug="mine"))
    with pytest.raises(ParameterTypeError, match="n"):
        add_schedule("x", Cron("@hourly", parameters={"n": "many"}))
    with pytest.raises(ObjectNotFound):
        remove_schedule("x", "mine")  # it is the code's


def test_the_same_again_is_no_new_version(services: Services) -> None:
    for _ in range(2):
        save_deployment(etl.to_deployment("x", cron="@daily"))
    assert services.documents.get(KIND, "etl/x").version == 1


def test_an_operators_word_counts_more_than_the_codes() -> None:
    assert save_deployment(etl.to_deployment("x", paused=True)).is_paused
    assert not resume_deployment("x").is_paused
    assert not save_deployment(etl.to_deployment("x", paused=True)).is_paused
    assert pause_deployment("x").is_paused
    assert save_deployment(etl.to_deployment("x", paused=False)).is_paused
    assert not resume_deployment("x").is_paused


def test_an_operators_word_on_a_schedule_counts_more_than_the_codes() -> None:
    def deploy(*, active: bool) -> None:
        save_deployment(etl.to_deployment("x", schedule=Cron("@daily", slug="a", active=active)))

    def is_active() -> bool:
        found = load_deployment("x")
        return found.active_schedules == found.all_schedules

    deploy(active=False)
    assert not is_active()
    resume_schedule("x", "a")
    assert is_active()
    deploy(active=False)
    assert is_active()
    pause_schedule("x", "a")
    assert not is_active()
    assert load_deployment("x").schedule_pauses == {}  # the code and the operator agree
    deploy(active=True)
    assert is_active()
    pause_schedule("x", "a")
    deploy(active=True)
    assert not is_active()
    save_deployment(etl.to_deployment("x"))
    deploy(active=True)
    assert is_active()  # a schedule that was gone comes back as the code has it


def test_near_schedules_are_told() -> None:
    save_deployment(etl.to_deployment("x", schedule=Cron("@daily", slug="nightly")))
    for change in (pause_schedule, resume_schedule):
        with pytest.raises(ObjectNotFound, match="Did you mean 'nightly'"):
            change("x", "nightli")
    add_schedule("x", Cron("@weekly", slug="mine"))
    pause_schedule("x", "mine")
    remove_schedule("x", "mine")
    assert load_deployment("x").schedule_pauses == {}


def test_a_deployment_of_an_earlier_version_is_read(services: Services) -> None:
    made = etl.to_deployment("x", schedule=Cron("@daily", slug="a"))
    body = encode_deployment(made)
    del body["schedule_pauses"]
    for name in ("jitter_seconds", "start", "end", "exclude"):
        del body["schedules"][0][name]
    services.documents.put(KIND, "etl/x", {**body, "of_a_later_version": 1})
    assert load_deployment("x") == made


def test_a_pause_at_shutdown_ends_with_the_next_deploy_and_an_operators_does_not() -> None:
    save_deployment(etl.to_deployment("x"))
    set_paused_at_shutdown("etl/x", is_paused=True)
    assert load_deployment("x").is_paused
    assert not save_deployment(etl.to_deployment("x")).is_paused
    pause_deployment("x")
    set_paused_at_shutdown("etl/x", is_paused=True)
    assert save_deployment(etl.to_deployment("x")).is_paused


# ------------------------------------------------------------ found and deleted


def test_near_names_are_told() -> None:
    save_deployment(etl.to_deployment("nightly"))
    save_deployment(greet.to_deployment("nightly"))
    with pytest.raises(ObjectNotFound, match="etl/nightly"):
        load_deployment("nightly")
    with pytest.raises(ObjectNotFound, match="Did you mean 'etl/nightly'"):
        pause_deployment("etl/nightl")
    assert [each.full_name for each in find_deployments()] == ["etl/nightly", "greet/nightly"]


def test_a_deletion_cancels_what_waits(services: Services, stepped: SteppedClock) -> None:
    save_deployment(etl.to_deployment("x"))
    later = dt.datetime.fromtimestamp(stepped.now + 60, dt.UTC)
    run = run_deployment("x", scheduled_time=later, timeout=0, flow_run_name="soon")
    assert run.scheduled_time == stepped.now + 60
    assert delete_deployment("x") == ["soon"]
    assert services.runs.run(run.id).state.message == "its deployment was deleted"
    with pytest.raises(ObjectNotFound):
        delete_deployment("x")


def test_nothing_can_be_served_from_memory() -> None:
    with pytest.raises(ConfigurationError, match="the store is in memory"):
        serve(etl.to_deployment("x"))
    with pytest.raises(ConfigurationError, match="there is nothing to serve"):
        serve()
    with pytest.raises(ConfigurationError, match="limit=0"):
        etl.serve(limit=0)


def test_a_run_of_a_deployment_waits_no_longer_than_asked(stepped: SteppedClock) -> None:
    made: Deployment = save_deployment(etl.to_deployment("x", tags=["a"]))
    began = stepped.now
    run = run_deployment(made.full_name, {"n": 2}, timeout=3, tags=["b"])
    assert stepped.now >= began + 3
    assert (run.state.name, run.tags) == ("Scheduled", ("a", "b"))


def test_an_interval_that_is_a_text_is_told_as_it_is() -> None:
    with pytest.raises(ConfigurationError, match="interval='abc' is a string"):
        greet.to_deployment("x", interval="abc")  # type: ignore[arg-type]


def test_a_limit_that_is_no_number_is_told() -> None:
    with pytest.raises(ConfigurationError, match="limit='x' is not a whole number"):
        serve(greet.to_deployment("x"), limit="x")  # type: ignore[arg-type]


def test_an_entrypoint_that_is_no_text_is_told() -> None:
    with pytest.raises(ConfigurationError, match="entrypoint: None is not a string"):
        flow.from_source(".", None)  # type: ignore[arg-type]


def test_what_was_not_saved_is_told() -> None:
    with pytest.raises(
        ParameterTypeError, match=r"deployment 'greet/x' was not saved; .*:\n  who: "
    ):
        greet.to_deployment("x", parameters={"who": 3})


@pytest.mark.parametrize("name", ["image", "build", "push"])
def test_nothing_is_built(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}=… has no effect: nothing is built"):
        greet.to_deployment("x", **{name: "etl:1"})  # type: ignore[arg-type]
