"""A git server: repositories of a folder over HTTP, for who has the password."""

from __future__ import annotations

import os
import subprocess
from base64 import b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.services.web import Handler, serve_web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def serve_git(folder: Path, password: str) -> Iterator[str]:
    """Serve the repositories of a folder by git's own program, and yield the address.

    It is called as https://git-scm.com/docs/git-http-backend says.

    Args:
        folder: where they are.
        password: of any user.
    """

    class Git(Handler):
        def do_GET(self) -> None:
            _, _, given = self.headers.get("Authorization", "").partition(" ")
            user = "x-access-token"
            if given != b64encode(f"{user}:{password}".encode()).decode():
                self.respond(401, headers={"WWW-Authenticate": 'Basic realm="git"'})
                return
            url = urlsplit(self.path)
            env = {
                **os.environ,
                "GIT_PROJECT_ROOT": str(folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": url.path,
                "QUERY_STRING": url.query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }
            done = subprocess.run(
                ["git", "http-backend"], env=env, input=self.read_body(), capture_output=True,
                check=True,
            )  # fmt: skip
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            status = int(headers.pop("Status", "200 OK").split()[0])
            self.respond(status, content, headers)

        do_POST = do_GET

    with serve_web(Git) as server:
        yield server.url
