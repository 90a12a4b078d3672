"""Sends a run to MLflow: creates it, sends what it has logged, ends it."""

from __future__ import annotations

import getpass
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from flowstone.artifacts import LinkArtifact
from flowstone_mlflow.clients import find_database
from flowstone_mlflow.errors import describe, is_passing
from flowstone_mlflow.logs import LONGEST_PARAM, LONGEST_TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlflow import MlflowClient

    from flowstone_mlflow.credentials import MlflowTracking
    from flowstone_mlflow.spool import Record
    from flowstone_mlflow.trees import TrackedRun, Tree

T = TypeVar("T")
#: Maximum number of each kind of entry in one request to MLflow.
METRICS, OTHERS, ENTITIES = 1000, 100, 1000
#: Number of records that are read at a time.
WINDOW = 5000

logger = logging.getLogger("flowstone.mlflow")


class Sender:
    """Sends runs to one experiment, with one client, from one thread.

    Temporary errors are raised; entries that MLflow rejects are dropped, counted and logged.

    Attributes:
        lost: the number of entries that MLflow has rejected.
    """

    def __init__(self, tracking: MlflowTracking) -> None:
        self._tracking = tracking
        self._client: MlflowClient | None = None
        self._experiment_id: str | None = None
        self.lost = 0

    @property
    def client(self) -> MlflowClient:
        if self._client is None:
            self._client = self._tracking.client()
        return self._client

    def send(self, tree: Tree, tracked: TrackedRun) -> bool:
        """Send the new data of a run; return whether there was any.

        Raises:
            Exception: the server is unavailable or refuses the credentials; a retry may succeed.
        """
        made = tracked.mlflow_id is None
        if made:
            self._make(tree, tracked)
        elif tracked.is_resumed and tracked.mlflow_id is not None:
            self.client.update_run(tracked.mlflow_id, status="RUNNING")
        self._tell_attempts(tree, tracked)
        logged = self._send_logs(tree, tracked)
        if tracked.end is not None and not tracked.is_done:
            self._end(tree, tracked, tracked.end)
            return True
        return made or logged

    def log_system_metrics(self, tracked: TrackedRun, values: dict[str, float], at: int) -> None:
        """Log system metrics to the run of a flow."""
        if tracked.mlflow_id is not None:
            entries = [Metric(key, float(value), at, 0) for key, value in values.items()]
            self.client.log_batch(tracked.mlflow_id, metrics=entries, synchronous=True)

    def end_by_tag(self, root_id: str, status: str, at: float) -> None:
        """End the MLflow runs of a tree that has no data on this machine."""
        wanted = f"tags.`flowstone.root_id` = '{root_id}' and attributes.status = 'RUNNING'"
        for run in self.client.search_runs([self._find_experiment()], wanted):
            self.client.set_terminated(run.info.run_id, status, int(at * 1000))

    # ------------------------------------------------------------ the run

    def _make(self, tree: Tree, tracked: TrackedRun) -> None:
        parent = tree.runs.get(tracked.start.get("parent") or "")
        if parent is not None and parent.mlflow_id is None:
            self._make(tree, parent)
        tags = self._make_tags(tree, tracked, parent)
        found = self._find_made(tree, tracked) if self._may_exist(tree, tracked) else None
        if found is None:
            tracked.is_uncertain = True
            found = self.client.create_run(
                self._find_experiment(),
                start_time=int(tracked.start["at"] * 1000),
                tags=tags,
                run_name=tracked.start["name"],
            ).info.run_id
        else:
            self.client.update_run(found, status="RUNNING")
        tracked.is_uncertain = False
        tracked.mlflow_id = found
        self._link(tracked, found)

    def _tell_attempts(self, tree: Tree, tracked: TrackedRun) -> None:
        """Publish the id to the tasks, in whichever process they run."""
        assert tracked.mlflow_id is not None
        for attempt in tracked.attempts[tracked.told :]:
            tree.spool.write_id(tracked.run_id, attempt, tracked.mlflow_id)
        tracked.told, tracked.is_resumed = len(tracked.attempts), False

    def _may_exist(self, tree: Tree, tracked: TrackedRun) -> bool:
        resumes = tree.on_retry == "resume" and tracked.start["attempt"] > 1
        return tracked.is_uncertain or resumes or tree.is_adopted

    def _find_made(self, tree: Tree, tracked: TrackedRun) -> str | None:
        wanted = f"tags.`flowstone.run_id` = '{tracked.run_id}'"
        if tree.on_retry == "new":
            wanted += f" and tags.`flowstone.attempt` = '{tracked.start['attempt']}'"
        order = ["attributes.start_time DESC"]
        found = self.client.search_runs([self._find_experiment()], wanted, order_by=order)
        return str(found[0].info.run_id) if found else None

    def _make_tags(
        self, tree: Tree, tracked: TrackedRun, parent: TrackedRun | None
    ) -> dict[str, str]:
        start = tracked.start
        tags = {
            "mlflow.source.name": start["unit"],
            "mlflow.source.type": "JOB",
            "flowstone.run_id": tracked.run_id,
            "flowstone.root_id": tree.root_id,
            "flowstone.attempt": str(start["attempt"]),
            "flowstone.run_name": start["name"],
            f"flowstone.{start['type']}": start["unit"],
            "flowstone.tags": ",".join(start["tags"]),
            "flowstone.parent_run_id": start.get("caller") or "",
            "mlflow.parentRunId": (parent and parent.mlflow_id) or "",
        }
        with suppress(OSError, KeyError):  # the user of a container may have no name
            tags["mlflow.user"] = getpass.getuser()
        return {key: value[:LONGEST_TAG] for key, value in tags.items() if value}

    def _link(self, tracked: TrackedRun, mlflow_id: str) -> None:
        """Link a flow run to its MLflow run."""
        url = self._tracking.make_url(self._find_experiment(), mlflow_id)
        if url is None or tracked.birth is None or tracked.start["type"] != "flow":
            return
        about = f"MLflow run {mlflow_id} of experiment {self._tracking.find_experiment()!r}."
        with suppress(Exception):  # its store may be closed by now; MLflow has the tags
            LinkArtifact(link=url, link_text="MLflow run", description=about).create_for(
                tracked.birth
            )

    def _find_experiment(self) -> str:
        if self._experiment_id is None:
            name = self._tracking.find_experiment()
            found = self.client.get_experiment_by_name(name)
            if found is None:
                location = self._find_location()
                with suppress(Exception):  # another process may create it at the same time
                    self.client.create_experiment(name, artifact_location=location)
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    self.client.create_experiment(name, artifact_location=location)
                    found = self.client.get_experiment_by_name(name)
            elif found.lifecycle_stage == "deleted":
                self.client.restore_experiment(found.experiment_id)
            assert found is not None
            self._experiment_id = str(found.experiment_id)
        return self._experiment_id

    def _find_location(self) -> str | None:
        database = find_database(self._tracking.find_uri())
        if self._tracking.artifact_location is not None or database is None:
            return self._tracking.artifact_location
        return (database.parent / "mlruns").as_uri()

    def _end(self, tree: Tree, tracked: TrackedRun, end: Record) -> None:
        assert tracked.mlflow_id is not None
        if tags := {f"flowstone.{key}": end[key] for key in ("state", "message") if end.get(key)}:
            self._try_all("tags", tracked, [RunTag(key, value) for key, value in tags.items()])
        self.client.set_terminated(tracked.mlflow_id, end["status"], int(end["at"] * 1000))
        for attempt in tracked.attempts:
            tree.spool.delete_log(tracked.run_id, attempt)
        tracked.is_done = True

    # ------------------------------------------------------------ entries

    def _send_logs(self, tree: Tree, tracked: TrackedRun) -> bool:
        if not tracked.sent_params and self._tracking.log_parameters:
            params = tracked.start.get("params") or {}
            entries = [Param(key, value[:LONGEST_PARAM]) for key, value in params.items()]
            self._try_all("params", tracked, entries)
        tracked.sent_params = True
        logged = self._send_log(tree, tracked)
        while tracked.reading < len(tracked.attempts) - 1:
            tracked.reading, tracked.offset = tracked.reading + 1, 0
            logged = self._send_log(tree, tracked) or logged
        return logged

    def _send_log(self, tree: Tree, tracked: TrackedRun) -> bool:
        attempt = tracked.attempts[tracked.reading]
        records, offset = tree.spool.read(tracked.run_id, attempt, tracked.offset)
        for first in range(0, len(records), WINDOW):
            self._send_records(tree, tracked, records[first : first + WINDOW])
        tracked.offset = offset
        return bool(records)

    def _send_records(self, tree: Tree, tracked: TrackedRun, records: list[Record]) -> None:
        metrics = [Metric(*row) for record in records for row in record.get("metrics", ())]
        params = [Param(*item) for record in records for item in record.get("params", {}).items()]
        tags = {key: value for record in records for key, value in record.get("tags", {}).items()}
        self._try_all("metrics", tracked, metrics, METRICS)
        self._try_all("params", tracked, params)
        self._try_all("tags", tracked, [RunTag(*item) for item in tags.items()])
        for record in records:
            if "dataset" in record:
                self._try(
                    tracked, lambda given: self._log_dataset(tracked, *given), record["dataset"]
                )
            if "file" in record:
                self._try(
                    tracked, lambda given: self._log_file(tree, tracked, *given), record["file"]
                )

    def _log_dataset(self, tracked: TrackedRun, facts: dict[str, Any], context: str | None) -> None:
        tags = [InputTag("mlflow.data.context", context)] if context else []
        entry = DatasetInput(Dataset(**facts), tags)
        assert tracked.mlflow_id is not None
        self.client.log_inputs(tracked.mlflow_id, datasets=[entry])

    def _log_file(
        self, tree: Tree, tracked: TrackedRun, name: str, artifact_path: str | None
    ) -> None:
        path = tree.spool.folder / name
        if path.exists():
            self.client.log_artifact(tracked.mlflow_id, str(path), artifact_path)
            tree.spool.delete_file(name)

    def _try_all(
        self, kind: str, tracked: TrackedRun, entries: Sequence[Any], most: int = OTHERS
    ) -> None:
        """Log entries in batches; if a batch is refused, one by one."""
        for first in range(0, len(entries), most):
            batch = entries[first : first + most]
            try:
                self._log(tracked, kind, batch)
            except Exception as error:
                if is_passing(error):
                    raise
                for entry in batch:
                    self._try(tracked, lambda one: self._log(tracked, kind, [one]), entry)

    def _log(self, tracked: TrackedRun, kind: str, entries: Sequence[Any]) -> None:
        assert tracked.mlflow_id is not None
        self.client.log_batch(tracked.mlflow_id, synchronous=True, **{kind: list(entries)})

    def _try(self, tracked: TrackedRun, log: Callable[[Any], None], entry: Any) -> None:
        try:
            log(entry)
        except Exception as error:
            if is_passing(error):
                raise
            self.lost += 1
            if self.lost == 1:
                logger.warning(
                    "MLflow rejected what the %s logged: %s. The rest is sent; further rejections "
                    "are counted.",
                    tracked, describe(error),
                )  # fmt: skip
