"""The process that imports the flow of a deployment to check it."""

from __future__ import annotations

import sys

from flowstone.deployments.checks import write_report

if __name__ == "__main__":
    write_report(sys.argv[1])
