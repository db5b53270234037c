"""The pytest plugin, in a pytest of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CHECKS = """
import numpy as np
import pytest
from minires import Tensor
from minires.engine import op


@op
def wrong(x):
    return x * 2


@wrong.vjp
def wrong_vjp(g):
    return (g * 6,)


@op
def cut(x):
    return x * x


@cut.vjp
def cut_vjp(g, x):
    return (g * 2 * getattr(x, "data", x),) if isinstance(x, Tensor) else (g * 2 * x,)


def test_fixture_passes(gradcheck):
    assert gradcheck(lambda x: x.tanh(), [np.ones((2, 3))])


def test_fixture_fails(gradcheck):
    gradcheck(wrong, [np.ones((2, 3))])


@pytest.mark.gradcheck
def test_mark_passes():
    return cut, [np.ones(3)]


@pytest.mark.gradcheck(order=2)
def test_mark_fails():
    return cut, [np.ones(3)]


@pytest.mark.gradcheck(order=2)
def test_mark_sets_the_fixtures_options(gradcheck):
    gradcheck(cut, [np.ones(3)])


@pytest.mark.gradcheck
@pytest.mark.parametrize("size", [1, 2])
def test_mark_with_arguments(size, tmp_path):
    return cut, [np.ones(size)]


@pytest.mark.gradcheck
def test_mark_returns_nonsense():
    return 3
"""

UNUSED = """
import sys

def test_nothing_is_imported():
    assert "minires" not in sys.modules
    assert "numpy" not in sys.modules
"""


@pytest.fixture
def run(tmp_path):
    def run(source):
        (tmp_path / "test_it.py").write_text(source)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += ["--strict-markers", "-W", "error"]
        if not registered():
            command += ["-p", "pytest_minires"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    return run


def registered():
    """Whether the installed package names the plugin."""
    from importlib.metadata import entry_points

    return any(e.value == "pytest_minires" for e in entry_points(group="pytest11"))


def test_fixture_and_mark(run):
    text = run(CHECKS)
    assert "4 failed, 4 passed" in text
    assert "gradcheck of wrong: FAILED" in text
    assert "off by a factor of 3" in text
    assert "order 2: gradient of x by x" in text
    assert "this one returned 3" in text
    for name in ("fixture_fails", "mark_fails", "mark_sets", "mark_returns_nonsense"):
        assert f"FAILED test_it.py::test_{name}" in text
    assert "Traceback" not in text


def test_nothing_is_imported_until_used(run):
    assert "1 passed" in run(UNUSED)


UNSEEN = """
import unittest
import numpy as np
import pytest


@pytest.mark.gradcheck
async def test_async():
    return abs, [np.ones(3)]


class TestCase(unittest.TestCase):
    @pytest.mark.gradcheck
    def test_in_unittest(self):
        return abs, [np.ones(3)]


@pytest.mark.gradcheck(ordr=2)
def test_misspelt():
    return abs, [np.ones(3)]


@pytest.mark.gradcheck(2)
def test_by_position():
    return abs, [np.ones(3)]


@pytest.mark.gradcheck
class TestMarked:
    @pytest.mark.parametrize("size", [1, 2])
    def test_method(self, size):
        return lambda x: x.tanh(), [np.ones(size)]
"""


def test_nothing_passes_unseen(run):
    text = run(UNSEEN)
    assert "2 failed, 2 passed, 2 errors" in text
    assert "a test marked gradcheck cannot be async" in text
    assert "unittest drops what a test returns: call minires.gradcheck in it" in text
    assert "takes order, mode, h, atol, rtol, seed by name, not ordr" in text
    assert "by name, not 2" in text
