"""The cost of a query, and the tag that identifies its run."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from flowstone import record_measures, runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from snowflake.connector import SnowflakeConnection
    from snowflake.connector.cursor import SnowflakeCursor

logger = logging.getLogger(__name__)

#: The longest tag that Snowflake accepts.
LONGEST_TAG = 2000
#: Credits per hour, by size of a standard warehouse:
#: https://docs.snowflake.com/en/user-guide/cost-understanding-compute
CREDITS_PER_HOUR = {
    "X-SMALL": 1, "SMALL": 2, "MEDIUM": 4, "LARGE": 8, "X-LARGE": 16, "2X-LARGE": 32,
    "3X-LARGE": 64, "4X-LARGE": 128, "5X-LARGE": 256, "6X-LARGE": 512,
}  # fmt: skip
#: https://docs.snowflake.com/en/sql-reference/functions/query_history
COLUMNS = (
    "BYTES_SCANNED", "EXECUTION_TIME", "QUEUED_PROVISIONING_TIME", "QUEUED_REPAIR_TIME",
    "QUEUED_OVERLOAD_TIME", "CREDITS_USED_CLOUD_SERVICES", "WAREHOUSE_SIZE",
)  # fmt: skip


def make_tag(own: str | None) -> str | None:
    """Return the query tag of the current run: JSON with the flow, the task and the run's id.

    Args:
        own: the user's own tag, which is included.
    """
    flow, task = runtime.flow_run, runtime.task_run
    if not flow.id:
        return own
    facts = {
        "flow": flow.flow_name,
        "flow_run_id": str(flow.id),
        "task": task.task_name if task.id else None,
        "task_run_id": str(task.id) if task.id else None,
        "tag": own,
    }
    told = {name: value for name, value in facts.items() if value}
    return json.dumps(told, ensure_ascii=False)[:LONGEST_TAG]


def measure(connection: SnowflakeConnection, cursor: SnowflakeCursor) -> None:
    """Record the cost of a cursor's last query, if the service reports it."""
    query_id = cursor.sfqid
    statement = (
        f"SELECT {', '.join(COLUMNS)} FROM TABLE(INFORMATION_SCHEMA."  # noqa: S608 - of ours
        f"QUERY_HISTORY_BY_SESSION(RESULT_LIMIT => 100)) WHERE QUERY_ID = '{query_id}'"
    )
    try:
        with connection.cursor() as history:
            history.execute(statement)
            row = history.fetchone()
    except Exception as error:  # noqa: BLE001 - the query itself has succeeded
        logger.debug("the cost of query %s is not known: %s", query_id, type(error).__name__)
        return
    if row is not None:
        record_measures(find_measures(dict(zip(COLUMNS, row, strict=True))))


def find_measures(row: Mapping[str, object]) -> dict[str, float]:
    """Return the measures of a row of the query history.

    There is no estimate for a size of unknown price. A query without a warehouse used no credits.
    """
    run_seconds = _read(row, "EXECUTION_TIME") / 1000
    queued = [_read(row, name) for name in COLUMNS if name.startswith("QUEUED")]
    size = str(row.get("WAREHOUSE_SIZE") or "").upper()
    found = {
        "bytes_scanned": _read(row, "BYTES_SCANNED"),
        "run_seconds": run_seconds,
        "queue_seconds": sum(queued) / 1000,
        "credits_of_cloud_services": _read(row, "CREDITS_USED_CLOUD_SERVICES"),
    }
    if not size or size in CREDITS_PER_HOUR:
        found["credits_estimated"] = CREDITS_PER_HOUR.get(size, 0) * run_seconds / 3600
    return found


def _read(row: Mapping[str, object], name: str) -> float:
    value = row.get(name)
    return float(str(value)) if value is not None else 0.0
