"""Flows that end in unusual ways; the argument says how."""

from __future__ import annotations

import os
import sys

from flowstone import flow, task


@task
def quick() -> int:
    return 1


@task
def broken() -> None:
    raise ValueError("nobody looked")


@flow(name="ending")
def exits() -> None:
    quick()
    sys.exit(3)


@flow(name="ending")
def exits_in_task() -> None:
    @task
    def leaving() -> None:
        sys.exit("no more")

    quick()
    leaving()


@flow(name="ending")
def drops_out() -> None:
    """End the process as a crash of the interpreter would."""
    quick()
    broken.submit()
    os._exit(7)


@flow(name="ending")
def forgets() -> int:
    broken.submit()
    return quick()


@flow(name="ending")
def forgets_many() -> str:
    for _ in range(20):
        broken.submit()
        quick.submit()
    return "done"


def main(scenario: str) -> None:
    globals()[scenario]()


if __name__ == "__main__":
    main(sys.argv[1])
