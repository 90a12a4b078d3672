from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flowstone_testing.programs import Home

    from .conftest import InProcess

GOOD = """
from flowstone.plugins import Collection, hookimpl

@hookimpl
def collection():
    return Collection(blocks={"shed": "not_there:Shed"}, tasks={"dig": "not_there:dig"})
"""
BROKEN = {
    "ImportError": "import a_module_that_nobody_has\n",
    "SyntaxError": "def broken(:\n",
    "SystemExit": "raise SystemExit(7)\n",
    "PluginError": GOOD.replace('"shed"', '"secret"'),
}


HANG = "print('connecting')\nfrom threading import Event\nEvent().wait()\n"


def install(home: Home, name: str, source: str) -> dict[str, str]:
    """Put a package on the path, as pip would; return the environment that has it."""
    site = home.directory / "site"
    info = site / f"{name}-1.2.dist-info"
    info.mkdir(parents=True)
    (site / f"{name}.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[flowstone]\n{name} = {name}\n")
    return {"PYTHONPATH": str(site)}


def test_core_comes_in_by_the_same_door(cli: InProcess) -> None:
    [core, *_] = cli("plugin", "ls", "--json").json
    assert (core["package"], core["error"]) == ("flowstone", None)
    assert "secret" in core["offers"]["block"]
    assert cli("plugin", "ls", "--strict").code == 0


def test_what_each_command_does_is_said_to_its_end(cli: InProcess) -> None:
    for noun in ("plugin", "catalog"):
        _, listed = cli(noun, "--help").out.split("Commands:")
        assert "..." not in listed


def test_a_plugin_is_listed_without_importing_what_it_offers(home: Home) -> None:
    environ = install(home, "garden", GOOD)
    listed = home.run("plugin", "ls", "--json", **environ).json
    [found] = [each for each in listed if each["package"] == "garden"]
    assert found["version"] == "1.2"
    assert {kind: names for kind, names in found["offers"].items() if names} == {
        "block": ["shed"],
        "task": ["dig"],
    }
    told = [line.split() for line in home.run("plugin", "ls", **environ).out.splitlines()]
    assert ["garden", "1.2", "garden", "1", "block,", "1", "task"] in told
    assert "shed" in home.run("block", "types", **environ).out
    done = home.run("block", "types", "shed", **environ)
    assert (done.code, "garden 1.2" in done.err) == (1, True)


def test_one_plugin_is_shown_with_where_everything_is(home: Home) -> None:
    environ = install(home, "garden", GOOD)
    out = home.run("plugin", "show", "garden", **environ).out
    assert ["block", "shed", "not_there:Shed"] in [line.split() for line in out.splitlines()]
    shown = home.run("plugin", "show", "flowstone", "--json").json
    assert shown["offers"]["observer"] == ["events-file"]
    done = home.run("plugin", "show", "gardn", **environ)
    assert (done.code, "Did you mean 'garden'" in done.err) == (1, True)
    environ = install(home, "weeds", BROKEN["SystemExit"])
    assert "SystemExit: 7" in home.run("plugin", "show", "weeds", **environ).out


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_listed_with_its_traceback(home: Home, kind: str) -> None:
    environ = install(home, "weeds", BROKEN[kind])
    done = home.run("plugin", "ls", **environ)
    assert done.code == 0
    assert "broken: " in done.out
    assert "weeds 1.2 is broken:" in done.err
    assert kind.replace("ImportError", "ModuleNotFoundError") in done.err
    [found] = [each for each in home.run("plugin", "ls", "--json", **environ).json if each["error"]]
    assert found["error"]["traceback"]
    assert home.run("plugin", "ls", "--strict", **environ).code == 1
    assert home.run("plugin", "ls", "--strict", "--json", **environ).code == 1
    types = home.run("block", "types", **environ)
    assert "secret" in types.out
    assert "weeds" in types.err


def test_a_plugin_that_hangs_delays_a_command_and_no_more(home: Home) -> None:
    environ = install(home, "tar", HANG) | {"FLOWSTONE_PLUGINS_TIMEOUT_SECONDS": "1"}
    done = home.run("plugin", "ls", **environ)
    assert "broken: PluginHangs" in done.out
    assert "import did not finish within 1 s" in done.err
    assert "tar 1.2 printed:\nconnecting" in done.err
    types = home.run("block", "types", "--json", **environ)
    assert "secret" in [each["type"] for each in types.json]


def test_the_doctor_names_a_broken_plugin(home: Home) -> None:
    environ = install(home, "weeds", BROKEN["SyntaxError"])
    done = home.run("doctor", "--json", **environ)
    assert done.code == 1
    [found] = [each for each in done.json["checks"] if not each["ok"]]
    assert found["told"].startswith("weeds 1.2: SyntaxError: ")
    assert found["remedy"].startswith("Upgrade or uninstall weeds")
