"""Errors of secrets, plugins, object stores and credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.errors.base import FlowstoneError, suggest_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class SecretError(FlowstoneError):
    """A secret could not be sealed or opened."""


class SecretKeyInvalid(SecretError, ValueError):
    """The key that encrypts secrets is not a key."""

    def __init__(self, source: str, problem: str, affected: Sequence[str] = ()) -> None:
        self.source, self.problem, self.affected = source, problem, tuple(affected)
        lost = f" It encrypts: {', '.join(self.affected)}." if self.affected else ""
        super().__init__(
            f"the secret key from {source} can't be used: {problem}.{lost} "
            "Restore the right key; if it is lost, remove the wrong one and save those blocks "
            "again."
        )


class SecretUnreadable(SecretError):
    """A saved secret was sealed with another key, whose id `key` is, or was changed."""

    def __init__(
        self, what: str, problem: str, affected: Sequence[str] = (), key: str = ""
    ) -> None:
        self.what, self.problem, self.affected, self.key = what, problem, tuple(affected), key
        lost = f" These can't be read: {', '.join(self.affected)}." if self.affected else ""
        super().__init__(
            f"the secret {what} can't be opened: {problem}.{lost} "
            "Bring back the key it was saved with (FLOWSTONE_SECRET_KEY or the key file), "
            "or save it again."
        )


class ReferenceUnresolved(SecretError, LookupError):
    """A reference to a secret can't be resolved; `place` is the field that contains it, if any."""

    def __init__(self, reference: str, problem: str, remedy: str, place: str = "") -> None:
        self.reference, self.problem, self.remedy, self.place = reference, problem, remedy, place
        of = f" of {place}" if place else ""
        super().__init__(f"the secret {reference!r}{of} can't be read: {problem}. {remedy}")


class SecretStoreError(SecretError):
    """A secret provider reported an error."""

    def __init__(self, where: str, problem: str, remedy: str) -> None:
        self.where, self.problem, self.remedy = where, problem, remedy
        super().__init__(f"{where}: {problem}. {remedy}")


class SecretMissing(SecretStoreError, LookupError):
    """There is no such secret, or no such version of it."""


class SecretReadOnly(SecretStoreError, PermissionError):
    """The provider does not write or delete secrets."""


class PluginError(FlowstoneError):
    """The package of a plugin could not be used."""


class PluginBroken(PluginError, ImportError):
    """An installed plugin could not be loaded; `__cause__` is its own error."""

    def __init__(self, plugin: str, distribution: str, problem: str) -> None:
        self.plugin, self.distribution, self.problem = plugin, distribution, problem
        super().__init__(
            f"plugin {plugin!r} of {distribution} is broken: {problem}. "
            "`flowstone plugin ls` shows its traceback; fix or uninstall it."
        )


class PluginHangs(PluginError, TimeoutError):
    """A plugin's module did not finish importing."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            f"its import did not finish within {seconds:g} s and was abandoned. A plugin's "
            "module must not connect, wait or compute; FLOWSTONE_PLUGINS_TIMEOUT_SECONDS sets the "
            "limit."
        )


class UnknownName(PluginError, LookupError, ValueError):
    """No installed package offers an object of that kind and name."""

    def __init__(
        self, kind: str, name: str, known: Iterable[str] = (), package: str | None = None
    ) -> None:
        self.kind, self.name, self.package = kind, name, package
        what = "block type" if kind == "block" else kind
        article = "an" if what[:1] in "aeiou" else "a"
        remedy = (
            f" Install it: `pip install {package}`."
            if package
            else f"{suggest_names(name, known)} Is the package that provides it installed? "
            "`flowstone plugin ls` lists them."
        )
        super().__init__(f"no installed package offers {article} {what} named {name!r}.{remedy}")


class MissingExtra(PluginError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, install: str) -> None:
        self.what, self.install = what, install
        super().__init__(
            f"{what} needs a package that is not installed: `pip install {install!r}`."
        )


class MissingPackage(PluginError, ImportError):
    """A public name is in a package that is not installed."""

    def __init__(self, what: str, package: str) -> None:
        self.what, self.package = what, package
        module = package.replace("-", "_")
        super().__init__(
            f"{what} is in another package: `pip install {package}`, "
            f"then `from {module} import {what}`."
        )


class ImportFailed(PluginError, ImportError):
    """The module of a public name could not be imported; `__cause__` is the original error."""

    def __init__(self, package: str, name: str, problem: str, remedy: str = "") -> None:
        self.package, self.export, self.problem, self.remedy = package, name, problem, remedy
        super().__init__(
            f"{name!r} can't be imported from {package}: {problem}. "
            f"{remedy or 'See the error above.'}"
        )


class StorageError(FlowstoneError, OSError):
    """An object store reported an error."""

    def __init__(self, where: str, problem: str, remedy: str) -> None:
        self.where, self.problem, self.remedy = where, problem, remedy
        super().__init__(f"{where}: {problem}. {remedy}")


class ObjectMissing(StorageError, FileNotFoundError):
    """There is no object under that key."""


class ObjectExists(StorageError, FileExistsError):
    """The object already exists, and the write must not overwrite it."""

    def __init__(self, where: str) -> None:
        remedy = "Read it, choose another path, or overwrite it."
        super().__init__(where, "this object already exists", remedy)


class ObjectChanged(StorageError):
    """The object does not have the etag given as `if_match`: it was changed or deleted."""

    def __init__(self, where: str, is_there: bool = True) -> None:
        self.is_there = is_there
        if is_there:
            problem = "its etag does not match if_match: it was changed"
            remedy = "Read it again, then write with its current etag."
        else:
            problem = "there is no such object, so nothing matches if_match: it was deleted"
            remedy = "Check its path, or write it as a new one with if_none_match='*'."
        super().__init__(where, problem, remedy)


class ObjectTimeout(StorageError, TimeoutError):
    """An awaited object did not appear, or kept changing, until the timeout."""

    def __init__(self, where: str, seconds: float, is_there: bool = False) -> None:
        self.seconds, self.is_there = seconds, is_there
        if is_there:
            problem = f"it exists, but did not stay unchanged for long enough within {seconds:g} s"
            remedy = "Pass a longer timeout or a shorter unchanged_for."
        else:
            problem = f"it did not appear within {seconds:g} s"
            remedy = "Pass a longer timeout, or check the program that should write it."
        super().__init__(where, problem, remedy)


class BucketMissing(StorageError, FileNotFoundError):
    """There is no such bucket, container or root directory."""


class AccessDenied(StorageError, PermissionError):
    """The credentials have no permission to do this."""


class Unreachable(StorageError, ConnectionError):
    """The service could not be reached, or the connection broke and could not be restored."""


class PathInvalid(StorageError, ValueError):
    """A path that does not name an object, or is ambiguous."""

    def __init__(self, path: str, problem: str, remedy: str = "Choose another path.") -> None:
        self.path = path
        super().__init__(repr(path), problem, remedy)


class PathEscapes(StorageError, ValueError):
    """A path leads out of its folder or directory."""


class FilesLeftOut(StorageError):
    """A folder was transferred, except for files that the destination can't store.

    Attributes:
        problems: the reason for each of them, by name.
    """

    #: Number of files in the message; `problems` has all of them.
    SHOWN = 10

    def __init__(self, where: str, problems: Mapping[str, str], remedy: str) -> None:
        self.problems = dict(sorted(problems.items()))
        lines = [f"\n  {name!r}: {problem}" for name, problem in self.problems.items()]
        if len(lines) > self.SHOWN:
            lines[self.SHOWN :] = [f"\n  and {len(lines) - self.SHOWN} more"]
        problem = f"{len(self.problems)} of its files were not transferred; all others were"
        super().__init__(where, f"{problem}:{''.join(lines)}", remedy)


class CredentialsError(FlowstoneError):
    """The credentials are not valid, or the service refused them."""

    def __init__(self, what: str, problem: str, remedy: str) -> None:
        self.what, self.problem, self.remedy = what, problem, remedy
        super().__init__(f"{what}: {problem}. {remedy}")
