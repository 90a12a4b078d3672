"""Options of every test run."""

from __future__ import annotations

import gc
import os
import resource
import signal
import time
from typing import TYPE_CHECKING
from zlib import crc32

import pytest
from hypothesis import HealthCheck, settings
from tests.services.offline import keep_offline
from xdist.scheduler import LoadScopeScheduling

from flowstone.records import redaction

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from xdist.remote import Producer

#: Modules whose tests share what takes long to make; of others, each test stands alone.
TOGETHER = {"tests/template/test_new.py"}
#: With more open files than this, garbage is collected after a test: sockets are closed by that.
OPEN_FILES = 400
_most_files = OPEN_FILES
#: The limit of open files that the tests ask the system for.
MOST_FILES = 16_384
#: Where this is set, to seconds since the epoch, no test begins later, and the order is by chance.
UNTIL = "TESTS_UNTIL"
#: The reason of what has not begun.
NOT_BEGUN = "not begun in time"
#: Fixtures that start programs: what uses one is no unit test, and counts as slow.
PROGRAMS = {"emulator", "home", "place"}

#: Tests of suites that take long, and where `make test` runs each; elsewhere `make check` does.
ONCE = {
    "test_a_big_object_is_never_whole_in_memory": "integrations/",
    "test_a_table_goes_in_whole_or_not_at_all": "core/",
    "test_it_leaves_nothing_open": "core/",
    "test_many_batches_stream_in_little_memory": "integrations/duckdb/",
    "test_many_objects_are_all_listed": "integrations/",
    "test_many_rows_stream_in_little_memory": "integrations/duckdb/",
}

#: Folders of tests that are run only if they are named, in processes of their own: Ray brings its
#: own gRPC and allocator, and a process that has loaded the clouds' libraries too may crash.
ALONE = ("integrations/ray",)

pytest_plugins = ["tests.services.fixtures", "tests.services.homes"]

# A job in a shell's background ignores Ctrl-C, one of `nohup` a closed terminal; and so would the
# programs that tests start.
for number, usual in (
    (signal.SIGINT, signal.default_int_handler),
    (getattr(signal, "SIGHUP", None), signal.SIG_DFL),
):
    if number is not None and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

# The programs that tests start are compiled once, not each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# No test fails because the machine is busy.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--soak",
        action="store_true",
        help="run the long forms: 1 GB objects, 10,000 keys one by one",
    )
    parser.addoption("--seeds", type=int, help="of the simulation, run so many seeds")
    parser.addoption(
        "--seed", type=int, help="of the simulation, run this seed, and show its trace"
    )
    parser.addoption(
        "--without",
        default="",
        metavar="FAULTS",
        help="with --seed, leave out faults: their numbers, with commas between",
    )


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--live", default=False):
        keep_offline()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    for folder in (config.rootpath / name for name in ALONE):
        if collection_path == folder:
            named = (config.invocation_params.dir / arg.partition("::")[0] for arg in config.args)
            return None if any(path.is_relative_to(folder) for path in named) else True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take long, or the last process is left alone with one of them."""
    for item in items:
        if not PROGRAMS.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
        name = getattr(item, "originalname", "")
        if name in ONCE and not item.nodeid.startswith(ONCE[name]):
            item.add_marker("check")
    if until := os.environ.get(UNTIL):
        items.sort(key=lambda item: crc32(f"{until} {_find_scope(item.nodeid)}".encode()))
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


class Scheduling(LoadScopeScheduling):
    """Gives a test to the process that is free first."""

    def _split_scope(self, nodeid: str) -> str:
        return _find_scope(nodeid)


def _find_scope(nodeid: str) -> str:
    module = nodeid.partition("::")[0]
    return module if module in TOGETHER else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    config.option.loadscopereorder = False
    return Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    if time.time() > float(os.environ.get(UNTIL, "inf")):
        pytest.skip(NOT_BEGUN)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", ())
    if count := sum(NOT_BEGUN in str(report.longrepr) for report in skipped):
        terminalreporter.write_line(f"{count} tests have {NOT_BEGUN}", yellow=True)


def pytest_sessionstart() -> None:
    """Collect no garbage while 15,000 tests are found: there is none, and each look takes long."""
    gc.disable()
    _raise_file_limit()


def pytest_collection_finish() -> None:
    """Let no collection of garbage look at 15,000 tests: that takes a second each time.

    No test may call `gc.unfreeze`, or all that follow get slow.
    """
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Close what clients of SDKs have left open, before a long run has too many open files."""
    global _most_files
    if _count_open_files() > _most_files:
        gc.collect()
        # What is open now stays so: to look for more of it after each test would take hours. Half
        # of the limit is left for one test, as some open hundreds of files.
        count, limit = _count_open_files(), _raise_file_limit()
        _most_files = max(OPEN_FILES, min(2 * count, max(limit // 2, count + 50)))


def _raise_file_limit() -> int:
    """Raise the limit of open files, often 1,024, as far as the system allows, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def _count_open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - after each test: twice as fast
    except FileNotFoundError:
        return 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    """Forget the secrets that a test has made: the next may expect their words in a message."""
    before = set(redaction._values)  # noqa: SLF001 - a program never forgets one
    try:
        yield
    finally:
        if redaction._values != before:  # noqa: SLF001
            redaction._values, redaction._stale = before, True  # noqa: SLF001
