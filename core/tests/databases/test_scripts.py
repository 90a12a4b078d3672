"""Scripts are split where statements end, whatever their dialect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstone.blocks.databases import SqlSyntax
from flowstone.blocks.databases.placeholders import bind_placeholders
from flowstone.blocks.databases.sql_syntax import split_statements

POSTGRESQL = SqlSyntax(nested_comments=True)
MYSQL = SqlSyntax(backslash_escapes=True, hash_comments=True)
SNOWFLAKE = SqlSyntax(backslash_escapes=True, slash_comments=True, blocks=True)
BIGQUERY = SqlSyntax(backslash_escapes=True, hash_comments=True, triple_quotes=True)
SYNTAXES = [SqlSyntax(), POSTGRESQL, MYSQL, SNOWFLAKE, BIGQUERY]

TRIGGER = """CREATE TRIGGER t AFTER INSERT ON a BEGIN
  INSERT INTO b SELECT CASE WHEN new.x THEN 1 ELSE 2 END;
  DELETE FROM c;
END"""
PROCEDURE = """create or replace procedure p() begin
  if x then begin y; end; end if;
  while x do y; end while;
  case x when 1 then y; end case;
end"""
FUNCTION = "CREATE FUNCTION f() RETURNS int AS $body$ BEGIN a; $$ b; END; $body$ LANGUAGE plpgsql"
BLOCK = "BEGIN LET x := 1; IF (x = 1) THEN y; END IF; RETURN x; END"
DECLARED = "DECLARE a INT; b INT DEFAULT 1; BEGIN a := b; END"


SCRIPTS: list[tuple[SqlSyntax, list[str]]] = [
    (POSTGRESQL, ["SELECT ';'", 'SELECT ";"', "SELECT e'\\';'", FUNCTION]),
    (POSTGRESQL, ["SELECT 1 /* ; /* ; */ ; */", "SELECT '\\'", "SELECT 2 -- ;"]),
    (POSTGRESQL, ["BEGIN", "INSERT 1", "COMMIT", "BEGIN TRANSACTION", "x", "END"]),
    (POSTGRESQL, ["DECLARE c CURSOR FOR SELECT 1", "FETCH c"]),
    (SqlSyntax(), [TRIGGER, "SELECT 1"]),
    (MYSQL, [r"SELECT 'it\'s;'", "SELECT 1 # a; b", PROCEDURE, "SELECT `;`"]),
    (SNOWFLAKE, [BLOCK, DECLARED, "SELECT 1 // ;", "BEGIN", "x", "COMMIT", "BEGIN WORK", "y"]),
    (SNOWFLAKE, ["CREATE PROCEDURE p() AS $$ var a = 1; return 'x;'; $$", "SELECT 1"]),
    (BIGQUERY, ["SELECT '''it's; '''", 'SELECT """;" """', r"SELECT r'\';'"]),
]


@pytest.mark.parametrize(("syntax", "statements"), SCRIPTS)
def test_statements_are_split(syntax: SqlSyntax, statements: list[str]) -> None:
    assert split_statements("\n;".join(statements), syntax) == statements
    assert split_statements("\n; ".join(statements) + "\n;", syntax) == statements


def test_comments_alone_are_no_statement() -> None:
    script = "-- first\n; /* second */ ; SELECT 1 -- third\n; -- last"
    assert split_statements(script, SqlSyntax()) == ["SELECT 1 -- third"]
    assert split_statements("-- why\nSELECT 1", SqlSyntax()) == ["-- why\nSELECT 1"]


@given(st.text(alphabet="ab;'\"$-/*\n #\\` "), st.sampled_from(SYNTAXES))
def test_statements_are_of_the_script(script: str, syntax: SqlSyntax) -> None:
    """Every statement is in the script, in order, and only what has code is."""
    position = 0
    for statement in split_statements(script, syntax):
        assert statement.strip(" \n;")
        position = script.index(statement, position) + len(statement)


@given(st.data(), st.sampled_from(SYNTAXES))
def test_no_statement_is_lost(data: st.DataObject, syntax: SqlSyntax) -> None:
    """In whatever order they stand, with comments and empty statements between them."""
    known = [each for one, statements in SCRIPTS if one == syntax for each in statements]
    statements = data.draw(st.lists(st.sampled_from(known)))
    gaps = st.sampled_from(["\n;", "\n;\n\n", "\n; ;", "\n;/* a; b */;"])
    script = "".join(statement + data.draw(gaps) for statement in statements)
    assert split_statements(script, syntax) == statements


def test_placeholders_follow_the_dialect() -> None:
    statement = r"SELECT 'it\'s ?', ? # ?"
    assert bind_placeholders(statement, [1], "format", MYSQL) == (r"SELECT 'it\'s ?', %s # ?", [1])
    nested = "SELECT /* ? /* ? */ ? */ ?"
    assert bind_placeholders(nested, [1], "dollar", POSTGRESQL)[0] == "SELECT /* ? /* ? */ ? */ $1"
