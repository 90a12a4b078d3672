"""CredentialsSuite: the standard tests of all credentials."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from flowstone.blocks import Check, Credentials
from flowstone.context.current import use_services
from flowstone.secrets.walk import secret_texts
from flowstone.testing.memory import memory_services
from flowstone_testing.conformance.leaks import assert_nothing_is_left
from flowstone_testing.conformance.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowstone.context.current import Services


class CredentialsSuite(Suite):
    """Join with three fixtures of one type, against a real service or an emulator.

    `good` is accepted, `refused` is not (a wrong password, at a service that checks it), and
    `unreachable` has the address of a closed port.
    """

    kind = "block"
    interface = Credentials

    @pytest.fixture
    def good(self) -> Credentials:
        raise NotImplementedError("give the suite a fixture `good`")

    @pytest.fixture
    def refused(self) -> Credentials:
        raise NotImplementedError("give the suite a fixture `refused`")

    @pytest.fixture
    def unreachable(self) -> Credentials:
        raise NotImplementedError("give the suite a fixture `unreachable`")

    @pytest.fixture(autouse=True)
    def services(self, tmp_path: Path) -> Iterator[Services]:
        current = memory_services(tmp_path / "flowstone-home")
        with use_services(current), closing(current):
            yield current

    def test_all_fields_are_optional(self, good: Credentials) -> None:
        """Give required fields a default; empty means the SDK's default chain."""
        required = [n for n, field in type(good).model_fields.items() if field.is_required()]
        assert not required
        assert type(good)() == type(good)()

    def test_a_good_login_is_ok(self, good: Credentials) -> None:
        """Look at `_check`: it must connect, and return who we are there."""
        check = good.check()
        assert check.ok, check.reason
        assert check.reason
        assert check.latency_seconds > 0

    def test_a_refused_login_says_why(self, refused: Credentials) -> None:
        """Look at `_check`: does it really connect with these fields?"""
        _is_refusal(refused, refused.check())

    def test_an_unreachable_service_says_so(self, unreachable: Credentials) -> None:
        """Look at `_check`: does it use the block's address, and time out?"""
        _is_refusal(unreachable, unreachable.check())

    def test_a_check_looks_again_each_time(self, good: Credentials, refused: Credentials) -> None:
        """Look for a result or a client that is shared between blocks."""
        found = [block.check().ok for block in (good, refused, good, refused)]
        assert found == [True, False, True, False]

    def test_a_loaded_login_is_as_good(self, good: Credentials) -> None:
        """Look for a secret that is lost or changed when the block is saved."""
        good.save("login")
        check = type(good).load("login").check()
        assert check.ok, check.reason

    def test_checks_leave_nothing_open(self, good: Credentials) -> None:
        """Close the client that `_check` opens: open sockets and threads are counted."""
        assert_nothing_is_left("check", good.check)

    def test_the_async_twin_says_the_same(self, good: Credentials, refused: Credentials) -> None:
        """Look for an `acheck` that the type defines: it must come from the interface."""
        assert asyncio.run(good.acheck()).ok
        assert not asyncio.run(refused.acheck()).ok
        assert type(good).acheck is Credentials.acheck


def _is_refusal(block: Credentials, check: Check) -> None:
    assert not check.ok
    assert check.reason
    assert check.latency_seconds > 0
    assert not [text for text in secret_texts(block) if text and text in check.reason]
