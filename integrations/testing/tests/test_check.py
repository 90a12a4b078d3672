"""`flowstone plugin check` on foreign packages: good ones, and some that are dangerous."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

from flowstone_testing.cli.stages import CheckRecord, Reading
from flowstone_testing.programs import COMMAND

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone_testing.programs import Home

    from .conftest import InProcess

pytestmark = pytest.mark.slow

PLUGIN = """
from flowstone.plugins import Collection, hookimpl

@hookimpl
def collection():
    return Collection(
        blocks={"garden-login": "garden.things:GardenLogin"},
        tasks={"garden_dig": "garden.things:garden_dig"},
    )
"""
METADATA = """Metadata-Version: 2.1
Name: garden-tools
Version: 1.2
Requires-Dist: flowstone>=0.1
Requires-Dist: pydantic>=2
"""
THINGS = '''
from pydantic import Field, SecretStr
from flowstone import task
from flowstone.blocks import Credentials

class GardenLogin(Credentials):
    """A login to the garden."""

    _description = "A login to the garden."
    _code_example = "GardenLogin()"
    key: SecretStr | None = Field(default=None, description="Of the gate.")
    depth: int = Field(default=3, ge=2, description="Spades.")

    def client(self):
        return self

    def _check(self):
        if self.key is None or self.key.get_secret_value() == "wrong":
            raise PermissionError("no such key")
        if self.depth > 9:
            raise ConnectionError("no such garden")
        return "the gardener"

@task
def garden_dig(holes: int) -> int:
    """Dig holes, and return how many.

    Args:
        holes: so many.

    Raises:
        ValueError: there are less than none.

    Example:
        garden_dig(holes)
    """
    if holes < 0: raise ValueError(holes)
    return holes
'''
TESTS = """
import pytest
from garden.things import GardenLogin
from flowstone_testing.conformance.blocks import BlockSuite
from flowstone_testing.conformance.credentials import CredentialsSuite
from flowstone_testing.conformance.plugins import PluginSuite
from flowstone_testing.conformance.suite import EmulatorGap
from flowstone_testing.conformance.tasks import TaskSuite

class TestPlugin(PluginSuite):
    plugin = "garden"
    package = "garden"

class TestBlock(BlockSuite):
    @pytest.fixture
    def examples(self): return [GardenLogin(key="a-key-of-the-tests")]

class TestLogin(CredentialsSuite):
    @pytest.fixture
    def good(self): return GardenLogin(key="right")
    @pytest.fixture
    def refused(self): return GardenLogin(key="wrong")
    @pytest.fixture
    def unreachable(self): return GardenLogin(key="right", depth=10)

class TestTasks(TaskSuite):
    plugin = "garden"
    @pytest.fixture
    def examples(self): return {"garden_dig": lambda: {"holes": 2}}

def test_of_its_own(): assert False
"""


class Stranger:
    """A package outside this repository, and its tests."""

    def __init__(self, home: Home, **modules: str) -> None:
        self.home, self.site = home, home.directory / "site"
        package, info = self.site / "garden", self.site / "garden_tools-1.2.dist-info"
        package.mkdir(parents=True)
        info.mkdir()
        for name, source in {"__init__": "__all__ = []", "plugin": PLUGIN, **modules}.items():
            (package / f"{name}.py").write_text(source)
        (info / "METADATA").write_text(METADATA)
        (info / "entry_points.txt").write_text("[flowstone]\ngarden = garden.plugin\n")

    def tests(self, source: str = TESTS) -> Path:
        path = self.home.directory / "source/tests/test_conformance.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        return path

    def check(self, *words: str, code: int) -> Any:
        done = self.home.run(
            "plugin", "check", "garden-tools", "--json", *words, PYTHONPATH=str(self.site)
        )
        assert done.code == code, done.out + done.err
        return done.json


def levels(report: Any) -> dict[str, str]:
    return {suite["suite"]: suite["level"] for suite in report["suites"]}


def missing(report: Any, suite: str) -> str:
    (found,) = [each for each in report["suites"] if each["suite"] == suite]
    return "\n".join(found["missing"])


def test_from_outside_a_good_package_is_partial(home: Home) -> None:
    report = Stranger(home, things=THINGS).check(code=0)
    assert (report["name"], report["version"]) == ("garden-tools", "1.2")
    assert levels(report) == {
        "PluginSuite": "full",
        "BlockSuite": "partial",
        "CredentialsSuite": "partial",
        "TaskSuite": "partial",
    }
    assert "join flowstone_testing.TaskSuite" in missing(report, "TaskSuite")
    assert (report["problems"], report["tests"]) == ([], [])


def test_databases_and_secret_providers_are_asked_for_their_suites(home: Home) -> None:
    plugin = PLUGIN.replace(
        'blocks={"garden-login": "garden.things:GardenLogin"},',
        'blocks={"well": "garden.things:Well", "burrow": "garden.things:Burrow"},'
        'secret_providers={"burrow": "garden.things:Burrow"},',
    )
    things = f"""{THINGS}
from flowstone.blocks import FileSecrets, SqliteDatabase

class Well(SqliteDatabase): pass
class Burrow(FileSecrets): pass
"""
    report = Stranger(home, plugin=plugin, things=things).check(code=1)
    found = levels(report)
    assert (found["DatabaseSuite"], found["SecretsSuite"]) == ("none", "partial")
    assert "join flowstone_testing.DatabaseSuite in the package's tests, for well" in missing(
        report, "DatabaseSuite"
    )
    assert "join flowstone_testing.SecretsSuite in the package's tests, for burrow" in missing(
        report, "SecretsSuite"
    )


def test_with_its_tests_it_is_full(home: Home) -> None:
    stranger = Stranger(home, things=THINGS)
    tests = stranger.tests()
    golden = tests.parent / "golden"
    written = home.python(
        f"import pytest; pytest.main(['--write-golden', '-k', 'TestBlock', {str(tests)!r}])",
        PYTHONPATH=str(stranger.site),
    )
    assert list(golden.iterdir()), written.out
    report = stranger.check("--tests", str(tests), "--level", "full", code=0)
    assert set(levels(report).values()) == {"full"}
    assert report["tests"] == [str(tests)]


def test_a_flaw_is_told_with_what_to_look_at(home: Home) -> None:
    flawed = THINGS.replace("holes: int", "holes").replace('description="Spades."', "")
    site = str(Stranger(home, things=flawed).site)
    done = home.run("plugin", "check", "garden", PYTHONPATH=site)
    assert done.code == 1
    assert "tasks of garden.test_everything_has_a_type fails" in done.out
    assert "Annotate what is named" in done.out
    assert "block garden-login.test_its_fields_are_described fails" in done.out
    assert "Give each named field a ``Field(description=...)``" in done.out


@pytest.mark.check
def test_a_gap_of_the_emulator_is_counted_apart(home: Home) -> None:
    stranger = Stranger(home, things=THINGS)
    gap = 'gaps = {"test_a_loaded_login_is_as_good": EmulatorGap("toy", "1.0", "worn keys")}'
    worn = TESTS.replace(
        "class TestLogin(CredentialsSuite):", f"class TestLogin(CredentialsSuite):\n    {gap}"
    )
    worn = worn.replace(
        'def good(self): return GardenLogin(key="right")',
        "def good(self): return Worn(key='right')",
    )
    worn = worn.replace(
        "class TestPlugin",
        "class Worn(GardenLogin):\n    _block_type_slug = 'garden-login'\n"
        "    @classmethod\n    def load(cls, *a): return cls(key='wrong')\n\nclass TestPlugin",
    )
    tests = str(stranger.tests(worn))
    report = stranger.check("--tests", tests, code=1)
    (login,) = [each for each in report["suites"] if each["suite"] == "CredentialsSuite"]
    assert (login["level"], login["missing"], report["not_shown"]) == ("full", [], 1)
    (told,) = login["not_shown"]
    assert told.endswith("TestLogin.test_a_loaded_login_is_as_good: toy 1.0: worn keys")
    site = str(stranger.site)
    shown = home.run("plugin", "check", "garden", "--tests", tests, PYTHONPATH=site).out
    assert "full (emulated; 1 not shown)" in shown
    live = stranger.check("--tests", tests, "--live", code=1)
    assert (levels(live)["CredentialsSuite"], live["not_shown"]) == ("partial", 0)
    # A check writes no golden document, either.
    assert "`pytest --write-golden` writes one" in missing(report, "BlockSuite")


ABSTRACT = """
from abc import abstractmethod

class Well(GardenLogin):
    @abstractmethod
    def _wet(self): ...
"""


def test_an_abstract_block_is_told_once_with_what_it_lacks(home: Home) -> None:
    plugin = PLUGIN.replace("blocks={", 'blocks={"well": "garden.things:Well",')
    report = Stranger(home, plugin=plugin, things=THINGS + ABSTRACT).check(code=1)
    assert "block 'well' does not define _wet" in missing(report, "PluginSuite")
    told = missing(report, "BlockSuite")
    assert told.count("Can't instantiate abstract class") == 1
    assert "block well skips " in told


@pytest.mark.check
def test_all_that_is_wrong_is_named(home: Home) -> None:
    names = [f"deep_{number}" for number in range(9)]
    fields = "".join(f"    {name}: int = 1\n" for name in names)
    things = THINGS.replace("    def client(self):", f"{fields}\n    def client(self):")
    told = missing(Stranger(home, things=things).check(code=1), "BlockSuite")
    assert [name for name in names if name not in told] == []


DANGERS = {
    "a plugin that can't be imported": ({"plugin": "import nothing_of_that_name"}, "nothing_of"),
    "a plugin that exits": ({"plugin": "raise SystemExit(7)"}, "SystemExit: 7"),
    "a plugin that ends its process": ({"plugin": "import os; os._exit(7)"}, "ended with 7"),
    "a module that exits": ({"things": "raise SystemExit(7)"}, "SystemExit"),
    "a module that ends its process": ({"things": "import os; os._exit(7)"}, "ended with 7"),
    "a module that hangs": (
        {"things": "from threading import Event; Event().wait()"},
        "stopped after 10 s, at importing block 'garden-login'",
    ),
    "a block that is none": (
        {"things": "GardenLogin = garden_dig = 1"},
        "test_everything_it_lists_is_there fails",
    ),
}


@pytest.mark.parametrize("danger", DANGERS)
@pytest.mark.check
def test_a_dangerous_package_is_a_report(home: Home, danger: str) -> None:
    modules, said = DANGERS[danger]
    words = ("--timeout-seconds", "10") if "hangs" in danger else ()
    stranger = Stranger(home, **{"things": THINGS, **modules})
    report = stranger.check(*words, code=1)
    assert report["level"] == ("partial" if danger == "a block that is none" else "none")
    assert said in str(report)


@pytest.mark.check
def test_tests_that_can_not_run_are_told(home: Home) -> None:
    stranger = Stranger(home, things=THINGS)
    report = stranger.check("--tests", str(stranger.tests("import nothing_of_that_name")), code=1)
    assert len(report["problems"]) == 1
    assert "No module named 'nothing_of_that_name'" in report["problems"][0]
    broken = stranger.tests("def test_it(:\n    pass\n")
    report = stranger.check("--tests", str(broken), code=1)
    (problem,) = report["problems"]
    assert 'test_conformance.py", line 1 def test_it(:' in problem
    hanging = TESTS.replace('lambda: {"holes": 2}', "__import__('threading').Event().wait()")
    path = stranger.tests(hanging.replace("class TestBlock", "class Block"))
    report = stranger.check("--tests", str(path), "--timeout-seconds", "30", code=1)
    assert "its own tests: stopped after 30 s, at " in str(report["problems"])
    assert "TestTasks::test_" in str(report["problems"])
    assert levels(report)["CredentialsSuite"] == "full"


def test_secrets_of_the_samples_are_nowhere(home: Home) -> None:
    loud = THINGS.replace(
        "def client(self):",
        "def __repr__(self): return self.key.get_secret_value()\n    def client(self):",
    )
    report = Stranger(home, things=loud).check(code=1)
    assert "test_secrets_are_masked_where_a_block_is_shown fails" in missing(report, "BlockSuite")
    assert "sample-" not in str(report)


#: Its first login waits, in each process, until another process has opened and closed a pipe.
WAITING = """
from functools import cache

@cache
def wait(): open({pipe!r}).read()
"""


@pytest.mark.check
def test_what_it_is_at_is_seen_on_a_terminal(home: Home) -> None:
    pipe = home.directory / "pipe"
    os.mkfifo(pipe)
    waits = THINGS.replace(
        "    def client(self):",
        "    def __init__(self, **fields): wait(); super().__init__(**fields)\n"
        "    def client(self):",
    )
    stranger = Stranger(home, things=WAITING.format(pipe=str(pipe)) + waits)
    words = ("plugin", "check", "garden", "--tests", str(stranger.tests()))
    terminal = home.terminal(COMMAND, *words, columns=120, PYTHONPATH=str(stranger.site))
    for seen in (
        r"\d+ s  from outside  \d+ of \d+  block garden-login::test_",
        r"\d+ s  its own tests  \d+ of \d+  Test\w+::test_",
    ):
        terminal.read_until(re.compile(seen).search)
        pipe.write_text("")
    done = terminal.finish()
    assert done.code == 1  # there is no golden document
    assert re.search(r"\d+ s  what it offers  ", done.out)
    left = terminal.screen[0].split()
    assert left[:3] == ["package", "garden-tools", "1.2"]  # the line is erased


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.check
def test_a_check_that_is_stopped_leaves_no_process(home: Home, number: signal.Signals) -> None:
    pipe = home.directory / "pipe"
    os.mkfifo(pipe)
    hangs = f"from threading import Event\npipe = open({str(pipe)!r}, 'w')\nEvent().wait()"
    site = str(Stranger(home, things=hangs).site)
    terminal = home.terminal(COMMAND, "plugin", "check", "garden", PYTHONPATH=site)
    with pipe.open() as until_gone:  # waits for the process at the other end
        terminal.interrupt(number)
        assert terminal.finish().code == (1 if number is signal.SIGINT else 128 + number)
        assert until_gone.read() == ""


@pytest.mark.check
def test_in_a_pipe_nothing_is_seen_of_that(home: Home) -> None:
    site = str(Stranger(home, things=THINGS).site)
    done = home.run("plugin", "check", "garden", PYTHONPATH=site)
    assert (done.code, done.err) == (0, "")


def test_a_line_that_was_not_written_to_its_end_is_left(tmp_path: Path) -> None:
    reading = Reading(tmp_path / "facts", CheckRecord())
    assert not reading.go_on()  # it does not exist yet
    reading.path.write_text('{"collected": 3}\n{"doing": "a te')
    assert reading.go_on()
    assert (reading.tests, reading.doing, reading.done) == (3, "starting", False)
    assert not reading.go_on()
    with reading.path.open("a") as file:
        file.write('st"}\n{"done": true}\n{"prob')
    assert reading.go_on()
    assert (reading.doing, reading.done, reading.found.problems) == ("a test", True, [])


def test_who_is_not_there_is_named(cli: InProcess) -> None:
    done = cli("plugin", "check", "flowston")
    assert done.code == 1
    assert "no installed package offers a plugin named 'flowston'. Did you mean" in done.err
