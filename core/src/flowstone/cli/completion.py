"""`flowstone completion`: prints a shell completion script."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_WHERE = {
    "bash": "~/.bashrc",
    "zsh": "~/.zshrc",
    "fish": "~/.config/fish/completions/flowstone.fish",
}


@click.command("completion")
@click.argument("shell", type=click.Choice(list(_WHERE)))
@click.pass_context
def print_completion(ctx: click.Context, shell: str) -> None:
    """Print a script that makes the shell complete commands, options and names.

    For bash, add this line to ~/.bashrc; for zsh, add it to ~/.zshrc, with zsh instead of bash:

    eval "$(flowstone completion bash)"

    For fish, write the output to ~/.config/fish/completions/flowstone.fish.
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows these three"
    made = kind(ctx.find_root().command, {}, "flowstone", "_FLOWSTONE_COMPLETE")
    # Not `source()`, which first runs the shell to check its version.
    click.echo(made.source_template % made.source_vars())
