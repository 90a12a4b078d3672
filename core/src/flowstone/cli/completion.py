"""`flowstone completion`: what makes a shell complete the command's words."""

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

    For bash, add this line to ~/.bashrc; for zsh, the same with zsh to ~/.zshrc:

    eval "$(flowstone completion bash)"

    For fish, write it to ~/.config/fish/completions/flowstone.fish.
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows these three"
    made = kind(ctx.find_root().command, {}, "flowstone", "_FLOWSTONE_COMPLETE")
    # Not `source()`, which first runs the shell to see how old it is.
    click.echo(made.source_template % made.source_vars())
