"""Each package as a stranger gets it: built as a wheel, installed with the core alone, used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from ..architecture.house import ROOT, Member, integrations, members

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = pytest.mark.slow
#: To each package at the newest of what it needs, which `make test` tries, one at the oldest.
RESOLUTIONS = ["highest", pytest.param("lowest-direct", marks=pytest.mark.check)]

#: pytest alone loads its plugins, and comes with the extra `testing`, as fsspec with its own.
ALL_BUT_PLUGINS_OF_PYTEST = """
import importlib, pkgutil, sys, {module} as package
for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    without = ("flowstone.testing.plugin", "flowstone.blocks.object_stores.filesystem", "__main__")
    # These come with extras: drivers of databases, and system metrics.
    extras = (
        "flowstone_mlflow.system", "flowstone_sqlalchemy.mysql", "flowstone_sqlalchemy.postgres",
    )
    if not found.name.endswith(without) and not found.name.startswith(extras):
        importlib.import_module(found.name)
for name in package.__all__:
    getattr(package, name)
"""

#: Where the template of new packages is, in the kit's wheel; what work on it leaves there.
TEMPLATE = "flowstone_testing/cli/plugin-template/"
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


#: What each extra of the core is for, used once.
USES = {
    "arrow": """
import pyarrow
from flowstone import flow, task
from flowstone.blocks import SqliteDatabase

@task(persist_result=True, result_serializer="parquet")
def table():
    return pyarrow.table({"i": [1, 2, 3]})

@flow
def rows() -> int:
    return table().num_rows

assert rows() == 3
assert SqliteDatabase().fetch_arrow("SELECT 1 AS i").to_pydict() == {"i": [1]}
""",
    "duckdb": """
from datetime import UTC, datetime
from flowstone_duckdb import DuckDBDatabase

with DuckDBDatabase() as database:
    database.execute("CREATE TABLE t (i INTEGER, seen TIMESTAMPTZ)")
    database.insert("t", [{"i": 1, "seen": datetime.now(UTC)}])
    assert database.fetch_one("SELECT i, seen FROM t")[1].tzinfo
""",
    "fsspec": """
from flowstone.blocks import LocalDirectory

files = LocalDirectory(basepath="data").filesystem()
with files.open("a/b.txt", "wb") as file:
    file.write(b"hello")
assert files.find("") == ["a/b.txt"] and files.cat_file("a/b.txt") == b"hello"
""",
    "new": """
import subprocess, sys
from pathlib import Path
command = Path(sys.executable).with_name("flowstone")
subprocess.run([command, "plugin", "new", "flowstone-acme", "--defaults"], check=True)
assert Path("flowstone-acme/src/flowstone_acme/plugin.py").exists()
""",
}


UNREACHABLE = """
from flowstone.errors import DatabaseUnreachable
from flowstone_sqlalchemy import SqlAlchemyConnector

database = SqlAlchemyConnector(connection_info="{scheme}://user:word@127.0.0.1:9/shop")
try:
    database.fetch_one("SELECT 1")
except DatabaseUnreachable as error:
    print(error)
else:
    raise AssertionError("nothing listens there")
"""
NOBODY = """
from flowstone.errors import CredentialsError, Unreachable
{imports}

try:
    {call}
except (CredentialsError, Unreachable) as error:
    print(error)
else:
    raise AssertionError("nothing listens there")
"""
DBT = """
from pathlib import Path
from flowstone import flow
from flowstone_dbt import DbtCliProfile, DbtProject, DbtRunner, TargetConfigs

Path("models").mkdir()
Path("models/one.sql").write_text("select 1 as id")
flags = "flags: {{send_anonymous_usage_stats: false}}"
Path("dbt_project.yml").write_text(f"name: shop\\nprofile: shop\\n{{flags}}\\n")
target = TargetConfigs({fields})
profile = DbtCliProfile(name="shop", target="dev", target_configs=target)

@flow
def build() -> dict[str, int]:
    runner = DbtRunner(DbtProject(project_dir=Path.cwd(), profile=profile))
    runner.invoke(["parse"])
    return runner.invoke(["run"]).count() if target.type == "duckdb" else {{"success": 1}}

assert build() == {{"success": 1}}
"""
VALIDATION = """
import great_expectations.expectations as gxe
from flowstone.blocks import SqliteDatabase
from flowstone.records.access import DatabaseAccess
from flowstone_great_expectations import DatabaseSource, ExpectationsNotEvaluated, validate

class Shop(SqliteDatabase):
    def access(self):
        if "{dialect}" == "sqlite":
            return super().access()
        return DatabaseAccess("{dialect}", "shop", "127.0.0.1", 9, "me")

shop = Shop(path="shop.db")
shop.insert("orders", [{{"id": 1}}, {{"id": 1}}], create=True)
wanted = [gxe.ExpectColumnValuesToBeUnique(column="id")]
try:
    report = validate(DatabaseSource(shop, "orders"), wanted, name="shop", on_failure="warn")
except ExpectationsNotEvaluated as error:
    assert "{dialect}" != "sqlite" and "onnect" in str(error), error
else:
    assert "{dialect}" == "sqlite" and report.failed[0].unexpected_count == 2
"""
#: What each extra of a package is for, used once; `arrow` is the same in all.
USES_OF_PACKAGES = {
    "flowstone-aws[fast]": """
from flowstone_aws.s3_fast import is_installed
import obstore

assert is_installed()
""",
    "flowstone-azure[container_instances]": NOBODY.format(
        imports="""
from flowstone_azure import AzureContainerInstance
nobody = {"authority": "https://127.0.0.1:9", "disable_instance_discovery": True, "retry_total": 0}
login = {"tenant_id": "a", "client_id": "b", "client_secret": "c", "credential_kwargs": nobody}
where = {"resource_group_name": "jobs", "subscription_id": "1", "location": "westeurope"}
job = AzureContainerInstance(image="load", aci_credentials=login, secret_env={"A": "b"}, **where)
""",
        call="job.run()",
    ),
    "flowstone-azure[fast]": """
from flowstone_azure.blob_storage_fast import is_installed
import obstore

assert is_installed()
""",
    "flowstone-azure[key_vault]": NOBODY.format(
        imports="""
from flowstone_azure import AzureCredentials, AzureKeyVault
login = AzureCredentials(client_options={"retry_total": 0})
""",
        call='AzureKeyVault(vault_url="https://127.0.0.1:9", credentials=login).read("a")',
    ),
    "flowstone-dask[report]": """
from pathlib import Path
from flowstone import flow, task
from flowstone_dask import DaskTaskRunner

here = {"n_workers": 1, "processes": False}
runner = DaskTaskRunner(cluster_kwargs=here, performance_report_path="report.html")

@flow(task_runner=runner)
def add_up():
    return sum(task(abs).map(range(4)).result())

assert add_up() == 6
assert "Dask Performance Report" in Path("report.html").read_text("utf-8")
""",
    "flowstone-dbt[bigquery]": DBT.format(
        fields='type="bigquery", schema="a", extras={"method": "oauth", "project": "shop"}'
    ),
    "flowstone-dbt[duckdb]": DBT.format(fields='type="duckdb", extras={"path": "shop.duckdb"}'),
    "flowstone-dbt[postgres]": DBT.format(
        fields='type="postgres", schema="a", extras={"host": "127.0.0.1", "port": 9, '
        '"user": "ann", "password": "a-word", "dbname": "shop"}'
    ),
    "flowstone-dbt[snowflake]": DBT.format(
        fields='type="snowflake", schema="A", extras={"account": "a", "user": "ann", '
        '"password": "a-word", "database": "SHOP", "warehouse": "W"}'
    ),
    "flowstone-gcp[bigquery]": """
from flowstone_gcp import BigQueryWarehouse, GcpCredentials
from google.cloud import bigquery_storage

login = GcpCredentials(anonymous=True, project="shop")
warehouse = BigQueryWarehouse(gcp_credentials=login, endpoint="http://127.0.0.1:9")
assert warehouse.get_client().project == "shop"
""",
    "flowstone-gcp[cloud_run]": NOBODY.format(
        imports="""
from flowstone_gcp import CloudRunJob, GcpCredentials
login = GcpCredentials(anonymous=True, project="shop")
nobody = "http://127.0.0.1:9"
job = CloudRunJob(image="load", credentials=login, endpoint=nobody, logging_endpoint=nobody)
execution = "projects/a/locations/b/jobs/c/executions/d"
assert job.make_provider().read_logs(execution, 0) == []
for kind in ("executions", "tasks"):
    assert login.client(f"cloud_run_{kind}", endpoint=nobody)
""",
        call="job.run()",
    ),
    "flowstone-gcp[secret_manager]": NOBODY.format(
        imports="""
from flowstone_gcp import GcpCredentials, GcpSecrets
login = GcpCredentials(anonymous=True, project="shop")
""",
        call='GcpSecrets(gcp_credentials=login, endpoint="http://127.0.0.1:9").read("a")',
    ),
    "flowstone-great-expectations[mysql]": VALIDATION.format(dialect="mysql"),
    "flowstone-great-expectations[postgresql]": VALIDATION.format(dialect="postgresql"),
    "flowstone-great-expectations[sqlite]": VALIDATION.format(dialect="sqlite"),
    "flowstone-mlflow[system]": """
from flowstone_mlflow.system import SystemMonitor

assert "system/system_memory_usage_percentage" in SystemMonitor().sample()
""",
    "flowstone-sqlalchemy[mysql]": UNREACHABLE.format(scheme="mysql"),
    "flowstone-sqlalchemy[postgresql]": UNREACHABLE.format(scheme="postgresql"),
    "flowstone-sqlalchemy[redshift]": """
import boto3
import flowstone_sqlalchemy
""",
}


def uv(*words: str | Path, folder: Path = ROOT) -> None:
    program = shutil.which("uv") or str(ROOT / ".tools/bin/uv")
    done = subprocess.run(
        [program, "--quiet", *words],
        cwd=folder,
        env={**os.environ, "UV_COMPILE_BYTECODE": "0", "UV_LINK_MODE": "hardlink"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def wheel(folder: Path, member: Member) -> Path:
    (found,) = folder.glob(f"{member.module}-*.whl")
    return found


def direct(*requirements: str) -> list[str]:
    """Return what packages of ours ask for of others, as a list of its own.

    The lowest of a resolution is taken of what is asked for directly only, and what is written in
    a wheel is not: beside a wheel alone, all of this would be at its highest.

    Args:
        requirements: names of our packages, with extras: ``flowstone[arrow]``.
    """
    ours = {member.name: member.project for member in members()}
    found: set[str] = set()
    waiting, seen = list(requirements), set(requirements)
    while waiting:
        each = Requirement(waiting.pop())
        if each.name not in ours:
            found.add(str(each))
            continue
        project = ours[each.name]
        optional = project.get("optional-dependencies", {})
        more = {*project["dependencies"], *(item for x in each.extras for item in optional[x])}
        waiting += more - seen
        seen |= more
    return sorted(found)


def make_venv(folder: Path, wheels: Path, resolution: str, *packages: str) -> Path:
    """Make an environment with packages of ours, from their wheels, as the resolution says."""
    venv, asked = folder / "venv", direct(*packages)
    uv("venv", "--python", sys.executable, venv)
    # What uv does where a project, as this workspace, says nothing else.
    usual = ("--prerelease", "if-necessary-or-explicit")
    found = ("--find-links", wheels, "--resolution", resolution, *usual)
    # What this workspace overrides, the newest dbt-core needs; strangers have no such overrides.
    where = ROOT if resolution == "highest" else folder
    uv("pip", "install", "--python", venv, *found, *packages, *asked, folder=where)
    if resolution != "highest":
        is_lowest(venv, asked)
    return venv


def is_lowest(venv: Path, wanted: Iterable[str]) -> None:
    """Check that what is installed is what the ranges begin with."""
    program = venv / ("Scripts" if os.name == "nt" else "bin") / "python"
    code = "import importlib.metadata as m, sys; print(*map(m.version, sys.argv[1:]))"
    lows: dict[str, Version] = {}
    for each in map(Requirement, wanted):  # several of our packages may ask for one
        low = next(Version(s.version) for s in each.specifier if s.operator == ">=")
        lows[each.name] = max(low, lows.get(each.name, low))
    versions = ran(program.parent, venv, program, "-c", code, *lows).split()
    assert [
        (name, version, str(low))
        for (name, low), version in zip(lows.items(), versions, strict=True)
        if Version(version) != low
    ] == []


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
    assert not [name for name in own if "/test_" in name or "__pycache__" in name]


@pytest.mark.parametrize("kind", ["wheel", "a wheel made of the source archive"])
def test_the_kit_brings_the_template(kind: str, wheels: Path, tmp_path: Path) -> None:
    """All of it and no more, so that `flowstone plugin new` needs no network."""
    if kind != "wheel":
        uv(
            "build", "--package", "flowstone-testing", "--out-dir", tmp_path
        )  # the archive, then this
    [kit] = (wheels if kind == "wheel" else tmp_path).glob("flowstone_testing-*.whl")
    with ZipFile(kit) as archive:
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


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("member", members(), ids=lambda member: member.name)
@pytest.mark.check
def test_a_wheel_works_alone_with_the_core(
    member: Member, resolution: str, wheels: Path, tmp_path: Path
) -> None:
    venv = make_venv(tmp_path, wheels, resolution, "flowstone", member.name)
    programs = venv / ("Scripts" if os.name == "nt" else "bin")

    def run(*words: str | Path) -> str:
        return ran(programs, tmp_path, *words)

    run(programs / "python", "-c", ALL_BUT_PLUGINS_OF_PYTEST.format(module=member.module))
    (tmp_path / "hello.py").write_text(HELLO)
    run(programs / "python", "hello.py")
    assert "hello" in run(programs / "flowstone", "run", "ls")
    assert str(member.project["version"]) in run(programs / "flowstone", "--version")
    listed = run(programs / "flowstone", "plugin", "ls")
    assert member.name in listed
    assert "broken" not in listed.lower()
    known = [other.name for other in integrations() if other.folder.parent.name == "integrations"]
    offered = run(programs / "flowstone", "catalog", "ls")
    absent = {name for name in known if f"pip install {name}" in offered}
    assert absent == set(known) - {member.name}


@pytest.mark.check
@pytest.mark.parametrize("extra", [*USES, *USES_OF_PACKAGES])
def test_an_extra_works_at_its_lowest(extra: str, wheels: Path, tmp_path: Path) -> None:
    requirement = extra if extra in USES_OF_PACKAGES else f"flowstone[{extra}]"
    venv = make_venv(tmp_path, wheels, "lowest-direct", requirement)
    (tmp_path / "use.py").write_text({**USES, **USES_OF_PACKAGES}[extra])
    programs = venv / ("Scripts" if os.name == "nt" else "bin")
    ran(programs, tmp_path, programs / "python", "use.py")


@pytest.mark.check
def test_dbt_works_at_its_newest(wheels: Path, tmp_path: Path) -> None:
    """In an environment of its own, as `make test` has the newest one that all packages bear."""
    extra = "flowstone-dbt[duckdb]"
    venv = make_venv(tmp_path, wheels, "highest", extra)
    (tmp_path / "use.py").write_text(USES_OF_PACKAGES[extra])
    programs = venv / ("Scripts" if os.name == "nt" else "bin")
    ran(programs, tmp_path, programs / "python", "use.py")


def test_every_extra_is_tried() -> None:
    """With its lowest: here, or where strangers' tests are run."""
    extras = {
        extra for each in members() for extra in each.project.get("optional-dependencies", ())
    }
    of_packages = {extra for name in USES_OF_PACKAGES for extra in Requirement(name).extras}
    assert extras == {*USES, *of_packages, "database", "testing"}


@pytest.mark.check
@pytest.mark.parametrize("resolution", ["highest", "lowest-direct"])
def test_the_kit_is_all_that_a_stranger_needs(
    resolution: str, wheels: Path, tmp_path: Path
) -> None:
    """A package outside this repository, with its own tests, and the suites from the wheel."""
    stranger = next(other for other in members() if other.name == "flowstone-template")
    kit = "flowstone-testing[database]"
    venv, project = (
        make_venv(tmp_path, wheels, resolution, stranger.name, kit),
        tmp_path / "project",
    )
    shutil.copytree(stranger.folder / "tests", project / "tests")
    (project / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    programs = venv / ("Scripts" if os.name == "nt" else "bin")
    words = ("plugin", "check", "flowstone-template", "--tests", "tests", "--level", "full")
    told = json.loads(ran(programs, project, programs / "flowstone", *words, "--json"))
    assert {suite["level"] for suite in told["suites"]} == {"full"}
    assert len(told["suites"]) == 9
