"""Trainings on several processes: skipped, with the reason, where there is no MPI."""

import importlib.util
import os

import pytest
from of_ranks import HERE, MPIRUN, Processes, reports_of

WANT_MPI = {"processes", "reports", "of_three"}


def obstacle():
    """Why nothing can be tried here; None if it can."""
    if importlib.util.find_spec("mpi4py") is None:
        return "mpi4py is not installed: pip install 'minires[mpi]'"
    return None if MPIRUN else "there is no mpirun: pip install 'minires[mpi]'"


def pytest_collection_modifyitems(config, items):
    reason = obstacle()
    if reason and os.environ.get("CI") and any("distributed" in arg for arg in config.args):
        pytest.exit(f"CI asks for these tests, and {reason}", returncode=1)
    for item in items:
        if reason and HERE in item.path.parents and WANT_MPI & {*item.fixturenames}:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def processes(tmp_path):
    """`processes(2, script, ...)` starts that many, in an empty folder."""
    started = []

    def start(ranks, *arguments, folder=tmp_path, **environment):
        started.append(Processes(ranks, *arguments, folder=folder, **environment))
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.fixture
def reports(tmp_path):
    """`reports(2, script, ...)`: what each rank left in its file."""
    return lambda ranks, *arguments: reports_of(ranks, tmp_path, *arguments)
