"""The names, parameters and defaults that people know are here, or have an issue of their own."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest

import flowstone
from flowstone import transactions
from flowstone.calls.option_types import FlowOptions, TaskOptions
from flowstone.concurrency import arate_limit, concurrency, rate_limit
from flowstone.flows import Flow
from flowstone.futures import Future, FutureList
from flowstone.records.specs import Spec
from flowstone.settings import Settings
from flowstone.states import State, StateType
from flowstone.tasks import Task

#: An issue that is not written yet.
LATER = 99
#: What the issues bring whose numbers stand at names that are still to come.
ISSUES = {
    3: "limits, results that are not held in memory",
    LATER: "code from elsewhere, background tasks, a server, events, assets",
}

TOP_LEVEL: dict[str, int | None] = {
    **dict.fromkeys(
        ("Flow", "State", "Task", "allow_failure", "flow", "get_run_logger", "tags", "task",
         "unmapped", "quote", "Transaction", "pause_flow_run", "apause_flow_run",
         "suspend_flow_run", "asuspend_flow_run", "resume_flow_run", "aresume_flow_run", "serve",
         "aserve", "deploy")
    ),
    "get_client": LATER,
}  # fmt: skip

HOOKS = ("on_completion", "on_failure", "on_running")
#: What a bare `@flow` has; an int is an issue.
FLOW_OPTIONS: dict[str, Any] = {
    "name": "a-b", "version": ..., "flow_run_name": None, "retries": None,
    "retry_delay_seconds": None, "task_runner": ..., "description": None, "timeout_seconds": None,
    "validate_parameters": True, "log_prints": None, "on_cancellation": (), "on_crashed": (),
    **dict.fromkeys(HOOKS, ()),
    "persist_result": None, "result_storage": None, "result_serializer": None,
    "cache_result_in_memory": True,
}  # fmt: skip
TASK_OPTIONS: dict[str, Any] = {
    "name": "a_b", "version": None, "description": None, "tags": frozenset(),
    "task_run_name": None, "retries": None, "retry_delay_seconds": None,
    "retry_jitter_factor": None, "retry_condition_fn": None, "timeout_seconds": None,
    "log_prints": None,
    **dict.fromkeys(HOOKS, ()),
    **dict.fromkeys(
        ("cache_policy", "cache_key_fn", "cache_expiration", "persist_result", "result_storage",
         "result_serializer", "result_storage_key", "refresh_cache")
    ),
    "cache_result_in_memory": True, "viz_return_value": None, "asset_deps": LATER,
}  # fmt: skip

#: Options that are no attributes of the flow or task.
OPTIONS_ALONE = {"cache_key_fn", "cache_expiration", "validate_parameters", "viz_return_value"}

MEMBERS: dict[str, dict[str, int | None]] = {
    "flows:Flow": {
        **dict.fromkeys(
            ("with_options", *HOOKS, "fn", "name", "on_cancellation", "on_crashed",
             "validate_parameters", "serialize_parameters", "visualize", "generate_mermaid_graph",
             "to_deployment", "serve", "deploy", "from_source")
        ),
    },
    "tasks:Task": {
        **dict.fromkeys(("submit", "map", "with_options", "on_commit", "on_rollback", *HOOKS)),
        **dict.fromkeys(("apply_async", "delay", "serve")),
    },
    "futures:Future": dict.fromkeys(
        ("task_run_id", "state", "wait", "result", "add_done_callback")
    ),
    "futures:DistributedFuture": dict.fromkeys(
        ("task_run_id", "state", "wait", "result", "wait_async", "result_async",
         "add_done_callback")
    ),
    "task_worker": dict.fromkeys(("serve", "TaskWorker")),
    "futures:FutureList": dict.fromkeys(("wait", "result")),
    "futures": dict.fromkeys(
        ("as_completed", "wait", "resolve_futures_to_states", "resolve_futures_to_results")
    ),
    "task_runners": {
        "ThreadPoolTaskRunner": None, "ConcurrentTaskRunner": None, "ProcessPoolTaskRunner": None,
        "TaskRunner": None, "PrefectTaskRunner": LATER,
    },
    "states": dict.fromkeys(
        ("Scheduled", "AwaitingRetry", "Pending", "Running", "Retrying", "Completed", "Failed",
         "Crashed", "Cancelling", "Cancelled", "Paused", "State", "StateType", "Late",
         "AwaitingConcurrencySlot", "Suspended", "Submitting", "InfrastructurePending",
         "get_state_exception", "raise_state_exception")
    ),
    "states:State": dict.fromkeys(
        ("type", "name", "message", "timestamp", "data", "result", "is_scheduled", "is_pending",
         "is_running", "is_completed", "is_failed", "is_crashed", "is_cancelled",
         "is_cancelling", "is_final", "is_paused")
    ),
    **dict.fromkeys(
        ("concurrency.sync", "concurrency.asyncio"), dict.fromkeys(("concurrency", "rate_limit"))
    ),
    "tasks": {"exponential_backoff": None, "task_input_hash": None},
    "flow_runs": {
        **dict.fromkeys(
            ("pause_flow_run", "resume_flow_run", "suspend_flow_run", "wait_for_flow_run")
        ),
    },
    "input": dict.fromkeys(("RunInput", "receive_input", "send_input")),
    "input:RunInput": dict.fromkeys(
        ("metadata", "receive", "respond", "send_to", "with_initial_data")
    ),
    "cache_policies": dict.fromkeys(
        ("INPUTS", "TASK_SOURCE", "RUN_ID", "FLOW_PARAMETERS", "NO_CACHE", "NONE", "DEFAULT",
         "Inputs", "CacheKeyFnPolicy", "CachePolicy", "CompoundCachePolicy")
    ),
    "cache_policies:CachePolicy": dict.fromkeys(("configure", "from_cache_key_fn")),
    "locking.memory": {"MemoryLockManager": None},
    "locking.filesystem": {"FileSystemLockManager": None},
    "locking.protocol": {"LockManager": None},
    "results": {"ResultStore": None, "get_result_store": None},
    "serializers": dict.fromkeys(
        ("PickleSerializer", "JSONSerializer", "CompressedSerializer",
         "CompressedPickleSerializer", "CompressedJSONSerializer")
    ),
    "filesystems": {
        "LocalFileSystem": None, "NullFileSystem": None, "RemoteFileSystem": None, "SMB": LATER,
    },
    **dict.fromkeys(
        ("filesystems:LocalFileSystem", "filesystems:RemoteFileSystem"),
        dict.fromkeys(("basepath", "read_path", "write_path", "get_directory", "put_directory")),
    ),
    "blocks.abstract": dict.fromkeys(
        ("CredentialsBlock", "DatabaseBlock", "JobBlock", "JobRun", "NotificationBlock",
         "ObjectStorageBlock", "SecretBlock")
    ),
    "blocks.notifications": dict.fromkeys(("NotificationBlock", "DiscordWebhook", "SlackWebhook")),
    "blocks.webhook": {"Webhook": None},
    "blocks.abstract:DatabaseBlock": dict.fromkeys(
        ("fetch_one", "fetch_many", "fetch_all", "execute", "execute_many", "__enter__",
         "__aenter__")
    ),
    "blocks.core": {"Block": None},
    "blocks.system": {"Secret": None, "JSON": LATER, "DateTime": LATER, "Webhook": None},
    "transactions": dict.fromkeys(
        ("transaction", "atransaction", "get_transaction", "Transaction", "CommitMode",
         "IsolationLevel", "TransactionState")
    ),
    "transactions:Transaction": dict.fromkeys(
        ("set", "get", "stage", "read", "commit", "rollback", "is_committed", "is_rolled_back",
         "is_staged", "is_pending", "is_active")
    ),
    "variables:Variable": dict.fromkeys(("set", "get", "unset", "aset", "aget", "aunset")),
    "artifacts": dict.fromkeys(
        ("Artifact", "LinkArtifact", "MarkdownArtifact", "TableArtifact", "ProgressArtifact",
         "ImageArtifact", "create_link_artifact", "create_markdown_artifact",
         "create_table_artifact", "create_progress_artifact", "update_progress_artifact",
         "create_image_artifact")
    ),
    "artifacts:Artifact": dict.fromkeys(("create", "get", "get_or_create", "acreate", "aget")),
    "runtime": dict.fromkeys(("flow_run", "task_run", "deployment")),
    "context": {
        **dict.fromkeys(("FlowRunContext", "TagsContext", "TaskRunContext")),
        **dict.fromkeys(("get_run_context", "tags")),
        **dict.fromkeys(("SettingsContext", "use_profile"), LATER),
    },
    "logging": dict.fromkeys(
        ("get_run_logger", "get_logger", "disable_run_logger", "LogEavesdropper",
         "flow_run_logger", "task_run_logger")
    ),
}  # fmt: skip

#: (function, parameter, default); ... where there is none.
PARAMETERS = [
    (Task.submit, "wait_for", None),
    (Task.map, "wait_for", None),
    (Future.result, "timeout", None),
    (Future.result, "raise_on_failure", True),
    (Future.wait, "timeout", None),
    (FutureList.result, "timeout", None),
    (FutureList.result, "raise_on_failure", True),
    (FutureList.wait, "timeout", None),
    (State.result, "raise_on_failure", True),
    *[
        (transactions.transaction, parameter, default)
        for parameter, default in {
            "key": None,
            "store": None,
            "commit_mode": None,
            "isolation_level": None,
            "overwrite": False,
            "write_on_commit": True,
            "logger": None,
        }.items()
    ],
    (flowstone.exponential_backoff, "backoff_factor", ...),
    *((concurrency, name, default) for name, default in (
        ("names", ...), ("occupy", 1), ("timeout_seconds", None), ("max_retries", None),
        ("lease_duration", 300), ("strict", False), ("holder", None),
        ("raise_on_lease_renewal_failure", None),
    )),
    *((each, name, default) for each in (rate_limit, arate_limit) for name, default in (
        ("names", ...), ("occupy", 1), ("timeout_seconds", None), ("strict", False),
    )),
    (flowstone.pause_flow_run, "wait_for_input", None),
    (flowstone.pause_flow_run, "timeout", 3600),
    (flowstone.pause_flow_run, "poll_interval", 10),
    (flowstone.pause_flow_run, "key", None),
    (flowstone.suspend_flow_run, "wait_for_input", None),
    (flowstone.suspend_flow_run, "flow_run_id", None),
    (flowstone.suspend_flow_run, "timeout", None),
    (flowstone.suspend_flow_run, "key", None),
    (flowstone.resume_flow_run, "flow_run_id", ...),
    (flowstone.resume_flow_run, "run_input", None),
]  # fmt: skip


def a_b() -> None:
    pass


def _has(place: str, name: str) -> bool:
    module, _, kind = place.partition(":")
    owner: Any = import_module(f"flowstone.{module}")
    if kind:
        owner = getattr(owner, kind)
        # An attribute that only instances have is named in the class's docstring or its fields.
        fields = getattr(owner, "model_fields", ())
        return hasattr(owner, name) or name in fields or f"{name}:" in (inspect.getdoc(owner) or "")
    return hasattr(owner, name)


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_top_level_names(name: str) -> None:
    issue = TOP_LEVEL[name]
    assert (name in flowstone.__all__) == (issue is None), ISSUES.get(issue or 0)


@pytest.mark.parametrize(
    ("place", "name"), [(place, name) for place, names in MEMBERS.items() for name in names]
)
def test_members(place: str, name: str) -> None:
    issue = MEMBERS[place][name]
    assert _has(place, name) == (issue is None), f"{place}.{name}: {ISSUES.get(issue or 0)}"


@pytest.mark.parametrize(("function", "parameter", "default"), PARAMETERS)
def test_parameters(function: Any, parameter: str, default: Any) -> None:
    found = inspect.signature(function).parameters[parameter].default
    assert found == (inspect.Parameter.empty if default is ... else default)


@pytest.mark.parametrize(
    ("unit", "options", "known"),
    [
        (flowstone.flow(a_b), FLOW_OPTIONS, FlowOptions.__annotations__),
        (flowstone.task(a_b), TASK_OPTIONS, TaskOptions.__annotations__),
    ],
    ids=["flow", "task"],
)
def test_options_and_their_defaults(
    unit: Flow[[], None] | Task[[], None], options: dict[str, Any], known: dict[str, Any]
) -> None:
    missing = {name for name in options if name not in known}
    assert missing == {name for name, default in options.items() if _is_issue(default)}
    for name, default in options.items():
        if not _is_issue(default) and default is not ...:
            assert _option(unit.spec, name) == default, name
            if not name.startswith("on_") and name not in OPTIONS_ALONE:
                assert getattr(unit, name) == default, name


def _is_issue(default: Any) -> bool:
    return isinstance(default, int) and not isinstance(default, bool)


def _option(spec: Spec, name: str) -> Any:
    if name.startswith("on_"):
        state = {"on_completion": "COMPLETED", "on_failure": "FAILED", "on_running": "RUNNING",
                 "on_cancellation": "CANCELLED", "on_crashed": "CRASHED"}[name]  # fmt: skip
        return tuple(spec.hooks.get(StateType(state), ()))
    if name == "cache_key_fn":  # it is a policy like another
        return spec.cache_policy
    return getattr(spec, {"flow_run_name": "run_name", "task_run_name": "run_name"}.get(name, name))


def test_a_call_takes_the_two_reserved_arguments() -> None:
    state = flowstone.task(a_b)(return_state=True, wait_for=[])
    assert isinstance(state, State)
    assert state.is_completed()


def test_settings_that_are_defaults() -> None:
    settings = Settings()
    assert (settings.flow_retries, settings.flow_retry_delay_seconds) == (0, 0)
    assert (settings.task_retries, settings.task_retry_delay_seconds) == (0, 0)
    assert settings.log_prints is False


def test_states() -> None:
    assert {kind.value for kind in StateType} == {
        "SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED",
        "PAUSED", "CANCELLING",
    }  # fmt: skip


@pytest.mark.parametrize("factor", [1, 2, 10])
def test_exponential_backoff(factor: float) -> None:
    assert flowstone.exponential_backoff(factor)(4) == [factor * 2**number for number in range(4)]
