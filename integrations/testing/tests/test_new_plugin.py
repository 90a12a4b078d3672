from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstone.errors import ConfigurationError
from flowstone_testing.cli.newplugin import LICENCES
from flowstone_testing.cli.template import Names, spell_for_copier, tidy
from flowstone_testing.programs import COMMAND

if TYPE_CHECKING:
    from flowstone_testing.programs import Home

    from .conftest import InProcess


def test_a_package_is_made_and_what_comes_next_is_said(cli: InProcess, tmp_path: Path) -> None:
    done = cli("plugin", "new", "flowstone-acme", "--into", str(tmp_path), "--defaults")
    assert done.code == 0
    package = tmp_path / "flowstone-acme"
    assert f"cd {package}" in done.out
    assert "uv run pytest" in done.out
    assert "pip install --group dev --editable . build" in done.out
    assert (package / "src/flowstone_acme/store.py").is_file()
    assert (package / "tests/golden/acme-store.1.json").is_file()


def test_answers_are_in_what_is_made(cli: InProcess, tmp_path: Path) -> None:
    words = ["--interface", "none", "--title", "ACME Cloud", "--author", "Ann, Bo & Co."]
    done = cli(
        *("plugin", "new", "flowstone-acme", "--into", str(tmp_path)),
        *(*words, "--licence", "MIT", "--defaults"),
    )
    assert done.code == 0
    package = tmp_path / "flowstone-acme"
    project = (package / "pyproject.toml").read_text("utf-8")
    assert 'license = "MIT"' in project
    assert 'authors = [{ name = "Ann, Bo & Co." }]' in project
    assert "ACME Cloud for Flowstone" in project
    assert "Ann, Bo & Co." in (package / "LICENSE").read_text("utf-8")
    credentials = (package / "src/flowstone_acme/credentials.py").read_text("utf-8")
    assert '"ACME Cloud Credentials"' in credentials
    assert '"acme-credentials"' in credentials
    assert not (package / "src/flowstone_acme/store.py").exists()


@pytest.mark.parametrize(
    ("interface", "file"),
    [("job", "job.py"), ("secrets", "secrets.py"), ("database", "database.py")],
)
def test_it_brings_what_it_is_asked_for(
    cli: InProcess, tmp_path: Path, interface: str, file: str
) -> None:
    words = ("plugin", "new", "flowstone-acme", "--into", str(tmp_path), "--interface", interface)
    assert cli(*words, "--defaults").code == 0
    source = tmp_path / "flowstone-acme/src/flowstone_acme"
    found = {path.name for path in source.glob("*.py")}
    assert found == {"__init__.py", "credentials.py", "errors.py", "plugin.py", "tasks.py", file}


@pytest.mark.parametrize("licence", LICENCES)
def test_the_whole_licence_is_written(cli: InProcess, tmp_path: Path, licence: str) -> None:
    words = ("--licence", licence, "--author", "Ann, Bo & Co.", "--interface", "none", "--defaults")
    assert cli("plugin", "new", "flowstone-acme", "--into", str(tmp_path), *words).code == 0
    package = tmp_path / "flowstone-acme"
    text = (package / "LICENSE").read_text("utf-8")
    whole = {"Apache-2.0": 200, "MPL-2.0": 370, "GPL-3.0-or-later": 670}
    assert len(text.splitlines()) >= whole.get(licence, 3)
    assert "«" not in text
    assert "Ann, Bo & Co." in text or licence in whole
    assert not (package / "licences").exists()


@pytest.mark.parametrize(
    ("option", "answer"), [("--title", 'A"B'), ("--title", ""), ("--author", 'A"B\\')]
)
def test_an_answer_that_would_break_a_file_is_refused(
    cli: InProcess, tmp_path: Path, option: str, answer: str
) -> None:
    done = cli(
        *("plugin", "new", "flowstone-acme", "--into", str(tmp_path)), option, answer, "--defaults"
    )
    assert done.code == 1
    assert done.err.startswith("Error: ")
    assert not (tmp_path / "flowstone-acme").exists()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("acme", "flowstone-acme"),
        ("flowstone_acme", "flowstone-acme"),
        ("flowstone-Acme Cloud", "flowstone-acme-cloud"),
        ("flowstone-", "flowstone-acme"),
        ("flowstone-3com", "flowstone-com"),
        ("flowstone--x", "flowstone-x"),
        ("../flowstone-x", "flowstone-flowstone-x"),
        ("flowstone-Café Ärger", "flowstone-cafe-arger"),
    ],
)
def test_a_name_that_no_package_has_is_refused(
    cli: InProcess, tmp_path: Path, name: str, near: str
) -> None:
    done = cli("plugin", "new", name, "--into", str(tmp_path), "--defaults")
    assert done.code == 1
    assert f"Try {near!r}" in done.err
    assert not list(tmp_path.iterdir())
    Names.of(near)


def test_a_name_that_is_taken_is_refused(home: Home) -> None:
    info = home.directory / "site/garden-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: garden\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[flowstone]\ngarden = garden\n")
    site = str(home.directory / "site")
    done = home.run("plugin", "new", "flowstone-garden", "--defaults", PYTHONPATH=site)
    assert done.code == 1
    assert "the installed garden has that name" in done.err
    done = home.run("plugin", "new", "flowstone-object", "--defaults")
    assert done.code == 1
    assert "'ObjectStore'" in done.err
    assert not list(home.directory.glob("flowstone-*"))


def test_a_directory_that_has_something_is_left_alone(cli: InProcess, tmp_path: Path) -> None:
    kept = tmp_path / "flowstone-acme" / "notes.txt"
    kept.parent.mkdir()
    empty = cli("plugin", "new", "flowstone-acme", "--into", str(tmp_path), "--defaults")
    assert empty.code == 0
    (tmp_path / "flowstone-bo").write_text("a file")
    for name in ("flowstone-acme", "flowstone-bo"):
        done = cli("plugin", "new", name, "--into", str(tmp_path), "--defaults")
        assert done.code == 1
        assert "the directory is not empty" in done.err
    assert (tmp_path / "flowstone-bo").read_text() == "a file"


def test_without_copier_it_says_what_to_install(home: Home) -> None:
    """A module that can't be imported simulates one that is not installed."""
    site = home.directory / "site"
    site.mkdir()
    (site / "copier.py").write_text("raise ImportError('not here')\n")
    done = home.run("plugin", "new", "flowstone-acme", "--defaults", PYTHONPATH=str(site))
    assert done.code == 1
    assert "pip install 'flowstone-testing[new]'" in done.err
    assert not list(home.directory.glob("flowstone-*"))


def test_it_asks_on_a_terminal(home: Home) -> None:
    """Prompts for all missing answers; Enter accepts the suggestion."""
    directory = str(home.directory)
    words = ["plugin", "new", "flowstone-acme", "--into", directory, "--interface", "none"]
    terminal = home.terminal(COMMAND, *words, PROMPT_TOOLKIT_NO_CPR="1")
    terminal.read_until(lambda text: "What is the name of the service?" in text)
    terminal.type("\x15ACME\r")
    terminal.read_until(lambda text: "Who is the author?" in text)
    terminal.type("\r")
    terminal.read_until(lambda text: "Which license?" in text)
    terminal.type("\r")
    done = terminal.finish()
    assert done.code == 0
    assert "Next:" in done.out
    project = (home.directory / "flowstone-acme/pyproject.toml").read_text("utf-8")
    assert "ACME for Flowstone" in project
    assert "The authors of flowstone-acme" in project


def test_ctrl_c_leaves_nothing(home: Home) -> None:
    words = ["plugin", "new", "flowstone-acme", "--into", str(home.directory)]
    terminal = home.terminal(COMMAND, *words, PROMPT_TOOLKIT_NO_CPR="1")
    terminal.read_until(lambda text: "Which interface does" in text)
    terminal.type("\x03")
    done = terminal.finish()
    assert done.code == 1
    assert "Traceback" not in done.out
    assert not (home.directory / "flowstone-acme").exists()


words = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,8}){0,3}", fullmatch=True)


@given(words)
def test_names_are_names(word: str) -> None:
    names = Names.of(f"flowstone-{word}")
    assert names.module.isidentifier()
    assert f"{names.camel}Store".isidentifier()
    assert names.upper.replace("_", "-").lower() == names.kebab == word


def test_each_spelling_is_found() -> None:
    text = "flowstone_template template-store TemplateStore TEMPLATE_URL 'Template Store' template"
    assert spell_for_copier(text) == (
        "flowstone_«snake» «kebab»-store «camel»Store «upper»_URL '«title» Store' «snake»"
    )


def test_marks_are_copiers_and_what_they_leave_out_leaves_no_gap() -> None:
    text = "    # % if interface == 'x'\nfrom flowstone_template.x import X\n\n# % endif\n"
    assert spell_for_copier(text).splitlines() == [
        "<!-- % if interface == 'x' -->",
        "from flowstone_«snake».x import X",
        "",
        "<!-- % endif -->",
    ]
    code = "import re\n\nfrom flowstone import task\n\nfrom flowstone_x import X\n"
    assert tidy(f"{code}\n\n\nfrom .y import y\n\nclass A: ...\n") == (
        "import re\n\nfrom flowstone import task\nfrom flowstone_x import X\n\nfrom .y import y\n"
        "\n\nclass A: ...\n"
    )


def test_a_bad_name_is_an_error_of_ours() -> None:
    with pytest.raises(ConfigurationError, match="'Acme'"):
        Names.of("Acme")


def test_listing_plugins_loads_no_copier(home: Home) -> None:
    code = (
        "import sys\nfrom flowstone.cli import plugin\n"
        "from flowstone_testing.cli import newplugin\n"
        "assert not {'copier', 'jinja2', 'questionary'} & set(sys.modules)"
    )
    assert home.execute([sys.executable, "-c", code]).code == 0
