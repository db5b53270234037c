"""The page on numerical checks says what its script computes, and shows the pictures it draws."""

import importlib.util
import re
from pathlib import Path

import pytest

from benchmarks.markdown import with_blocks

DOCS = Path(__file__).resolve().parents[2] / "docs"
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]\d+)?")


@pytest.fixture(scope="module")
def script():
    path = DOCS / "figures" / "numerical_checks.py"
    spec = importlib.util.spec_from_file_location("numerical_checks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page():
    return (DOCS / "numerical-checks.md").read_text(encoding="utf-8")


def test_the_numbers_are_those_that_the_script_computes(script, page):
    """To a factor of two, since rounding differs from one processor to the next."""
    again = with_blocks(page, script.BLOCKS)
    assert NUMBER.sub("#", again) == NUMBER.sub("#", page)
    for written, computed in zip(NUMBER.findall(page), NUMBER.findall(again), strict=True):
        assert float(computed) / 2 <= float(written) <= float(computed) * 2


def test_every_picture_is_shown_and_drawn(script, page):
    shown = re.findall(r"\]\(images/check-(\w+)\.png\)", page)
    assert sorted(shown) == sorted(script.FIGURES)
    for name, draw in script.FIGURES.items():
        assert (DOCS / "images" / f"check-{name}.png").stat().st_size > 5000
        figure = draw()
        assert all(ax.get_xlabel() for ax in figure.axes if ax.get_label() != "<colorbar>")


def test_only_the_right_rule_passes_with_random_numbers(script):
    random, ones = script.seed_errors(False), script.seed_errors(True)
    assert [name for name, error in random.items() if error < 1e-6] == ["the right rule"]
    assert sum(error < 1e-6 for error in ones.values()) == 6


def test_the_best_step_is_near_the_cube_root_of_epsilon(script):
    for dtype in (script.np.float32, script.np.float64):
        best = script.STEPS[script.slope_error(dtype, central=True).argmin()]
        thumb = float(script.np.finfo(dtype).eps) ** (1 / 3)
        assert thumb / 4 < best < 4 * thumb


def test_the_report_names_the_mistake(script):
    (hint,) = script.wrong_report().hints
    assert "a mean where a sum belongs" in hint
