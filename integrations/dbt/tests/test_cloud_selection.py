"""The commands of a retry, run by dbt itself: it runs exactly what did not complete."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowstone_dbt.cloud.reruns import select_nodes
from flowstone_dbt.nodes import SUCCEEDED

pytestmark = pytest.mark.slow

FILES = {
    "dbt_project.yml": """
name: shop
version: "1.0"
profile: shop
flags: {send_anonymous_usage_stats: false}
seeds: {shop: {+column_types: {id: bigint}}}
""",
    "profiles.yml": """
shop:
  target: dev
  outputs: {dev: {type: duckdb, path: shop.duckdb, threads: 1}}
""",
    "seeds/raw.csv": "id\n1\n2\n",
    "models/orders_v1.sql": "select id from {{ ref('raw') }}",
    "models/orders_v2.sql": "select id, {{ var('broken') }} as day from {{ ref('raw') }}",
    "models/sums.sql": "select count(*) as n from {{ ref('orders', v=2) }}",
    "models/fine.sql": "select 1 as id",
    "models/schema.yml": """
models:
  - name: orders
    latest_version: 2
    columns: [{name: id, data_tests: [not_null, unique]}]
    versions: [{v: 1}, {v: 2}]
  - name: fine
    columns: [{name: id, data_tests: [not_null]}]
unit_tests:
  - name: adds_up
    model: sums
    given: [{input: "ref('orders', v=2)", rows: [{id: 1}]}]
    expect: {rows: [{n: 1}]}
""",
    "tests/no_orphans.sql": "select 1 from {{ ref('fine') }} where id != {{ var('wanted') }}",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text.lstrip())
    return tmp_path


def run_dbt(project: Path, *words: str) -> list[dict[str, Any]]:
    """Run a command and return the results of its nodes."""
    found = project / "target" / "run_results.json"
    found.unlink(missing_ok=True)
    program = "from dbt.cli.main import cli; cli()"
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=project,
        env={**os.environ, "DBT_PROFILES_DIR": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.exists(), done.stdout + done.stderr
    results: list[dict[str, Any]] = json.loads(found.read_text())["results"]
    return results


@pytest.mark.check
def test_dbt_runs_exactly_what_was_left_undone(project: Path) -> None:
    bad = "{broken: no_such_column, wanted: 2}"
    first = run_dbt(project, "build", "--exclude", "nothing", "--vars", bad)
    undone = [each["unique_id"] for each in first if each["status"] not in SUCCEEDED]
    done = {each["unique_id"] for each in first} - set(undone)
    assert {node.rpartition(".")[0] if node.count(".") > 2 else node for node in undone} >= {
        "model.shop.orders",
        "model.shop.sums",
        "test.shop.no_orphans",
    }
    assert done >= {"model.shop.orders.v1", "model.shop.fine", "seed.shop.raw"}
    command = "dbt build --exclude nothing --vars '{broken: 1, wanted: 1}'"
    rest = run_dbt(project, *shlex.split(select_nodes(command, undone))[1:])
    assert sorted(each["unique_id"] for each in rest) == sorted(undone)
    assert {each["status"] for each in rest} <= {"success", "pass"}
