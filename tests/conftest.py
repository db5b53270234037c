"""Fixtures of the whole suite."""

import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from shared_data import shared_folder, skip_without_shared_data

import minires.cli.commands
from minires import cli, kernels

# A slow or busy machine is no fault of what is tested; and on CI, where other people's work waits,
# the same cases are drawn every time.
settings.register_profile(
    "minires",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("minires")


def pytest_configure():
    # a shell's background job is started with Ctrl-C ignored, and so would be all that tests start
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item):
    skip_without_shared_data(item)


@pytest.fixture
def shared() -> Path:
    """The data folder; for tests marked `shared`."""
    return shared_folder()


@pytest.fixture(autouse=True)
def same_draws_every_time():
    """Start the library's generator anew, so that no test depends on those before it."""
    minires.manual_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator of the test's own."""
    return np.random.default_rng(20151210)


@pytest.fixture
def threads():
    """Put the number of threads back afterwards."""
    before = kernels.get_num_threads()
    yield
    kernels.set_num_threads(before)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """`run("train", "--epochs", 1)`: exit code, standard output and error, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["minires", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code or 0, *capsys.readouterr()

    return command
