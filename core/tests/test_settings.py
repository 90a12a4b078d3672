from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flowstone.errors import ConfigurationError
from flowstone.settings import (
    Settings,
    explain_settings,
    list_variables,
    read_plugins_timeout,
    read_settings,
)


def test_without_variables_there_are_defaults() -> None:
    assert read_settings({}) == Settings()
    assert read_settings({"FLOWSTONE_HOME": ""}).home == Path.home() / ".flowstone"


def test_every_variable_is_read() -> None:
    environ = {
        "FLOWSTONE_HOME": "~/elsewhere",
        "FLOWSTONE_STORE": "memory",
        "FLOWSTONE_SECRET_KEY": "key",
        "FLOWSTONE_SECRET_KEY_OLD": "old key",
        "FLOWSTONE_SECRETS_TTL_SECONDS": "60",
        "FLOWSTONE_LOGGING_CAPTURE_STDOUT": "true",
        "FLOWSTONE_PLUGINS_TIMEOUT_SECONDS": "3",
        "FLOWSTONE_IMPORT": "my_blocks, others.py",
        "FLOWSTONE_OBSERVERS": "events-file,mine",
        "FLOWSTONE_OBSERVERS_EVENTS_FILE": "/var/log/events.jsonl",
        "FLOWSTONE_LIVE_TREE": "on",
        "FLOWSTONE_LOGGING_COLORS": "no",
        "FLOWSTONE_LOGGING_FORMAT": "json",
        "FLOWSTONE_LOGGING_LEVEL": "debug",
        "FLOWSTONE_LOGGING_LOG_PRINTS": "Yes",
        "FLOWSTONE_LOGGING_EXTRA_LOGGERS": "urllib3, my.lib,",
        "FLOWSTONE_FLOWS_DEFAULT_RETRIES": "1",
        "FLOWSTONE_FLOWS_DEFAULT_RETRY_DELAY_SECONDS": "0.5",
        "FLOWSTONE_TASKS_DEFAULT_RETRIES": "2",
        "FLOWSTONE_TASKS_DEFAULT_RETRY_DELAY_SECONDS": "1e1",
        "FLOWSTONE_TASKS_RUNNER_THREAD_POOL_MAX_WORKERS": "4",
        "FLOWSTONE_RESULTS_PERSIST_BY_DEFAULT": "on",
        "FLOWSTONE_RESULTS_DEFAULT_SERIALIZER": "json",
        "FLOWSTONE_RESULTS_DEFAULT_STORAGE_BLOCK": "s3-bucket/results",
        "FLOWSTONE_RESULTS_LOCAL_STORAGE_PATH": "/var/results",
        "FLOWSTONE_TASKS_REFRESH_CACHE": "1",
        "FLOWSTONE_TASKS_DEFAULT_NO_CACHE": "1",
        "FLOWSTONE_TASKS_DISABLE_CACHING": "1",
        "FLOWSTONE_LEASE_SECONDS": "9",
        "FLOWSTONE_TASKS_MAP_MAX_IN_FLIGHT": "7",
        "FLOWSTONE_KEEP_RUNS_DAYS": "1.5",
    }
    settings = read_settings(environ)
    home = Path.home() / "elsewhere"
    assert settings == Settings(
        home=home,
        store="memory",
        secret_key="key",
        secret_key_old="old key",
        secrets_ttl_seconds=60.0,
        logging_level="DEBUG",
        logging_format="json",
        logging_colors=False,
        live_tree=True,
        log_prints=True,
        capture_stdout=True,
        extra_loggers=("urllib3", "my.lib"),
        flow_retries=1,
        flow_retry_delay_seconds=0.5,
        task_retries=2,
        task_retry_delay_seconds=10.0,
        max_workers=4,
        max_in_flight=7,
        keep_runs_days=1.5,
        persist_results=True,
        result_serializer="json",
        result_storage="s3-bucket/results",
        results_path=Path("/var/results"),
        refresh_cache=True,
        default_no_cache=True,
        disable_caching=True,
        lease_seconds=9.0,
        plugins_timeout_seconds=3.0,
        imports=("my_blocks", "others.py"),
        observers=("events-file", "mine"),
        events_file=Path("/var/log/events.jsonl"),
    )
    assert set(environ) == set(list_variables())


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FLOWSTONE_STORE", "postgres"),
        ("FLOWSTONE_LOGGING_LEVEL", "LOUD"),
        ("FLOWSTONE_LOGGING_LOG_PRINTS", "maybe"),
        ("FLOWSTONE_FLOWS_DEFAULT_RETRIES", "-1"),
        ("FLOWSTONE_TASKS_DEFAULT_RETRIES", "1.5"),
        ("FLOWSTONE_TASKS_RUNNER_THREAD_POOL_MAX_WORKERS", "0"),
        ("FLOWSTONE_LEASE_SECONDS", "nan"),
        ("FLOWSTONE_LEASE_SECONDS", "inf"),
        ("FLOWSTONE_LEASE_SECONDS", "soon"),
    ],
)
def test_a_value_that_can_not_be_used_is_named(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_settings({variable: value})
    assert variable in str(caught.value)
    assert repr(value) in str(caught.value)


def test_the_key_is_in_no_repr() -> None:
    assert "hush" not in repr(read_settings({"FLOWSTONE_SECRET_KEY": "hush"}))


def test_a_home_of_nobody_is_named() -> None:
    with pytest.raises(ConfigurationError, match="FLOWSTONE_HOME: '~no-one-has-this/x' is not a"):
        read_settings({"FLOWSTONE_HOME": "~no-one-has-this/x"})


@pytest.mark.skipif(sys.platform == "win32", reason="its home directories come by other variables")
def test_a_user_without_a_home_directory_is_told_what_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a container: the user has no entry in /etc/passwd, and HOME is not set."""
    monkeypatch.setenv("HOME", "~")  # for which Python says that it knows no home directory
    with pytest.raises(ConfigurationError) as caught:
        read_settings({})
    assert "Set it to a directory that this user can write." in str(caught.value)
    home, *others = explain_settings({})
    assert (home.variable, home.value, home.is_set) == ("FLOWSTONE_HOME", None, False)
    assert (home.problem, home.remedy) == (caught.value.problem, caught.value.remedy)
    assert not any(each.problem for each in others)
    assert read_settings({"FLOWSTONE_HOME": "/srv"}).home == Path("/srv")
    assert explain_settings({"FLOWSTONE_HOME": "/srv"})[0].problem is None
    assert read_plugins_timeout() == Settings(home=Path("/srv")).plugins_timeout_seconds
