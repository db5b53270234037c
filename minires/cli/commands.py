"""The commands meet: what each is called, and what becomes of its errors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import typer

from minires import keyboard_interrupt
from minires.backend import DeviceError
from minires.bench.measure import ContestantError
from minires.checks.command import checkup_command
from minires.cli.bench import bench_command
from minires.cli.describe import info_command, summary_command
from minires.cli.evaluate import eval_command, predict_command
from minires.cli.export import export_command
from minires.cli.notebooks import notebooks_command
from minires.cli.streams import one_line_warnings, plain_output
from minires.cli.train import Stopped, train_command
from minires.coursework.commands.build_and_grade import (
    build_command,
    check_command,
    grade_command,
    mutants_command,
)
from minires.coursework.commands.marks import marks_command
from minires.coursework.commands.whole_class import similarity_command, statistics_command
from minires.distributed import DistributedError
from minires.errors import NonFiniteError
from minires.gradcheck.command import gradcheck_command
from minires.interop import MissingLibrary
from minires.training import TrainingError

app = typer.Typer(
    help="Residual networks from scratch, on NumPy or CuPy: train them, use them, look inside.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
coursework_app = typer.Typer(
    help="Build assignments, test their tests, give marks, look at what a class handed in.",
    add_completion=False,
)
app.add_typer(coursework_app, name="coursework")
GROUPS = [[group.name] for group in app.registered_groups]


def _add(to: typer.Typer, **commands: Callable[..., Any]) -> None:
    for name, command in commands.items():
        to.command(name)(plain_output()(command))


_add(
    app,
    train=train_command,
    eval=eval_command,
    predict=predict_command,
    export=export_command,
    summary=summary_command,
    gradcheck=gradcheck_command,
    checkup=checkup_command,
    notebooks=notebooks_command,
    info=info_command,
    bench=bench_command,
    check=check_command,
    grade=grade_command,
)
_add(
    coursework_app,
    build=build_command,
    marks=marks_command,
    mutants=mutants_command,
    statistics=statistics_command,
    similarity=similarity_command,
)

_USAGE_ERROR: Any = typer.BadParameter.__bases__[0]
_USER_ERRORS = (
    _USAGE_ERROR,
    ValueError,
    TypeError,
    DeviceError,
    MissingLibrary,
    DistributedError,
    OSError,
    MemoryError,
)


def run(arguments: list[str]) -> tuple[int, str]:
    """Run a command; a mistake of the user's has exit code 2.

    Returns
    -------
    tuple of (int, str)
        The exit code, and what is to be said on standard error.
    """
    try:
        keyboard_interrupt.raise_at_ctrl_c()
        if arguments in GROUPS:
            arguments = [*arguments, "--help"]
        _refuse_empty(arguments)
        with one_line_warnings():
            code = app(arguments, prog_name="minires", standalone_mode=False)
            sys.stdout.flush()
    except Stopped as error:
        return 130, str(error)
    except (KeyboardInterrupt, typer.Abort):  # some versions of typer return 130 instead
        code = 130
    except (TrainingError, ContestantError, NonFiniteError) as error:
        return 1, str(error)
    except BrokenPipeError:  # as in `minires info | head -1`
        return 1, ""
    except _USER_ERRORS as error:
        return 2, _message(error) or type(error).__name__
    if code == 130:
        return 130, "interrupted"
    return code if isinstance(code, int) else 0, ""


def _refuse_empty(arguments: list[str]) -> None:
    """An empty path would be the working directory, where a script forgot to set a variable."""
    for before, text in zip(["", *arguments], arguments, strict=False):
        option, equals, value = (
            text.partition("=") if text.startswith("--") else (before, "=", text)
        )
        if equals and not value.strip():
            raise ValueError(
                f"{option} is empty" if option.startswith("-") else "an empty argument"
            )


def _message(error: Any) -> str:
    if isinstance(error, _USAGE_ERROR):
        text = str(error.format_message())
        refused = getattr(error.__cause__, "errors", None)  # newer versions of typer do not say
        return f"{text}, got {refused()[0]['input']!r}" if refused else text
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}" if str(error) else "not enough memory"
    return str(error)
