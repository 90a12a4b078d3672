"""Errors of the connector's as ours: each code of the table, the place, and no value."""

from __future__ import annotations

import pytest
import snowflake.connector.errors as theirs

from flowstone.errors import (
    DatabaseBusy,
    DatabaseDenied,
    DatabaseError,
    DatabaseUnreachable,
    IntegrityViolated,
    QueryCancelled,
    QueryInvalid,
    TableMissing,
)
from flowstone_snowflake.errors import (
    BY_CODE,
    BY_STATE,
    BY_WORDS,
    SessionEnded,
    find_position,
    has_session_ended,
    translate,
)

WHERE = "Snowflake acme-prod, database SALES"


def make(words: str, code: int, state: str | None = None) -> theirs.Error:
    return theirs.ProgrammingError(msg=words, errno=code, sqlstate=state, send_telemetry=False)


#: Words as Snowflake writes them, with their code and SQL state.
KNOWN: list[tuple[str, int, str, type[DatabaseError], str]] = [
    (
        "SQL compilation error:\nObject 'ORDERS' does not exist or not authorized.",
        2003, "42S02", TableMissing, "'ORDERS'",
    ),
    (
        "SQL compilation error:\nDatabase 'NOPE' does not exist or not authorized.",
        2003, "02000", QueryInvalid, "'NOPE'",
    ),
    (
        "SQL compilation error:\nSchema 'SALES.NOPE' does not exist or not authorized.",
        2003, "02000", QueryInvalid, "'SALES.NOPE'",
    ),
    (
        "SQL compilation error:\nsyntax error line 1 at position 7 unexpected 'FRM'.",
        1003, "42000", QueryInvalid, "line 1, column 8",
    ),
    (
        "SQL compilation error: error line 1 at position 7\ninvalid identifier 'NOPE'",
        904, "42000", QueryInvalid, "'NOPE'",
    ),
    (
        "SQL compilation error:\nObject 'ORDERS' already exists.",
        2002, "42710", QueryInvalid, "OR REPLACE",
    ),
    (
        "SQL access control error:\nInsufficient privileges to operate on table 'ORDERS'.",
        3001, "42501", DatabaseDenied, "SHOW GRANTS",
    ),
    (
        "No active warehouse selected in the current session.",
        606, "57P03", DatabaseError, "Set `warehouse`",
    ),
    (
        ("Warehouse 'LOADING' cannot be resumed because resource monitor 'CAP' has exceeded its "
        "quota."),
        90073, "22000", DatabaseError, "raise its quota",
    ),
    (
        ("Cannot perform SELECT. This session does not have a current database. Call 'USE "
        "DATABASE', or use a qualified name."),
        90105, "22000", QueryInvalid, "Set `database`",
    ),
    ("SQL execution canceled", 604, "57014", QueryCancelled, "Run it again"),
    (
        "Statement reached its statement or warehouse timeout of 160 second(s) and was canceled.",
        630, "57014", QueryCancelled, "STATEMENT_TIMEOUT_IN_SECONDS",
    ),
    (
        ("Statement 'x' has locked table 'ORDERS' in transaction 1 and this lock has not yet been "
        "released."),
        625, "57014", DatabaseBusy, "Another transaction",
    ),
    ("NULL result in a non-nullable column", 100072, "22000", IntegrityViolated, "non-nullable"),
    ("Duplicate row detected during DML action", 100090, "42P18", IntegrityViolated, "unique"),
    ("Numeric value 'canary' is not recognized", 100038, "22018", QueryInvalid, "'…'"),
    ("Date 'canary' is not recognized", 100040, "22007", QueryInvalid, "'…'"),
    ("String 'canary\nmore' is too long", 100078, "22000", QueryInvalid, "String '…' is too long"),
    (
        ("Numeric value 'canary' is not recognized\n  File 'in/a.csv.gz', line 3, character 1\n"
        '  Row 2, column "ITEMS"["ID":1]\n  If you would like to continue loading when an error is '
        "encountered, use other values such as 'SKIP_FILE' or 'CONTINUE'."),
        100038, "22018", QueryInvalid, "File 'in/a.csv.gz', line 3",
    ),
    ("Authentication token has expired.", 390114, "08001", DatabaseUnreachable, "opens another"),
    ("Actual statement count 2 did not match", 8, "0A000", QueryInvalid, "execute_script"),
    ("Something new", 999_999, "XX000", QueryInvalid, "Something new"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "state", "kind", "shown"), KNOWN)
def test_known_errors_are_ours(
    words: str, code: int, state: str, kind: type[DatabaseError], shown: str
) -> None:
    found = translate(WHERE, make(words, code, state), "SELECT a FRM orders")
    assert type(found) is kind
    text = str(found)
    assert text.startswith(WHERE)
    assert shown in text
    assert f"code {code:06d}" in text
    assert "canary" not in text


@pytest.mark.parametrize("code", BY_CODE)
def test_the_table_is_whole(code: int) -> None:
    found = translate(WHERE, make("It went wrong", code), None)
    assert isinstance(found, BY_CODE[code].kind)
    assert found.remedy == BY_CODE[code].remedy


@pytest.mark.parametrize("words", BY_WORDS)
def test_words_count_where_a_login_has_no_code(words: str) -> None:
    found = translate(WHERE, make(f"Failed to connect to DB: host:443. {words} …", 250001), None)
    assert found is not None
    assert (type(found), found.remedy) == (BY_WORDS[words].kind, BY_WORDS[words].remedy)


@pytest.mark.parametrize("state", BY_STATE)
def test_states_count_where_a_code_is_unknown(state: str) -> None:
    found = translate(WHERE, make("It went wrong", 987_654, state), "SELECT 1")
    assert isinstance(found, BY_STATE[state].kind)


def test_a_session_that_is_unknown_has_ended() -> None:
    assert has_session_ended(SessionEnded())
    assert isinstance(translate(WHERE, SessionEnded(), "SELECT 1"), DatabaseUnreachable)


def test_errors_of_others_are_left_alone() -> None:
    assert translate(WHERE, ValueError("x"), None) is None
    assert translate(WHERE, ConnectionError("x"), None) is None


def test_a_lost_connection_is_unreachable() -> None:
    error = theirs.OperationalError(msg="Could not connect", errno=250001, send_telemetry=False)
    assert isinstance(translate(WHERE, error, None), DatabaseUnreachable)
    assert isinstance(translate(WHERE, error, "SELECT 1"), DatabaseUnreachable)
    bare = theirs.InterfaceError(msg="250012: x", send_telemetry=False)
    assert isinstance(translate(WHERE, bare, None), DatabaseUnreachable)


def test_a_place_is_counted_in_the_statement() -> None:
    statement = "SELECT 1,\n  nope FROM t"
    assert find_position("error line 2 at position 2", statement) == statement.index("nope")
    assert find_position("error line 9 at position 2", statement) is None
    assert find_position("error line 1 at position 99", "SELECT 1") is None
    assert find_position("no place", statement) is None
    assert find_position("line 1 at position 0", None) is None
