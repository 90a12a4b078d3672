"""Projects of dbt for tests and benchmarks, written file by file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = """
name: shop
version: '1.0'
profile: shop
flags: {send_anonymous_usage_stats: false}
"""
#: A shop: each kind of node, and each way to end. `late` fails until there is a table `arrivals`.
SHOP = {
    "seeds/items.csv": "id,name,price\n1,tea,3\n2,cake,5\n3,,7\n",
    "models/stg_items.sql": "{{ config(materialized='view') }} select * from {{ ref('items') }}",
    "models/cheap.sql": "{{ config(materialized='ephemeral') }} "
    "select * from {{ ref('stg_items') }} where price < 6",
    "models/orders.sql": "{{ config(materialized='table') }} select * from {{ ref('cheap') }}",
    "models/late.sql": "{{ config(materialized='table') }} "
    "select i.* from {{ ref('stg_items') }} i join main.arrivals using (id)",
    "models/report.sql": "{{ config(materialized='table') }} "
    "select * from {{ ref('late') }} union all select * from {{ ref('orders') }}",
    "models/schema.yml": """
models:
  - name: orders
    columns:
      - name: id
        data_tests: [unique, not_null]
  - name: stg_items
    columns:
      - name: id
        data_tests: [unique]
      - name: name
        data_tests:
          - not_null: {config: {severity: warn}}
exposures:
  - name: board
    type: dashboard
    owner: {name: us, email: us@example.org}
    depends_on: [ref('orders')]
""",
    "tests/prices.sql": "select * from {{ ref('orders') }} where price < 0",
    "snapshots/history.yml": """
snapshots:
  - name: history
    relation: ref('items')
    config: {unique_key: id, strategy: check, check_cols: all}
""",
}


def write_project(
    folder: Path, files: Mapping[str, str] = SHOP, *, more: Mapping[str, str | None] | None = None
) -> Path:
    """Write a project with a profile of DuckDB, and return its folder.

    Args:
        folder: where.
        files: their contents by their paths in the project.
        more: further ones; None for one that is left out.
    """
    every = {"dbt_project.yml": PROJECT, **files, **(more or {})}
    every.setdefault(
        "profiles.yml",
        "shop: {target: dev, outputs: {dev: {type: duckdb, path: shop.duckdb, threads: 2}}}\n",
    )
    for name, content in every.items():
        if content is not None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")
    return folder


def write_large_project(folder: Path, nodes: int = 500) -> Path:
    """Write a project of about so many nodes: five layers of models, and tests of a fifth of them.

    Args:
        folder: where.
        nodes: how many; seeds, models and tests.
    """
    layers = 5
    width = (nodes - 1) * 5 // (layers * 7)
    files = {"seeds/items.csv": "id,name\n1,tea\n2,cake\n"}
    tested = ["models:"]
    for layer in range(layers):
        for place in range(width):
            name = f"m_{layer}_{place}"
            parent = f"m_{layer - 1}_{place}" if layer else "items"
            kind = "table" if layer % 2 else "view"
            files[f"models/{name}.sql"] = (
                f"{{{{ config(materialized='{kind}') }}}}\n"
                f"select id, name from {{{{ ref('{parent}') }}}}\n"
            )
            if place % 5 == 0:
                tests = "[{name: id, data_tests: [not_null, unique]}]"
                tested.append(f"  - {{name: {name}, columns: {tests}}}")
    files["models/schema.yml"] = "\n".join(tested)
    return write_project(folder, files)
