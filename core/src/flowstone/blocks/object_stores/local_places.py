"""Local files for the objects of a folder, whose names may not all be possible on a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.blocks.local_files import translate_write_error

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.blocks.object_stores.paths import ObjectInfo


class LocalPlaces:
    """The files for a folder's objects, a different one for each.

    Attributes:
        left_out: by key, the reason why an object has no file.
    """

    def __init__(self, root: Path, prefix: str) -> None:
        self._root, self._prefix = root, prefix
        # By path below the root, the object that needs a file or a directory there.
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}
        self.left_out: dict[str, str] = {}

    def find(self, info: ObjectInfo) -> Path | None:
        """Return the file for an object; create the directory of an empty folder."""
        # Another program's `logs//a` becomes `logs/a` on a disk, unless another object has that
        # name.
        named = info.path.removeprefix(self._prefix).split("/")
        parts = [part for part in named if part not in {"", "."}]
        place = "/".join(parts)
        above = ["/".join(parts[:count]) for count in range(1, len(parts) + info.is_folder())]
        reason = self._object_to(info, place, above)
        if reason:
            self.left_out[info.path] = reason
            return None
        self._remember(info, place, above)
        target = self._root / place
        if not info.is_folder():
            return target
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise translate_write_error(target, error) from error
        return None

    def _remember(self, info: ObjectInfo, place: str, above: list[str]) -> None:
        for folder in above:
            self._folders.setdefault(folder, info.path)
        if not info.is_folder():
            self._files[place] = info.path

    def _object_to(self, info: ObjectInfo, place: str, above: list[str]) -> str:
        if ".." in place.split("/"):
            return f"it would be written outside {self._root}"
        if "\0" in place or (not place and not info.is_folder()):
            return "no file can have that name"
        for folder in above:
            if folder in self._files:
                return f"{self._files[folder]!r} is a file where its directory would be"
        if info.is_folder():
            return ""
        if place in self._folders:
            return f"{self._folders[place]!r} needs a directory of that name"
        if place in self._files:
            return f"{self._files[place]!r} is the same file"
        return ""


class OrderedPlaces(LocalPlaces):
    """The same for objects that are sorted by key, without remembering all of them.

    A conflict with a forgotten object is only possible for an object whose file has another name:
    the file of ``a//b`` is ``a/b``. So ask the store whether the object of `find_namesake` exists.
    """

    def __init__(self, root: Path, prefix: str) -> None:
        super().__init__(root, prefix)
        # Keys of files that are prefixes of the current key: the next objects may be below them.
        self._latest: list[str] = []
        # The objects whose files have other names, by those names.
        self._renamed: dict[str, str] = {}

    def find(self, info: ObjectInfo) -> Path | None:
        while self._latest and not info.path.startswith(self._latest[-1]):
            del self._files[self._latest.pop().removeprefix(self._prefix)]
        return super().find(info)

    def find_namesake(self, info: ObjectInfo, target: Path) -> str | None:
        """Return the key that has the same name as an object's file, if it is another key."""
        place = target.relative_to(self._root).as_posix()
        return None if self._has_own_name(info, place) else self._prefix + place

    def is_renamed(self, place: str) -> bool:
        """Return whether the file at that path belongs to an object with another name."""
        return place in self._renamed

    def _has_own_name(self, info: ObjectInfo, place: str) -> bool:
        key = info.path.removesuffix("/") if info.is_folder() else info.path
        return key == self._prefix + place

    def _object_to(self, info: ObjectInfo, place: str, above: list[str]) -> str:
        reason = super()._object_to(info, place, above)
        if not reason and place in self._renamed and not self._has_own_name(info, place):
            return f"{self._renamed[place]!r} is the same file"
        return reason

    def _remember(self, info: ObjectInfo, place: str, above: list[str]) -> None:
        if not self._has_own_name(info, place):
            for folder in above:
                self._folders.setdefault(folder, info.path)
            if not info.is_folder():
                self._renamed[place] = info.path
        elif not info.is_folder():
            self._files[place] = info.path
            self._latest.append(info.path)
