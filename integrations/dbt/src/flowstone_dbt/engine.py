"""One command of dbt, from its arguments to its result; every entry point uses this."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from socket import gethostname
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from flowstone import record_external_end, record_external_start
from flowstone.blocks.external_work import find_logger
from flowstone.blocks.jobs.processes import read_start_time
from flowstone_dbt.attempts import EarlierAttempts, find_attempts
from flowstone_dbt.errors import DbtError, DbtNodesFailed, explain_error
from flowstone_dbt.left_behind import end_left_behind
from flowstone_dbt.packages import lacks_packages
from flowstone_dbt.process import DbtProcess, ExecutableDbt, borrow_dbt, give_back_dbt
from flowstone_dbt.profiles import open_profile
from flowstone_dbt.recording import INTERRUPTED, NodeRecorder
from flowstone_dbt.settings import read_environment
from flowstone_dbt.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flowstone_dbt.nodes import NodeResult
    from flowstone_dbt.process import WarmDbt
    from flowstone_dbt.profiles import Profile

#: Commands that have a target path, and write their artifacts there.
WITH_NODES = frozenset(
    {"build", "run", "test", "seed", "snapshot", "compile", "clone", "run-operation", "generate",
     "freshness", "show", "parse", "list", "ls", "retry"}
)  # fmt: skip
#: Commands that `dbt retry` can take up again.
RESUMABLE = frozenset({"build", "run", "test", "seed", "snapshot", "compile", "clone"})
#: Commands that are for somebody at a terminal, and what to do in place of them.
INTERACTIVE = {
    "init": "Run `dbt init` in a shell, once.",
    "serve": "Run `docs generate`, and serve the target folder with any web server.",
}
#: The commands that have an option for threads.
WITH_THREADS = RESUMABLE | {"freshness", "generate", "retry", "run-operation", "show"}
#: The commands whose nodes are recorded; others read or compile them.
RECORDED = RESUMABLE - {"compile"} | {"run-operation", "freshness", "retry"}
#: The commands that have commands of their own, and the one that people mean.
GROUPS = {"docs": "generate", "source": "freshness"}
#: Options with a value that may stand before the command.
WITH_VALUE = frozenset(
    {"--log-format", "--log-format-file", "--log-level", "--log-level-file", "--log-path",
     "--log-file-max-bytes", "--printer-width", "--profile", "--profiles-dir", "--project-dir",
     "--state", "--target", "-t", "--target-path", "--threads", "--vars",
     "--warn-error-options"}
)  # fmt: skip

#: Set by who wants the command in this context stopped.
stopping: ContextVar[threading.Event | None] = ContextVar("flowstone_dbt_stopping", default=None)


class DbtStopped(BaseException):
    """The command was stopped by its caller."""


@dataclass(frozen=True)
class Place:
    """Where dbt runs, and as whom.

    Attributes:
        project_dir: the folder with ``dbt_project.yml``.
        profiles_dir: the folder with ``profiles.yml``; None for dbt's own search.
        profile: made of blocks; it takes precedence over any ``profiles.yml``.
        target_path: the folder for artifacts, in the project.
        python: the interpreter of an environment that has dbt.
        executable: a dbt program that is run in place of the Python package; None for the package.
        env: variables, beside those of this process.
        block: as `name_block` names what is asked to end a command that was left running.
        target: the target of the profile; None for the profile's own.
        log_level: ``debug`` for the queries; None where the run's log decides.
        streams: whether dbt's lines go to the run's log, and not only to those of its nodes.
        identity: what tells the project from others, also where its folder is another one in each
            attempt; by default the folder.
        threads: how many nodes run at a time; None for what the profile says.
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
    identity: str = ""
    threads: int | None = None

    def identify(self) -> str:
        """Return what tells the project, and the target that it is run on, from others."""
        profile = self.profile and (self.profile.name, self.profile.target)
        return "\0".join(map(str, (self.identity or self.project_dir, self.target, profile)))

    @property
    def artifacts(self) -> Path:
        """The folder for artifacts."""
        return self.project_dir / self.target_path


@dataclass(frozen=True)
class DbtResult:
    """What a command of dbt did.

    Attributes:
        args: the command and its options.
        success: whether dbt says that it succeeded.
        nodes: how each node ended; those that an earlier attempt did are among them.
        lines: what the command answers: the names of ``ls``, the rows of ``show``.
        next_attempt: what is known when its errors are tried again.
    """

    args: tuple[str, ...]
    success: bool
    nodes: tuple[NodeResult, ...] = ()
    lines: tuple[str, ...] = ()
    next_attempt: EarlierAttempts | None = field(default=None, repr=False, compare=False)

    @property
    def failed(self) -> list[NodeResult]:
        """The nodes that failed."""
        return [node for node in self.nodes if node.failed]

    def count(self) -> dict[str, int]:
        """Return how many nodes ended in each of dbt's statuses."""
        found: dict[str, int] = {}
        for node in self.nodes:
            found[node.status] = found.get(node.status, 0) + 1
        return found


def find_command(args: Sequence[str]) -> str:
    """Return the name of the command in arguments of dbt, as ``build`` or ``generate``.

    Raises:
        DbtError: there is none.
    """
    before = ""
    names: list[str] = []
    for each in args:
        if not each.startswith("-") and before not in WITH_VALUE:
            names.append(each)
        before = each
    if not names:
        raise DbtError("no command was given", "Give one, such as ['build'].")
    if names[0] not in GROUPS:
        return names[0]
    if len(names) == 1:
        remedy = f"Add one: ['{names[0]}', '{GROUPS[names[0]]}']."
        raise DbtError(f"{names[0]!r} is a group of commands", remedy)
    return names[1]


def run_dbt(
    place: Place, args: Sequence[str], *, resume: bool = True, before: DbtResult | None = None
) -> DbtResult:
    """Run a command of dbt, and record each of its nodes as a task run.

    In a retry of the task or the flow, only what has not succeeded is run.

    Args:
        place: where.
        args: the command and its options, as on the command line.
        resume: whether a retry runs only the rest.
        before: a result of the same command, whose errors are to be tried again.

    Returns:
        How it ended, also where nodes failed.

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
        _Command.run_alone(place, "deps")
    attempts = before.next_attempt if before is not None else None
    attempts = attempts or find_attempts(place.identify(), command, args)
    with ExitStack() as stack:
        work = _Command(place, stack, attempts, command)
        if not resume or command not in RESUMABLE or not attempts.earlier:
            return work.run(list(args))
        pending = work.find_pending()
        if any(not each.startswith("operation.") for each in pending):
            return work.run(work.make_retry(pending))
        if pending:  # hooks, which dbt runs with whatever it runs
            return work.run(list(attempts.args))
        nodes = tuple(attempts.earlier.values())
        success = not any(each.failed for each in nodes)
        if success:
            find_logger("dbt").info("dbt %s: all nodes succeeded in an earlier attempt", command)
        return DbtResult(attempts.args, success, nodes)


class _Command:
    """A command on its way."""

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

    @classmethod
    def run_alone(cls, place: Place, command: str) -> DbtResult:
        """Run a command that is no node's, without options."""
        with ExitStack() as stack:
            attempts = EarlierAttempts((command,), {})
            return cls(place, stack, attempts, command).run([command])

    def run(self, args: list[str]) -> DbtResult:
        """Run it, and record its nodes."""
        given = {each.partition("=")[0] for each in args}
        common = self._common if not {"--profile", "--target", "-t"} & given else []
        if self._place.threads and self._command in WITH_THREADS and "--threads" not in given:
            common = [*common, "--threads", str(self._place.threads)]
        if self._command == "retry" and "--state" not in given:
            common = [*common, "--state", str(self._place.artifacts)]
        recorder = NodeRecorder(
            self._folder,
            self._attempts.parameters,
            self._attempts.runs,
            streams=self._place.streams,
            on_parsed=self._workspace.release,
            records=self._command in RECORDED,
        )
        if self._command == "clean":  # what it removes is the project's folder
            self._env["DBT_TARGET_PATH"] = str(self._place.artifacts)
        ended = self._ask([*args, *common], recorder)
        recorder.settle()
        return self._judge(recorder, ended)

    def find_pending(self) -> list[str]:
        """Return the ids of the nodes of the command that have not succeeded."""
        args = [*self._attempts.args, *self._common]
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
        """Give a process of dbt; it is recorded as external work of the run while it works."""
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
                where = f"{gethostname()}/{dbt.pid}/{read_start_time(dbt.pid)}"
                handle = record_external_start("dbt", self._place.block, where)
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

    def _judge(self, recorder: NodeRecorder, ended: Mapping[str, Any]) -> DbtResult:
        nodes = {**self._attempts.earlier, **recorder.results}
        lines = (*(ended.get("lines") or ()), *recorder.previews)
        success = bool(ended.get("success")) and not any(each.failed for each in nodes.values())
        follow = self._attempts.follow(nodes, recorder.runs, recorder.manifest)
        result = DbtResult(self._attempts.args, success, tuple(nodes.values()), lines, follow)
        where, executable = f"dbt {self._command}", self._place.executable
        if ended.get("error") and not recorder.results:
            raise explain_error(ended, where, self._place.project_dir)
        if executable is not None and not recorder.heard and not ended.get("message"):
            problem = f"{executable!r} did not write the JSON log of dbt"
            raise DbtError(problem, "Set `executable` to a program of dbt, 1.10 or newer.")
        if not success and not result.failed:
            words = "; ".join(recorder.errors) or ended.get("message") or "dbt gave no reason"
            if self._command == "debug" and not recorder.errors:
                words = " ".join(recorder.last_lines)
            raise explain_error({"message": words}, where, self._place.project_dir)
        return result


def raise_failures(result: DbtResult) -> None:
    """Raise an error that names the nodes of a result that failed, if there are any.

    Raises:
        DbtNodesFailed: there are.
    """
    if not result.success:
        raise DbtNodesFailed(f"dbt {find_command(result.args)}", result.failed)


def _follow(dbt: DbtProcess, recorder: NodeRecorder) -> dict[str, Any]:
    """Hand on what dbt tells until it has ended; return its last word."""
    stop = stopping.get()
    for found in dbt.read_lines():
        if stop is not None and stop.is_set():
            raise DbtStopped
        if found is None:
            continue
        ended = recorder.handle_line(found)
        if ended is not None:
            return ended
    return dbt.judge_end()
