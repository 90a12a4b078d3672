"""Stages of the Snowflake of our tests: what fakesnow lacks of PUT, COPY, LIST and REMOVE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fakesnow.conn import FakeSnowflakeConnection


#: The stage that every user has, which is written as ~.
OF_USER = "STAGE_OF_THE_USER"


def matches(sql: str) -> bool:
    """Tell whether a statement is one that is answered here."""
    return False


def answer(connection: FakeSnowflakeConnection, sql: str, query_id: str) -> dict[str, Any]:
    """Answer it."""
    raise NotImplementedError
