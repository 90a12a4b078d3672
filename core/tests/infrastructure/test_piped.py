"""The suite of infrastructures with one whose service is elsewhere, and is hard to hear."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowstone.infrastructure.base import RunJob
from flowstone_testing import InfrastructureSuite
from flowstone_testing.groups import is_group_alive

from .piped import Pipe, PipedInfrastructure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowstone.infrastructure import Infrastructure


@pytest.fixture(scope="module")
def pipe() -> Iterator[Pipe]:
    pipe = Pipe(seed=1)
    yield pipe
    pipe.close()


class TestPiped(InfrastructureSuite):
    @pytest.fixture
    def infrastructure(self, pipe: Pipe) -> Infrastructure:
        return PipedInfrastructure(pipe)

    @pytest.fixture
    def alive(self) -> Callable[[str], bool]:
        return is_group_alive


@pytest.mark.usefixtures("home")
def test_answers_get_lost_and_each_job_is_started_once(pipe: Pipe) -> None:
    infrastructure = PipedInfrastructure(pipe)
    variables = infrastructure.variables()
    before = pipe.repeated
    handles = set()
    for number in range(20):
        job = RunJob(str(number), "job", ("/bin/true",), {}, {}, variables)
        handles.add(infrastructure.make_provider(job).start())
    assert pipe.repeated > before
    assert len(handles) == 20
