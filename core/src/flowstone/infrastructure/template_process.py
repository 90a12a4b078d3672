"""The program of a `ProcessTemplate`: it has loaded what runs need, and forks for each run."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import TypedDict

from flowstone.settings import replace_environment

#: The package of the command. It belongs to a higher layer, and is only executed here.
_COMMAND = "flowstone.cli"
#: What `flowstone run execute` loads of Flowstone, without the code of the flow.
LOADED = (
    f"{_COMMAND}.app",
    f"{_COMMAND}.run",
    f"{_COMMAND}.run.execute",
    f"{_COMMAND}.run.execution",
    "flowstone.observers",
    "flowstone.flow_runs.executions",
    "flowstone.code.snapshots",
    "flowstone.stores.sqlite",
)
#: Maximum length of a message.
MAX_BYTES = 1 << 20


class Request(TypedDict):
    """The process to start.

    Attributes:
        arguments: the arguments of the command `flowstone`.
        env: its whole environment.
        cwd: its working directory, as an absolute path.
        shows_output: whether it writes to the worker's output.
    """

    arguments: list[str]
    env: dict[str, str]
    cwd: str
    shows_output: bool


class Message(TypedDict, total=False):
    """A message of the template; each has one of these keys, and `code` with `ended`.

    Attributes:
        ready: everything is loaded.
        pid: the id of the requested process.
        ended: the id of a process that has ended.
        code: its exit code, as in `subprocess`.
    """

    ready: bool
    pid: int
    ended: int
    code: int


def serve(channel: socket.socket) -> list[str] | None:
    """Fork for each request, and report processes that have ended, until the channel is closed.

    Args:
        channel: a socket of kind SOCK_SEQPACKET for requests and messages, as JSON.

    Returns:
        In the forked process, its arguments; None in this one, at the end.
    """
    children: dict[int, int] = {}  # the ids of processes, by the descriptors that show their end
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        _tell(channel, {"ready": True})
        while True:
            for key, _ in selector.select():
                descriptor = key.fd
                if descriptor != channel.fileno():
                    selector.unregister(descriptor)
                    _tell_end(channel, children.pop(descriptor))
                    os.close(descriptor)
                    continue
                request = _receive(channel)
                if request is None:
                    return None
                leads, led = os.pipe()
                pid = os.fork()
                if not pid:
                    for each in (*children, leads):
                        os.close(each)
                    channel.close()
                    os.setsid()
                    os.close(led)
                    return _become(request)
                os.close(led)
                os.read(leads, 1)  # a caller with the id may send a signal to its group
                os.close(leads)
                descriptor = os.pidfd_open(pid)
                children[descriptor] = pid
                selector.register(descriptor, selectors.EVENT_READ)
                _tell(channel, {"pid": pid})


def _receive(channel: socket.socket) -> Request | None:
    """Return the next request; None if the worker has ended."""
    try:
        request = channel.recv(MAX_BYTES)
    except ConnectionResetError:  # it did not read all messages
        return None
    if not request:
        return None
    asked: Request = json.loads(request)
    return asked


def _tell(channel: socket.socket, message: Message) -> None:
    with suppress(OSError):  # the worker has ended, which the next read detects
        channel.send(json.dumps(message).encode())


def _tell_end(channel: socket.socket, pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    _tell(channel, {"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _become(asked: Request) -> list[str]:
    """Turn this process into the requested one; return its arguments."""
    replace_environment(asked["env"])
    os.chdir(asked["cwd"])
    sys.path[0] = asked["cwd"]  # as for `python -m`
    if not asked["shows_output"]:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.close(nowhere)
    return asked["arguments"]


def main() -> None:
    """Serve requests from the channel on standard input."""
    channel = socket.socket(fileno=os.dup(0))
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    # Ctrl-C is handled by the worker, which decides about the runs.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for name in LOADED:
        import_module(name)
    arguments = serve(channel)
    if arguments is None:
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv[1:] = arguments
    import_module(_COMMAND).main()


if __name__ == "__main__":
    main()
