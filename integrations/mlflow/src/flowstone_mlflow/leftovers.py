"""Sends the unsent data of ended programs: `flowstone mlflow send`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from flowstone_mlflow.errors import TrackingError, translate_errors
from flowstone_mlflow.spool import find_left_spools
from flowstone_mlflow.trees import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone_mlflow.sending import Sender


@dataclass(frozen=True)
class Leftover:
    """An outermost run with unsent data.

    Attributes:
        root_id: the id of the run.
        uri: where it is tracked.
        runs: the number of MLflow runs that were updated.
        is_complete: whether everything is sent; False if the run is not known to have ended.
    """

    root_id: str
    uri: str
    runs: int
    is_complete: bool


def send_left() -> Iterator[Leftover]:
    """Send the unsent data of ended programs, and yield each outermost run.

    Raises:
        TrackingUnavailable: the server does not answer; unsent data is kept.
        TrackingDenied: the server refuses the credentials; unsent data is kept.
    """
    # MLflow takes a second to import; usually, nothing is left.
    from flowstone_mlflow.sending import Sender

    senders: dict[str, Sender] = {}
    for spool in find_left_spools():
        try:
            if (tracking := spool.read_tracking()) is not None:
                sender = senders.setdefault(spool.key, Sender(tracking))
                tree = Tree(spool, tracking.on_retry)
                with translate_errors(f"MLflow at {tracking.find_uri()}"):
                    yield _send(sender, tree, tracking.find_uri())
        finally:
            spool.release()


def _send(sender: Sender, tree: Tree, uri: str) -> Leftover:
    tree.load()
    count = sum(sender.send(tree, tracked) for tracked in list(tree.list_pending()))
    is_complete = tree.has_ended and not any(tree.list_pending())
    if is_complete:
        tree.spool.delete()
    return Leftover(tree.root_id, uri, count, is_complete)


@click.group(name="mlflow")
def mlflow() -> None:
    """Manage data tracked in MLflow."""


@mlflow.command
def send() -> None:
    """Send unsent data of ended programs to MLflow."""
    count = 0
    try:
        for each in send_left():
            count += 1
            note = "all" if each.is_complete else "partly; the run has not ended"
            click.echo(f"{each.root_id}  {each.uri}  {each.runs} run(s): {note}")
    except TrackingError as error:
        raise click.ClickException(str(error)) from error
    if not count:
        click.echo("Nothing is left to send.")
