"""What `flowstone plugin new` makes is as good as our own, and its suites find what is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from .flaws import FLAWS
from .workshop import Workshop

pytestmark = [pytest.mark.slow, pytest.mark.check]  # of the template, which few changes touch

#: A package for each interface, one with a name of two words, and what each has.
PACKAGES = {
    "flowstone-acme": ("store", {"AcmeCredentials", "AcmeStore"}),
    "flowstone-big-blue": ("none", {"BigBlueCredentials"}),
    "flowstone-horn": ("notifier", {"HornCredentials", "HornNotifier"}),
    "flowstone-crane": ("job", {"CraneCredentials", "CraneJob"}),
    "flowstone-chest": ("secrets", {"ChestCredentials", "ChestSecrets"}),
    "flowstone-ledger": ("database", {"LedgerCredentials", "LedgerDatabase"}),
}
#: What `uv` and the tests leave in a package.
LEFTOVERS = {"dist", "uv.lock", "__pycache__", ".pytest_cache", ".hypothesis"}
every_package = pytest.mark.parametrize("name", PACKAGES)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"), wheels)


@pytest.fixture(scope="module")
def made(workshop: Workshop) -> dict[str, str]:
    """The packages, made; to each name, what the command said to do next."""
    return {
        name: workshop.make(name, "--defaults", f"--interface {interface}")
        for name, (interface, _) in PACKAGES.items()
    }


@pytest.fixture(scope="module")
def tried(made: dict[str, str], workshop: Workshop) -> dict[str, str]:
    """The packages, installed; to each name, what those commands said."""
    return {name: workshop.run(made[name]) for name in made}


@every_package
def test_what_it_says_to_do_next_works(
    name: str, tried: dict[str, str], workshop: Workshop
) -> None:
    """Verbatim: its tests pass at once, it is listed, and it is built.

    Those of what a new store is declared to lack are skipped.
    """
    told = tried[name]
    assert " passed" in told
    assert "failed" not in told
    [row] = [line.split() for line in told.splitlines() if line.startswith(f"{name} ")]
    assert row[:2] == [name, "0.1.0"]
    assert {path.suffix for path in (workshop.folder / name / "dist").iterdir()} >= {".whl", ".gz"}


def test_the_name_of_a_known_package_is_left_to_it(workshop: Workshop) -> None:
    done = workshop.attempt("flowstone", "plugin", "new", "flowstone-aws", "--defaults")
    assert (done.returncode, "Try `pip install flowstone-aws`." in done.stderr) == (1, True)
    assert not (workshop.folder / "flowstone-aws").exists()


@every_package
def test_its_wheel_works_alone(name: str, tried: dict[str, str], workshop: Workshop) -> None:
    """Beside the core, in a place of its own, it is found and imported."""
    site, module = workshop.folder / f"site-{name}", name.replace("-", "_")
    python = f"PYTHONPATH={site} {workshop.python} -P"
    workshop.run(f"uv pip install --quiet --no-deps --target {site} {name}/dist/*.whl")
    assert str(site) in workshop.run(f"{python} -c 'import {module}; print({module}.__file__)'")
    code = f"import {module} as m; print(*(getattr(m, n).__name__ for n in m.__all__))"
    assert set(workshop.run(f"{python} -c '{code}'").split()) >= PACKAGES[name][1]


@every_package
def test_nothing_of_the_template_is_left(
    name: str, made: dict[str, str], workshop: Workshop
) -> None:
    package = workshop.folder / name
    texts = {
        path: path.read_text("utf-8")
        for path in package.rglob("*")
        if path.is_file() and not LEFTOVERS & set(path.relative_to(package).parts)
    }
    assert not [path for path in texts if "template" in path.name.lower()]
    for left in ("template", "Template", "TEMPLATE", "«", "»", "% if", "% endif", "<!-- %"):
        assert not [path for path, text in texts.items() if left in text], left


@every_package
def test_its_ci_runs_what_is_run_here(name: str, made: dict[str, str], workshop: Workshop) -> None:
    file = workshop.folder / name / ".github/workflows/test.yml"
    steps = YAML(typ="safe").load(file.read_text("utf-8"))["jobs"]["test"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands == [line for line in made[name].splitlines() if line in commands]
    assert "uv run pytest" in commands


@every_package
def test_it_is_as_a_formatter_leaves_it(
    name: str, made: dict[str, str], workshop: Workshop
) -> None:
    ruff, folder = Path(sys.executable).with_name("ruff"), workshop.folder / name
    for words in (
        ("format", "--check", "--line-length", "100"),
        ("check", "--select", "E9,F,B,RUF,UP"),
    ):
        done = workshop.attempt(ruff, *words, "--isolated", "--no-cache", folder)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_is_found(flaw: str, tried: dict[str, str], workshop: Workshop) -> None:
    """The suite's test that is named fails where a package does this wrong."""
    planted = FLAWS[flaw]
    module = planted.package.replace("-", "_")
    file = workshop.folder / planted.package / "src" / module / planted.file
    text = file.read_text("utf-8")
    assert text.count(planted.old) == 1
    file.write_text(text.replace(planted.old, planted.new), "utf-8")
    test = f"tests/test_conformance.py::{planted.suite}::{planted.test}"
    try:
        done = workshop.tests(planted.package, test)
    finally:
        file.write_text(text, "utf-8")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"FAILED {test}" in done.stdout
