"""What a claim of a run costs a worker, with many runs in the store that are not due.

Arguments: the library's name; how many there are; how many are claimed.
"""

import json
import sys
from statistics import quantiles
from time import perf_counter, time

from flowstone.blocks.jobs import JobProvider, JobStatus, Report
from flowstone.deployments import Deployment
from flowstone.deployments.creation import create_run
from flowstone.deployments.documents import save_deployment
from flowstone.deployments.executor import Placement, RunExecutor
from flowstone.infrastructure import Infrastructure, JobVariables, RunJob

scheduled, claimed = int(sys.argv[2]), int(sys.argv[3])


class Nowhere(Infrastructure, JobProvider):
    """Starts nothing: what is left is the claim."""

    @property
    def where(self) -> str:
        return "nowhere"

    def make_provider(self, job: RunJob) -> JobProvider:
        return self

    def attach(self, variables: JobVariables) -> JobProvider:
        return self

    def start(self) -> str:
        return "job"

    def report(self, handle: str) -> Report:
        return Report(JobStatus.COMPLETED)

    def cancel(self, handle: str) -> None: ...


def measure(number: int) -> float:
    run = create_run(deployment, {}, scheduled_time=time(), name=f"claimed-{number}")
    began = perf_counter()
    assert executor.start(run, placement) is None
    took = perf_counter() - began
    assert executor.running == [run.id]
    executor.collect()
    return 1000 * took


deployment = save_deployment(Deployment("claims", "etl", "etl.py:etl", concurrency_limit=10))
for number in range(scheduled):
    create_run(deployment, {}, scheduled_time=time() + 86_400 + number)
placement = Placement(Nowhere(), JobVariables(), ("deployment:etl/claims",))
executor = RunExecutor("p")
times = [measure(number) for number in range(claimed)]
print(json.dumps({"middle": quantiles(times, n=100)[49], "p99": quantiles(times, n=100)[98]}))
