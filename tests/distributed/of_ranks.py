"""Processes that `mpirun` starts: more of them than there are processors, and each with a limit."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
LIMIT = 120  # seconds, after which whoever waits for another is ended, and the test fails

beside = Path(sys.executable).parent / "mpirun"
MPIRUN = str(beside) if beside.exists() else shutil.which("mpirun")


class Processes:
    """`mpirun -n ranks python ...`, ended whole at the end."""

    def __init__(self, ranks, *arguments, folder, within=(), options=(), **environment):
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("PMI", "OMPI", "MINIRES_"))
        }
        kept |= {"MINIRES_NUM_THREADS": "1", "PYTHONPATH": path(), **environment}
        self.run = subprocess.Popen(
            [*map(str, [*within, MPIRUN, *options, "-n", ranks, sys.executable, *arguments])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=kept,
            start_new_session=True,
        )

    def end(self, limit=LIMIT):
        """Exit code, standard output and error; a failure if it takes too long."""
        try:
            out, err = self.run.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self.kill()
            out, err = self.run.communicate()
            pytest.fail(f"still running after {limit} s\n{out}\n{err}")
        return self.run.returncode, out, err

    def lines(self):
        """What is printed, line by line, until it ends."""
        assert self.run.stdout is not None
        yield from self.run.stdout

    def kill(self):
        if self.run.poll() is None:
            os.killpg(self.run.pid, signal.SIGKILL)


def path():
    """Where the processes find this checkout, and the modules beside the tests."""
    places = [HERE.parent.parent, HERE.parent, HERE, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.pathsep.join(map(str, places))


def reports_of(ranks, folder, *arguments, **environment):
    """What each rank of a script left in its file, rank-0.json and so on."""
    started = Processes(ranks, *arguments, folder=folder, **environment)
    code, out, err = started.end()
    assert code == 0, out + err
    return [json.loads((folder / f"rank-{k}.json").read_text()) for k in range(ranks)]
