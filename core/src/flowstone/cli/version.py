"""What `flowstone --version` says."""

from __future__ import annotations

import platform

import click

from flowstone.settings import read_settings


def show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Say which versions these are, and where facts are kept; nothing is opened."""
    if not wanted or ctx.resilient_parsing:
        return
    # Costs 20 ms; only this option needs it.
    from importlib.metadata import version

    settings = read_settings()
    store = settings.home / "flowstone.db" if settings.store == "sqlite" else None
    click.echo(f"flowstone {version('flowstone')}")
    click.echo(f"Python    {platform.python_version()} ({platform.system()})")
    click.echo(f"home      {settings.home}")
    click.echo(f"store     {store or 'in memory: forgotten at exit'}")
    ctx.exit()
