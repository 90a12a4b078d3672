"""A source: one YAML file as plain JSON values, with the line of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from flowstone.errors import ManifestInvalid, suggest_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Path = tuple[str, ...]

#: The version of the format, which is in the first line of each file.
FORMAT = 1
#: Python refuses to parse longer ones, as that would take long.
MOST_DIGITS = 4000
_TAG = "tag:yaml.org,2002:"


@dataclass(slots=True)
class Problems:
    """The problems of some files, which are all reported at once."""

    found: list[str] = field(default_factory=list)

    def add(self, source: ManifestFile, path: Path, problem: str) -> None:
        self.found.append(f"{source.locate(path)}: {problem}")

    def check(self) -> None:
        """Raise `ManifestInvalid` if there are any problems."""
        if self.found:
            raise ManifestInvalid(self.found)


@dataclass(slots=True)
class ManifestFile:
    """One file.

    Attributes:
        name: the name of the file, for messages.
        data: JSON values.
        lines: the line where each value begins, by the keys that lead to it.
    """

    name: str
    data: dict[str, Any]
    lines: dict[Path, int]

    def locate(self, path: Path) -> str:
        """Return the file, line and keys of a location, or of the closest one in the file."""
        known = (path[:length] for length in range(len(path), -1, -1))
        line = next((self.lines[each] for each in known if each in self.lines), 1)
        return f"{self.name}:{line} {'.'.join(path)}".rstrip()


def read(name: str, text: str, known: Iterable[str], *, needs_format: bool = True) -> ManifestFile:
    """Read a file.

    Args:
        name: for messages.
        text: YAML 1.2, without anchors and tags.
        known: the keys that it may have besides ``flowstone``.
        needs_format: whether it must contain the version of its format.

    Raises:
        ManifestInvalid: it is not such YAML, or not of this format.
    """
    # Takes 30 ms to import; only needed by commands that read files.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    source = ManifestFile(name, {}, {})
    problems = Problems()
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        source.lines[()] = mark.line + 1 if mark is not None else 1
        _refuse(source, f"that is not YAML: {error.problem or error.context}", error)
    except (YAMLError, ValueError) as error:
        _refuse(source, f"that is not YAML: {str(error).splitlines()[0]}", error)
    except RecursionError as error:
        _refuse(source, "it is nested too deep", error)
    data = None if root is None else _Builder(source, problems).value(root, ())
    _check_head(source, data, list(known), problems, needs_format=needs_format)
    problems.check()
    assert isinstance(data, dict)
    source.data = data
    return source


def _refuse(source: ManifestFile, problem: str, error: Exception) -> NoReturn:
    raise ManifestInvalid([f"{source.locate(())}: {problem}"]) from error


def _check_head(
    source: ManifestFile,
    data: object,
    known: list[str],
    problems: Problems,
    *,
    needs_format: bool,
) -> None:
    if not isinstance(data, dict) or (needs_format and "flowstone" not in data):
        problems.add(source, (), f"the file must begin with `flowstone: {FORMAT}`")
        return
    found = data.get("flowstone", FORMAT)
    if type(found) is not int or found != FORMAT:
        problems.add(source, ("flowstone",), f"format {found!r} is not known; write {FORMAT}")
    for key in data:
        if key != "flowstone" and key not in known:
            near = suggest_names(key, known).strip() or f"There are {', '.join(known)}."
            problems.add(source, (key,), f"there is no such section. {near}")


class _Builder:
    """Builds plain values from YAML's nodes; refuses what JSON does not have."""

    def __init__(self, source: ManifestFile, problems: Problems) -> None:
        self._source, self._problems = source, problems

    def value(self, node: Any, path: Path) -> Any:
        self._source.lines[path] = node.start_mark.line + 1
        if node.anchor is not None:
            return self._refuse(path, "anchors are not supported: repeat the value instead")
        if node.id == "mapping":
            return dict(self._items(node, path))
        if node.id == "sequence":
            return [self.value(each, (*path, str(n))) for n, each in enumerate(node.value)]
        return self._scalar(str(node.tag).removeprefix(_TAG), node.value, path)

    def _items(self, node: Any, path: Path) -> Iterator[tuple[str, Any]]:
        seen = set()
        for key, value in node.value:
            below = (*path, str(key.value))
            if key.id != "scalar" or str(key.tag) == f"{_TAG}merge":
                self._refuse(path, "a key must be a plain string")
            elif key.value in seen:
                self._source.lines[below] = key.start_mark.line + 1
                self._refuse(below, "the key occurs twice")
            else:
                seen.add(key.value)
                yield key.value, self.value(value, below)

    def _scalar(self, tag: str, text: str, path: Path) -> Any:
        match tag:
            case "str" | "timestamp":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                plain = text.replace("_", "")
                if len(plain) > MOST_DIGITS:
                    return self._refuse(path, f"a number has {MOST_DIGITS} digits at most")
                return int(plain, 10 if plain.lstrip("+-").isdecimal() else 0)
            case "float" if not text.lower().endswith((".nan", ".inf")):
                return float(text.replace("_", ""))
            case "float":
                return self._refuse(path, f"{text} is not a number that JSON has")
            case _:
                return self._refuse(path, f"the tag {tag!r} is not supported")

    def _refuse(self, path: Path, problem: str) -> None:
        self._problems.add(self._source, path, problem)
