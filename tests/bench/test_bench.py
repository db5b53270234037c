"""Measuring in processes that take turns: `minires.bench`, `minires bench`."""

import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from minires.bench import Contestant, Task, Timing, compare, parts, peak_memory, tasks
from minires.bench.measure import KEPT_MEMORY, OURS, ContestantError
from minires.bench.report import TARGETS, Figure, Row, table
from minires.bench.workloads import NETWORKS, Workload
from minires.cli import bench, main

pytestmark = pytest.mark.slow

SCALARS = Task("scalars", "scalars", length=10)

FAKE = """
import os, sys, time
import numpy as np
from minires.bench import ours
from minires.bench.tasks import Work

def about():
    return {"library": "fake", "seen": ",".join(sorted(os.environ))}

def build(task, layout):
    if layout == "broken":
        raise RuntimeError("no such kernel")
    if layout == "gone":
        os._exit(3)
    print("this is not an answer")
    right = ours.build(task, "").outputs()
    outputs = {n: 1.5 * np.asarray(a) if layout == "wrong" else a for n, a in right.items()}
    if layout == "fewer":
        del outputs["y"]
    return Work(lambda: time.sleep(0.02), lambda: outputs)
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    (tmp_path / "fake_library.py").write_text(FAKE)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    monkeypatch.setenv("PYTHONPATH", path)
    return Contestant("fake", "fake_library", "right")


def test_a_comparison(fake):
    steps = []
    (measured,) = compare(
        [SCALARS], [OURS, fake], rounds=3, seconds=0.05, progress=lambda: steps.append(1)
    )
    assert measured.task == SCALARS
    assert len(steps) == 3
    ours, theirs = measured.timings["minires"], measured.timings["fake"]
    assert len(ours.bursts) == len(theirs.bursts) == 3
    assert all(1 <= len(burst) <= 2 for burst in theirs.bursts)
    assert 0.02 <= theirs.median < 0.1
    assert theirs.difference == 0
    assert ours.about["library"].startswith("minires ")
    assert ours.about["NumPy"] == np.__version__


def test_a_burst_of_no_length_is_one_run(fake):
    (measured,) = compare([SCALARS], [fake], rounds=2, seconds=0)
    assert [len(burst) for burst in measured.timings["fake"].bursts] == [1, 1]


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("wrong", r"y differs by 50% from minires's"),
        ("fewer", r"not the same results: \['y'\]"),
    ],
)
def test_results_must_be_the_first_ones(fake, layout, message):
    with pytest.raises(ContestantError, match=message):
        list(compare([SCALARS], [fake, replace(fake, layout=layout)], rounds=1, seconds=0))


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("broken", "fake: RuntimeError: no such kernel"),
        ("gone", "fake: its process ended"),
    ],
)
def test_a_failing_process_is_named(fake, layout, message):
    with pytest.raises(ContestantError, match=message):
        list(compare([SCALARS], [replace(fake, layout=layout)], rounds=1, seconds=0))


def test_settings_of_the_environment(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "1")
    monkeypatch.setenv("MALLOC_TOP_PAD_", "7")
    plain = OURS.environment()
    assert not {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MALLOC_TOP_PAD_"} & set(plain)
    assert "OMP_NUM_THREADS" not in plain or "OMP_NUM_THREADS" in os.environ
    chosen = replace(OURS, threads=1, keeps_memory=True).environment()
    assert chosen["MINIRES_NUM_THREADS"] == chosen["OMP_NUM_THREADS"] == "1"
    assert KEPT_MEMORY.items() <= chosen.items()


def test_the_process_gets_them(fake, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    kept = replace(fake, keeps_memory=True)
    (measured,) = compare([SCALARS], [kept], rounds=1, seconds=0)
    seen = measured.timings["fake"].about["seen"]
    assert "MALLOC_MMAP_THRESHOLD_" in seen
    assert "OPENBLAS_CORETYPE" not in seen


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_counts_what_a_task_holds():
    small, large = (
        peak_memory(Task("memory", "step", "resnet8", (batch, 32, 32, 3)), OURS, runs=1)
        for batch in (2, 66)
    )
    images = 64 * 32 * 32 * 16 * 4  # one float32 map of 16 channels, for 64 images more
    assert 10 * images < large - small < 100 * images


@pytest.mark.parametrize("workload", NETWORKS, ids=lambda w: w.name)
def test_tiny_workloads_are_of_the_same_kind(workload):
    tiny = workload.tiny()
    assert replace(tiny, task=workload.task) == workload
    assert replace(tiny.task, shape=(), length=0) == replace(workload.task, shape=(), length=0)
    assert np.prod(tiny.task.shape) <= 4 * 64 * 64 * 3
    assert tiny.task.length <= 10


def test_parts_of_a_run_add_up():
    task = Task("step", "step", "resnet8", (8, 32, 32, 3))
    found = parts(task, replace(OURS, threads=1), runs=2)
    assert all(seconds > 0 for seconds in found.values()), found
    (measured,) = compare([task], [replace(OURS, threads=1)], rounds=2, seconds=0)
    # the machine may be busy: only that it is seconds of one run, not of all and not thousandths
    assert 0.05 < sum(found.values()) / measured.timings["minires"].median < 20


def test_numbers_are_the_same_in_every_process():
    task = Task("step", "step", "resnet8", (2, 8, 8, 3))
    first, second = (tasks.network(task).state_dict() for _ in range(2))
    assert all(np.array_equal(first[n].data, second[n].data) for n in first)
    assert np.array_equal(tasks.images(task)[0], tasks.images(task)[0])


# ---------------------------------------------------------------------- tables


def figure(median):
    return Figure(median, median, median, 1)


ROWS = [
    Row("a", "first", "s", {"minires": figure(0.3), "PyTorch NCHW": figure(0.25)}, 1.1, 0.9),
    Row(
        "b",
        "second",
        "bytes",
        {
            "minires": figure(3 * 2**20),
            "PyTorch NCHW": figure(9 * 2**20),
            "PyTorch channels_last": figure(6 * 2**20),
        },
        1.3,
    ),
]


def test_ratios_are_to_the_better_layout():
    assert [row.ratio() for row in ROWS] == [pytest.approx(1.2), 0.5]
    assert Row("c", "third", "s", {"minires": figure(1.0)}).ratio() is None


def test_a_ratio_is_that_of_most_rounds():
    # the machine runs at half its speed for two rounds, and for half of another
    rounds = {"minires": (1.2, 2.4, 2.4, 1.2, 2.4), "PyTorch NCHW": (1.0, 2.0, 2.0, 1.0, 1.0)}
    row = Row("d", "", "s", {n: Figure(2.0, 1.0, 2.0, 5, rounds=r) for n, r in rounds.items()})
    assert row.ratio() == pytest.approx(1.2)
    lone = Row("e", "", "s", row.figures | {"minires": figure(3.0)})
    assert lone.ratio() == 1.5  # of the medians, where rounds cannot be paired
    assert row.over(["MyGrad"], ["minires"]) is None


def test_rounds_are_those_of_the_timing():
    timing = Timing({}, [[3.0, 1.0, 2.0], [4.0], [8.0, 6.0]])
    assert Figure.of(timing).rounds == (2.0, 4.0, 7.0)
    assert Figure.of(timing).runs == 6


def test_the_table():
    names = ["minires", "PyTorch NCHW", "PyTorch channels_last"]
    lines = [line.split() for line in table(ROWS, names, TARGETS).splitlines()]
    assert lines[0] == [*" ".join(names).split(), "ratio", "limit", "target"]
    assert lines[1] == ["first", "300", "ms", "250", "ms", "1.20!", "1.10", "0.90"]
    assert lines[2] == ["second", "3", "MiB", "9", "MiB", "6", "MiB", "0.50", "1.30"]
    assert table(ROWS, names[:1]).splitlines()[1].split() == ["first", "300", "ms"]


def test_medians_are_over_all_runs():
    timing = Timing({}, [[1.0, 2.0], [3.0], [100.0, 4.0]])
    assert timing.median == 3
    assert Figure.of(timing).runs == 5


# ---------------------------------------------------------------------- the command


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["minires", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code, *capsys.readouterr()


def test_minires_bench(monkeypatch, capsys):
    monkeypatch.setattr(bench, "NETWORKS", [w.tiny() for w in NETWORKS])
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    code, out, _ = run(monkeypatch, capsys, "bench", "--rounds", "1", "--seconds", "0")
    assert code == 0
    assert "threads" in out
    for name in bench.SHORT:
        words = next(w.words for w in NETWORKS if w.name == name)
        assert any(line.startswith(words) and line.endswith(" ms") for line in out.splitlines())
    assert "pip install torch" in out


def test_minires_bench_says_what_failed_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(bench, "OURS", replace(OURS, module="no_such_module"))
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    code, _, errors = run(monkeypatch, capsys, "bench", "--rounds", "1")
    assert code == 1
    assert "minires: minires: its process ended" in errors.splitlines()[-1]


def test_every_target_of_the_networks_is_an_upper_limit_above_its_aim():
    for workload in NETWORKS:
        assert isinstance(workload, Workload)
        if workload.limit is not None:
            assert workload.target < workload.limit
