"""The sources of a deployment's code: a directory, a Git repository, an object store."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

from flowstone.blocks.base import Block
from flowstone.blocks.object_stores.object_store import ObjectStore
from flowstone.blocks.secret_providers.secret import Secret
from flowstone.code.git import GitLogin, check_git_url, fetch_repository
from flowstone.code.pinning import pin_directory
from flowstone.code.snapshots import MOST_BYTES, make_size_error
from flowstone.errors import ConfigurationError
from flowstone.records.runs import CodeVersion

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Credentials for a repository: a block, the reference of a saved one, or a dict.
GitCredentials = Block | Mapping[str, object] | str

#: The fields or keys that may contain the token; the first one is used.
_TOKENS = ("token", "access_token", "password", "value")
_GIT_SCHEMES = ("http", "https", "ssh", "git", "file", "git+ssh")
_LOGINS = 'Use Secret(value=…), or {"username": …, "access_token": …}.'


@dataclass(frozen=True)
class GitRepository:
    """A Git repository with the code of flows.

    Deploying pins the current commit of the branch or tag; later commits are used when the flow is
    deployed again.

    Attributes:
        url: the URL: ``https://…``, ``ssh://…``, ``git@host:path``, ``file://…`` or a path.
        credentials: for a private repository over HTTP: a `Secret` with a token, another block
            with the fields ``username`` and ``token`` (or ``access_token``, or ``password``), the
            reference of a saved one as ``"secret/github"``, or a dict of these fields.
        branch: a branch or a tag; None for the default branch.
        commit_sha: a commit, instead of a branch.
        include_submodules: whether to fetch submodules as well.
        directories: only these directories, and the files at the top; None for all.

    Raises:
        ConfigurationError: the URL has credentials or a query; or both branch and commit are
            passed.
    """

    url: str
    credentials: GitCredentials | None = field(default=None, repr=False)
    branch: str | None = None
    commit_sha: str | None = None
    include_submodules: bool = False
    directories: Sequence[str] | None = None

    def __post_init__(self) -> None:
        _check_text(self.url)
        try:
            check_git_url(self.url)
        except ValueError as error:
            remedy = 'Pass credentials="secret/NAME".'
            raise ConfigurationError("the URL of a repository", str(error), remedy) from None
        if self.branch is not None and self.commit_sha is not None:
            problem = "branch and commit_sha are given"
            raise ConfigurationError(f"the repository {self.url}", problem, "Pass one of them.")


def _check_text(url: object) -> None:
    if not isinstance(url, str):
        remedy = "Pass its URL as a string: GitRepository('https://…')."
        raise ConfigurationError("the URL of a repository", f"{url!r} is not a URL", remedy)


CodeSource = GitRepository | ObjectStore | Path | str


@contextmanager
def open_source(source: CodeSource) -> Iterator[tuple[Path, CodeVersion]]:
    """Store the current code of a source, and yield a directory with it.

    Args:
        source: a `GitRepository` or its URL, the path of a directory, an `ObjectStore` block, or
            the reference of a saved one as ``"s3-bucket/flows"``.

    Raises:
        ConfigurationError: it is not one of these, it is empty, or it can't be fetched.
        ObjectNotFound: no block is saved under that reference.
        StorageError: the store reported an error.
    """
    found = _resolve(source)
    if isinstance(found, Path):
        yield found.absolute(), pin_directory(found, is_workdir=True)
        return
    with TemporaryDirectory(prefix="flowstone-code-") as name:
        folder = Path(name, "code")
        if isinstance(found, GitRepository):
            told = _fetch_repository(found, folder)
        else:
            told = _fetch_objects(found, folder)
        pinned = pin_directory(folder, is_workdir=True)
        yield folder, CodeVersion(told, pinned.snapshot, is_workdir=True)


def _resolve(source: object) -> GitRepository | ObjectStore | Path:
    if isinstance(source, GitRepository | ObjectStore | Path):
        return source.expanduser() if isinstance(source, Path) else source
    if not isinstance(source, str):
        problem = f"a value of the type {type(source).__name__} has no code"
        raise ConfigurationError("source", problem, _KINDS)
    scheme, separator, _ = source.partition("://")
    is_ssh = not separator and re.match(r"[\w.-]+@[\w.-]+:", source)
    if is_ssh or (separator and scheme in _GIT_SCHEMES):
        return GitRepository(source)
    if separator:
        return ObjectStore.from_uri(source)
    folder = Path(source).expanduser()
    if folder.is_dir():
        return GitRepository(source) if source.endswith(".git") else folder
    if re.fullmatch(r"[a-z0-9-]+/[^/]+", source):
        return ObjectStore.load(source)
    raise ConfigurationError(f"source {source!r}", "there is no such directory", _KINDS)


_KINDS = "Use a directory, GitRepository(url), an ObjectStore block, or 'type/name' of a saved one."


def _fetch_repository(repository: GitRepository, folder: Path) -> str:
    """Fetch a repository into a directory, and return its display name."""
    is_path = "://" not in repository.url and Path(repository.url).is_dir()
    commit = fetch_repository(
        str(Path(repository.url).absolute()) if is_path else repository.url,
        folder,
        reference=repository.commit_sha or repository.branch,
        login=None if repository.credentials is None else _read_login(repository.credentials),
        directories=repository.directories or (),
        has_submodules=repository.include_submodules,
    )
    branch = f" ({repository.branch})" if repository.branch else ""
    return f"{repository.url} at {commit}{branch}"


def _fetch_objects(store: ObjectStore, folder: Path) -> str:
    """Download the content of a store into a directory, and return its display name."""
    sizes: dict[str, int] = {}
    slug = store.block_type_slug()
    where = f"{slug}/{store.name}" if store.name else f"{slug} {store.make_provider().where}"
    for info in store.list_objects():
        top = info.path.partition("/")[0]
        sizes[top] = sizes.get(top, 0) + info.size
        if sum(sizes.values()) > MOST_BYTES:
            raise make_size_error(where, sizes)
    folder.mkdir()
    store.get_directory(None, folder)
    return where


def _read_login(credentials: object) -> GitLogin:
    """Return credentials in plain text.

    Raises:
        ConfigurationError: they contain no token; the content is not shown.
    """
    if isinstance(credentials, str):
        if "/" not in credentials:
            problem = "a string must be the reference of a block"
            remedy = "Save the token by Secret(value=…).save('github'), and pass 'secret/github'."
            raise ConfigurationError("credentials", problem, remedy)
        return _read_login(Block.load(credentials))
    kind = type(credentials).__name__
    parts = credentials if isinstance(credentials, Mapping) else _list_fields(credentials)
    token = next((parts[name] for name in _TOKENS if parts.get(name) is not None), None)
    token = _reveal(token)
    if isinstance(token, Mapping):
        return _read_login(token)
    if not isinstance(token, str) or not token.strip():
        raise ConfigurationError("credentials", f"a value of the type {kind} has no token", _LOGINS)
    username = _reveal(parts.get("username"))
    login = GitLogin(token.strip())
    return login if not isinstance(username, str) else login._replace(username=username)


def _list_fields(credentials: object) -> Mapping[str, object]:
    if not isinstance(credentials, Block):
        problem = f"a value of the type {type(credentials).__name__} is not valid as credentials"
        raise ConfigurationError("credentials", problem, _LOGINS)
    return {name: getattr(credentials, name) for name in ("username", *_TOKENS)
            if name in type(credentials).model_fields}  # fmt: skip


def _reveal(value: object) -> object:
    if isinstance(value, Secret):
        return cast("object", value.get())
    reveal = getattr(value, "get_secret_value", None)
    return value if reveal is None else cast("object", reveal())
