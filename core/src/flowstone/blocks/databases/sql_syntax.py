"""The lexical syntax of SQL dialects: where quotes, comments and statements end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class SqlSyntax:
    r"""The syntax of quotes, comments and blocks in a dialect.

    Attributes:
        backslash_escapes: whether a backslash escapes a character in quoted text, as in MySQL,
            Snowflake and BigQuery; ``E'...'`` has escapes in all.
        triple_quotes: whether text can be enclosed in three quotes, as in BigQuery.
        dollar_quotes: whether ``$tag$ ... $tag$`` is quoted text.
        hash_comments: whether ``#`` begins a comment, as in MySQL and BigQuery.
        slash_comments: whether ``//`` begins a comment, as in Snowflake.
        nested_comments: whether ``/* /* */ */`` is one comment, as in PostgreSQL.
        blocks: whether ``BEGIN ... END`` and ``DECLARE ... BEGIN ... END`` are statements by
            themselves, as in Snowflake; within ``CREATE PROCEDURE`` and the like they are in all.
    """

    backslash_escapes: bool = False
    triple_quotes: bool = False
    dollar_quotes: bool = True
    hash_comments: bool = False
    slash_comments: bool = False
    nested_comments: bool = False
    blocks: bool = False


class Token(NamedTuple):
    """A piece of SQL.

    Attributes:
        kind: ``quoted``, ``comment``, ``cast`` (``::``), or a kind that the caller has defined.
        start, end: its position in the text.
        text: the piece.
    """

    kind: str
    start: int
    end: int
    text: str


def find_tokens(text: str, syntax: SqlSyntax, others: str) -> Iterator[Token]:
    """Yield the quoted text and comments of SQL in order, and the caller's other tokens.

    Args:
        text: the SQL.
        syntax: the syntax of its dialect.
        others: a regular expression of named groups, each the kind of a token, which are found
            outside of quotes and comments.
    """
    pattern, position = _compile(syntax, others), 0
    while found := pattern.search(text, position):
        kind, start, position = found.lastgroup or "", found.start(), found.end()
        if kind == "comment" and syntax.nested_comments and text.startswith("/*", start):
            position = _end_nested_comment(text, start)
        yield Token(kind, start, position, text[start:position])


def split_statements(script: str, syntax: SqlSyntax) -> list[str]:
    """Return the statements of a script, without the semicolons between them.

    Semicolons in quotes, comments, function bodies and blocks don't end a statement. A piece that
    consists of comments is skipped.
    """
    statements, statement = [], _Statement(syntax)
    start = end = 0
    for token in find_tokens(script, syntax, _WORDS):
        statement.has_code |= bool(script[end : token.start].strip())
        end = token.end
        if token.kind == "semicolon" and not statement.is_open():
            if statement.has_code:
                statements.append(script[start : token.start].strip())
            start, statement = token.end, _Statement(syntax)
        elif token.kind != "comment":
            statement.has_code = True
            statement.read(token)
    if statement.has_code or script[end:].strip():
        statements.append(script[start:].strip())
    return statements


#: The tokens of `split_statements`, besides quotes and comments.
_WORDS = r"(?P<semicolon>;)|(?<![\w$])(?P<word>[^\W\d][\w$]*)"
#: ``CREATE`` of one of these may have a body of statements.
_WITH_BODY = {"TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "PACKAGE", "TASK"}
#: ``END`` before one of these does not end a ``BEGIN`` or ``CASE``.
_OTHER_ENDS = {"IF", "LOOP", "WHILE", "FOR", "REPEAT"}
#: ``BEGIN`` before one of these, or alone, begins a transaction.
_TRANSACTION = {
    "TRANSACTION", "TRAN", "WORK", "DEFERRED", "IMMEDIATE", "EXCLUSIVE", "ISOLATION", "READ",
    "NAME",
}  # fmt: skip


class _Statement:
    """One statement of a script, up to the last token that was read."""

    def __init__(self, syntax: SqlSyntax) -> None:
        self.has_code = False
        self._syntax = syntax
        self._words: list[str] = []
        self._depth = 0
        self._has_body = False
        self._is_declaring = False

    def is_open(self) -> bool:
        """Return whether a semicolon here is inside a block."""
        return self._is_declaring or self._depth > (1 if self._begins_alone() else 0)

    def read(self, token: Token) -> None:
        """Process the next token."""
        if token.kind != "word":
            self._words.append("")
            return
        word, before = token.text.upper(), self._words[-1] if self._words else None
        self._words.append(word)
        if before is None:
            self._is_declaring = self._syntax.blocks and word == "DECLARE"
        if self._words[0] == "CREATE" and word in _WITH_BODY:
            self._has_body = True
        if not self._counts():
            return
        if word == "BEGIN" or (word == "CASE" and before != "END"):
            self._is_declaring = False
            self._depth += 1
        elif word == "END":
            self._depth = max(0, self._depth - 1)
        elif before == "END" and word in _OTHER_ENDS:
            self._depth += 1

    def _counts(self) -> bool:
        first = self._words[0]
        return self._has_body or (self._syntax.blocks and first in {"BEGIN", "DECLARE"})

    def _begins_alone(self) -> bool:
        """Return whether it begins a transaction, not a block."""
        words = self._words
        return bool(words) and words[0] == "BEGIN" and (len(words) == 1 or words[1] in _TRANSACTION)


@cache
def _compile(syntax: SqlSyntax, others: str) -> re.Pattern[str]:
    escape = r"\\." if syntax.backslash_escapes else r"(?!)"
    inside = r"\\" if syntax.backslash_escapes else ""
    quoted = [
        rf"'(?:[^'{inside}]|{escape}|'')*(?:'|\Z)",
        rf'"(?:[^"{inside}]|{escape}|"")*(?:"|\Z)',
        r"`[^`]*(?:`|\Z)",
        r"(?<!\w)[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z)",
    ]
    quoted.insert(0, quoted.pop())
    if syntax.triple_quotes:
        quoted = [r"'''(?:\\.|.)*?(?:'''|\Z)", r'"""(?:\\.|.)*?(?:"""|\Z)', *quoted]
    if syntax.dollar_quotes:
        quoted.append(r"(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$(?s:.*?)(?:\$(?P=tag)\$|\Z)")
    comments = [r"--[^\n]*", r"/\*.*?(?:\*/|\Z)"]
    if syntax.hash_comments:
        comments.append(r"\#[^\n]*")
    if syntax.slash_comments:
        comments.append(r"(?<!:)//[^\n]*")
    parts = [
        f"(?P<quoted>{'|'.join(quoted)})", f"(?P<comment>{'|'.join(comments)})", r"(?P<cast>::)",
        others,
    ]  # fmt: skip
    return re.compile("|".join(parts), re.DOTALL)


def _end_nested_comment(text: str, start: int) -> int:
    depth, position = 1, start + 2
    while depth:
        found = _COMMENT_EDGE.search(text, position)
        if found is None:
            return len(text)
        depth += 1 if found[0] == "/*" else -1
        position = found.end()
    return position


_COMMENT_EDGE = re.compile(r"/\*|\*/")
