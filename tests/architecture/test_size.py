"""How long a file, a function, a class, a list of parameters may be."""

from __future__ import annotations

import ast

import pytest

from .house import Source, functions, length, parsed, sources

FILE, FUNCTION, CLASS, PARAMETERS = 500, 50, 350, 8

#: Functions that hand their parameters to a vendor's call, or spell out what a vendor's has:
#: "module.function" → why it needs more than eight.
VENDOR_CALLS: dict[str, str] = (
    {
        f"cloud_storage_tasks.cloud_storage_upload_blob_from_{source}": "as users know it"
        for source in ("dataframe", "file", "string")
    }
    | {
        f"bigquery_tasks.bigquery_{what}": "as users know it"
        for what in ("create_table", "load_file", "query")
    }
    | {"dbt_tasks.trigger_dbt_cli_command": "as users know it"}
    | {"message.email_send_message": "as users know it"}
)


def too_long(source: Source) -> list[str]:
    """Return what is too long in a file, in words."""
    found = [f"the file has {len(source.lines)} lines"] if len(source.lines) > FILE else []
    found += [
        f"class {node.name} has {length(node)} lines"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and length(node) > CLASS
    ]
    for function in functions(source.tree):
        if length(function) > FUNCTION:
            found.append(f"function {function.name} has {length(function)} lines")
        named = f"{source.path.stem}.{function.name}"
        if parameters(function) > PARAMETERS and named not in VENDOR_CALLS:
            found.append(f"function {function.name} has {parameters(function)} parameters")
    return found


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many parameters a caller may give; `self` and `cls` are not among them."""
    named = function.args
    every = [*named.posonlyargs, *named.args, *named.kwonlyargs]
    return len(every) - (bool(every) and every[0].arg in {"self", "cls"})


@pytest.mark.parametrize("source", sources(), ids=lambda source: source.where)
def test_nothing_is_too_long(source: Source) -> None:
    """Cut it where its parts have names of their own."""
    assert not too_long(source)


def test_the_exceptions_are_needed() -> None:
    long = {
        f"{source.path.stem}.{function.name}"
        for source in sources()
        for function in functions(source.tree)
        if parameters(function) > PARAMETERS
    }
    assert set(VENDOR_CALLS) <= long


def test_the_measures_bite(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("size") / "long.py"
    body = "\n".join("    x = 1" for _ in range(60))
    many = ", ".join(f"p{n}" for n in range(9))
    methods = "\n".join(f"    def m{n}(self): ...\n" for n in range(180))
    path.write_text(f"def f({many}):\n{body}\nclass C:\n{methods}\n" + "\n" * 100)
    assert too_long(parsed(path)) == [
        f"the file has {len(parsed(path).lines)} lines",
        f"class C has {length(parsed(path).tree.body[1])} lines",  # type: ignore[arg-type]
        "function f has 61 lines",
        "function f has 9 parameters",
    ]
