"""DbtRunner: dbt commands in a flow, with options, retries and artifacts."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from flowstone.blocks import ObjectStore
from flowstone.errors import ObjectMissing
from flowstone_dbt.commands import find_command, split_command
from flowstone_dbt.engine import run_dbt
from flowstone_dbt.errors import DbtError
from flowstone_dbt.options import make_arguments
from flowstone_dbt.project import DbtProject
from flowstone_dbt.results import DbtResult, raise_failures
from flowstone_dbt.settings import DbtSettings
from flowstone_dbt.stopping import run_in_thread
from flowstone_dbt.summary import save_summary
from flowstone_dbt.workspace import RUNNING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flowstone_dbt.engine import Place

TestStrategy = Literal["immediate", "deferred", "skip"]
STRATEGIES = ("immediate", "deferred", "skip")

#: Parameters of other runners, and why they are not supported.
REFUSED = {
    "client": "There is no server: runs are recorded in the store of the flow.",
    "manifest": "dbt reads the project itself, and parses only what has changed.",
    "execution_mode": "One dbt process runs all nodes, and each of them is a task run.",
    "executor": "Use `executable`, `requirements`, or DbtCloudJob.",
    "task_runner_type": "dbt's own threads run the nodes: see `threads`.",
    "concurrency": "dbt's own threads run the nodes: see `threads`.",
    "cache": "Use dbt's state: `state` with `defer`, and the selection `state:modified+`.",
    "manifest_path": "dbt reads the project itself, and parses only what has changed.",
    "write_run_results": "dbt writes run_results.json to the target folder.",
    "include_compiled_code": "Queries are in each node's log at the level DEBUG.",
    "disable_assets": "There are no assets: the run's graph has the lineage.",
}


class RunnerOptions(TypedDict, total=False):
    """The options of `DbtRunner`."""

    raise_on_failure: bool
    retries: int
    retry_delay_seconds: float
    test_strategy: TestStrategy
    state: ObjectStore | Path | str | None
    defer: bool
    favor_state: bool
    store_artifacts: ObjectStore | None
    threads: int | None
    resume: bool
    create_summary_artifact: bool
    summary_artifact_key: str


#: Defaults of the options.
DEFAULTS: RunnerOptions = {
    "raise_on_failure": True,
    "retries": 0,
    "retry_delay_seconds": 30,
    "test_strategy": "immediate",
    "state": None,
    "defer": False,
    "favor_state": False,
    "store_artifacts": None,
    "threads": None,
    "resume": True,
    "create_summary_artifact": False,
    "summary_artifact_key": "dbt-summary",
}


class DbtRunner:
    """Runs dbt commands; each node becomes a task run of the flow.

    Args:
        project: the project; by default the directory that dbt's environment variables name.
        settings: the directories that dbt uses, instead of `project`.
        **options: `RunnerOptions`:

            * ``raise_on_failure``: whether failed nodes raise `DbtNodesFailed`. True by default.
            * ``retries``: how often nodes that ended in an error are retried, with the nodes
              skipped because of them. Failed tests are not, as they would fail again.
            * ``retry_delay_seconds``: the delay before a retry, 30 by default.
            * ``test_strategy``: for the command ``build``: ``immediate`` tests each model when it
              is built, ``deferred`` after all models, ``skip`` never.
            * ``state``: the artifacts of another run, for the selection ``state:modified`` and for
              ``defer``: a directory, or an object store that was used as ``store_artifacts``.
            * ``defer``, ``favor_state``: dbt's options of these names.
            * ``store_artifacts``: an object store that the artifacts of each command are saved in.
            * ``threads``: the number of nodes that run at a time; by default the profile's.
            * ``resume``: whether a retry of the task or the flow runs only what has not succeeded.
              True by default.
            * ``create_summary_artifact``: whether each command saves a table of its nodes as an
              artifact.
            * ``summary_artifact_key``: the key of that artifact, by default ``dbt-summary``.

    Raises:
        DbtError: an option of other runners is not supported; the error says why.
        TypeError: there is no such option.
    """

    def __init__(
        self,
        project: DbtProject | None = None,
        *,
        settings: DbtSettings | None = None,
        **options: Unpack[RunnerOptions],
    ) -> None:
        _refuse(options)
        if project is not None and settings is not None:
            raise DbtError("both `project` and `settings` are set", "Pass one of them.")
        self._project = project or make_project(settings or DbtSettings())
        self._settings = settings
        self._options: RunnerOptions = {**DEFAULTS, **options}
        _check(self._options)

    def invoke(self, args: Sequence[str] | str, **options: object) -> DbtResult:
        """Run a dbt command and wait until it ends.

        Args:
            args: the command with its options: ``["run"]`` or ``["docs", "generate"]``.
            **options: more options: ``select="orders+"``, ``full_refresh=True``, ``vars={...}``.

        Returns:
            The result of each node.

        Raises:
            DbtNodesFailed: nodes failed, unless `raise_on_failure` is False.
            DbtError: the command could not be run.
        """
        given = split_command(args) if isinstance(args, str) else list(args)
        given = given[1:] if given[:1] == ["dbt"] else given
        options = dict(options)
        project = _move(self._project, options)
        given += make_arguments(options)
        with ExitStack() as stack:
            place = stack.enter_context(project.open())
            known = find_command(given)
            if known in {"build", "run", "test", "seed", "snapshot", "compile", "clone", "show"}:
                given += ["--defer"] if self._options["defer"] else []
                given += ["--favor-state"] if self._options["favor_state"] else []
            if (state := self._options["state"]) is not None:
                place = replace(place, state=stack.enter_context(_open_state(state)))
            if self._options["threads"] is not None:
                place = replace(place, threads=self._options["threads"])
            if self._settings is not None and self._settings.log_level is not None:
                place = replace(place, log_level=self._settings.log_level)
            result = self._run_all(place, given, known)
            if (store := self._options["store_artifacts"]) is not None:
                upload_artifacts(store, place.artifacts)
        if self._options["create_summary_artifact"] and result.nodes:
            save_summary(result, self._options["summary_artifact_key"])
        if self._options["raise_on_failure"]:
            raise_failures(result)
        return result

    async def ainvoke(self, args: Sequence[str] | str, **options: object) -> DbtResult:
        """Async version of `invoke`; cancelling it ends dbt."""
        return await run_in_thread(lambda: self.invoke(args, **options))

    def _run_all(self, place: Place, args: list[str], command: str) -> DbtResult:
        strategy = self._options["test_strategy"]
        if command != "build" or strategy == "immediate":
            return self._run(place, args)
        built = self._run(place, [*args, *_name_tests("--exclude-resource-type")])
        if strategy == "skip" or not built.success:
            return built
        tested = self._run(place, [*args, *_name_tests("--resource-type")])
        return DbtResult(tuple(args), tested.success, (*built.nodes, *tested.nodes), tested.lines)

    def _run(self, place: Place, args: list[str]) -> DbtResult:
        return run_dbt(
            place,
            args,
            resume=self._options["resume"],
            retries=self._options["retries"],
            retry_delay_seconds=self._options["retry_delay_seconds"],
        )


def upload_artifacts(store: ObjectStore, folder: Path) -> None:
    """Upload the artifacts of a project, except those of commands that are running."""
    with TemporaryDirectory(prefix="flowstone-dbt-") as directory:
        ignored = Path(directory, "ignored")
        ignored.write_text(f"{RUNNING}/\n", "utf-8")
        store.put_directory(folder, "", ignored)


def _name_tests(option: str) -> list[str]:
    return [option, "test", option, "unit_test"]


def _check(options: RunnerOptions) -> None:
    if options["test_strategy"] not in STRATEGIES:
        problem = f"there is no test strategy {options['test_strategy']!r}"
        raise DbtError(problem, f"Choose one of {', '.join(STRATEGIES)}.")
    numbers: dict[str, tuple[object, int]] = {
        "retries": (options["retries"], 0),
        "retry_delay_seconds": (options["retry_delay_seconds"], 0),
        "threads": (options["threads"] or 1, 1),
    }
    for name, (value, least) in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
            raise DbtError(f"{name!r} is {value!r}", f"Set it to a number from {least} up.")


def _refuse(given: Mapping[str, object]) -> None:
    for name, value in given.items():
        if name in REFUSED:
            if value:
                raise DbtError(f"DbtRunner does not support {name!r}", REFUSED[name])
        elif name not in DEFAULTS:
            raise TypeError(f"DbtRunner has no parameter {name!r}")


def make_project(settings: DbtSettings) -> DbtProject:
    """Return the project that settings describe."""
    return DbtProject(
        project_dir=settings.project_dir,
        profiles_dir=settings.profiles_dir,
        target_path=str(settings.target_path),
    )


def _move(project: DbtProject, options: dict[str, object]) -> DbtProject:
    """Apply the options that concern the project."""
    changes: dict[str, Any] = {}
    for name in ("project_dir", "profiles_dir"):
        if (value := options.pop(name, None)) is not None:
            changes[name] = Path(str(value))
    if (path := options.pop("target_path", None)) is not None:
        changes["target_path"] = str(path)
    return project.model_copy(update=changes) if changes else project


@contextmanager
def _open_state(state: ObjectStore | Path | str) -> Iterator[Path]:
    """Yield the directory with the artifacts of another run."""
    if not isinstance(state, ObjectStore):
        yield Path(state).expanduser().absolute()
        return
    with TemporaryDirectory(prefix="flowstone-dbt-") as folder:
        for name in ("manifest.json", "run_results.json", "sources.json"):
            with suppress(ObjectMissing):
                state.download_object_to_path(name, Path(folder, name))
        yield Path(folder)


#: The name in prefect-dbt.
PrefectDbtRunner = DbtRunner
