"""One process fails, is killed or is told to stop: all end, within seconds, and nothing is lost."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
import scenarios

from minires.distributed import Group

SECONDS = 60  # on two slow and busy cores; whoever waits for another would wait for ever

TRAIN = ("-m", "minires", "train", "--data", "digits", "--out", "out", "--epochs", 200)
FEW_STEPS = ("--distributed", "--batch-size", 256)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fails", "the disk of rank 1 is gone"),
        ("fails_outside", "not in fit"),
        ("exits", "rank 1 has ended, and rank 0 still waits for it"),
    ],
)
def test_what_ends_one_rank_ends_all(processes, name, message):
    code, _, err = processes(3, scenarios.__file__, name).end(SECONDS)
    assert code != 0
    assert message in err


def test_a_killed_rank_ends_the_job_and_it_goes_on_to_the_bit(processes, reports, tmp_path):
    code, _, _ = processes(2, scenarios.__file__, "dies").end(SECONDS)
    assert code != 0
    first, second = reports(2, scenarios.__file__, "goes_on", "whole")
    assert first == second
    assert first["goes_on"] == first["whole"]
    with pytest.warns(UserWarning, match="began on 2 processes and goes on on 1: batches and"):
        scenarios.train(Group(), out=tmp_path / "killed", resume=True)


def ranks_of(started):
    """The numbers of the processes that `mpirun` started."""
    listed = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    below, found = {str(started.run.pid)}, []
    for _ in range(4):
        below |= {pid for pid, parent, _ in rows if parent in below}
    found = [int(p) for p, _, line in rows if p in below and line.startswith(sys.executable)]
    return sorted(found)


def once_trained(started, folder):
    """Wait for the end of the first epoch."""
    deadline = time.monotonic() + SECONDS
    while not (folder / "history.csv").exists():
        assert started.run.poll() is None, started.end()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(("number", "at"), [("SIGINT", "rank 1"), ("SIGTERM", "mpirun")])
def test_a_signal_saves_once_and_all_exit_with_130(processes, tmp_path, number, at):
    started = processes(2, *TRAIN, *FEW_STEPS)
    once_trained(started, tmp_path / "out")
    pid = started.run.pid if at == "mpirun" else ranks_of(started)[1]
    os.kill(pid, getattr(signal, number))
    code, out, err = started.end(SECONDS)
    assert code == 130, out + err
    (where,) = re.findall("minires: stopped at (epoch .*); saved in out. Go on with: (.*)", err)
    assert where[1] == "minires train --resume out --distributed"
    assert out.count("resnet8, 75,002 parameters") == 1  # one rank prints


def test_a_second_signal_ends_at_once(processes, tmp_path):
    started = processes(2, *TRAIN, *FEW_STEPS)
    once_trained(started, tmp_path / "out")
    last = ranks_of(started)[-1]
    for _ in range(2):
        os.kill(last, signal.SIGINT)
        time.sleep(0.01)
    code, _, _ = started.end(SECONDS)
    assert code == 130


# ---------------------------------------------------------------------- what is refused


def test_mpirun_without_distributed_is_refused(processes, tmp_path):
    code, out, err = processes(2, *TRAIN).end(SECONDS)
    assert (code, out) == (2, "")
    assert err.count("add --distributed") == 1
    assert not (tmp_path / "out").exists()


def test_an_mpirun_of_another_mpi_is_refused(processes, tmp_path):
    """By what Open MPI's leaves in the environment; mpi4py is MPICH's, and sees itself alone."""
    code = "from minires.distributed import world; world()"
    of_open_mpi = {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "3"}
    code, _, err = processes(1, "-c", code, **of_open_mpi).end(SECONDS)
    assert code == 1
    assert "mpirun started 3 processes, but mpi4py sees 1: they belong to two MPIs" in err


def test_a_batch_too_small_is_refused_before_anything_is_written(processes, tmp_path):
    code, _, err = processes(2, *TRAIN, "--distributed", "--batch-size", 1).end(SECONDS)
    assert code == 2
    assert "minires: a batch of 1 is too small for 2 processes" in err
    assert not (tmp_path / "out" / "recipe.json").exists()


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("raise ImportError('no mpi4py')", "mpi4py is missing: pip install 'minires[mpi]'"),
        ("raise RuntimeError('no libmpi')", "mpi4py finds no MPI: pip install 'minires[mpi]'"),
    ],
)
def test_without_mpi_the_command_that_installs_it_is_named(
    run, monkeypatch, tmp_path, missing, message
):
    (tmp_path / "mpi4py").mkdir()
    (tmp_path / "mpi4py" / "__init__.py").write_text("")
    (tmp_path / "mpi4py" / "MPI.py").write_text(missing)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "mpi4py"]:
        monkeypatch.delitem(sys.modules, name)
    code, _, err = run("train", "--distributed")
    assert (code, message in err) == (2, True)
