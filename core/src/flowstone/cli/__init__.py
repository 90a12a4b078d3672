"""The command line: the only code that prints and exits."""

from flowstone.cli.app import main

__all__ = ["main"]
