"""One training as a user starts it: `minires train` in a process and an environment of its own."""

from __future__ import annotations

import csv
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.recipes.presets import Preset
from minires.training.recipe import Recipe

NATIVE = "native"
OTHERS = ("Haswell", "Sandybridge")
"""Kernels that are asked for beside the machine's own: the first of another kind is the second."""

_CHOICES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # which kernels OpenBLAS takes, and blocks
_ASK = (
    "import numpy, threadpoolctl;"
    "print(*(p.get('architecture') for p in threadpoolctl.threadpool_info()"
    " if p['user_api'] == 'blas'))"
)


def environment(kernel: str) -> dict[str, str]:
    """The user's own, with the kernels that OpenBLAS would take by itself, or with these."""
    plain = {key: value for key, value in os.environ.items() if key not in _CHOICES}
    return plain if kernel == NATIVE else {**plain, "OPENBLAS_CORETYPE": kernel}


@cache
def kernels() -> dict[str, str]:
    """Two kinds of kernels that run here: what OpenBLAS calls them, and how to ask for them."""
    found: dict[str, str] = {}
    for wanted in (NATIVE, *OTHERS):
        asked = subprocess.run(
            [sys.executable, "-c", _ASK],
            env=environment(wanted),
            capture_output=True,
            text=True,
            check=True,
        )
        found.setdefault(asked.stdout.strip(), wanted)
        if len(found) == 2:
            break
    return found


INTERRUPTED = 130
"""The exit code of a training that was stopped and is saved."""


class OutOfTime(Exception):
    """The training was stopped and can be resumed."""


def train(
    preset: Preset, options: dict[str, Any], kernel: str, seed: int, folder: Path, until: float
) -> dict[str, Any]:
    """Train, or go on with what is in `folder`; it is removed once the result is known.

    Parameters
    ----------
    until : float
        When to stop, by `time.monotonic`.

    Returns
    -------
    dict
        The history's columns, `test_accuracy` in percent, `seconds` and, if it was trained in one
        sitting, `cpu_seconds`; or `failed`, what the command said.

    Raises
    ------
    OutOfTime
        If the time is up.
    """
    resumed = (folder / "last.npz").exists()
    if resumed:
        arguments = ["--resume", str(folder)]
    else:
        given = {**preset.given, **options, "seed": seed, "out": folder}
        arguments = [f"--{key.replace('_', '-')}={value}" for key, value in given.items()]
    started, before = time.monotonic(), _cpu_seconds()
    code, out, err = _command(arguments, environment(kernel), until)
    seconds, cpu = time.monotonic() - started, _cpu_seconds() - before
    if code:
        return {"failed": err.strip().splitlines()[-1]}
    settings = preset.settings()
    done = Recipe.read(folder / "recipe.json")
    different = [k for k in settings if k != "data" and getattr(done, k) != settings[k]]
    assert not different, f"{folder} is of other settings: {', '.join(different)}"
    with (folder / "history.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    right, count = (
        int(number.replace(",", "")) for number in re.findall(r"\(([\d,]+) of ([\d,]+)\)", out)[0]
    )
    result: dict[str, Any] = {
        column: [float(f"{float(row[column]):.5g}") for row in rows]
        for column in rows[0]
        if column != "epoch"
    }
    result |= {"test_accuracy": round(100 * right / count, 3), "test_images": count}
    result["epoch_seconds"] = result.pop("seconds")
    if not resumed:
        result |= {"seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1)}
    shutil.rmtree(folder)
    return result


def _command(
    arguments: list[str], environment: dict[str, str], until: float
) -> tuple[int, str, str]:
    """Exit code, output and errors of `minires train`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "minires", "train", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, err = process.communicate(timeout=max(until - time.monotonic(), 0))
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as stopped:
        if isinstance(stopped, subprocess.TimeoutExpired):
            process.send_signal(signal.SIGINT)  # a Ctrl-C has reached it by itself
        process.communicate()
        raise OutOfTime from None
    if process.returncode == INTERRUPTED:
        raise OutOfTime
    return process.returncode, out, err


def _cpu_seconds() -> float:
    """Of all ended processes that this one started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
