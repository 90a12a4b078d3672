"""The output of `flowstone --version`."""

from __future__ import annotations

import platform

import click

from flowstone.settings import read_settings


def show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Show the versions, the home and the store, without opening the store."""
    if not wanted or ctx.resilient_parsing:
        return
    # Takes 20 ms, which only this option needs.
    from importlib.metadata import version

    settings = read_settings()
    store = settings.home / "flowstone.db" if settings.store == "sqlite" else None
    click.echo(f"flowstone {version('flowstone')}")
    click.echo(f"Python    {platform.python_version()} ({platform.system()})")
    click.echo(f"home      {settings.home}")
    click.echo(f"store     {store or 'in memory: discarded at exit'}")
    ctx.exit()
