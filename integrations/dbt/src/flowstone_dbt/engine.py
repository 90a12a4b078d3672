"""Running one dbt command, from its arguments to its result; used by every entry point."""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from flowstone import record_external_end, record_external_start
from flowstone.blocks.external_work import find_logger
from flowstone.blocks.jobs.processes import name_process
from flowstone_dbt.attempts import EarlierAttempts, find_attempts
from flowstone_dbt.commands import (
    INTERACTIVE,
    RECORDED,
    RESUMABLE,
    WITH_NODES,
    WITH_THREADS,
    find_command,
)
from flowstone_dbt.errors import DbtError, explain_error
from flowstone_dbt.left_behind import end_left_behind
from flowstone_dbt.options import take_option
from flowstone_dbt.packages import lacks_packages
from flowstone_dbt.process import DbtProcess, ExecutableDbt, borrow_dbt, give_back_dbt
from flowstone_dbt.profiles import open_profile
from flowstone_dbt.recording import INTERRUPTED, NodeRecorder
from flowstone_dbt.results import DbtResult
from flowstone_dbt.settings import read_environment
from flowstone_dbt.stopping import check_stop, pause_for
from flowstone_dbt.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flowstone_dbt.process import WarmDbt
    from flowstone_dbt.profiles import Profile


@dataclass(frozen=True)
class Place:
    """The directories, profile and environment that dbt runs with.

    Attributes:
        project_dir: the directory with ``dbt_project.yml``.
        profiles_dir: the directory with ``profiles.yml``; None for dbt's own search.
        profile: a profile made of blocks; it takes precedence over any ``profiles.yml``.
        target_path: the directory for artifacts, in the project.
        python: the interpreter of an environment with dbt.
        executable: a dbt program to run instead of the Python package; None for the package.
        env: environment variables in addition to those of this process.
        block: the block (from `name_block`) that can stop a command that was left running.
        target: the target in the profile; None for the profile's own.
        log_level: ``debug`` to include queries; None for the level of the run's log.
        streams: whether dbt's output goes to the run's log, too, not only to those of nodes.
        project_key: identifies the project even if each attempt has its own directory; by default
            the directory.
        threads: the number of nodes that run at a time; None for the profile's.
        state: the directory with the artifacts of another run, for ``--defer`` and ``state:``.
    """

    project_dir: Path
    profiles_dir: Path | None = None
    profile: Profile | None = None
    target_path: str = "target"
    python: str = sys.executable
    executable: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    block: str = "dbt"
    target: str | None = None
    log_level: str | None = None
    streams: bool = True
    project_key: str = ""
    threads: int | None = None
    state: Path | None = None

    def identify(self) -> str:
        """Return an identifier of the project and its target."""
        profile = self.profile and (self.profile.name, self.profile.target)
        return "\0".join(map(str, (self.project_key or self.project_dir, self.target, profile)))

    @property
    def artifacts(self) -> Path:
        """The directory for artifacts."""
        return self.project_dir / self.target_path


def run_dbt(
    place: Place,
    args: Sequence[str],
    *,
    resume: bool = True,
    retries: int = 0,
    retry_delay_seconds: float = 0,
) -> DbtResult:
    """Run a dbt command and record each of its nodes as a task run.

    In a retry of the task or the flow, only what has not succeeded is run.

    Args:
        place: where dbt runs.
        args: the command and its options, as on the command line.
        resume: whether a retry runs only what has not succeeded.
        retries: how often nodes that ended in an error are retried, with the nodes skipped because
            of them; failed tests are not.
        retry_delay_seconds: the delay before a retry.

    Returns:
        The result, even if nodes failed.

    Raises:
        DbtError: the command could not be run.
    """
    command = find_command(args)
    if command in INTERACTIVE:
        problem = f"{' '.join(args)!r} is interactive, and can't run in a flow"
        raise DbtError(problem, INTERACTIVE[command])
    if not (place.project_dir / "dbt_project.yml").is_file():
        problem = f"there is no dbt_project.yml in {str(place.project_dir)!r}"
        raise DbtError(problem, "Set `project_dir` to the folder of a dbt project.")
    end_left_behind(place.block)
    if command in WITH_NODES and lacks_packages(place.project_dir):
        find_logger("dbt").info("the project's packages are not installed: running dbt deps")
        _run_once(place, EarlierAttempts(("deps",), {}), resume=False)
    attempts = find_attempts(place.identify(), command, args)
    if not resume:
        attempts = replace(attempts, args=tuple(args))
    result, attempts = _run_once(place, attempts, resume=resume)
    for attempt in range(1, retries + 1):
        again = [node for node in result.failed if node.status != "fail"]
        if result.success or not again:
            break
        find_logger("dbt").warning(
            "%s node(s) failed; retry %s of %s in %g s",
            *(len(again), attempt, retries, retry_delay_seconds),
        )
        pause_for(retry_delay_seconds)
        result, attempts = _run_once(place, attempts, resume=True)
    return result


def _run_once(
    place: Place, attempts: EarlierAttempts, *, resume: bool
) -> tuple[DbtResult, EarlierAttempts]:
    """Run the rest of a command; return the result and the state for another attempt."""
    command = find_command(attempts.args)
    with ExitStack() as stack:
        work = _Command(place, stack, attempts, command)
        if not resume or command not in RESUMABLE or not attempts.earlier:
            return work.run(list(attempts.args))
        pending = work.find_pending()
        if any(not each.startswith("operation.") for each in pending):
            return work.run(work.make_retry(pending))
        if pending:  # hooks, which dbt runs with any selection
            return work.run(list(attempts.args))
        nodes = tuple(attempts.earlier.values())
        success = not any(each.failed for each in nodes)
        if success:
            find_logger("dbt").info("dbt %s: all nodes succeeded in an earlier attempt", command)
        return DbtResult(attempts.args, success, nodes), attempts


class _Command:
    """A command that runs."""

    def __init__(
        self, place: Place, stack: ExitStack, attempts: EarlierAttempts, command: str
    ) -> None:
        self._place, self._stack, self._attempts = place, stack, attempts
        self._command = command
        self._workspace = stack.enter_context(Workspace(place.artifacts))
        self._folder = self._workspace.folder
        self._env = {
            **read_environment(),
            **place.env,
            "DBT_PROJECT_DIR": str(place.project_dir),
            "DBT_TARGET_PATH": str(self._folder),
            "DBT_LOG_PATH": str(self._folder / "logs"),
            "DBT_LOG_LEVEL": "none",
            "DBT_LOG_LEVEL_FILE": "none",
            "DBT_USE_COLORS": "false",
        }
        self._common: list[str] = []
        profiles = place.profiles_dir
        if place.profile is not None:
            profiles = stack.enter_context(open_profile(place.profile))
            self._common = ["--profile", place.profile.name, "--target", place.profile.target]
            self._env |= place.profile.reveal_environment()
        elif place.target is not None:
            self._common = ["--target", place.target]
        if profiles is not None:
            self._env["DBT_PROFILES_DIR"] = str(profiles)
        if place.state is not None:
            # `dbt retry` itself uses the first one.
            self._env |= {"DBT_STATE": str(place.state), "DBT_DEFER_STATE": str(place.state)}

    def run(self, args: list[str]) -> tuple[DbtResult, EarlierAttempts]:
        """Run it and record its nodes; return the result and the state for another attempt."""
        recorder = NodeRecorder(
            self._folder,
            self._attempts.parameters,
            self._attempts.runs,
            streams=self._place.streams,
            on_parsed=self._workspace.release,
            records=self._command in RECORDED,
        )
        if self._command == "clean":  # it removes the project's own directory
            self._env["DBT_TARGET_PATH"] = str(self._place.artifacts)
        if self._command == "retry" and take_option(args, "--state") is None:
            args = [*args, "--state", str(self._place.artifacts)]
        ended = self._ask(self._add_common(args), recorder)
        recorder.settle()
        return self._judge(recorder, ended)

    def _add_common(self, args: list[str]) -> list[str]:
        """Add the project's options, unless the arguments contain them."""
        if take_option(args, "--profile", "--target", "-t") is None:
            args = [*args, *self._common]
        threads = self._place.threads
        if threads and self._command in WITH_THREADS and take_option(args, "--threads") is None:
            args = [*args, "--threads", str(threads)]
        return args

    def find_pending(self) -> list[str]:
        """Return the ids of the nodes of the command that have not succeeded."""
        args = self._add_common(list(self._attempts.args))
        with self._open(record=False) as dbt:
            dbt.send({**self._request(args), "list_nodes": True})
            ended = _follow(dbt, NodeRecorder(self._folder, {}, {}))
        if not ended.get("success"):
            raise explain_error(ended, f"dbt {self._command}", self._place.project_dir)
        self._given = ended["nodes"]["given"]
        known = dict.fromkeys([*ended["nodes"]["ids"], *self._attempts.earlier])
        return [each for each in known if self._attempts.is_left(each)]

    def make_retry(self, pending: list[str]) -> list[str]:
        """Write the results of earlier attempts for `dbt retry`, and return its arguments."""
        directory = TemporaryDirectory(prefix="flowstone-dbt-")
        folder = Path(self._stack.enter_context(directory), "earlier")
        self._attempts.write_results(folder, self._command, self._given, pending)
        find_logger("dbt").info(
            "dbt %s: retrying %s node(s) that did not succeed in an earlier attempt",
            *(self._command, len(pending)),
        )
        return ["retry", "--state", str(folder)]

    def _request(self, args: list[str]) -> dict[str, Any]:
        level = self._place.log_level
        queries = level == "debug" if level else find_logger("dbt").isEnabledFor(logging.DEBUG)
        cwd = str(self._place.project_dir)
        return {"args": args, "env": self._env, "cwd": cwd, "queries": queries}

    def _ask(self, args: list[str], recorder: NodeRecorder) -> dict[str, Any]:
        with self._open(args) as dbt:
            if not isinstance(dbt, ExecutableDbt):
                dbt.send(self._request(args))
            try:
                return _follow(dbt, recorder)
            except BaseException as error:
                cancelled = not isinstance(error, Exception)
                if not isinstance(error, DbtError):
                    recorder.is_stopping = cancelled
                    dbt.stop(recorder.handle_line)
                recorder.abandon(INTERRUPTED if cancelled else str(error), cancelled=cancelled)
                raise

    @contextmanager
    def _open(self, args: list[str] | None = None, *, record: bool = True) -> Iterator[DbtProcess]:
        """Yield a dbt process, which is recorded as external work of the run while it works."""
        executable = self._place.executable
        warm: WarmDbt | None = None
        if executable is not None and args is not None:
            cwd = str(self._place.project_dir)
            dbt: DbtProcess = ExecutableDbt(executable, args, env=self._env, cwd=cwd)
        else:
            dbt = warm = borrow_dbt(self._place.python)
        handle = None
        try:
            if record:
                handle = record_external_start("dbt", self._place.block, name_process(dbt.pid))
            yield dbt
        except BaseException:
            dbt.stop()
            if handle is not None:
                record_external_end(handle)
            raise
        if handle is not None:
            record_external_end(handle)
        if warm is not None:
            give_back_dbt(warm)
        else:
            dbt.close()

    def _judge(
        self, recorder: NodeRecorder, ended: Mapping[str, Any]
    ) -> tuple[DbtResult, EarlierAttempts]:
        nodes = {**self._attempts.earlier, **recorder.results}
        lines = (*(ended.get("lines") or ()), *recorder.previews)
        success = bool(ended.get("success")) and not any(each.failed for each in nodes.values())
        result = DbtResult(self._attempts.args, success, tuple(nodes.values()), lines)
        where, executable = f"dbt {self._command}", self._place.executable
        if ended.get("error") and not recorder.results:
            raise explain_error(ended, where, self._place.project_dir)
        if executable is not None and not recorder.heard and not ended.get("message"):
            problem = f"{executable!r} did not write dbt's JSON log"
            raise DbtError(problem, "Set `executable` to a program of dbt, 1.10 or newer.")
        if not success and not result.failed:
            words = "; ".join(recorder.errors) or ended.get("message") or "dbt gave no reason"
            if self._command == "debug" and not recorder.errors:
                words = " ".join(recorder.last_lines)
            raise explain_error({"message": words}, where, self._place.project_dir)
        return result, self._attempts.follow(nodes, recorder.runs, recorder.manifest)


def _follow(dbt: DbtProcess, recorder: NodeRecorder) -> dict[str, Any]:
    """Pass on dbt's events until it has ended; return the last one."""
    for found in dbt.read_lines():
        check_stop()
        if found is None:
            continue
        ended = recorder.handle_line(found)
        if ended is not None:
            return ended
    return dbt.judge_end()
