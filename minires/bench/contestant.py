"""A process that measures one library: `python -m minires.bench.contestant MODULE`.

It takes orders as lines of JSON on its standard input, answers each with a line, and sleeps in
between. What the library itself prints goes to standard error.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from minires.bench.tasks import Task, Work

SHORT = 0.05
"""Seconds. A burst of shorter runs begins with one that does not count: others have just used the
caches."""

SAMPLE = 0.002
"""Seconds. Runs that are shorter are timed several at a time."""


class Measuring:
    """The orders that a process obeys, one method each; answers are data for JSON."""

    def __init__(self, module: str) -> None:
        self.library: Any = importlib.import_module(module)
        self.work: Work | None = None
        self.once = 0.0

    def about(self) -> dict[str, str]:
        """The library's version, threads and kernels."""
        return {**self.library.about(), "Python": sys.version.split()[0], "NumPy": np.__version__}

    def prepare(self, task: dict[str, Any], layout: str, results: str) -> None:
        """Make a task ready, do it once, and write its results to a file."""
        self.work = None
        gc.collect()
        self.work = self.library.build(_task(task), layout)
        np.savez(results, **self.work.outputs())
        start = time.perf_counter()
        self.work.run()
        self.once = time.perf_counter() - start

    def burst(self, seconds: float) -> list[float]:
        """Run for about so long, once at least: the seconds of each run."""
        assert self.work is not None
        run, times = self.work.run, []
        if self.once < SHORT:
            run()
        repeats = max(1, round(SAMPLE / self.once))
        begin = time.perf_counter()
        while True:
            start = time.perf_counter()
            for _ in range(repeats):
                run()
            end = time.perf_counter()
            times.append((end - start) / repeats)
            if end - begin + repeats * times[-1] > seconds:
                break
        _settle()
        return times

    def peak(self, task: dict[str, Any], layout: str, results: str, runs: int) -> int:
        """How many bytes a task takes at most, beyond what the libraries took when imported."""
        _forget_peak()
        before = _status("VmRSS")
        self.prepare(task, layout, results)
        assert self.work is not None
        for _ in range(runs):
            self.work.run()
        return _status("VmHWM") - before

    def parts(self, task: dict[str, Any], runs: int) -> dict[str, float]:
        """How the seconds of a run divide."""
        found: dict[str, float] = self.library.parts(_task(task), runs)
        return found


def _task(data: dict[str, Any]) -> Task:
    return Task(**{**data, **{key: tuple(data[key]) for key in ("shape", "kernel")}})


def _settle() -> None:
    """Wait until the library's threads sleep: after work many spin for a while, and cost others."""
    for _ in range(100):
        used = time.process_time()
        time.sleep(0.01)
        if time.process_time() - used < 0.001:
            return


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from here: see proc(5)


def _status(name: str) -> int:
    """A line of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {name}")


def _answers() -> TextIO:
    """The real standard output; from here on, whatever else writes to it reaches standard error."""
    own = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return own


def main() -> None:
    """Obey until the input ends."""
    answers = _answers()
    measuring = Measuring(sys.argv[1])
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = {"answer": getattr(measuring, order.pop("do"))(**order)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
