"""`--distributed`: a command that `mpirun` has started several times over."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from minires import distributed
from minires.cli.streams import say
from minires.distributed import DistributedError, Group
from minires.distributed.mpi import Sum
from minires.training.recipe import Recipe


def among_processes(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command its group, as `context.obj`: all processes, where `--distributed` says so.

    The first alone is heard. An error of one process alone is told by that one and ends all.
    """

    @functools.wraps(command)
    def run(context: typer.Context, *args: Any, **options: Any) -> None:
        rank, size = distributed.launched()
        context.obj = Group()
        if not options["distributed"] and size > 1:
            if rank > 0:
                _say_nothing()
            raise ValueError(
                f"mpirun has started this {size} times, and each would train for itself and write "
                "to one folder: add --distributed"
            )
        if options["distributed"]:
            folder, device = options["resume"], options["device"]
            if folder is not None:
                device = Recipe.read(folder / "recipe.json").device
            how: Sum = "allreduce" if options["allreduce"] else "ordered"
            context.obj = distributed.world(how, device)
            if context.obj.rank > 0:
                _say_nothing()
        with context.obj.together(functools.partial(_tell, context.obj)):
            command(context, *args, **options)

    return run


def _say_nothing() -> None:
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  # to the end


def _tell(group: Group, error: BaseException) -> int:
    """Say what ends all processes, as `minires.cli.commands.run` does, and give the exit code."""
    sys.stderr = sys.__stderr__
    if isinstance(error, KeyboardInterrupt):
        say("interrupted")
        return 130
    if not isinstance(error, ValueError | TypeError | OSError | MemoryError | DistributedError):
        traceback.print_exception(error)
        return 1
    say(f"{error}" if group.rank == 0 else f"rank {group.rank}: {error}")
    return 2
