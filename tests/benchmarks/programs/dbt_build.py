"""A dbt project that a flow builds several times."""

import json
import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

name, folder, times = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
library: Any = import_module(name)
dbt: Any = import_module(f"{name}_dbt")
taken: list[float] = []


def build() -> None:
    for _ in range(times):
        begin = perf_counter()
        if name == "prefect":
            settings = dbt.PrefectDbtSettings(project_dir=folder, profiles_dir=folder)
            dbt.PrefectDbtRunner(settings=settings).invoke(["build"])
        else:
            settings = dbt.DbtSettings(project_dir=folder, profiles_dir=folder)
            dbt.DbtRunner(settings=settings).invoke(["build"])
        taken.append(perf_counter() - begin)


if __name__ == "__main__":
    library.flow(build)()
    print(json.dumps({"first": taken[0], "last": taken[-1]}))
