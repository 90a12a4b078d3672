"""Input of sockets is seen whatever the number of their file descriptor."""

from __future__ import annotations

import fcntl
import os
import resource
import socket
from collections.abc import Iterator

import pytest

from flowstone_sqlalchemy.sockets import has_input


@pytest.fixture
def many_files() -> Iterator[None]:
    """Allow as many open files as the system lets this user have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("least", [0, 1024, 2000])
def test_input_is_seen(many_files: None, least: int) -> None:
    here, there = socket.socketpair()
    with here, there:
        number = fcntl.fcntl(here.fileno(), fcntl.F_DUPFD_CLOEXEC, least)
        try:
            assert number >= least
            assert not has_input(number)
            there.send(b"x")
            assert has_input(number)
            assert os.read(number, 1) == b"x"
            there.close()
            assert has_input(number)  # its end
        finally:
            os.close(number)
