"""The program that runs dbt: a process that stays warm and runs one command after another.

It is run by its path, in an environment that may have dbt but not Flowstone. It reads requests as
lines of JSON on standard input, and writes events as lines of JSON in the format of dbt's JSON log,
with a last one that has the key ``ended``. If standard input is closed because the parent process
has exited, it interrupts dbt, whose adapters then cancel their queries.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

#: Seconds that dbt has to cancel its queries after the parent process has exited.
GRACE = 20.0
#: Seconds without a request after which it exits.
IDLE = 300.0
#: Events at the level DEBUG that are always sent: the results of nodes.
NEEDED = frozenset({"NodeStart", "NodeFinished"})
#: Events at the level DEBUG that are sent on request: queries.
QUERIES = frozenset({"SQLQuery", "SQLQueryStatus"})
#: Resource types that a command runs, by its name; other commands run all.
RUN = {
    "run": ("model",),
    "seed": ("seed",),
    "snapshot": ("snapshot",),
    "test": ("test", "unit_test"),
}
#: Resource types that no command runs.
NOT_RUN = ("analysis", "exposure", "group", "metric", "saved_query", "semantic_model", "source")


class DbtChild:
    """Serves requests.

    Args:
        requests: lines of JSON.
        replies: the stream that events are written to.
    """

    def __init__(self, requests: IO[str], replies: IO[str]) -> None:
        self._requests, self._replies = requests, replies
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()

    def serve(self) -> None:
        """Run requested commands until the parent process has exited."""
        threading.Thread(target=self._read, daemon=True).start()
        self._send({"ready": os.getpid()})
        # Takes 2 s, while the request is prepared.
        import dbt.cli.main  # noqa: F401

        while (request := self._next()) is not None:
            self._idle.clear()
            try:
                self._send({"ended": self._run(request)})
            except KeyboardInterrupt:
                self._send({"ended": _describe(KeyboardInterrupt())})
            finally:
                self._idle.set()

    def _next(self) -> dict[str, Any] | None:
        while True:
            try:
                return self._waiting.get(timeout=IDLE)
            except queue.Empty:
                return None
            except KeyboardInterrupt:  # it was meant for a command that has ended
                continue

    def _read(self) -> None:
        for line in self._requests:
            self._waiting.put(json.loads(line))
        self._waiting.put(None)
        if not self._idle.is_set():
            os.kill(os.getpid(), signal.SIGINT)
            if not self._idle.wait(GRACE):
                os.kill(os.getpid(), signal.SIGKILL)

    def _send(self, message: dict[str, Any]) -> None:
        line = json.dumps(message, default=str, ensure_ascii=False)
        # If no process reads any more, dbt must still be able to cancel its queries.
        with self._lock, suppress(BrokenPipeError):
            self._replies.write(f"{line}\n")
            self._replies.flush()

    def _run(self, request: dict[str, Any]) -> dict[str, Any]:
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])
        sys.path[:] = [each for each in sys.path if each != request["cwd"]]
        try:
            if request.get("list_nodes"):
                return {"success": True, "nodes": list_nodes(request["args"])}
            return self._invoke(request["args"], queries=bool(request.get("queries")))
        except Exception as error:  # noqa: BLE001 - the caller formats it
            return _describe(error)

    def _invoke(self, args: list[str], *, queries: bool) -> dict[str, Any]:
        # Imported by now; this module itself must not wait for the import.
        from dbt.cli.main import dbtRunner
        from google.protobuf.json_format import MessageToDict

        wanted = NEEDED | QUERIES if queries else NEEDED

        def tell(event: Any) -> None:
            if event.info.level != "debug" or event.info.name in wanted:
                self._send(MessageToDict(event, preserving_proto_field_name=True))

        try:
            found = dbtRunner(callbacks=[tell]).invoke(args)
        finally:
            _forget_connections()
        if found.exception is not None:
            return _describe(found.exception)
        lines = found.result if isinstance(found.result, list) else []
        return {"success": found.success, "lines": lines}


def _forget_connections() -> None:
    """Close connections that adapters keep between commands: DuckDB keeps its file open."""
    module = sys.modules.get("dbt.adapters.duckdb.connections")
    if module is not None:
        module.DuckDBConnectionManager.close_all_connections()


def _describe(error: BaseException) -> dict[str, Any]:
    return {"success": False, "error": type(error).__name__, "message": str(error)}


# ---------------------------------------------------------------- listing nodes


def read_given(args: list[str]) -> tuple[str, dict[str, Any]]:
    """Return the name of a command and its options, as dbt parses them."""
    # Imported by now; this module itself must not wait for the import.
    from dbt.cli.flags import args_to_context

    context = args_to_context(list(args))
    given: dict[str, Any] = {}
    for each in (context.parent, context):
        assert each is not None
        for name, value in each.params.items():
            source = each.get_parameter_source(name)
            if source is not None and source.name == "COMMANDLINE":
                given[name] = list(value) if isinstance(value, tuple) else value
    return str(context.info_name), given


def list_nodes(args: list[str]) -> dict[str, Any]:
    """Return a command's name, its options, and the ids of the nodes that it would run.

    Args:
        args: the arguments of the command.
    """
    # Imported by now; this module itself must not wait for the import.
    from dbt.cli.main import cli, dbtRunner

    command, given = read_given(args)
    commands: dict[str, Any] = vars(cli)["commands"]
    known = {each.name: each for each in (*cli.params, *commands["list"].params)}
    asked = ["list", "--output", "json", "--output-keys", "unique_id config", "--quiet"]
    types = given.get("resource_types") or RUN.get(command, ())
    for name, value in given.items():
        option = known.get(name)
        if option is None or name in {"output", "output_keys", "quiet", "resource_types"}:
            continue
        if option.is_flag:
            asked += [option.opts[0]] if value else option.secondary_opts[:1]
            continue
        for each in value if isinstance(value, list) else [value]:
            asked += [option.opts[0], json.dumps(each) if isinstance(each, dict) else str(each)]
    for each in types:
        asked += ["--resource-type", str(each)]
    found = dbtRunner().invoke(asked)
    if found.exception is not None:
        raise found.exception
    lines = found.result if isinstance(found.result, list) else []
    nodes = [json.loads(line) for line in lines if line.startswith("{")]
    ids = [
        node["unique_id"]
        for node in nodes
        # It is part of the models that read it, and has no result.
        if node.get("config", {}).get("materialized") != "ephemeral"
        and not node["unique_id"].startswith(tuple(f"{each}." for each in NOT_RUN))
    ]
    return {"command": command, "given": given, "ids": ids}


if __name__ == "__main__":
    # Prints of dbt, macros and Python models are no events: they go to the other pipe.
    own = os.dup(1)
    os.dup2(2, 1)
    # A prompt of a command gets no answer, and must not consume a request.
    asked = os.dup(0)
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    here = str(Path(__file__).parent)
    sys.path[:] = [each for each in sys.path if each != here]
    with (
        os.fdopen(asked, encoding="utf-8") as requests,
        os.fdopen(own, "w", encoding="utf-8") as events,
    ):
        DbtChild(requests, events).serve()
