"""The template of new packages: a complete package that copier copies and renames."""

from __future__ import annotations

import re
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from unicodedata import normalize

from flowstone.errors import ConfigurationError, MissingExtra
from flowstone_testing.cli.golden import reseal

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Location of the template, in the wheel and in a checkout.
_PLACES = (
    Path(__file__).parent / "plugin-template",
    Path(__file__).parents[5] / "plugin-template",
)
#: Full text of each license; copier fills in the copyright holder and the year.
_LICENCES = Path(__file__).parent / "licences"
#: Files that working in the template leaves behind.
_LEFTOVERS = ("__pycache__", "*.py[cod]", ".*_cache", ".hypothesis", ".venv", "build", "dist")
_NAME = re.compile(r"flowstone-[a-z][a-z0-9]*(-[a-z0-9]+)*")
#: Text in the template → its replacement; the first match applies. copier fills in «…».
_SPELLINGS = {
    "The authors of flowstone-template": "«author»",
    "Apache-2.0": "«licence»",
    r"Template(?=[A-Z])": "«camel»",
    r"\bTemplate\b": "«title»",
    "TEMPLATE": "«upper»",
    r"template(?=-)|(?<=-)template": "«kebab»",
    "template": "«snake»",
}
#: A marker in a file whose comments begin with #; copier reads those of Markdown itself.
_MARK = re.compile(r"^ *# % (.*)$", re.MULTILINE)
#: Too many or too few blank lines, where lines around them were omitted.
_BLANKS = (
    (
        re.compile(
            r"^( *from flowstone\S* import .*|\s*\))\n\n+(?= *from flowstone)", re.MULTILINE
        ),
        r"\1\n",
    ),
    (re.compile(r"\n{3,}(?=from )"), "\n\n"),
    (re.compile(r"\n{2,}(?=class |def |@)"), "\n\n\n"),
    (re.compile(r"\n{4,}"), "\n\n\n"),
)
_EVERY_SPELLING = re.compile("|".join(f"({found})" for found in _SPELLINGS))


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a new package, all derived from one.

    Attributes:
        name: the distribution, ``flowstone-big-blue``.
        kebab: in slugs, ``big-blue``.
        snake: in modules and tasks, ``big_blue``.
        camel: in classes, ``BigBlue``.
        upper: in environment variables, ``BIG_BLUE``.
        suggested: the default title of the service, ``Big Blue``.
    """

    name: str
    kebab: str
    snake: str
    camel: str
    upper: str
    suggested: str

    @property
    def module(self) -> str:
        """The module to import: ``flowstone_big_blue``."""
        return f"flowstone_{self.snake}"

    @classmethod
    def of(cls, name: str) -> Names:
        """Derive them from the name of the distribution.

        Raises:
            ConfigurationError: the name is invalid.
        """
        if not _NAME.fullmatch(name):
            problem = "a package is named 'flowstone-…', in lowercase letters, digits and hyphens"
            plain = normalize("NFKD", name).encode("ascii", "ignore").decode()
            near = re.sub(r"[^a-z0-9]+", "-", plain.lower().removeprefix("flowstone")).strip("-")
            near = near.lstrip("0123456789-") or "acme"
            raise ConfigurationError(repr(name), problem, f"Try 'flowstone-{near}'.")
        kebab = name.removeprefix("flowstone-")
        snake, words = kebab.replace("-", "_"), [word.capitalize() for word in kebab.split("-")]
        return cls(name, kebab, snake, "".join(words), snake.upper(), " ".join(words))


def copy(names: Names, target: Path, answers: Mapping[str, str], *, ask: bool) -> None:
    """Create a package from the template in a directory that is missing or empty.

    Args:
        names: the names of the package.
        target: the directory to create.
        answers: to questions in the template's `copier.yml`; may be incomplete.
        ask: whether to prompt for missing answers on the terminal; if not, defaults are used.

    Raises:
        ConfigurationError: the directory is not empty, or an answer can't be used.
        MissingExtra: copier is not installed.
    """
    try:
        # An extra, as running flows doesn't need it. The import takes 300 ms, too.
        from copier import run_copy
    except ImportError as error:
        raise MissingExtra("`flowstone plugin new`", "flowstone-testing[new]") from error
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        remedy = "Choose another --into, or remove what is there."
        raise ConfigurationError(str(target), "the directory is not empty", remedy)
    with TemporaryDirectory() as folder:
        source = Path(folder) / "template"
        _prepare(source)
        data = {"year": datetime.now(UTC).year, **asdict(names), **answers}
        try:
            run_copy(str(source), target, data, defaults=not ask, overwrite=True, quiet=True)
        except ValueError as error:  # copier refuses an answer
            problem, remedy = str(error).rstrip("."), "Choose another answer."
            raise ConfigurationError("the new package", problem, remedy) from error
    for file in target.rglob("*.py"):
        file.write_text(tidy(file.read_text("utf-8")), "utf-8")
    reseal(target / "tests/golden", lambda slug: f"template{slug.removeprefix(names.kebab)}")


def spell_for_copier(text: str) -> str:
    """Return a text of the template with each word that is replaced as a variable of copier."""
    means = list(_SPELLINGS.values())
    marked = _MARK.sub(r"<!-- % \1 -->", text)
    return _EVERY_SPELLING.sub(lambda found: means[(found.lastindex or 0) - 1], marked)


def tidy(code: str) -> str:
    """Return code with its blank lines as a formatter leaves them."""
    for found, wanted in _BLANKS:
        code = found.sub(wanted, code)
    return code


def _prepare(target: Path) -> None:
    """Copy the template with names and texts as variables of copier."""
    source = next(place for place in _PLACES if place.is_dir())
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*_LEFTOVERS))
    files = sorted(target.rglob("*"), reverse=True)  # the content of a folder before the folder
    for path in files:
        if path.is_file() and path.name != "copier.yml":
            path.write_text(spell_for_copier(path.read_text("utf-8")), "utf-8")
        path.rename(path.with_name(spell_for_copier(path.name)))
    shutil.copytree(_LICENCES, target / "licences")
    include = '<!-- % include "licences/" ~ licence ~ ".txt" -->\n'
    (target / "LICENSE").write_text(include, "utf-8")
