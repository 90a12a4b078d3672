"""Checks of the requirements of runs, which are saved and shown in plain text."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from flowstone.errors import ConfigurationError
from flowstone.records.redaction import MASK, redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: Credentials in URLs. A name alone is none in ``ssh://git@…``, nor is ``${NAME}``, which pip reads
#: from the environment.
_LOGIN = re.compile(r"(?<=://)(?![^/@\s]*\$\{\w+\}@)(?:(?<!ssh://)[^/@\s]+|[^/@\s:]*:[^/@\s]*)@")
_QUERY = re.compile(r"(?<=://)([^\s?#]*\?)[^\s#]+")
_COMMENT = re.compile(r"(^|\s)#.*", re.MULTILINE)

_NAME = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?"
_EXTRAS = rf"(?:\s*\[\s*(?:{_NAME}\s*(?:,\s*{_NAME}\s*)*)?\])?"
_VERSION = r"(?:===|==|~=|!=|<=|>=|<|>)\s*[\w.*+!-]+"
_VERSIONS = rf"{_VERSION}(?:\s*,\s*{_VERSION})*"
#: PEP 508, except that anything may follow the semicolon; and like pip, a URL or a path alone.
_REQUIREMENT = re.compile(
    rf"(?:{_NAME}{_EXTRAS}\s*(?:{_VERSIONS}|\(\s*{_VERSIONS}\s*\)|@\s*[\w+.-]+:\S+(?=\s|$))?"
    rf"\s*(?:;.+)?|[\w+.-]+://\S+|/\S+)"
)
_ONE_EQUALS_SIGN = re.compile(rf"({_NAME}{_EXTRAS})\s*=\s*([\w.*+!-]+)")


def mask_urls(text: str) -> str:
    """Return a text without credentials and queries in URLs, and without known secrets."""
    return _QUERY.sub(rf"\1{MASK}", _LOGIN.sub("****@", redact(text)))


def check_requirements(requirements: Sequence[object]) -> None:
    """Refuse requirements that can't be used or saved.

    Raises:
        ConfigurationError: there are none; or one is empty, is an option or malformed, or has
            credentials or a query in its URL.
    """
    if not requirements:
        raise ConfigurationError("requirements", "the list is empty", "Omit it.")
    for each in requirements:
        found = _find_problem(each)
        if found is not None:
            raise ConfigurationError("requirements", *found)


def check_requirements_file(file: str, content: bytes) -> None:
    """Refuse a requirements file with credentials in a URL, or with a query if it would be used.

    Args:
        file: its name: a ``.txt`` file, ``pyproject.toml``, or ``uv.lock``.
        content: its content.

    Raises:
        ConfigurationError: it has one, or a dependency of the project is malformed.
    """
    text = content.decode("utf-8", "replace")
    is_list = file.endswith(".txt")
    for number, line in enumerate(text.splitlines(), 1):
        found = _find_url_problem(_COMMENT.sub("", line) if is_list else line, has_query=is_list)
        if found is not None:
            problem, remedy = found
            raise ConfigurationError("requirements", f"{file}, line {number}: {problem}", remedy)
    if file.endswith(".toml"):
        for each in _list_dependencies(file, text):
            found = _find_problem(each)
            if found is not None:
                raise ConfigurationError(f"the dependencies of {file}", *found)


def _list_dependencies(file: str, text: str) -> Iterator[object]:
    try:
        project = tomllib.loads(text).get("project", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError("requirements", f"{file}: {error}", "Correct it.") from None
    if isinstance(project, dict):
        own: Iterable[object] = project.get("dependencies", ())
        yield from own


def _find_problem(requirement: object) -> tuple[str, str] | None:
    """Return the problem of a requirement, and the remedy."""
    if not isinstance(requirement, str):
        return f"{requirement!r} is not a requirement", _EXAMPLE
    text = requirement.strip()
    if not text:
        return "one is empty", "Remove it."
    if text.startswith("-"):
        remedy = "Set it for uv, as UV_INDEX_URL in the environment of the worker."
        return f"{mask_urls(text)!r} is an option, not a requirement", remedy
    found = _find_url_problem(text, has_query=True)
    if found is not None:
        return found
    if _REQUIREMENT.fullmatch(text) is None:
        problem = f"{redact(text)!r} is not a requirement"
        one = _ONE_EQUALS_SIGN.fullmatch(text)
        return problem, f"Did you mean {f'{one[1]}=={one[2]}'!r}?" if one else _EXAMPLE
    return None


def _find_url_problem(text: str, *, has_query: bool) -> tuple[str, str] | None:
    if _LOGIN.search(text):
        problem = f"{mask_urls(text)!r} has credentials, which would be shown and saved"
        return problem, "Remove them; uv reads credentials from its keyring or a .netrc file."
    if has_query and _QUERY.search(text):
        problem = f"{mask_urls(text)!r} has a query, which may be a token, and would be saved"
        return problem, "Use a URL without one."
    return None


_EXAMPLE = "Write a name and versions, such as 'pandas==2.*'."
