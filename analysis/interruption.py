"""What Ctrl-C does: the command stops with exit code 130, keeps what was finished, and says how to go on."""

from typing import Any

import typer
from typer.core import TyperGroup

from probing.progress import console

GOES_ON = {"extract", "sweep", "repair", "merge", "attm"}  # keep what is finished and take it up again


class InterruptibleGroup(TyperGroup):
    """Commands that Ctrl-C ends as a person expects."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if ctx.invoked_subcommand in GOES_ON:
                console.print("Interrupted. The same command goes on where it stopped.")
            else:
                console.print("Interrupted; nothing was changed. The same command begins again.")
            raise typer.Exit(130) from None
