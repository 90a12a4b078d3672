from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from flowstone import flow, get_run_logger, task
from flowstone.bootstrap import open_services
from flowstone.context import current
from flowstone.context.runtime import task_run
from flowstone.engine.journal import WriteBehind
from flowstone.errors import MissingContextError
from flowstone.logging import (
    LogEavesdropper,
    disable_run_logger,
    flow_run_logger,
    get_logger,
    run_logger,
    task_run_logger,
)
from flowstone.logging.run_logger import RUNS
from flowstone.records.events import Event, LogLine
from flowstone.records.redaction import MASK, register
from flowstone.records.runs import RunQuery
from flowstone.testing.memory import flowstone_test_harness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.context.current import Services
    from flowstone.records.runs import Run


def lines(services: Services) -> list[tuple[str, LogLine]]:
    """Return each line with the name of its run, but for what the engine says itself."""
    services.journal.flush()
    names = {run.id: run.name for run in services.runs.runs(RunQuery())}
    found = []
    for _, event in services.runs.events(kinds=["LogWritten"]):
        assert isinstance(event.payload, LogLine)
        if not event.payload.message.startswith(("began", "ended")):
            found.append((names[event.run_id], event.payload))
    return found


@pytest.fixture
def library() -> Iterator[str]:
    """The name of a library's logger that no other test knows."""
    name = f"library_{uuid4().hex}"
    yield name
    for logger in (logging.getLogger(name), logging.getLogger(f"{name}.part")):
        logger.handlers.clear()


@pytest.fixture
def extra(library: str) -> Iterator[Services]:
    """Services whose settings name that logger, and one below it."""
    with flowstone_test_harness() as outer:
        settings = replace(outer.settings, extra_loggers=(library, f"{library}.part"))
        services = open_services(settings)
        with current.use_services(services):
            yield services
        services.close()


def test_lines_of_a_library_belong_to_the_run_they_are_written_in(
    extra: Services, library: str
) -> None:
    part = logging.getLogger(f"{library}.part")

    @task
    def load() -> None:
        part.info("in a task, %d rows", 3)

    @flow(flow_run_name="around")
    def around() -> None:
        part.warning("in the flow")
        load()
        load.submit().result()

    part.warning("in no run")
    around()
    told = [(name, line.level, line.logger, line.message) for name, line in lines(extra)]
    assert told == [
        ("around", 30, part.name, "in the flow"),
        ("load-0", 20, part.name, "in a task, 3 rows"),
        ("load-1", 20, part.name, "in a task, 3 rows"),
    ]


def test_a_library_keeps_the_level_it_has(library: str) -> None:
    logging.getLogger(library).setLevel("ERROR")
    with flowstone_test_harness() as outer:
        services = open_services(replace(outer.settings, extra_loggers=(library,)))
        services.close()
    assert logging.getLogger(library).level == logging.ERROR


def test_all_loggers_may_be_named(services: Services) -> None:
    root = logging.getLogger()
    before = root.handlers[:]
    name = f"any_{uuid4().hex}"
    logging.getLogger(name).setLevel("INFO")
    other = open_services(replace(services.settings, extra_loggers=("root",)))

    @flow(flow_run_name="around")
    def around() -> None:
        logging.getLogger(name).info("hello")
        get_run_logger().info("from the run")

    try:
        with current.use_services(other):
            around()
            told = [line.message for _, line in lines(other)]
        assert told == ["hello", "from the run"]
    finally:
        root.handlers[:] = before
        other.close()


def test_lines_of_a_library_are_shown_once(
    extra: Services, library: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before, root.handlers[:] = root.handlers[:], []  # pytest's own: it counts as set up
    try:

        @flow(flow_run_name="around")
        def around() -> None:
            logging.getLogger(f"{library}.part").warning("careful")

        around()
    finally:
        root.handlers[:] = before
    assert capsys.readouterr().err.count("careful") == 1


def test_what_is_said_beside_the_text_is_kept(services: Services) -> None:
    register("hunter2-hunter2")

    class Odd:
        def __repr__(self) -> str:
            return "<odd hunter2-hunter2>"

    @flow(flow_run_name="around")
    def around() -> None:
        said = {"rows": 3, "where": {"table": "t", "key": "hunter2-hunter2"}, "odd": Odd()}
        get_run_logger().info("loaded", extra=said)
        get_run_logger().info("plain")

    around()
    [(_, first), (_, second)] = lines(services)
    where = {"table": "t", "key": MASK}
    assert first.fields == {"odd": f"<odd {MASK}>", "rows": 3, "where": where}
    assert second.fields is None


@contextmanager
def unheard() -> Iterator[None]:
    """Take away the test runner's handlers, in which a broken line is a failed test."""
    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers[:] = []
    try:
        yield
    finally:
        root.handlers[:] = before


def test_a_line_that_can_not_be_put_together_is_kept_and_ends_no_run(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    class Mute:
        def __repr__(self) -> str:
            raise ValueError("mute")

    @flow(flow_run_name="around")
    def around() -> str:
        get_run_logger().info("%d rows", "three")
        get_run_logger().info(Mute())
        return "went on"

    with unheard(), LogEavesdropper("flowstone") as heard:
        assert around() == "went on"
    assert [line.message for _, line in lines(services)] == [
        "%d rows % ['three'] (can't be formatted: TypeError)",
        "<Mute, whose repr raised ValueError> % [] (can't be formatted: ValueError)",
    ]
    assert "%d rows % ['three']" in heard.text()
    assert "test_logging.py" in capsys.readouterr().err, "standard logging says where that is"


def test_the_programs_own_handlers_see_no_secret_either(services: Services) -> None:
    """They come after ours: a file, a service that collects errors."""
    secret = "h4ndled-by-others"
    register(secret)
    records: list[logging.LogRecord] = []

    class Own(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    @task
    def tell() -> None:
        extra = {"key": secret, "deep": {"list": [secret]}, "number": 1}
        get_run_logger().warning("with %s", secret, extra=extra)
        get_run_logger().warning("with %s", "nothing")
        get_run_logger().info("%d rows", secret)
        try:
            raise ValueError(secret)
        except ValueError:
            get_run_logger().exception("failed")

    @flow
    def careless() -> None:
        tell.submit().wait()
        raise RuntimeError(secret)

    root, own = logging.getLogger(), Own()
    root.addHandler(own)
    try:
        assert careless(return_state=True).is_failed()
    finally:
        root.removeHandler(own)
    shown = [f"{logging.Formatter().format(each)} {vars(each)} {each.exc_info}" for each in records]
    assert not [text for text in shown if secret in text]
    told = [each for each in records if each.levelno == logging.WARNING]
    assert [each.getMessage() for each in told] == [f"with {MASK}", "with nothing"]
    assert vars(told[0])["deep"] == {"list": [MASK]}
    assert vars(told[0])["number"] == 1
    assert any(f"ValueError: {MASK}" in text for text in shown)
    assert any(f"RuntimeError: {MASK}" in text for text in shown)


def test_inside_disable_run_logger_runs_say_nothing(services: Services) -> None:
    @task
    def say() -> str:
        get_run_logger().warning("said")
        return "done"

    @flow
    def around() -> None:
        with disable_run_logger():
            get_run_logger().error("hidden")
            say()
        get_run_logger().info("shown")

    around()
    assert [line.message for _, line in lines(services)] == ["shown"]


def test_disable_run_logger_lets_a_bare_function_be_called(services: Services) -> None:
    @task
    def say(x: int) -> int:
        get_run_logger().info("said %d", x)
        return x

    with disable_run_logger():
        assert say.fn(3) == 3
        kept = get_run_logger()
    kept.error("after the block, still of no run")
    with pytest.raises(MissingContextError):
        say.fn(3)
    assert lines(services) == []


def test_what_a_hook_says_after_the_end_is_kept(services: Services) -> None:
    def hook(flow: Any, run: Any, state: Any) -> None:
        get_run_logger().info("hook saw %s", state.name)

    @flow(on_completion=[hook])
    def around() -> None: ...

    around()
    assert [line.message for _, line in lines(services)] == ["hook saw Completed"]


def test_before_its_first_state_a_run_has_no_log(services: Services, tmp_path: Any) -> None:
    seen = []

    def key(context: Any, parameters: Any) -> None:
        try:
            get_run_logger()
        except MissingContextError as error:
            seen.append(error)

    @task(cache_key_fn=key, result_storage=tmp_path)
    def one() -> int:
        return 1

    assert one() == 1
    assert len(seen) == 1


def test_a_logger_of_no_run_is_shown_and_not_kept(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    @flow
    def f() -> None:
        get_logger("mine").warning("aside")

    f()
    assert lines(services) == []
    assert ("flowstone.mine", logging.WARNING, "aside") in caplog.record_tuples
    assert get_logger() is logging.getLogger("flowstone")
    assert get_logger("flowstone.mine") is get_logger("mine")


def test_hooks_log_to_the_runs_that_they_are_given(services: Services) -> None:
    def hook(flow: Any, flow_run: Run, state: Any) -> None:
        flow_run_logger(flow_run, flow).warning("flow hook")

    def task_hook(task: Any, task_run: Run, state: Any) -> None:
        task_run_logger(task_run).warning("task hook")

    @task(on_completion=[task_hook])
    def t() -> None: ...

    @flow(on_completion=[hook], flow_run_name="the-flow")
    def f() -> None:
        t()

    f()
    assert [(name, line.message) for name, line in lines(services)] == [
        ("t-0", "task hook"),
        ("the-flow", "flow hook"),
    ]


def test_an_eavesdropper_hears_one_logger_and_those_below(library: str) -> None:
    register("s3cr3t-eavesdropped")
    logger = logging.getLogger(library)
    logger.setLevel(logging.ERROR)
    with LogEavesdropper(library, logging.INFO) as heard:
        logger.info("one")
        logger.debug("quiet")
        logger.getChild("below").warning("two %s", "s3cr3t-eavesdropped")
        logging.getLogger(f"{library}s").error("another")
    logger.error("later")
    assert heard.text() == f"one\ntwo {MASK}"
    assert logger.level == logging.ERROR


def test_a_line_is_added_without_the_handlers_lock(
    extra: Services,
) -> None:
    """Adding one may write the whole journal, and writing it may log."""
    others: list[bool] = []

    class Writing(WriteBehind):
        def append(self, event: Event, token: str | None = None) -> None:
            super().append(event, token)
            if event.kind == "LogWritten":
                other = threading.Thread(target=_log, args=(others,))
                other.start()
                other.join(timeout=300)

    def _log(done: list[bool]) -> None:
        logging.getLogger("flowstone.journal").warning("the lease could not be renewed")
        done.append(True)

    journal = Writing(extra.runs, extra.clock, 30)
    with current.use_services(replace(extra, journal=journal)):

        @flow
        def f() -> None:
            get_run_logger().info("a line")

        f()
    journal.close()
    assert len(others) == 3  # the line, and those of the beginning and the end


def test_a_thread_that_was_stopped_while_it_logged_holds_up_nobody(services: Services) -> None:
    def stopped() -> None:
        for handler in logging.getLogger("flowstone").handlers:
            handler.acquire()

    thread = threading.Thread(target=stopped)
    thread.start()
    thread.join()

    @flow
    def f() -> None:
        get_run_logger().info("still here")

    f()
    assert "still here" in [
        event.payload.message  # type: ignore[union-attr]
        for _, event in services.runs.events(kinds=["LogWritten"])
    ]


NAMES = ("flow_run_id", "flow_run_name", "flow_name", "task_run_id", "task_run_name", "task_name")


def test_records_name_their_run_as_log_shippers_expect(services: Services, library: str) -> None:
    seen: dict[str, tuple[str, ...]] = {}

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found = [getattr(record, name) for name in NAMES]
            seen[record.getMessage()] = tuple(names.get(each, each) for each in found)

    names: dict[str | None, str] = {None: "-"}

    def say(text: str) -> None:
        names.update({run.id: f"id of {run.unit}" for run in services.runs.runs(RunQuery())})
        get_run_logger().info(text)

    @task(task_run_name="a step", log_prints=True)
    def step(text: str) -> None:
        names[task_run.id] = "id of step"
        say(text)
        print(f"{text}, printed")
        logging.getLogger(library).warning("%s, by a library", text)

    @flow(flow_run_name="a child")
    def child() -> None:
        step("in the child")

    @flow(flow_run_name="a parent")
    def parent() -> None:
        say("in the flow")
        step("in the task")
        step.submit("submitted").wait()
        child()

    keep = Keep()
    RUNS.parent.addHandler(keep)  # type: ignore[union-attr]
    logging.getLogger(library).addHandler(keep)
    run_logger.configure("INFO", [library])
    logging.getLogger(library).removeHandler(keep)
    logging.getLogger(library).addHandler(keep)  # behind the handler that knows the run
    try:
        parent()
        step("alone")
    finally:
        RUNS.parent.removeHandler(keep)  # type: ignore[union-attr]
    of_parent, of_child = (
        ("id of parent", "a parent", "parent"),
        ("id of child", "a child", "child"),
    )
    of_step = ("id of step", "a step", "step")
    assert seen["in the flow"] == (*of_parent, "-", "-", "-")
    assert seen["in the child"] == (*of_child, *of_step)
    assert seen["alone"] == ("-", "-", "-", *of_step)
    for text in ("in the task", "submitted", "in the task, printed", "submitted, by a library"):
        assert seen[text] == (*of_parent, *of_step)
    assert all(line.fields is None for _, line in lines(services))
