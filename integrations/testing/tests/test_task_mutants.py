"""Mutants of TaskSuite: a package with one fault fails the test that is named for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowstone.plugins import get_host

# Loaded before pytester takes its snapshot of modules, so that there is one of each.
from flowstone_testing.conformance.tasks import TaskSuite

pytestmark = [pytest.mark.slow, pytest.mark.check]  # the kit, which few changes touch

pytest_plugins = ["pytester"]

PLUGIN = """
from flowstone.plugins import Collection, hookimpl

@hookimpl
def collection():
    return Collection(tasks={"acme_put": "acme_tasks:acme_put"})
"""
TASKS = '''
import asyncio, threading
from typing import Any
from flowstone import get_run_logger, task
from flowstone.runtime import flow_run

__all__ = ["aacme_put", "acme_put"]
SEEN, READY, SOCKETS = set(), False, []

@task
def acme_put(path: str, text: str, timeout_seconds: float = 1.0, **options: Any) -> int:
    """Write a text to a new file, and return its length.

    Args:
        path: the file.
        text: the content.
        timeout_seconds: how long to wait for the disk, in
            seconds.
        **options: of `open`.

    Raises:
        FileExistsError: the file is there.

    Example:
        acme_put(path, "hello")
    """
    with open(path, "x", **options) as file:
        return file.write(text)

@task
async def aacme_put(path: str, text: str, timeout_seconds: float = 1.0, **options: Any) -> int:
    """Do as `acme_put`, and let others run."""
    return await asyncio.to_thread(acme_put.fn, path, text, timeout_seconds, **options)
'''
TESTS = """
import itertools, pytest, threading
import acme_tasks
from flowstone_testing.conformance.tasks import TaskSuite

class TestAcme(TaskSuite):
    plugin = "acme"

    @pytest.fixture
    def examples(self, tmp_path):
        acme_tasks.READY = True
        names = itertools.count()
        return {"acme_put": lambda: {"path": str(tmp_path / str(next(names))), "text": "a"}}
"""
OPEN = '    with open(path, "x", **options) as file:\n'
TWIN = "async def aacme_put(path: str, text: str, timeout_seconds: float = 1.0"
ONCE = "    if flow_run.id in SEEN: raise KeyError('twice')\n    SEEN.add(flow_run.id)\n"
LOOP = """    try: asyncio.get_running_loop()
    except RuntimeError: pass
    else: raise RuntimeError("a loop runs")
"""
CLOSURE = """def made():
    lock = threading.Lock()
    @task
    def acme_put(path: str, text: str) -> int:
        with lock: return len(text)
    return acme_put

acme_put = made()
"""
LAMP = """        from flowstone.blocks import Block
        class Lamp(Block):
            host: str = "lamp.local"
        path = str(tmp_path / "a")
        return {"acme_put": lambda: {"path": path, "text": Lamp()}}
"""

#: The faults: the text to replace, its replacement, and the tests that must fail.
FAULTS = {
    "none": ("", "", ""),
    "no task": ("@task\ndef", "def", "test_every_listed_task_is_a_task"),
    "another name": (
        "@task\ndef",
        "@task(name='put')\ndef",
        "test_every_listed_task_is_a_task",
    ),
    "a task beside the table": (
        '"acme_put"]\n',
        '"acme_put", "more"]\n@task\ndef more() -> int: return 1\n',
        "test_every_public_task_is_listed",
    ),
    "a twin of its own": (TWIN, TWIN[:-3] + "2.0", "test_a_twin_takes_and_returns_the_same"),
    "a twin that is not async": (
        "@task\nasync def aacme_put",
        f"@task\n{TWIN[6:]}, **options: Any) -> int: ...\n@task\nasync def more",
        "test_a_twin_takes_and_returns_the_same",
    ),
    "a twin that returns something else": (
        "return await asyncio",
        "return str(1); await asyncio",
        "test_the_async_twin_does_the_same",
    ),
    "a task that is async": (
        '__all__ = ["aacme_put", "acme_put"]',
        '__all__ = ["aacme_put", "acme_get", "acme_put"]\n@task\nasync def acme_get(): ...',
        "test_an_async_task_does_not_stand_alone",
    ),
    "a twin that blocks": (
        "return await asyncio.to_thread(acme_put.fn, ",
        "import time; time.sleep(0.001); return await asyncio.to_thread(acme_put.fn, ",
        "test_the_async_twin_lets_others_run",
    ),
    "a socket that stays": (
        OPEN,
        f"    import socket; SOCKETS.append(socket.socket())\n{OPEN}",
        "test_it_leaves_nothing_open",
    ),
    "a thread that stays": (
        OPEN,
        f"    threading.Thread(target=threading.Event().wait, daemon=True).start()\n{OPEN}",
        "test_it_leaves_nothing_open",
    ),
    "a parameter without a type": ("text: str, t", "text, t", "test_everything_has_a_type"),
    "anything": ("-> int", "-> Any", "test_everything_has_a_type"),
    "a type for checkers only": ("-> int", "-> 'Count'", "test_everything_has_a_type"),
    "a lock in a closure": (
        "@task\nasync",
        CLOSURE + "@task\nasync",
        "test_it_can_be_sent_to_another_process",
    ),
    "no full stop": ("its length.", "its length", "test_a_docstring_says_what_it_does"),
    "a parameter without a word": (
        "        text: the content.\n",
        "",
        "test_every_parameter_is_documented",
    ),
    "a word too many": ("text: the", "texts: the", "test_every_parameter_is_documented"),
    "an error of nobody": ("FileExistsError", "NoSuchError", "test_errors_are_documented"),
    "no errors": (
        "Raises:\n        FileExists",
        "Notes:\n    FileExists",
        "test_errors_are_documented",
    ),
    "a time without a unit": ("timeout_seconds", "timeout", "test_units_are_in_the_names"),
    "milliseconds": ("timeout_seconds", "timeout_ms", "test_units_are_in_the_names"),
    "a size without a unit": (
        "timeout_seconds: f",
        "buffer_size: f",
        "test_units_are_in_the_names",
    ),
    "no example": ('    Example:\n        acme_put(path, "hello")\n', "", "test_it_has_an_example"),
    "an example of yesterday": (
        'acme_put(path, "hello")',
        "acme_put(where)",
        "test_the_example_runs",
    ),
    "another value than it says": (
        "return file.write(text)",
        "return str(file.write(text))",
        (
            "test_a_call_is_a_run test_the_bare_function_does_the_same test_it_is_submitted "
            "test_it_is_mapped test_it_is_called_from_an_async_flow "
            "test_it_runs_in_another_process"
        ),
    ),
    "needs its run": (
        OPEN,
        f"    get_run_logger().info('writing')\n{OPEN}",
        "test_the_bare_function_does_the_same",
    ),
    "the main thread only": (
        OPEN,
        f"    assert threading.current_thread() is threading.main_thread()\n{OPEN}",
        "test_it_is_submitted",
    ),
    "once in a flow": (
        OPEN,
        ONCE + OPEN,
        "test_it_is_mapped test_it_is_submitted_and_mapped_from_an_async_flow",
    ),
    "no loop around": (
        OPEN,
        f"{LOOP}{OPEN}",
        "test_it_is_called_from_an_async_flow",
    ),
    "state in its module": (OPEN, f"    assert READY\n{OPEN}", "test_it_runs_in_another_process"),
}
#: Faults of the test class: the text to replace, its replacement, and the tests that must fail.
JOINED = {
    "no arguments": ('return {"acme_put"', 'return {"other"', "test_every_task_has_arguments"),
    "the same arguments": (
        'return {"acme_put": lambda: {"path": str(tmp_path / str(next(names))), "text": "a"}}',
        'one = {"path": str(tmp_path / "a"), "text": "a"}; return {"acme_put": lambda: one}',
        "test_arguments_are_fresh_each_time",
    ),
    "a lamp that raises what it likes": (
        'return {"acme_put": lambda: {"path": str(tmp_path / str(next(names))), "text": "a"}}',
        LAMP.strip(),
        "test_only_errors_of_ours_come_out",
    ),
    "a lock as an argument": (
        '"text": "a"',
        '"text": threading.Lock()',
        "test_arguments_can_be_sent",
    ),
}


@pytest.fixture
def site(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory of installed packages, for this process and its children."""
    site = pytester.mkdir("site")
    info = site / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[flowstone]\nacme = acme_tasks.plugin\n")
    monkeypatch.syspath_prepend(site)
    get_host.cache_clear()
    yield site
    get_host.cache_clear()


def run(pytester: pytest.Pytester, site: Path, tasks: str, tests: str, bites: str) -> None:
    package = site / "acme_tasks"
    package.mkdir()
    (package / "__init__.py").write_text(tasks)
    (package / "plugin.py").write_text(PLUGIN)
    pytester.makepyfile(tests)
    quiet = ("-p", "no:cacheprovider", "-q", "--timeout=300")
    if not bites:
        outcome = pytester.runpytest_inprocess(*quiet).parseoutcomes()
        assert outcome.keys() == {"passed"}
    for test in bites.split():
        outcome = pytester.runpytest_inprocess(*quiet, "-k", test).parseoutcomes()
        assert outcome.get("failed"), f"{test} does not bite"


@pytest.mark.parametrize("fault", FAULTS)
def test_tasks(pytester: pytest.Pytester, site: Path, fault: str) -> None:
    old, new, bites = FAULTS[fault]
    assert old in TASKS
    run(pytester, site, TASKS.replace(old, new) if old else TASKS, TESTS, bites)


@pytest.mark.parametrize("fault", JOINED)
def test_classes_that_join(pytester: pytest.Pytester, site: Path, fault: str) -> None:
    old, new, bites = JOINED[fault]
    assert old in TESTS
    run(pytester, site, TASKS, TESTS.replace(old, new), bites)


def test_a_name_that_people_know_says_its_unit(pytester: pytest.Pytester, site: Path) -> None:
    """For one parameter only; its docstring names the unit."""
    known = TESTS.replace('plugin = "acme"', 'plugin = "acme"; known_names = {"timeout"}')
    run(pytester, site, TASKS.replace("timeout_seconds", "timeout"), known, "")


def test_each_standard_test_has_a_mutant() -> None:
    bitten = {test for _, _, tests in FAULTS.values() for test in tests.split()}
    bitten |= {bites for _, _, bites in JOINED.values()}
    standard = {name for name in dir(TaskSuite) if name.startswith("test_")}
    assert bitten == standard
