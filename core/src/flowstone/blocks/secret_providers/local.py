"""The secret providers that need no service: environment variables and files."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from flowstone.blocks.local_files import open_atomically
from flowstone.blocks.secret_providers.provider import SecretStoreProvider
from flowstone.blocks.secret_providers.secret_provider import SecretProvider
from flowstone.errors import AccessDenied, SecretMissing, SecretStoreError, suggest_names
from flowstone.settings import read_environment

if TYPE_CHECKING:
    from collections.abc import Iterator


class EnvSecrets(SecretProvider):
    """Environment variables of the process that reads the secret: ``env:DB_PASSWORD``."""

    _description: ClassVar[str | None] = "Secrets in environment variables; read-only."
    _code_example: ClassVar[str | None] = 'EnvSecrets(prefix="APP_").read("DB_PASSWORD")'

    writes: ClassVar[bool] = False

    prefix: str = Field(default="", description="The prefix of the variables' names.")

    def make_provider(self) -> EnvironmentProvider:
        """Return the provider for the environment of this process."""
        return EnvironmentProvider(self.prefix)


class EnvironmentProvider(SecretStoreProvider):
    """The variables of this process whose names start with a prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    @property
    def where(self) -> str:
        return f"the environment, at {self._prefix}*" if self._prefix else "the environment"

    def read(self, name: str, version: str | None) -> bytes:  # noqa: ARG002 - there are none
        variable = self._prefix + name
        text = read_environment().get(variable)
        if text is None:
            known = [each for each in read_environment() if each.startswith(self._prefix)]
            close = suggest_names(variable, known) if variable.upper() in known else ""
            problem = f"the variable {variable!r} is not set in this process{close.rstrip('?')}"
            remedy = "Set it where the flow runs, or refer to another."
            raise SecretMissing(self.where, problem, remedy)
        return os.fsencode(text)

    def list_names(self, prefix: str) -> Iterator[str]:
        for name in read_environment():
            if name.startswith(self._prefix + prefix):
                yield name.removeprefix(self._prefix)


class FileSecrets(SecretProvider):
    """Files, as Docker and Kubernetes mount secrets: ``file:/run/secrets/db``.

    A line break at the end of a file is not part of the secret.
    """

    _description: ClassVar[str | None] = "Secrets in files, one per file."
    _code_example: ClassVar[str | None] = 'FileSecrets(directory="/run/secrets").read("db")'

    directory: Path | None = Field(
        default=None, description="The directory of the files; None to use paths unchanged."
    )

    def make_provider(self) -> FileProvider:
        """Return the provider for the directory."""
        return FileProvider(self.directory)


class FileProvider(SecretStoreProvider):
    """Files below a directory; without one, at any path."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    @property
    def where(self) -> str:
        return str(self._directory or "files")

    def read(self, name: str, version: str | None) -> bytes:  # noqa: ARG002 - there are none
        path = self._find_path(name)
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                is_safe = os.name != "posix" or not mode & stat.S_IWOTH
                content = file.read() if is_safe else b""
        except (FileNotFoundError, NotADirectoryError):
            remedy = (
                "Create it, or refer to another. A relative path starts at the working directory."
            )
            raise SecretMissing(str(path), "there is no such file", remedy) from None
        except OSError as error:
            raise _translate_os_error(path, error) from error
        if not is_safe:
            problem = f"all users may write to it (mode {stat.S_IMODE(mode):04o})"
            raise SecretStoreError(str(path), problem, f"Run `chmod o-w {path}`.")
        return content[:-2] if content.endswith(b"\r\n") else content.removesuffix(b"\n")

    def write(self, name: str, value: bytes) -> str:
        path = self._find_path(name)
        try:
            with open_atomically(path, is_private=True) as file:
                file.write(value if not value.endswith(b"\n") else value + b"\n")
        except OSError as error:
            raise _translate_os_error(path, error) from error
        return ""

    def delete(self, name: str) -> None:
        path = self._find_path(name)
        try:
            path.unlink()
        except FileNotFoundError:
            problem, remedy = "there is no such file", "`ls()` lists what is there."
            raise SecretMissing(str(path), problem, remedy) from None
        except OSError as error:
            raise _translate_os_error(path, error) from error

    def list_names(self, prefix: str) -> Iterator[str]:
        root = (self._directory or Path()).expanduser()
        for path in root.rglob("*"):
            name = path.relative_to(root).as_posix()
            # Kubernetes and unfinished writes create hidden files beside the secrets.
            if name.startswith(prefix) and "/." not in f"/{name}" and path.is_file():
                yield name

    def _find_path(self, name: str) -> Path:
        path = Path(name).expanduser()
        if self._directory is None:
            return path
        root = self._directory.expanduser()
        # Without following links, since a mounted secret is often a link out of the directory.
        inside = Path(os.path.normpath(root / path))
        if path.is_absolute() or not inside.is_relative_to(os.path.normpath(root)):
            problem = f"{name!r} is outside of it"
            raise SecretStoreError(self.where, problem, "Use a path below it.")
        return inside


def _translate_os_error(path: Path, error: OSError) -> SecretStoreError | AccessDenied:
    problem = f"the file can't be used ({error.strerror or error})"
    remedy = "Check the path and its permissions."
    kind = AccessDenied if isinstance(error, PermissionError) else SecretStoreError
    return kind(str(path), problem, remedy)
