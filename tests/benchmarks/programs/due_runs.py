"""The time from when a run is due until its flow's code runs, in a worker that has begun.

Arguments: the library's name; how often it is measured.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

from flowstone.deployments import Deployment, run_deployment
from flowstone.deployments.documents import save_deployment
from flowstone.workers import create_work_pool

rounds = int(sys.argv[2])
AHEAD = 0.5
FLOW = """
import time
from pathlib import Path
from flowstone import flow

@flow
def tell(place: str) -> None:
    now = time.time()
    Path(place + ".part").write_text(str(now))
    Path(place + ".part").rename(place)
"""


def measure(number: int) -> float:
    place = Path(f"{number}.txt").absolute()
    at = datetime.now(UTC) + timedelta(seconds=AHEAD)
    run_deployment("tell/due", {"place": str(place)}, scheduled_time=at, timeout=0)
    while not place.exists():
        sleep(0.001)
    return 1000 * (float(place.read_text()) - at.timestamp())


def start_bare() -> float:
    began = perf_counter()
    subprocess.run([sys.executable, "-c", ""], check=True)
    return 1000 * (perf_counter() - began)


Path("tell.py").write_text(FLOW)
create_work_pool("p")
entrypoint = f"{Path('tell.py').absolute()}:tell"
save_deployment(Deployment("due", "tell", entrypoint, work_pool_name="p"))
command = [sys.executable, "-m", "flowstone", "worker", "start", "--pool", "p"]
with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as worker:
    try:
        measure(0)
        measure(1)  # the template of its processes was loaded meanwhile
        times, bare = [], []
        for number in range(rounds):
            times.append(measure(2 + number))
            bare.append(start_bare())
    finally:
        worker.terminate()
print(json.dumps({"due": median(times), "most": max(times), "bare": median(bare)}))
