"""The words of those who come from Docker: what they type is not taken, but answered with the word for it here."""

from __future__ import annotations

import click

WORDS = {"create": "set", "ls": "list", "inspect": "show", "rm": "remove"}


class DockersWords(click.Group):
    """A group whose commands are called otherwise in Docker."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = WORDS.get(args[0], "") if args else ""
        if word in self.commands:
            ctx.fail(f"No such command '{args[0]}'. Here it is '{word}'.")
        return super().resolve_command(ctx, args)
