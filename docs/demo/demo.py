"""Run the flights platform on this machine, and say where its report is; see `make demo`."""

from __future__ import annotations

import argparse
import subprocess
import sys

from docs.demo.nyc_flights import nyc_flights
from docs.demo.places import BUCKETS, DATABASES
from docs.demo.report import find_report


def main() -> None:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--store", choices=BUCKETS, default="s3", help="where the bucket is")
    parser.add_argument("--warehouse", choices=DATABASES, default="duckdb", help="which database")
    asked = parser.parse_args()
    nyc_flights(asked.store, asked.warehouse)
    subprocess.run([sys.executable, "-m", "flowstone", "run", "show", "nyc-flights"], check=True)
    print(f"\nThe report: {find_report()}")


if __name__ == "__main__":
    main()
