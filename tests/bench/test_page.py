"""docs/where-the-time-goes.md has the figures that were measured and the code that runs."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.markdown import with_blocks, without_blocks

DOCS = Path(__file__).resolve().parents[2] / "docs"
AGAIN = "run: python docs/figures/where_the_time_goes.py"


@pytest.fixture(scope="module")
def script():
    path = DOCS / "figures" / "where_the_time_goes.py"
    spec = importlib.util.spec_from_file_location("where_the_time_goes", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page():
    return (DOCS / "where-the-time-goes.md").read_text(encoding="utf-8")


def test_the_marked_blocks_are_what_the_script_writes(script, page):
    assert with_blocks(page, script.BLOCKS) == page, AGAIN


def test_no_measured_figure_is_typed(page):
    measured = r"\d[\d.,]* ?(ms|s|seconds|minutes|MiB|GFLOP/s|%|times)\b"
    assert re.findall(measured, without_blocks(page)) == []


def test_every_picture_is_drawn_by_the_script(script, page):
    shown = re.findall(r"\(images/(time-\w+)\.png\)", page)
    assert shown == [f"time-{name}" for name in script.FIGURES]
    for name in shown:
        assert (DOCS / "images" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_code_is_shown_without_its_docstring(script):
    def outer():
        """Words."""
        before = 1

        def inner(x):
            # why
            return x + before

        return inner

    assert script.code(outer, "inner") == (
        "```python\ndef inner(x):\n    # why\n    return x + before\n```"
    )
    assert script.code(outer).splitlines()[1:3] == ["def outer():", "    before = 1"]


def growth(results, kind, by):
    """(layers or images, seconds or bytes), for ResNet-20 by images or 32 images by layers."""
    points = []
    for name, row in results.rows.items():
        if name.startswith(f"growth-{kind}-resnet"):
            depth, batch = map(int, name.removeprefix(f"growth-{kind}-resnet").split("-"))
            if (depth == 20) if by == "images" else (batch == 32):
                x = batch if by == "images" else depth
                points.append((x, row.figures["minires"].median))
    assert len(points) >= 4
    return np.array(points).T


SCRATCH = 16 << 20
"""Bytes of the threads' scratch memory, which few images do not fill."""


@pytest.mark.parametrize("by", ["images", "layers"])
def test_measured_memory_grows_linearly(script, by):
    x, y = growth(script.results, "memory", by)
    line = np.poly1d(np.polyfit(x, y, 1))
    spare = SCRATCH * (x == x.min()) if by == "images" else 0
    assert (abs(line(x) - y) < 0.1 * y + spare).all()


@pytest.mark.parametrize("by", ["images", "layers"])
def test_measured_time_grows_no_faster_than_linearly(script, by):
    """To a quarter, as other things ran on the machine."""
    x, y = growth(script.results, "step", by)
    assert y[-1] / y[0] < 1.25 * x[-1] / x[0]
