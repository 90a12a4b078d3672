"""Code that comes from repositories: over files, and over a real HTTP server with a login."""

from __future__ import annotations

import logging
import os
from shutil import which
from typing import TYPE_CHECKING, NamedTuple

import pytest
from pydantic import SecretStr
from tests.services.git_http import serve_git
from tests.services.repositories import git
from tests.services.web import Handler, serve_web

from flowstone import flow
from flowstone.blocks import Block, Secret
from flowstone.code.git import GitLogin, fetch_repository
from flowstone.code.sources import GitRepository, open_source
from flowstone.deployments import run_deployment
from flowstone.deployments.documents import save_deployment
from flowstone.errors import ConfigurationError, ObjectNotFound

from .conftest import write_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowstone.context.current import Services

TOKEN = "ghp_0a1b2c3d4e5f"


class History(NamedTuple):
    """A repository with a tag, a branch and two commits on its default branch."""

    path: Path
    old: str
    new: str

    @property
    def url(self) -> str:
        return f"file://{self.path}"


@pytest.fixture
def history(tmp_path: Path) -> History:
    folder = tmp_path / "repositories" / "flows.git"
    write_project(folder, "old")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "old")
    git(folder, "tag", "-a", "v1", "-m", "first")
    old = git(folder, "rev-parse", "HEAD")
    git(folder, "switch", "--quiet", "-c", "feature/x")
    write_project(folder, "feature")
    git(folder, "commit", "--quiet", "-am", "feature")
    git(folder, "switch", "--quiet", "main")
    write_project(folder, "new")
    git(folder, "commit", "--quiet", "-am", "new")
    return History(folder, old, git(folder, "rev-parse", "HEAD"))


@pytest.fixture
def served(history: History) -> Iterator[str]:
    """Give the address of the repository on a server that wants the token."""
    with serve_git(history.path.parent, TOKEN) as url:
        yield f"{url}/flows.git"


def read_word(source: GitRepository) -> str:
    with open_source(source) as (folder, _):
        return (folder / "data.txt").read_text()


def test_a_branch_a_tag_and_a_commit_are_fetched(services: Services, history: History) -> None:
    assert read_word(GitRepository(history.url)) == "new"
    assert read_word(GitRepository(history.url, branch="feature/x")) == "feature"
    assert read_word(GitRepository(history.url, branch="v1")) == "old"
    assert read_word(GitRepository(history.url, commit_sha=history.old)) == "old"
    assert read_word(GitRepository(history.url, commit_sha=history.old[:10])) == "old"


def test_a_branch_is_pinned_to_its_commit(services: Services, history: History) -> None:
    with open_source(GitRepository(history.url, branch="main")) as (_, code):
        assert code.source == f"{history.url} at {history.new} (main)"
        assert code.is_workdir
    with open_source(GitRepository(history.url, commit_sha=history.new)) as (_, same):
        assert same.snapshot == code.snapshot


def test_only_some_directories_are_fetched(services: Services, history: History) -> None:
    (history.path / "docs").mkdir()
    (history.path / "docs/a.md").write_text("a")
    git(history.path, "add", ".")
    git(history.path, "commit", "--quiet", "-m", "docs")
    with open_source(GitRepository(history.url, directories=["helpers"])) as (folder, _):
        assert (folder / "helpers/words.py").exists()
        assert (folder / "etl.py").exists()
        assert not (folder / "docs").exists()


@pytest.mark.parametrize(
    ("branch", "commit", "problem"),
    [
        (None, "0" * 40, r"no branch, tag or commit '0000.*Correct it|There are"),
        ("featur/x", None, r"no branch, tag or commit 'featur/x'.*mean 'feature/x'"),
        ("--upload-pack=touch /tmp/x", None, "no branch, tag or commit '--upload-pack"),
    ],
)
def test_what_is_not_there_is_told(
    services: Services, history: History, branch: str | None, commit: str | None, problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        read_word(GitRepository(history.url, branch=branch, commit_sha=commit))


def test_a_repository_that_can_not_be_reached_is_told(services: Services, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not appear to be a git repository"):
        read_word(GitRepository(f"file://{tmp_path}/none.git"))
    with pytest.raises(ConfigurationError, match=r"(?s)127\.0\.0\.1:9.*Check the address"):
        read_word(GitRepository("http://127.0.0.1:9/x.git"))


def test_a_repository_without_commits_is_told(services: Services, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "empty.git")
    with pytest.raises(ConfigurationError, match="it has no commits"):
        read_word(GitRepository(f"file://{tmp_path}/empty.git"))


def test_a_login_does_not_belong_in_the_url() -> None:
    with pytest.raises(ConfigurationError, match="credentials=") as caught:
        GitRepository(f"https://ann:{TOKEN}@example.com/x.git")
    assert TOKEN not in str(caught.value)
    with pytest.raises(ConfigurationError, match="must not contain a query") as caught:
        GitRepository(f"https://example.com/x.git?access_token={TOKEN}")
    assert TOKEN not in str(caught.value)
    with pytest.raises(ConfigurationError, match="3 is not a URL"):
        GitRepository(3)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="Pass one of them"):
        GitRepository("https://example.com/x.git", branch="main", commit_sha="0123456")


class Forge(Block):
    """A login, as a package may have it."""

    username: str = "x-access-token"
    token: SecretStr


def test_a_private_repository_wants_a_login(
    services: Services, served: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=r"it requires credentials\. Pass credentials="):
        read_word(GitRepository(served))
    Secret(value=TOKEN).save("forge")
    Secret(value={"token": TOKEN}).save("parts")
    for credentials in (
        *(Secret(value=TOKEN), "secret/forge", "secret/parts", Forge(token=SecretStr(TOKEN))),
        {"username": "x-access-token", "access_token": Secret(value=TOKEN)},
    ):
        assert read_word(GitRepository(served, credentials)) == "new"


@pytest.mark.parametrize(
    ("credentials", "error"),
    [
        ("plain-text-token", "a string must be the reference of a block"),
        (7, "the type int is not valid as credentials"),
        ({"username": "ann"}, "the type dict has no token"),
        (Secret(value=""), "the type Secret has no token"),
    ],
)
def test_what_is_no_login_is_refused_and_not_shown(
    services: Services, credentials: str, error: str
) -> None:
    with pytest.raises(ConfigurationError, match=error) as caught:
        read_word(GitRepository("https://example.com/x.git", credentials))
    assert "plain-text" not in str(caught.value)


def test_a_login_that_is_not_saved_is_told(services: Services) -> None:
    Secret(value=TOKEN).save("forge")
    with pytest.raises(ObjectNotFound, match="'forge'"):
        read_word(GitRepository("https://example.com/x.git", "secret/forg"))


def test_a_hook_of_another_repository_is_no_matter(
    services: Services, history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its hooks, git sets variables that name the repository."""
    git(tmp_path, "init", "--quiet", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    assert read_word(GitRepository(history.url)) == "new"
    assert [path.name for path in (tmp_path / "other").iterdir()] == [".git"]


def test_the_token_is_nowhere(
    kept: Services,
    served: str,
    history: History,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is in no file that is fetched or kept, no argument, message, log or representation."""
    caplog.set_level(logging.DEBUG)
    spy, arguments = tmp_path / "bin" / "git", tmp_path / "arguments"
    spy.parent.mkdir()
    spy.write_text(f'#!/bin/sh\necho "$@" >> {arguments}\nexec {which("git")} "$@"\n')
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", str(spy.parent), prepend=os.pathsep)
    Secret(value=TOKEN).save("forge")
    repository = GitRepository(served, "secret/forge")
    fetched = tmp_path / "fetched"

    commit = fetch_repository(repository.url, fetched, login=GitLogin(TOKEN))
    assert commit == history.new
    found = flow.from_source(repository, "etl.py:etl")
    save_deployment(found.to_deployment("x"))
    run_deployment("etl/x", {"out": "a"}, timeout=0)
    wrong = f"wrong-{TOKEN}"
    with pytest.raises(ConfigurationError, match="Check the address, the network and") as caught:
        read_word(GitRepository(served, Secret(value=wrong)))
    assert "fetch" in arguments.read_text()
    places = [tmp_path, kept.settings.home]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert any(path.name == "config" for path in files)
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]
    told = (str(caught.value), repr(caught.value), repr(repository), repr(found), caplog.text)
    assert not [text for text in told if TOKEN in text]


def add_submodule(history: History, url: str) -> None:
    """Let the repository name another one, at its first commit, as its directory ``x``."""
    (history.path / ".gitmodules").write_text(f'[submodule "x"]\n\tpath = x\n\turl = {url}\n')
    git(history.path, "update-index", "--add", "--cacheinfo", f"160000,{history.old},x")
    git(history.path, "add", ".gitmodules")
    git(history.path, "commit", "--quiet", "-m", "submodule")


def test_submodules_are_fetched_where_that_is_asked_for(
    services: Services, served: str, history: History
) -> None:
    add_submodule(history, "../flows.git")
    login = Secret(value=TOKEN)
    with open_source(GitRepository(served, login, include_submodules=True)) as (folder, _):
        assert (folder / "x/data.txt").read_text() == "old"
    with open_source(GitRepository(served, login)) as (folder, _):
        assert not (folder / "x/data.txt").exists()


def test_the_token_is_for_its_host_alone(services: Services, served: str, history: History) -> None:
    """A repository may name any address as a submodule's; the login is not sent there."""
    seen = []

    class Other(Handler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization"))
            self.respond(401, headers={"WWW-Authenticate": 'Basic realm="git"'})

    with serve_web(Other) as other:
        add_submodule(history, f"{other.url}/flows.git")
        source = GitRepository(served, Secret(value=TOKEN), include_submodules=True)
        with pytest.raises(ConfigurationError, match="git submodule failed"):
            read_word(source)
    assert set(seen) == {None}
