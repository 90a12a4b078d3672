"""Ends of many calls are taken together, and none of them hides another."""

from __future__ import annotations

import os
import pickle
from queue import Empty
from typing import TYPE_CHECKING, Any

import pytest
import ray

from flowstone.errors import ProcessLost
from flowstone.records.runs import Run
from flowstone.task_runners.remote_pool import SentCall
from flowstone_ray.collector import ENDED, INTERVALS, EndCollector, adapt_interval
from flowstone_ray.correspondence import Correspondence
from flowstone_ray.worker_calls import CallEnd

if TYPE_CHECKING:
    from tests.services.ray import RayCluster


def make_call() -> SentCall:
    return SentCall(Run("r", "task", "n", "u", "r", None), b"", (), "f", None)


@pytest.fixture(params=["remote", "by_client"])
def cluster(request: pytest.FixtureRequest) -> RayCluster:
    found: RayCluster = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("by_polling", [False, True], ids=["callbacks", "polling"])
def test_each_end_arrives(cluster: RayCluster, by_polling: bool) -> None:
    def end(number: int) -> bytes:
        if number == 3:
            raise ValueError("the third")
        if number == 5:
            os._exit(1)
        return pickle.dumps(CallEnd("a", 0, str(number).encode()))

    remote: Any = ray.remote(end)
    calls = [make_call() for _ in range(8)]
    collector = EndCollector()
    for number, call in enumerate(calls):
        ref = remote.options(max_retries=0).remote(number)
        collector.add(ref, Correspondence(call), by_polling=by_polling)
    for number, call in enumerate(calls):
        if number == 3:
            with pytest.raises(Exception, match="the third"):
                call.receive(60)
        elif number == 5:
            with pytest.raises(ProcessLost):
                call.receive(60)
        else:
            assert call.receive(60) == str(number).encode()
    collector.close()


def test_a_collector_is_closed_while_calls_run(cluster: RayCluster) -> None:
    call = make_call()
    remote: Any = ray.remote(lambda: None)
    collector = EndCollector()
    never = remote.options(resources={"absent": 1}).remote()
    collector.add(never, Correspondence(call), by_polling=True)
    collector.close()
    ray.cancel(never)
    with pytest.raises(Empty):
        call.receive(0)


def test_the_interval_adapts_to_the_fraction_of_the_calls_that_have_ended() -> None:
    (least, most), (shortest, longest) = ENDED, INTERVALS
    assert adapt_interval(0.01, (least + most) / 2) == 0.01
    assert adapt_interval(0.01, 0) > 0.01 > adapt_interval(0.01, 1)
    assert adapt_interval(shortest, 1) == shortest
    assert adapt_interval(longest, 0) == longest
