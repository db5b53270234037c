"""Fixtures of the kernels' tests."""

import pytest

from minires import kernels


@pytest.fixture
def threads():
    """Put the number of threads back afterwards."""
    before = kernels.get_num_threads()
    yield
    kernels.set_num_threads(before)
