"""Each package as a stranger gets it: built as a wheel, installed with the core alone, used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from ..architecture.house import ROOT, Member, members

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: The suites import pytest and hypothesis, which come with the extra `testing` only.
ALL_BUT_SUITES = """
import importlib, pkgutil, sys, {module} as package
for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not found.name.startswith("flowstone.testing") and not found.name.endswith("__main__"):
        importlib.import_module(found.name)
for name in package.__all__:
    getattr(package, name)
"""

#: Where the template of new packages is, in the core's wheel; what work on it leaves there.
TEMPLATE = "flowstone/cli/plugin-template/"
LEFTOVERS = {"__pycache__", ".pytest_cache", ".hypothesis", ".venv", "build", "dist"}

HELLO = """
from flowstone import flow, task
from flowstone.blocks import Secret

@task
def greet(name):
    return f"hello {name}"

@flow
def hello(names: list[str]) -> list[str]:
    return greet.map(names).result()

Secret(value="s3cr3t-token").save("token")
assert Secret.load("token").get() == "s3cr3t-token"
assert hello(["ann"]) == ["hello ann"]
"""


def uv(*words: str | Path) -> None:
    program = shutil.which("uv") or str(ROOT / ".tools/bin/uv")
    done = subprocess.run(
        [program, "--quiet", *words],
        cwd=ROOT,
        env={**os.environ, "UV_COMPILE_BYTECODE": "0", "UV_LINK_MODE": "copy"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    uv("build", "--all-packages", "--wheel", "--out-dir", folder)
    return folder


def wheel(folder: Path, member: Member) -> Path:
    (found,) = folder.glob(f"{member.module}-*.whl")
    return found


def ran(programs: Path, folder: Path, *words: str | Path) -> str:
    """Run a program in a folder, with the programs of an environment and nothing of ours."""
    done = subprocess.run(
        words,
        cwd=folder,
        env={"PATH": str(programs), "HOME": str(folder), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("member", members(), ids=lambda member: member.name)
def test_a_wheel_has_what_it_needs_and_no_more(member: Member, wheels: Path) -> None:
    with ZipFile(wheel(wheels, member)) as archive:
        names = archive.namelist()
    assert f"{member.module}/py.typed" in names
    assert {name.split("/")[0] for name in names} == {
        member.module,
        f"{member.module}-{member.project['version']}.dist-info",
    }
    own = [name for name in names if TEMPLATE not in name]
    assert not [name for name in own if "test_" in name or "__pycache__" in name]


@pytest.mark.parametrize("kind", ["wheel", "a wheel made of the source archive"])
def test_the_core_brings_the_template(kind: str, wheels: Path, tmp_path: Path) -> None:
    """All of it and no more, so that `flowstone plugin new` needs no network."""
    if kind != "wheel":
        uv("build", "--package", "flowstone", "--out-dir", tmp_path)  # first the archive, then this
    [core] = (wheels if kind == "wheel" else tmp_path).glob("flowstone-*.whl")
    with ZipFile(core) as archive:
        brought = {
            name.partition(TEMPLATE)[2]: archive.read(name)
            for name in archive.namelist()
            if TEMPLATE in name
        }
    source = ROOT / "plugin-template"
    wanted = {
        path.relative_to(source).as_posix(): path.read_bytes()
        for path in source.rglob("*")
        if path.is_file() and not LEFTOVERS & set(path.relative_to(source).parts)
    }
    assert brought == wanted


@pytest.mark.parametrize("resolution", ["highest", "lowest-direct"])
@pytest.mark.parametrize("member", members(), ids=lambda member: member.name)
def test_a_wheel_works_alone_with_the_core(
    member: Member, resolution: str, wheels: Path, tmp_path: Path
) -> None:
    core = next(other for other in members() if other.name == "flowstone")
    venv = tmp_path / "venv"
    uv("venv", "--python", sys.executable, venv)
    wanted = {wheel(wheels, core), wheel(wheels, member)}
    uv("pip", "install", "--python", venv, "--resolution", resolution, *wanted)
    programs = venv / ("Scripts" if os.name == "nt" else "bin")

    def run(*words: str | Path) -> str:
        return ran(programs, tmp_path, *words)

    run(programs / "python", "-c", ALL_BUT_SUITES.format(module=member.module))
    (tmp_path / "hello.py").write_text(HELLO)
    run(programs / "python", "hello.py")
    assert "hello" in run(programs / "flowstone", "run", "ls")
    assert str(member.project["version"]) in run(programs / "flowstone", "--version")
    listed = run(programs / "flowstone", "plugin", "ls")
    assert member.name in listed
    assert "broken" not in listed.lower()
    known = [other.name for other in members() if other.folder.parent.name == "integrations"]
    offered = run(programs / "flowstone", "catalog", "ls")
    absent = {name for name in known if f"pip install {name}" in offered}
    assert absent == set(known) - {member.name}


def test_the_extra_testing_is_all_that_a_stranger_needs(wheels: Path, tmp_path: Path) -> None:
    """A package outside this repository, with its own tests, and the suites from the wheel."""
    core, stranger = (
        next(other for other in members() if other.name == name)
        for name in ("flowstone", "flowstone-template")
    )
    venv, project = tmp_path / "venv", tmp_path / "project"
    uv("venv", "--python", sys.executable, venv)
    testing = f"flowstone[arrow,testing] @ {wheel(wheels, core).as_uri()}"
    frames = ("pandas>=2.2", "polars>=1.20")  # of which a database gives and takes tables
    uv("pip", "install", "--python", venv, testing, wheel(wheels, stranger), *frames)
    shutil.copytree(stranger.folder / "tests", project / "tests")
    (project / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    programs = venv / ("Scripts" if os.name == "nt" else "bin")
    words = ("plugin", "check", "flowstone-template", "--tests", "tests", "--level", "full")
    told = json.loads(ran(programs, project, programs / "flowstone", *words, "--json"))
    assert {suite["level"] for suite in told["suites"]} == {"full"}
    assert len(told["suites"]) == 7
