"""Measurements that can be compared: libraries take turns, each in a process of its own.

Two libraries in one process disturb each other: after work, threads of a BLAS or of OpenMP spin for
a while, an allocator remembers. Here each has a process. They are all made ready, then
measured in short bursts in turns while the others sleep, so that a machine that grows slower or
faster does so for everybody.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minires.bench.tasks import Task

UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Settings of the environment that make OpenBLAS choose slower kernels than the machine has."""

KEPT_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 40),
    "MALLOC_TOP_PAD_": str(1 << 28),
}
"""Have glibc keep freed memory: no page fault then when the next step asks for as much."""


@dataclass(frozen=True)
class Contestant:
    """A library as it is set up for a measurement.

    Attributes
    ----------
    name : str
        As tables show it.
    module : str
        What knows the tasks: it has `about()` and `build(task, layout)`.
    layout : str
        One of the module's layouts, if it has several.
    threads : int or None
        None leaves the library its default.
    keeps_memory : bool
        Whether glibc is told to keep freed memory.
    """

    name: str
    module: str
    layout: str = ""
    threads: int | None = None
    keeps_memory: bool = False

    def environment(self) -> dict[str, str]:
        """The variables of its process."""
        chosen = {k: v for k, v in os.environ.items() if k not in UNSET}
        chosen = {k: v for k, v in chosen.items() if not k.startswith("MALLOC_")}
        if self.threads is not None:
            names = ("MINIRES_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
            chosen |= dict.fromkeys((*names, "MKL_NUM_THREADS"), str(self.threads))
        return chosen | (KEPT_MEMORY if self.keeps_memory else {})


OURS = Contestant("minires", "minires.bench.ours")
PYTORCH = (
    Contestant("PyTorch NCHW", "minires.bench.pytorch", "NCHW"),
    Contestant("PyTorch channels_last", "minires.bench.pytorch", "channels_last"),
)


@dataclass
class Timing:
    """What a contestant took for a task: the seconds of each run, burst by burst."""

    about: dict[str, str]
    bursts: list[list[float]] = field(default_factory=list)
    difference: float = 0.0
    """The largest relative difference of a result from minires's."""

    def quantile(self, q: float) -> float:
        """Seconds that a share `q` of the runs stayed below."""
        return float(np.quantile([t for burst in self.bursts for t in burst], q))

    @property
    def median(self) -> float:
        return self.quantile(0.5)


@dataclass
class Comparison:
    """The timings of one task, by contestant."""

    task: Task
    timings: dict[str, Timing]


class ContestantError(RuntimeError):
    """A contestant's process failed; the message says whose and why."""


class _Process:
    """A contestant's process, from the outside."""

    def __init__(self, contestant: Contestant, results: Path) -> None:
        self.contestant, self.results = contestant, results
        self._process = subprocess.Popen(
            [sys.executable, "-m", "minires.bench.contestant", contestant.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=contestant.environment(),
        )

    def ask(self, order: str, **arguments: Any) -> Any:
        self.send(order, **arguments)
        return self.receive()

    def send(self, order: str, **arguments: Any) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # `receive` says so
            print(json.dumps({"do": order, **arguments}), file=self._process.stdin, flush=True)

    def receive(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ContestantError(f"{self.contestant.name}: its process ended")
        answer = json.loads(line)
        if "error" in answer:
            raise ContestantError(f"{self.contestant.name}: {answer['error']}")
        return answer["answer"]

    def close(self) -> None:
        with self._process as process:
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def _started(contestants: Sequence[Contestant]) -> Iterator[list[_Process]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes = []
        for i, contestant in enumerate(contestants):
            process = _Process(contestant, folder / f"{i}.npz")
            stack.callback(process.close)
            processes.append(process)
        yield processes


def compare(
    tasks: Sequence[Task],
    contestants: Sequence[Contestant],
    *,
    rounds: int = 10,
    seconds: float = 0.3,
    progress: Callable[[], object] = lambda: None,
) -> Iterator[Comparison]:
    """Measure tasks, one after the other, each contestant in turns; one process a contestant.

    Parameters
    ----------
    tasks : sequence of Task
    contestants : sequence of Contestant
        The first one's results are what the others' are compared with.
    rounds : int
        How many bursts each contestant has.
    seconds : float
        How long a burst is; a longer run is still done once.
    progress : callable
        Called after each round.

    Yields
    ------
    Comparison
        Of each task, when it is measured.

    Raises
    ------
    ContestantError
        If a process fails, or its results are not the first one's.
    """
    with _started(contestants) as processes:
        about = {p.contestant.name: p.ask("about") for p in processes}
        for task in tasks:
            timings = {name: Timing(facts) for name, facts in about.items()}
            for process in processes:
                place = {"layout": process.contestant.layout, "results": str(process.results)}
                process.ask("prepare", task=asdict(task), **place)
            for process in processes[1:]:
                difference = _difference(processes[0].results, process.results)
                timings[process.contestant.name].difference = difference
            for turn in range(rounds):
                for i in range(len(processes)):
                    process = processes[(turn + i) % len(processes)]
                    bursts = timings[process.contestant.name].bursts
                    bursts.append(process.ask("burst", seconds=seconds))
                progress()
            yield Comparison(task, timings)


def peak_memory(task: Task, contestant: Contestant, runs: int = 3) -> int:
    """How many bytes a task takes at most, beyond those after import; in a fresh process."""
    with _started([contestant]) as (process,):
        place = {"layout": contestant.layout, "results": str(process.results)}
        peak: int = process.ask("peak", task=asdict(task), runs=runs, **place)
        return peak


def parts(task: Task, contestant: Contestant, runs: int = 5) -> dict[str, float]:
    """How the seconds of a run divide; for a contestant whose module has `parts(task, runs)`."""
    with _started([contestant]) as (process,):
        found: dict[str, float] = process.ask("parts", task=asdict(task), runs=runs)
        return found


TOLERANCE = 0.1
"""How far results may differ. One ReLU whose input is 1e-8 here and -1e-8 there moves gradients in
float32 by a hundredth; doing other work than asked moves them by more than this."""


def _difference(one: Path, other: Path) -> float:
    """The largest relative difference (in the Euclidean norm) between two files of results."""
    with np.load(one, allow_pickle=False) as ours, np.load(other, allow_pickle=False) as theirs:
        if set(ours) != set(theirs):
            raise ContestantError(f"not the same results: {sorted(set(ours) ^ set(theirs))}")
        worst = 0.0
        for name in ours:
            expected, got = ours[name], theirs[name]
            if expected.shape != got.shape:
                raise ContestantError(f"{name}: shapes {expected.shape} and {got.shape}")
            scale = max(float(np.linalg.norm(expected)), 1e-30)
            worst = max(worst, float(np.linalg.norm(expected - got)) / scale)
            if not worst <= TOLERANCE:
                raise ContestantError(f"{name} differs by {worst:.0%} from minires's")
        return worst
