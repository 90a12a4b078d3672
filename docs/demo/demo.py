"""Run the flights platform on this machine, and print the path of its report.

It does the same as `flowstone run start docs/demo/nyc_flights.py:nyc_flights`, tracked in MLflow.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from docs.demo.nyc_flights import nyc_flights
from docs.demo.places import BUCKETS, DATABASES, NAME, save_tracking
from docs.demo.report import find_report

from flowstone.flow_runs import retry_flow_run


def main() -> None:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--store", choices=BUCKETS, default="s3", help="the kind of bucket")
    parser.add_argument("--warehouse", choices=DATABASES, default="duckdb", help="which database")
    parser.add_argument("--retry", action="store_true", help="continue the last run")
    asked = parser.parse_args()
    os.environ.update(FLOWSTONE_OBSERVERS="mlflow", FLOWSTONE_MLFLOW_BLOCK=NAME)
    save_tracking()
    find_report().unlink(missing_ok=True)
    if asked.retry:
        retry_flow_run(NAME).result()
    else:
        nyc_flights(asked.store, asked.warehouse)
    subprocess.run([sys.executable, "-m", "flowstone", "run", "show", NAME], check=True)
    print(f"\nThe report: {find_report().absolute()}")


if __name__ == "__main__":
    main()
