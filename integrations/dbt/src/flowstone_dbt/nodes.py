"""The results of dbt nodes, and the states that they become."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flowstone.states import Completed, Failed, Skipped, State

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Statuses of nodes that are done.
SUCCEEDED = frozenset({"success", "pass", "warn", "no-op", "reused"})
#: Numbers in the responses of adapters, and the measures that they become.
MEASURES = {
    "rows_affected": "rows_affected",
    "bytes_processed": "bytes_processed",
    "bytes_billed": "bytes_billed",
    "slot_ms": "slot_ms",
}
#: Types of nodes that do no work, and are not recorded.
UNRECORDED = frozenset({"exposure", "metric", "semantic_model", "saved_query", "group"})


@dataclass(frozen=True, slots=True)
class NodeResult:
    """The result of a node of a dbt project.

    Attributes:
        unique_id: dbt's id of the node, such as ``model.shop.orders``.
        status: dbt's status: ``success``, ``error``, ``skipped``; for tests ``pass``, ``fail``.
        message: dbt's message, if any.
        failures: the number of failed rows of a test.
        started: start time in seconds since the epoch; None if it was not started.
        ended: end time in seconds since the epoch; None if it was not started.
        adapter_response: the response of the database.
        compiled_code: the SQL that was run, if dbt reports it.
        batches: the batches of a microbatch model that succeeded and failed, in dbt's format.
    """

    unique_id: str
    status: str
    message: str | None = None
    failures: int | None = None
    started: float | None = None
    ended: float | None = None
    adapter_response: Mapping[str, Any] = field(default_factory=dict)
    compiled_code: str | None = None
    batches: Mapping[str, Any] | None = None

    @property
    def resource_type(self) -> str:
        """The type, such as ``model``, ``test``, ``seed`` or ``operation``."""
        return self.unique_id.partition(".")[0]

    @property
    def name(self) -> str:
        """The name in the project."""
        parts = self.unique_id.split(".")
        if self.resource_type == "test" and len(parts) > 3:
            parts = parts[:-1]  # a hash
        return ".".join(parts[2:]) or self.unique_id

    @property
    def seconds(self) -> float | None:
        """The duration in seconds; None if it was not run."""
        return None if self.started is None or self.ended is None else self.ended - self.started

    @property
    def succeeded(self) -> bool:
        """Whether it is done."""
        return self.status in SUCCEEDED

    @property
    def failed(self) -> bool:
        """Whether it failed. A skipped node has not; an unknown status counts as failed."""
        return has_failed(self.status)

    def describe(self) -> str:
        """Return its type, name and outcome as one line."""
        what = self.resource_type.replace("_", " ")
        return f"{what} {self.name!r}: {self.explain() or self.status}"

    def explain(self) -> str:
        """Return dbt's message, with the number of failed rows."""
        words = " ".join((self.message or "").split())
        is_test = self.resource_type in {"test", "unit_test"}
        if is_test and self.failures and str(self.failures) not in words:
            rows = f"{self.failures} row{'s' if self.failures != 1 else ''} failed"
            return f"{rows}; {words}" if words else rows
        return words

    def make_state(self, reason: str | None = None) -> State:
        """Return the state of its task run.

        Args:
            reason: why the node was skipped.
        """
        words = self.explain() or None
        if self.status == "skipped":
            return Skipped(reason or words or "skipped by dbt")
        if self.status == "warn":
            return Completed(name="Warning", message=words)
        if self.status == "reused":
            return Completed(name="Cached", message=words)
        if self.succeeded:
            return Completed(message=words)
        return Failed(words or f"dbt's status is {self.status!r}")

    def make_measures(self) -> dict[str, float]:
        """Return its measures."""
        found = {
            name: float(value)
            for key, name in MEASURES.items()
            if isinstance(value := self.adapter_response.get(key), int | float)
            and not isinstance(value, bool)
            and value >= 0
        }
        if self.failures and self.resource_type in {"test", "unit_test"}:
            found["failed_rows"] = float(self.failures)
        return found


def has_failed(status: str) -> bool:
    """Return whether a status means failure; an unknown one does."""
    return status not in SUCCEEDED and status != "skipped"


def read_result(found: Mapping[str, Any]) -> NodeResult:
    """Return a node of ``run_results.json``."""
    timing = [each for each in found.get("timing") or () if each.get("started_at")]
    ends = [read_time(each.get("completed_at")) for each in timing]
    return NodeResult(
        found["unique_id"],
        found["status"],
        found.get("message"),
        found.get("failures"),
        min((read_time(each["started_at"]) or 0.0 for each in timing), default=None),
        max((end for end in ends if end is not None), default=None),
        found.get("adapter_response") or {},
        found.get("compiled_code"),
        found.get("batch_results"),
    )


def read_freshness(found: Mapping[str, Any]) -> NodeResult:
    """Return a source of ``sources.json``, which may be stale."""
    status = found["status"]
    age = found.get("max_loaded_at_time_ago_in_s")
    words = found.get("error") or (f"last loaded {age:,.0f} s ago" if age is not None else None)
    timing = [each for each in found.get("timing") or () if each.get("started_at")]
    return NodeResult(
        found["unique_id"],
        status,
        words,
        None,
        min((read_time(each["started_at"]) or 0.0 for each in timing), default=None),
        max((read_time(each.get("completed_at")) or 0.0 for each in timing), default=None),
        found.get("adapter_response") or {},
    )


def read_event(data: Mapping[str, Any]) -> NodeResult:
    """Return the node of an event ``NodeFinished``."""
    info, found = data["node_info"], data.get("run_result") or {}
    response = found.get("adapter_response") or {}
    failures = found.get("num_failures", found.get("failures"))
    return NodeResult(
        info["unique_id"],
        info.get("node_status") or found.get("status", ""),
        found.get("message") or None,
        None if failures is None else int(failures),
        read_time(info.get("node_started_at")),
        read_time(info.get("node_finished_at")),
        response,
    )


def read_time(text: str | None) -> float | None:
    """Return a timestamp of dbt, in UTC, as seconds since the epoch."""
    if not text:
        return None
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
