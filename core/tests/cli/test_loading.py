"""What each command loads: a person waits for it each time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
import pytest

from flowstone.cli.app import flowstone
from flowstone_testing.programs import Home

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Runs a command, and says what modules there are then. Its own output is not wanted.
LOADED = """
import sys
from click.testing import CliRunner
from flowstone.cli.app import flowstone

done = CliRunner().invoke(flowstone, sys.argv[1:], prog_name="flowstone")
# A command may find that something is not there; it must not be a wrong command line, or break.
assert done.exit_code in {0, 1} and isinstance(done.exception, SystemExit | None), done.output
print(*sys.modules)
"""
FLOW = """
from flowstone import flow

@flow(flow_run_name="tidy")
def tidy():
    pass
"""
#: Makes one of each thing that commands show.
FURNISH = f"""
{FLOW}
from flowstone.artifacts import create_markdown_artifact
from flowstone.blocks import LocalDirectory
from flowstone.variables import Variable

if __name__ == "__main__":
    tidy()
    create_markdown_artifact("# Done", key="note")
    LocalDirectory(basepath="data").save("raw")
    Variable.set("color", "red")
"""

#: What takes 5 ms or more to load, and no command needs without a reason.
HEAVY = {
    "asyncio",
    "cloudpickle",
    "cryptography",
    "email",  # comes with importlib.metadata, which only the list of plugins needs
    "flowstone.blocks.base",
    "flowstone.calls.runnable",
    "flowstone.graphs.drawing.style",
    "flowstone.task_runners.processes",
    "pluggy",
    "pydantic",
    "rich",
    "ruamel.yaml",
    "sqlite3",
}
PLUGINS = {"email", "pluggy"}
STORE = {"sqlite3"}
BLOCKS = PLUGINS | STORE | {"flowstone.blocks.base", "pydantic"}
RUNS_FLOWS = STORE | {"flowstone.calls.runnable"}
#: How many modules of ours may be loaded, in steps: they say that nothing large has come along.
FEW, SOME, MANY, MOST = 50, 80, 120, 160

#: Each command with arguments that let it do its work: what it may load of `HEAVY`, and how many
#: modules of ours.
COMMANDS: dict[str, tuple[set[str], int]] = {
    "apply all.yaml": (BLOCKS | {"ruamel.yaml"}, MOST),
    "artifact ls": (STORE, MANY),
    "artifact show note": (STORE, MANY),
    "block check local-directory/raw": (BLOCKS, MOST),
    "block create local-directory other basepath=data": (BLOCKS, MOST),
    "block delete local-directory/none": (STORE | {"pluggy"}, MANY),
    "block edit local-directory/raw basepath=data": (BLOCKS, MOST),
    "block ls": (STORE | PLUGINS, MOST),
    "block show local-directory/raw": (BLOCKS, MOST),
    "block types": (PLUGINS, SOME),
    "catalog ls": (PLUGINS, SOME),
    # A task is shown by its function, so it has to know what a task is.
    "catalog show local-directory": (BLOCKS | {"flowstone.calls.runnable"}, MOST),
    "completion bash": (set(), FEW),
    "deploy": (BLOCKS | RUNS_FLOWS, MOST),
    "deployment backfill none --from 7d": (STORE, MOST),
    "deployment check none": (RUNS_FLOWS, MOST),
    "deployment delete none": (STORE, MOST),
    "deployment ls": (STORE, MOST),
    "deployment pause none": (STORE, MOST),
    "deployment resume none": (STORE, MOST),
    "deployment run none": (RUNS_FLOWS, MOST),
    "deployment schedule create none --interval 60": (STORE, MOST),
    "deployment schedule delete none x": (STORE, MOST),
    "deployment schedule ls none": (STORE, MOST),
    "deployment schedule pause none x": (STORE, MOST),
    "deployment schedule resume none x": (STORE, MOST),
    "deployment show none": (STORE, MOST),
    "diff all.yaml": (BLOCKS | {"ruamel.yaml"}, MOST),
    "doctor": (STORE | PLUGINS, MOST),
    "export": (BLOCKS | {"ruamel.yaml"}, MOST),
    "flow ls": (STORE, MOST),
    "limit delete none": (STORE, MANY),
    "limit ls": (STORE, MANY),
    "limit reset none": (STORE, MANY),
    "limit set db --slots 3": (STORE, MANY),
    "limit show db": (STORE, MANY),
    "plugin ls": (PLUGINS, SOME),
    "plugin show flowstone": (PLUGINS, SOME),
    "pool create other": (BLOCKS, MOST),
    "pool delete none": (STORE, MOST),
    "pool ls": (STORE, MOST),
    "pool pause none": (STORE, MOST),
    "pool queue delete none x": (STORE, MOST),
    "pool queue pause none x": (STORE, MOST),
    "pool queue resume none x": (STORE, MOST),
    "pool queue set none x": (STORE, MOST),
    "pool resume none": (STORE, MOST),
    "pool set none --limit 3": (STORE, MOST),
    "pool show none": (STORE, MOST),
    "prune --yes all.yaml": (BLOCKS | {"ruamel.yaml"}, MOST),
    "run cancel tidy": (STORE, MANY),
    "run cleanup tidy": (STORE, MANY),
    "run execute none": (RUNS_FLOWS, MOST),
    "run delete none": (STORE, MANY),
    "run graph tidy": (STORE, MANY),
    "run logs tidy": (STORE, MANY),
    "run ls": (STORE, MANY),
    "run resume tidy": (RUNS_FLOWS, MOST),
    "run retry tidy": (RUNS_FLOWS, MOST),
    "run show tidy": (STORE, MANY),
    "run start tidy.py:tidy": (RUNS_FLOWS, MOST),
    "secret check env:HOME": (BLOCKS, MOST),
    "secret rotate": (BLOCKS | {"cryptography"}, MOST),
    "settings": (set(), FEW),
    "store backup copy.db": (STORE, MANY),
    "store check": (STORE, MANY),
    "store info": (STORE, MANY),
    "store vacuum": (STORE, MANY),
    "variable delete none": (STORE, MANY),
    "variable get color": (STORE, MANY),
    "variable ls": (STORE, MANY),
    "variable set color blue": (STORE, MANY),
    "variable show color": (STORE, MANY),
    "worker ls": (STORE, MOST),
    "worker start --pool none": (RUNS_FLOWS | BLOCKS, MOST),
}
#: The list of commands has those of packages, which only plugins can tell.
HELP: dict[str, tuple[set[str], int]] = {
    "--help": (PLUGINS, SOME),
    "--version": ({"email"}, FEW),
    "block --help": (PLUGINS, SOME),
    "block create --help": (set(), FEW),
    "block edit --help": (set(), FEW),
    "run --help": (PLUGINS, SOME),
    "run cancel --help": (set(), FEW),
    "run ls --help": (set(), FEW),
}


def find_commands(group: click.Group, ctx: click.Context) -> Iterator[str]:
    """Yield the core's own commands by their words, those of packages left out."""
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        own = click.Context(command, parent=ctx, info_name=name)
        if isinstance(command, click.Group):
            yield from (f"{name} {rest}" for rest in find_commands(command, own))
        elif command.callback is not None and command.callback.__module__.startswith("flowstone."):
            yield name


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("furnished"), os.environ)
    home.python(FURNISH)
    (home.directory / "tidy.py").write_text(FLOW)
    for command in (["limit", "set", "db", "--slots", "1"], ["export", "--output", "all.yaml"]):
        done = home.run(*command)
        assert done.code == 0, done.err
    return home


@pytest.mark.parametrize("command", [*COMMANDS, *HELP])
def test_a_command_loads_only_what_it_needs(furnished: Home, command: str) -> None:
    allowed, most = {**COMMANDS, **HELP}[command]
    loaded = furnished.python(LOADED, *command.split()).out.split()
    ours = [name for name in loaded if name.partition(".")[0] == "flowstone"]
    assert HEAVY & set(loaded) <= allowed
    assert len(ours) <= most


def test_each_command_is_in_the_table() -> None:
    known = set(find_commands(flowstone, click.Context(flowstone, info_name="flowstone")))
    missing = {
        words for words in known if not any(f"{each} ".startswith(f"{words} ") for each in COMMANDS)
    }
    assert not missing
