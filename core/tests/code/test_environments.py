"""Environments of runs: what they depend on, who creates them, and what can't be created."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distribution
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

import flowstone
from flowstone import flow
from flowstone.blocks.jobs.processes import run_command
from flowstone.code.environments import (
    create_environment,
    find_environment,
    find_python,
    find_reason,
    find_uv,
    list_own_requirements,
    make_environment,
    remove_environments,
)
from flowstone.code.requirements import check_requirements_file
from flowstone.code.run_environments import (
    check_environment_file,
    make_run_environment,
    read_requirements,
)
from flowstone.code.snapshots import save_snapshot
from flowstone.deployments import run_deployment
from flowstone.deployments.documents import save_deployment
from flowstone.errors import ConfigurationError
from flowstone.flow_runs.executions import execute_scheduled_run, prepare_process
from flowstone.records.runs import CodeVersion, Environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.context.current import Services


def ask(environment: Path, statement: str) -> str:
    return run_command([str(find_python(environment)), "-c", statement]).stdout.strip()


def test_an_environment_is_created_once_while_others_wait(tmp_path: Path) -> None:
    environment = find_environment(tmp_path, "x")
    begun, installed = Barrier(4), []

    def create() -> Path:
        begun.wait()
        return create_environment(environment, lambda: installed.append(1))

    with ThreadPoolExecutor(4) as pool:
        made = [each.result() for each in [pool.submit(create) for _ in range(4)]]
    assert set(made) == {environment}
    assert installed == [1]
    assert ask(environment, "import sys; print(sys.prefix)") == str(environment)


def test_it_is_known_by_its_packages(tmp_path: Path, wheel: Path) -> None:
    wanted = [f"greeting @ {wheel.as_uri()}"]
    made = make_environment(wanted, tmp_path / "cache")
    assert ask(made, "import greeting; print(greeting.WORD)") == "hello"
    wheel.unlink()  # it is not installed again
    assert make_environment(wanted, tmp_path / "cache") == made
    assert find_environment(tmp_path / "cache", "greeting==2") != made


def test_what_fails_says_why_and_is_tried_again(tmp_path: Path, wheel: Path) -> None:
    wanted = [f"greeting @ {wheel.as_uri()}"]
    away = wheel.rename(tmp_path / "away.whl")
    with pytest.raises(ConfigurationError, match=r"greeting-1\.0.*the next run tries again"):
        make_environment(wanted, tmp_path / "cache")
    assert not find_environment(tmp_path / "cache", *wanted).exists()
    away.rename(wheel)
    assert make_environment(wanted, tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "ERROR: No matching distribution found for x==9\n\n[notice] A new release\n",
            "no version of 'x==9' was found",
        ),
        (
            "  ╰─▶ Because there is no version of\n      x==9 and you require x==9.\n",
            "no version of 'x==9' was found",
        ),
        ("  Failed\n  ╰─▶ the build\n      failed\n", "the build failed"),
        ("Collecting x\nERROR: no space left\n[notice] A new release\n", "ERROR: no space left"),
        ("", "there is no output"),
    ],
)
def test_the_reason_is_found_in_what_an_installer_says(said: str, reason: str) -> None:
    assert find_reason(said) == reason


def test_what_no_run_has_used_is_removed(services: Services, tmp_path: Path) -> None:
    made = create_environment(tmp_path / "x", lambda: None)
    used = (made / "complete").stat().st_mtime
    remove_environments(tmp_path, used - 1)
    assert made.exists()
    remove_environments(tmp_path, used + 1)
    assert not made.exists()


def test_flowstone_itself_is_what_runs_here() -> None:
    (own,) = list_own_requirements()
    assert own.startswith(("flowstone==", "flowstone @ ", "--editable=file://"))
    assert distribution("flowstone").version


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (["pandas", " "], "one is empty"),
        (["--index-url=https://example.com"], "is an option, not a requirement"),
        (["x @ https://ann:canary-7@example.com/x.whl"], r"https://\*\*\*\*@example\.com"),
        (["x @ https://example.com/x.whl?sig=canary-7"], r"x\.whl\?\*+' has a query"),
        (["https://example.com/x.whl?sig=canary-7"], r"x\.whl\?\*+' has a query"),
        (["six=1"], r"'six=1' is not a requirement\. Did you mean 'six==1'\?"),
        (["six", 3], "3 is not a requirement"),
        (["not a requirement!!"], "'not a requirement!!' is not a requirement"),
        (["six=>1"], "is not a requirement"),
        ([], "the list is empty"),
        (3, "3 is not a list"),
        ("setup.py", "'setup.py' is not a requirements file"),
    ],
)
def test_requirements_that_can_not_be_used(given: str | Sequence[str], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        read_requirements(given)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "requirement",
    [
        "six",
        "flowstone[arrow, duckdb]>=0.1,<0.2",
        "a.b-c_d (>=1.0, !=1.5.*)",
        "x ~= 1.4 ; python_version < '3.13'",
        "x == 1!2.0+local.1; sys_platform == 'linux' and extra == 'y'",
        "x @ git+https://example.com/x.git@v1#subdirectory=y ; python_version > '3'",
        "x[a] @ git+ssh://git@example.com/x.git",
        "x@https://example.com/x.whl",
        "git+https://example.com/x.git",
        "https://${USER}:${TOKEN}@example.com/x.whl",
        "/wheels/x-1.0-py3-none-any.whl",
    ],
)
def test_requirements_that_can_be_used(requirement: str) -> None:
    assert read_requirements([requirement]).requirements == (requirement,)


@pytest.mark.parametrize(
    ("file", "line", "problem"),
    [
        (
            "r.txt",
            "--index-url https://u:canary-7@example.com/simple",
            "line 2: .* has credentials",
        ),
        ("r.txt", "six @ https://u:canary-7@example.com/six.whl", "2: .* has credentials"),
        ("r.txt", "six @ https://example.com/six.whl?sig=canary-7", "line 2: .* has a query"),
        ("pyproject.toml", 'dependencies = ["x @ https://a/x.whl?sig=canary-7"]', "has a query"),
        ("pyproject.toml", 'dependencies = ["six=1"]', "Did you mean 'six==1'"),
        (
            "pyproject.toml",
            'x.url = "https://u:canary-7@example.com"',
            "line 2: .* has credentials",
        ),
        ("pyproject.toml", "x = ", "pyproject.toml: "),
    ],
)
def test_files_of_requirements_that_can_not_be_used(file: str, line: str, problem: str) -> None:
    begin = "[project]" if file == "pyproject.toml" else "# as https://example.com?a=b"
    with pytest.raises(ConfigurationError, match=problem) as caught:
        check_requirements_file(file, f"{begin}\n{line}\n".encode())
    assert "canary" not in str(caught.value)


def test_a_file_of_requirements_may_name_variables_and_other_urls() -> None:
    lines = "--index-url https://${USER}:${TOKEN}@example.com/simple\nsix==1 --hash=sha256:0\n"
    check_requirements_file("r.txt", lines.encode())
    urls = '[project.urls]\nhome = "https://example.com?tab=readme"\n'
    check_requirements_file("pyproject.toml", urls.encode())
    check_requirements_file("uv.lock", b'source = { git = "https://example.com/x?rev=1#2" }')


def pin(project: Path) -> CodeVersion:
    return CodeVersion(str(project), save_snapshot(project))


def test_a_file_of_requirements_is_in_the_code(services: Services, project: Path) -> None:
    (project / "requirements.txt").write_text("-e .\n")
    (project / "private.txt").write_text("--index-url https://u:pw@example.com/simple\n")
    for file, problem in (
        ("requirement.txt", "no file 'requirement.txt'. Did you mean 'requirements.txt'"),
        ("requirements.txt", "requirements.txt has an editable package"),
        ("private.txt", "private.txt, line 1: "),
        ("uv.lock", "the code has no file 'uv.lock'"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            check_environment_file(read_requirements(file), pin(project))
        assert problem in str(caught.value)
    with pytest.raises(ConfigurationError, match="code that no longer exists"):
        check_environment_file(read_requirements("requirements.txt"), CodeVersion("installed"))


@pytest.mark.check
@pytest.mark.slow
def test_an_environment_of_a_file_has_what_that_refers_to(
    services: Services, project: Path, wheel: Path
) -> None:
    (project / "wheels").mkdir()
    shutil.copy(wheel, project / "wheels")
    (project / "requirements.txt").write_text("-r more.txt\n")
    (project / "more.txt").write_text(f"./wheels/{wheel.name}\n")
    environment = Environment(file="requirements.txt")
    made = make_run_environment(environment, pin(project))
    assert ask(made, "import flowstone, greeting; print(greeting.WORD)") == "hello"
    assert made.is_relative_to(services.settings.home)
    (project / "more.txt").write_text("")
    code = pin(project)
    assert code.snapshot is not None
    assert make_run_environment(environment, code) != made


@pytest.mark.check
@pytest.mark.slow
def test_an_environment_of_a_lock_has_what_that_names(
    services: Services, project: Path, wheel: Path
) -> None:
    uv = find_uv()
    assert uv is not None, "install uv, or run this by `uv run pytest`"
    own = Path(flowstone.__file__).parents[2]  # of the workspace
    (project / "pyproject.toml").write_text(
        '[project]\nname = "shop"\nversion = "0"\nrequires-python = ">=3.11"\n'
        f'dependencies = ["flowstone", "greeting"]\n[tool.uv.sources]\n'
        f'flowstone = {{ path = "{own}" }}\ngreeting = {{ path = "{wheel}" }}\n'
    )
    locked = run_command([uv, "lock"], cwd=project)
    assert locked.returncode == 0, locked.stderr
    made = make_run_environment(Environment(file="uv.lock"), pin(project))
    assert ask(made, "import flowstone, greeting; print(greeting.WORD)") == "hello"


def test_a_lock_without_flowstone_is_told(services: Services, project: Path) -> None:
    problem = "uv is not installed" if find_uv() is None else r"uv\.lock has no flowstone"
    (project / "pyproject.toml").write_text(
        '[project]\nname = "shop"\nversion = "0"\nrequires-python = ">=3.11"\n'
    )
    (project / "uv.lock").write_text(
        'version = 1\nrequires-python = ">=3.11"\n\n[[package]]\nname = "shop"\n'
        'version = "0"\nsource = { virtual = "." }\n'
    )
    with pytest.raises(ConfigurationError, match=problem):
        make_run_environment(Environment(file="uv.lock"), pin(project))


def test_a_run_whose_environment_can_not_be_created_has_failed(
    kept: Services, project: Path, tmp_path: Path
) -> None:
    found = flow.from_source(project, "etl.py:etl")
    wanted = f"greeting @ {tmp_path.as_uri()}/none.whl"
    save_deployment(found.to_deployment("x", requirements=[wanted]))
    run = run_deployment("etl/x", {"out": str(tmp_path / "out")}, timeout=0)
    with pytest.raises(ConfigurationError, match="it can't be created"):
        prepare_process(run.id)
    ended = kept.runs.run(run.id).state
    assert ended.name == "Failed"
    assert "none.whl" in (ended.message or "")
    other = run_deployment("etl/x", {"out": str(tmp_path / "out")}, timeout=0)
    with pytest.raises(ConfigurationError, match="this process uses another"):
        execute_scheduled_run(other.id)
    assert not (tmp_path / "out").exists()
    assert str(kept.settings.home) not in sys.prefix
