"""Fixtures of the whole suite."""

import os
from pathlib import Path

import numpy as np
import pytest

import minires

CHECKOUT = Path(__file__).resolve().parent.parent


def shared_folder() -> Path:
    """The folder with data that is too large for the repository."""
    return Path(os.environ.get("MINIRES_SHARED") or CHECKOUT.parent / "shared")


def pytest_runtest_setup(item):
    """Skip a test marked `shared` where that folder is absent; on CI that is a failure."""
    if item.get_closest_marker("shared") is None or shared_folder().is_dir():
        return
    message = f"no data folder {shared_folder()}: set MINIRES_SHARED to where it is"
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


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
