"""The time from when a run is due until its flow's code runs, in a worker that has begun.

Arguments: the library's name; how often it is measured.
"""

import json
import os
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from urllib.error import URLError
from urllib.request import urlopen

FLOW = """
import time
from pathlib import Path
from {library} import flow

@flow
def tell(place: str) -> None:
    now = time.time()
    Path(place + ".part").write_text(str(now))
    Path(place + ".part").rename(place)
"""


class Scheduler(ABC):
    """A library's deployment of a flow, for which a worker is there.

    Attributes:
        ahead: seconds before it is due that a run is created.
    """

    ahead: float

    @abstractmethod
    def deploy(self) -> None:
        """Create a work pool, and deploy the flow to it."""

    @abstractmethod
    def create(self, place: str, at: datetime) -> None:
        """Create a run that is due then."""

    def measure(self, number: int) -> float:
        """Return the milliseconds for which a run waited."""
        place = Path(f"{number}.txt").absolute()
        at = datetime.now(UTC) + timedelta(seconds=self.ahead)
        self.create(str(place), at)
        while not place.exists():
            sleep(0.001)
        return 1000 * (float(place.read_text()) - at.timestamp())


class Ours(Scheduler):
    ahead = 0.5
    worker: tuple[str, ...] = (sys.executable, "-m", "flowstone", "worker", "start", "--pool", "p")

    def deploy(self) -> None:
        from flowstone.deployments import Deployment
        from flowstone.deployments.documents import save_deployment
        from flowstone.workers import create_work_pool

        create_work_pool("p")
        entrypoint = f"{Path('tell.py').absolute()}:tell"
        save_deployment(Deployment("due", "tell", entrypoint, work_pool_name="p"))

    def create(self, place: str, at: datetime) -> None:
        from flowstone.deployments import run_deployment

        run_deployment("tell/due", {"place": place}, scheduled_time=at, timeout=0)


class Prefect(Scheduler):
    """Prefect with its server; its worker asks for runs every ten seconds."""

    ahead = 20.0
    command = str(Path(sys.executable).with_name("prefect"))
    worker = (command, "worker", "start", "--pool", "p")

    @contextmanager
    def serve(self) -> Iterator[None]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        os.environ["PREFECT_API_URL"] = url = f"http://127.0.0.1:{port}/api"
        with run(self.command, "server", "start", "--host", "127.0.0.1", "--port", port):
            while not answers(f"{url}/health"):
                sleep(0.1)
            yield

    def deploy(self) -> None:
        import prefect  # type: ignore[import-not-found]

        create = [self.command, "work-pool", "create", "p", "--type", "process"]
        subprocess.run(create, check=True, stdout=subprocess.DEVNULL)
        flow = prefect.flow.from_source(source=str(Path.cwd()), entrypoint="tell.py:tell")
        flow.deploy("due", work_pool_name="p", print_next_steps=False, ignore_warnings=True)

    def create(self, place: str, at: datetime) -> None:
        from prefect.deployments import run_deployment  # type: ignore[import-not-found]

        run_deployment("tell/due", parameters={"place": place}, scheduled_time=at, timeout=0)


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except URLError:
        return False


@contextmanager
def run(*command: str) -> Iterator[None]:
    """Have a program run beside this one."""
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=nowhere, stderr=nowhere) as program:
        try:
            yield
        finally:
            program.terminate()


def start_bare() -> float:
    began = perf_counter()
    subprocess.run([sys.executable, "-c", ""], check=True)
    return 1000 * (perf_counter() - began)


def main(library: str, rounds: int) -> None:
    scheduler = Ours() if library == "flowstone" else Prefect()
    Path("tell.py").write_text(FLOW.format(library=library))
    with ExitStack() as stack:
        if isinstance(scheduler, Prefect):
            stack.enter_context(scheduler.serve())
        scheduler.deploy()
        stack.enter_context(run(*scheduler.worker))
        for number in range(2):  # meanwhile the worker gets ready
            scheduler.measure(number)
        times, bare = [], []
        for number in range(rounds):
            times.append(scheduler.measure(2 + number))
            bare.append(start_bare())
    print(json.dumps({"due": median(times), "most": max(times), "bare": median(bare)}))


main(sys.argv[1], int(sys.argv[2]))
