from __future__ import annotations

import pytest

from flowstone.plugins.docstrings import Docstring, parse

WHOLE = """Do a thing, and
    return it.

    More of it.

    And more.

    Args:
        one, other: both of
            them; a note: not a name.
        *rest: all else.

    Raises:
        KeyError: it is not there.
        flowstone.errors.StorageError: it is full.

    Example:
        do(1)

        if True:
            do(2)

    Behind it all.
    """


def test_a_docstring_is_taken_apart() -> None:
    found = parse(WHOLE)
    assert found.summary == "Do a thing, and return it."
    assert found.arguments == {
        "one": "both of them; a note: not a name.",
        "other": "both of them; a note: not a name.",
        "rest": "all else.",
    }
    assert found.raises == {
        "KeyError": "it is not there.",
        "flowstone.errors.StorageError": "it is full.",
    }
    assert found.example == "do(1)\n\nif True:\n    do(2)"
    assert found.notes.startswith("More of it.\n\nAnd more.\n\nBehind it all.\n\nRaises:\n")
    assert "Args:" not in found.notes


@pytest.mark.parametrize("doc", [None, "", "\n  \n"])
def test_where_there_is_none_all_is_empty(doc: str | None) -> None:
    assert parse(doc) == Docstring()


def test_prompts_are_no_code() -> None:
    found = parse("Do.\n\nExamples:\n    >>> x = [\n    ...     1]\n    >>> x\n    [1]\n")
    assert found.example == "x = [\n    1]\nx"
