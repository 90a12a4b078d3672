"""The rules of the house that a syntax tree can show."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator

import pytest

from .api import RATCHET, code_lines, weak_types
from .house import ROOT, Function, Source, members, parsed, sources

#: Names for rooms in which anything could be.
NO_NOUNS = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "_internal", "tools"}
CORE = ROOT / "core/src/flowstone"
#: Of all packages: exceptions from the linter, and `Any` in a thousand lines of code.
NOQA, ANY_PER_THOUSAND = 170, 25
#: The only files that may read the environment: one is given its own with each command, one lends
#: MLflow a login for a call, and one sets what Ray reads when it is imported.
READERS = {"settings.py", "credentials.py", "child.py", "fluent.py", "ray_environment.py"}


def in_cli(source: Source) -> bool:
    return "cli" in source.path.parts


def environment_reads(source: Source) -> Iterator[int]:
    for node in ast.walk(source.tree):
        if dotted(node) in {"os.environ", "os.getenv", "os.environb"}:
            yield node.lineno  # type: ignore[attr-defined]
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from (node.lineno for name in node.names if name.name in {"environ", "getenv"})


def prints(source: Source) -> Iterator[int]:
    exits = {"sys.exit", "os._exit", "print", "exit", "quit"}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and dotted(node.func) in exits:
            yield node.lineno
        if (
            isinstance(node, ast.Raise)
            and dotted(getattr(node.exc, "func", node.exc)) == "SystemExit"
        ):
            yield node.lineno


def unexplained_imports(source: Source) -> Iterator[int]:
    """Yield the imports inside functions without a comment on the line, or on those above it."""
    for outer in ast.walk(source.tree):
        if not isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(outer):
            if isinstance(node, ast.Import | ast.ImportFrom) and not explained(source, node.lineno):
                yield node.lineno


def explained(source: Source, line: int) -> bool:
    """Return whether a comment gives a reason: on the line, or just above."""
    beside = re.sub(r"^ noqa: \w+", "", source.lines[line - 1].partition("#")[2])
    before = [text.strip() for text in reversed(source.lines[: line - 1])]
    # One reason serves imports that stand together.
    above = next(text for text in before if text and not text.startswith(("import ", "from ")))
    return bool(beside.strip(" -")) or above.startswith("#")


def front_doors(source: Source) -> Iterator[int]:
    """Yield where core imports names from its own lazy front door, which is above every floor."""
    modules = {path.stem for path in CORE.iterdir()}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.module == "flowstone":
            yield from (node.lineno for name in node.names if name.name not in modules)


def relative_imports(source: Source) -> Iterator[int]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield node.lineno


def dotted(node: ast.AST | None) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_modules_have_names_that_say_something() -> None:
    named = [s.where for s in sources() if {s.path.stem, s.path.parent.name} & NO_NOUNS]
    assert not named


def test_every_module_says_what_it_is() -> None:
    """Begin it with a docstring whose first line is one sentence."""
    for source in sources():
        first = (ast.get_docstring(source.tree) or "").partition("\n")[0]
        assert first.endswith("."), source.where


#: Where a rule holds, what breaks it, and code that does.
RULES: dict[str, tuple[Callable[[Source], bool], Callable[[Source], Iterator[int]], str]] = {
    "only settings and credentials read the environment": (
        lambda source: source.path.name not in READERS,
        environment_reads,
        "import os\nos.environ['X']\n",
    ),
    "only the command line prints and exits": (
        lambda source: not in_cli(source),
        prints,
        "print(1)\n",
    ),
    "an import inside a function gives its reason": (
        lambda _: True,
        unexplained_imports,
        "def f():\n    import os\n",
    ),
    "core does not use its own front door": (
        lambda source: CORE in source.path.parents and source.path != CORE / "__init__.py",
        front_doors,
        "from flowstone import flow\n",
    ),
    "imports are absolute": (lambda _: True, relative_imports, "from . import x\n"),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_kept(rule: str) -> None:
    applies, violations, _ = RULES[rule]
    found = [f"{s.where}:{line}" for s in sources() if applies(s) for line in violations(s)]
    assert not found, rule


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_a_rule_bites(rule: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    _, violations, planted = RULES[rule]
    path = tmp_path_factory.mktemp("rule") / "planted.py"
    path.write_text(planted)
    assert list(violations(parsed(path)))


@pytest.mark.parametrize("package", [member.name for member in members()])
def test_what_weakens_types_only_falls(package: str) -> None:
    """Type it; where that can't be done, say in the change why the number in ratchet.json rises."""
    allowed = json.loads(RATCHET.read_text("utf-8"))[package]
    for what, count in weak_types()[package].items():
        assert count <= allowed[what], f"{count} times {what!r}, and {allowed[what]} are allowed"
        fell = f"{what!r} fell from {allowed[what]} to {count}: run `make api` to keep it there"
        assert count == allowed[what], fell


def test_types_and_lint_hold_nearly_everywhere() -> None:
    """Both may only fall; these are the most that all packages together may have."""
    weak = weak_types().values()
    assert sum(counts["noqa"] for counts in weak) <= NOQA
    assert 1000 * sum(counts["Any"] for counts in weak) <= ANY_PER_THOUSAND * code_lines()


def read_hints(function: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, str]:
    """Return the hints of a function's parameters, by their names."""
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return {each.arg: ast.unparse(each.annotation) for each in every if each and each.annotation}


def test_an_async_twin_takes_what_its_sync_one_takes() -> None:
    """Give both the same hint: `answer: object` beside `answer: Any` is an oversight."""
    differing = []
    for source in sources():
        for scope in ast.walk(source.tree):
            if not isinstance(scope, ast.Module | ast.ClassDef):
                continue
            # The last of a name: what overloads say of it comes before.
            own = {node.name: node for node in scope.body if isinstance(node, Function)}
            for name, function in own.items():
                if (twin := own.get(f"a{name}")) is not None:
                    one, other = read_hints(function), read_hints(twin)
                    differing += [
                        f"{source.where}: {name}({each})"
                        for each in one.keys() & other.keys()
                        if one[each] != other[each]
                    ]
    assert not differing
