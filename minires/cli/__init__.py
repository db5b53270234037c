"""The command line. Each command is a function in a module of this folder; here they meet."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import typer

from minires.backend import DeviceError
from minires.bench.measure import ContestantError
from minires.cli.bench import bench_command
from minires.cli.describe import info_command, summary_command
from minires.cli.evaluate import eval_command, predict_command
from minires.cli.export import export_command
from minires.cli.notebooks import notebooks_command
from minires.cli.train import Stopped, train_command
from minires.coursework.command import check_command, coursework_app, grade_command
from minires.gradcheck.command import gradcheck_command
from minires.interop import MissingLibrary
from minires.training import TrainingError

app = typer.Typer(
    help="Residual networks from scratch, on NumPy or CuPy: train them, use them, look inside.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train_command)
app.command("eval")(eval_command)
app.command("predict")(predict_command)
app.command("export")(export_command)
app.command("summary")(summary_command)
app.command("gradcheck")(gradcheck_command)
app.command("notebooks")(notebooks_command)
app.command("info")(info_command)
app.command("bench")(bench_command)
app.command("check")(check_command)
app.command("grade")(grade_command)
app.add_typer(coursework_app, name="coursework")

_USAGE_ERROR: Any = typer.BadParameter.__bases__[0]
_USER_ERRORS = (
    _USAGE_ERROR,
    ValueError,
    TypeError,
    DeviceError,
    MissingLibrary,
    OSError,
    MemoryError,
)


def main() -> None:
    """Run the command line; a mistake of the user's gets one line and exit code 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a log is read while it grows, and no name of a class is worth an error of encoding
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        _refuse_empty(sys.argv[1:])
        code = app(sys.argv[1:] or ["--help"], prog_name="minires", standalone_mode=False)
        sys.stdout.flush()
    except Stopped as error:
        _fail(str(error), 130)
    except (KeyboardInterrupt, typer.Abort):  # some versions of typer return 130 instead
        code = 130
    except (TrainingError, ContestantError) as error:
        _fail(str(error), 1)
    except BrokenPipeError:  # as in `minires info | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except _USER_ERRORS as error:
        _fail(_message(error), 2)
    if code == 130:
        _fail("interrupted", 130)
    sys.exit(code if isinstance(code, int) else 0)


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


def _fail(message: str, code: int) -> None:
    print("minires:", *message.split(), file=sys.stderr)  # on one line
    sys.exit(code)
