"""Processes that start in a tenth of the time: forks of a template that has loaded Flowstone."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import finalize

from flowstone.infrastructure.template_process import MAX_BYTES, Message, Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Variables that the interpreter, its C library or a locale reads at startup: a fork has those of
#: its template.
_READ_AT_START = ("PYTHON", "LD_", "LC_", "LANG", "TZ", "MALLOC_", "GLIBC_")
#: Template processes need features of Linux; on other systems each process is started normally.
CAN_COPY = hasattr(os, "pidfd_open") and hasattr(socket, "SOCK_SEQPACKET")


class ProcessTemplate:
    """A process that has loaded what runs need, and forks for each run on request.

    It ends with this process; the processes that it has started don't.

    Args:
        env: its environment.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = dict(env)
        self._channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "flowstone.infrastructure.template_process"],
                env=self._env,
                stdin=other.fileno(),
                start_new_session=True,
            )
        self._finalize = finalize(self, _end, self._channel, self._process)
        self._codes: dict[int, int] = {}
        self._is_ready = False

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it has loaded everything."""
        self._receive_all()
        return self._is_ready

    @property
    def has_ended(self) -> bool:
        """Whether it can no longer be asked for anything, and will report nothing more."""
        self._receive_all()
        return self._channel.fileno() < 0

    def can_copy(self, env: Mapping[str, str]) -> bool:
        """Return whether a fork would now be the same as a process started with `env`."""
        changed = {
            name
            for name in {*env, *self._env}
            if name.startswith(_READ_AT_START) and env.get(name) != self._env.get(name)
        }
        return self.is_ready and not changed

    def start(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        *,
        shows_output: bool,
    ) -> int | None:
        """Start a process of the command `flowstone`; return its id.

        Args:
            arguments: the arguments of the command.
            env: its whole environment.
            cwd: its working directory, which exists.
            shows_output: whether it writes to the terminal of this process.

        Returns:
            The id; None if the template can no longer start one.
        """
        asked: Request = {
            "arguments": list(arguments),
            "env": dict(env),
            "cwd": str(cwd.absolute()),
            "shows_output": shows_output,
        }
        try:
            self._channel.send(json.dumps(asked).encode())
            while True:
                if (pid := self._receive().get("pid")) is not None:
                    return pid
        except OSError as error:
            if error.errno != errno.EMSGSIZE:  # the environment is too large for a message
                self.close()
            return None

    def read_code(self, pid: int) -> int | None:
        """Return the exit code of a process that it has started, as in `subprocess`; or None.

        It is also None if the template had ended before: see `has_ended`.
        """
        self._receive_all()
        return self._codes.get(pid)

    def close(self) -> None:
        """End the template; the processes that it has started continue."""
        self._finalize()

    def _receive_all(self) -> None:
        if self._channel.fileno() < 0:
            return
        try:
            while True:
                self._receive(socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def _receive(self, flags: int = 0) -> Message:
        message = self._channel.recv(MAX_BYTES, flags)
        if not message:
            raise ConnectionResetError("the template process has ended")
        told: Message = json.loads(message)
        self._is_ready |= "ready" in told
        if "ended" in told:
            self._codes[told["ended"]] = told["code"]
        return told


def _end(channel: socket.socket, process: subprocess.Popen[bytes]) -> None:
    channel.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
