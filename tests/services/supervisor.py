"""Run a server in the background until nobody uses it: a program of its own.

It reads its order as JSON from standard input, and answers with JSON on standard output when the
server is ready, or when it can't be. Each user holds a shared lock on the file `users` in the
server's folder: the system lets it go whatever ends the user, and then the server is ended, with
all its processes and its folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

#: How long a server may take to begin, and to end, in seconds: a busy machine is slow.
PATIENCE, LAST_WORDS = 120.0, 10.0
#: A port may be somebody else's by the time the server asks for it.
TRIES = 3


class Failed(Exception):
    """The server does not begin."""


class Supervisor:
    """Keeps one server."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order, self.folder = order, Path(order["folder"])
        self.data = Path(order["keep"] or self.folder / "data")
        self.log = self.folder / "log"
        self.server: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._leave)

    def run(self) -> None:
        # Held as long as this process is: who waits for the end waits for this lock.
        alive = (self.folder / "alive").open("w")
        fcntl.flock(alive, fcntl.LOCK_EX)
        try:
            self._answer(self._begin())
            signal.signal(signal.SIGCHLD, self._look)
            self._look()
            with (self.folder / "users").open() as users:
                fcntl.flock(users, fcntl.LOCK_EX)  # returns when the last user has gone
                self._end()
        except Failed as failed:
            self._answer({"error": str(failed)})
        finally:
            self._end()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _begin(self) -> dict[str, int]:
        for turn in range(TRIES):
            port = find_free_port()
            try:
                self._prepare(port)
                self._start(port)
            except Failed:
                self._end()
                if turn == TRIES - 1:
                    raise
            else:
                return {"port": port}
        raise AssertionError("never reached")

    def _prepare(self, port: int) -> None:
        if not self.order["keep"]:
            shutil.rmtree(self.data, ignore_errors=True)  # of a try that failed
        self.data.mkdir(parents=True, exist_ok=True)
        self.log.write_bytes(b"")
        if self.order["user"]:
            self.folder.chmod(0o711)
            shutil.chown(self.data, self.order["user"])
            if self.order["home"]:
                self._bring_home()
        for command in self.order["commands"][:-1]:
            self.server = self._popen(command, port)
            try:
                code = self.server.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                code = 1
            if code:
                raise Failed(self._words())

    def _bring_home(self) -> None:
        home, copy = Path(self.order["home"]), self.folder / "home"
        if not all(place.stat().st_mode & 0o001 for place in home.resolve().parents):
            for part in home.parent.glob(f"{home.name}*"):  # its libraries are beside it
                shutil.copytree(part, copy / part.name, symlinks=True, dirs_exist_ok=True)
            self.order["home"] = str(copy / home.name)

    def _start(self, port: int) -> None:
        self.server = self._popen(self.order["commands"][-1], port)
        limit = time.monotonic() + PATIENCE
        while not self._is_ready(port):
            if self.server.poll() is not None or time.monotonic() > limit:
                raise Failed(self._words())
            time.sleep(0.01)
        if self.server.poll() is not None:  # it was somebody else who answered
            raise Failed(self._words())

    def _popen(self, command: list[str], port: int) -> subprocess.Popen[bytes]:
        words = [self._fill(word, port) for word in command]
        user = self.order["user"]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                env={**os.environ, **self.order["environment"]},
                user=user,
                group=pwd.getpwnam(user).pw_gid if user else None,
                extra_groups=[] if user else None,
                start_new_session=True,
            )

    def _fill(self, word: str, port: int) -> str:
        word = word.replace("{port}", str(port)).replace("{home}", self.order["home"])
        return word.replace("{data}", str(self.data))

    def _is_ready(self, port: int) -> bool:
        if self.order["says"]:
            return self.order["says"].encode() in self.log.read_bytes()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    def _answer(self, answer: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(answer))
        sys.stdout.flush()
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)

    def _words(self) -> str:
        return self.log.read_text("utf-8", "replace")[-2000:]

    def _look(self, *_: object) -> None:
        if self.server and self.server.poll() is not None:
            sys.exit(0)

    def _leave(self, *_: object) -> None:
        sys.exit(0)

    def _end(self) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        server, self.server = self.server, None
        if server is None:
            return
        try:
            os.killpg(server.pid, self.order["stop"])
            server.wait(LAST_WORDS)
            os.killpg(server.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as looking:
        port: int = looking.getsockname()[1]
        return port


if __name__ == "__main__":
    order = json.load(sys.stdin)
    if os.fork():  # who has asked need not wait for the end
        os._exit(0)
    os.setsid()
    Supervisor(order).run()
