"""Git repositories, fetched at one commit."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from flowstone.blocks.jobs.processes import run_command
from flowstone.errors import ConfigurationError, suggest_names
from flowstone.records.redaction import MASK, redact, register
from flowstone.settings import read_environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from subprocess import CompletedProcess

#: Reads the credentials from the environment: arguments are visible to all users.
_HELPER = '!f() { echo "username=$FLOWSTONE_GIT_USER"; echo "password=$FLOWSTONE_GIT_TOKEN"; }; f'
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
#: Variables that would make git work on another repository, as set in its hooks.
_OF_ANOTHER = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE"),
)
#: Give up if less than a byte per second has arrived for a minute.
_PATIENCE = ("-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=60")


class GitLogin(NamedTuple):
    """Credentials for a repository over HTTP.

    Attributes:
        token: a token or a password, in plain text.
        username: most servers accept any name with a token.
    """

    token: str
    username: str = "x-access-token"


def check_git_url(url: str) -> str:
    """Return the URL of a repository if it is valid.

    Raises:
        ValueError: it has credentials, or a query, which may contain some: they would be saved and
            shown.
    """
    found = urlsplit(url)
    if found.password or (found.username and found.scheme in {"http", "https"}):
        raise ValueError("a URL must not contain credentials: they would be saved and shown")
    if found.scheme and found.query:
        raise ValueError("a URL must not contain a query: it may be a token, and would be saved")
    return url


def fetch_repository(
    url: str,
    folder: Path,
    *,
    reference: str | None = None,
    login: GitLogin | None = None,
    directories: Sequence[str] = (),
    has_submodules: bool = False,
) -> str:
    """Fetch one commit of a repository into a directory, and return its hash.

    The credentials are not in any argument, file or message, and are only sent to the host of
    `url`.

    Args:
        url: the URL: ``https://…``, ``ssh://…``, ``git@host:path``, ``file://…`` or a path.
        folder: the directory for its files, which is created.
        reference: a branch, a tag or a commit; None for the default branch.
        login: credentials for a private repository over HTTP.
        directories: only these, and the files at the top; None for all.
        has_submodules: whether to fetch submodules as well.

    Raises:
        ConfigurationError: git is not installed, the repository can't be reached or refuses the
            credentials, or there is no such branch, tag or commit.
    """
    return _Fetch(url, folder, login).fetch(reference, directories, has_submodules=has_submodules)


class _Fetch:
    """A fetch of one repository."""

    def __init__(self, url: str, folder: Path, login: GitLogin | None) -> None:
        self._url, self._folder, self._login = url, folder, login
        git = shutil.which("git")
        if git is None:
            raise self._make_error("git is not installed", "Install git.")
        self._git = git
        if login is not None:
            register(login.token)

    def fetch(
        self, reference: str | None, directories: Sequence[str], *, has_submodules: bool
    ) -> str:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._run("init", "--quiet")
        self._run("remote", "add", "--", "origin", self._url)
        self._find_commit(reference)
        if directories:
            self._run("sparse-checkout", "set", "--", *directories)
        self._run("checkout", "--quiet", "--detach", "FETCH_HEAD")
        if has_submodules:
            self._run("submodule", "--quiet", "update", "--init", "--recursive", "--depth=1")
        return self._run("rev-parse", "HEAD").stdout.strip()

    def _find_commit(self, reference: str | None) -> None:
        """Fetch the requested commit as FETCH_HEAD."""
        shallow = ("fetch", "--quiet", "--depth=1", "origin")
        done = self._try(*shallow, reference or "HEAD")
        if done.returncode == 0:
            return
        # Check whether it exists.
        listed = self._run("ls-remote", "--heads", "--tags", "origin").stdout
        if reference is None:
            raise self._make_error("it has no commits", "Push one.")
        if _COMMIT.fullmatch(reference):  # abbreviated, or refused by the server
            self._run("fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/heads/*")
            found = self._try("rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}")
            if found.returncode == 0:
                (self._folder / ".git" / "FETCH_HEAD").write_text(found.stdout)
                return
        names = re.findall(r"\trefs/(?:heads|tags)/(.+?)(?:\^\{\})?$", listed, re.MULTILINE)
        problem = f"it has no branch, tag or commit {reference!r}"
        raise self._make_error(problem, suggest_names(reference, names).strip() or "Correct it.")

    def _run(self, *arguments: str) -> CompletedProcess[str]:
        done = self._try(*arguments)
        if done.returncode:
            if self._login is None and "could not read Username" in done.stderr:
                remedy = 'Pass credentials="secret/NAME".'
                raise self._make_error("it requires credentials", remedy)
            words = self._mask(" ".join(done.stderr.split()))
            problem = f"git {arguments[0]} failed: {words.removeprefix('fatal: ')}"
            raise self._make_error(problem, "Check the address, the network and the credentials.")
        return done

    def _try(self, *arguments: str) -> CompletedProcess[str]:
        env = {"GIT_SSH_COMMAND": "ssh -oBatchMode=yes", **read_environment()}
        for name in _OF_ANOTHER:
            env.pop(name, None)
        env |= {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": "", "LC_ALL": "C"}
        options = list(_PATIENCE)
        if self._login is not None:
            found = urlsplit(self._url)
            key = f"credential.{found.scheme}://{found.netloc}.helper"
            options += ["-c", "credential.helper=", "-c", f"{key}={_HELPER}"]
            env["FLOWSTONE_GIT_USER"] = self._login.username
            env["FLOWSTONE_GIT_TOKEN"] = self._login.token
        return run_command([self._git, *options, *arguments], env=env, cwd=self._folder)

    def _mask(self, words: str) -> str:
        masked = redact(words)  # short values are not registered
        return masked if self._login is None else masked.replace(self._login.token, MASK)

    def _make_error(self, problem: str, remedy: str) -> ConfigurationError:
        return ConfigurationError(f"the repository {self._url}", problem, remedy)
