"""The pictures and numbers of docs/numerical-checks.md: `python docs/figures/numerical_checks.py`.

Draws docs/images/check-*.png and writes the marked blocks of the page anew.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

DOCS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(DOCS.parent))

import minires  # noqa: E402
from benchmarks import markdown  # noqa: E402
from minires import Tensor, ops  # noqa: E402
from minires.engine import op  # noqa: E402
from minires.gradcheck import Report  # noqa: E402

PAGE = DOCS / "numerical-checks.md"
IMAGES = DOCS / "images"

BLUE, ORANGE, GREY, RED = "#0a6ebd", "#d96c00", "#777777", "#c62828"

# ---------------------------------------------------------------------- error against the step

STEPS = np.logspace(-13, 0, 27 * 8 + 1)
POINTS = np.linspace(0.5, 1.5, 101)  # the error at one point is luck, the mean over some is not


def slope_error(dtype: type, central: bool) -> np.ndarray[Any, Any]:
    """The mean relative error of a difference of exp, by step."""
    x = POINTS.astype(dtype)
    exact = np.exp(x.astype(np.float64))
    errors = []
    for h in STEPS:
        above, below = (x + dtype(h)).astype(dtype), (x - dtype(h)).astype(dtype)
        if not central:
            below = x
        with np.errstate(all="ignore"):
            run = above.astype(np.float64) - below  # the step that was really made
            rise = (np.exp(above) - np.exp(below)).astype(np.float64)
            slope = np.where(run > 0, rise / run, 0)
        errors.append((abs(slope - exact) / exact).mean())
    return np.array(errors)


def step_figure() -> Figure:
    figure = Figure(figsize=(9, 4), layout="constrained")
    for ax, dtype in zip(figure.subplots(1, 2, sharey=True), (np.float32, np.float64), strict=True):
        eps = float(np.finfo(dtype).eps)
        ax.loglog(STEPS, slope_error(dtype, False), color=ORANGE, lw=1.2, label="one-sided")
        ax.loglog(STEPS, slope_error(dtype, True), color=BLUE, lw=1.2, label="central")
        ax.loglog(STEPS, STEPS**2 / 6, "--", color=GREY, lw=1, label="truncation, $h^2/6$")
        ax.loglog(STEPS, eps / 4 / STEPS, ":", color=GREY, lw=1.4, label="rounding, $\\epsilon/4h$")
        ax.axvline(eps ** (1 / 3), color=RED, lw=1, label="$h = \\epsilon^{1/3}$")
        ax.set(xlabel="step h", ylim=(1e-13, 3), title=np.dtype(dtype).name)
        ax.grid(alpha=0.25)
    figure.axes[0].set_ylabel("relative error of the slope of exp")
    figure.axes[0].legend(fontsize=8, loc="lower left")
    return figure


def step_table() -> str:
    """The best step and what it gives, as measured; beside it eps^(1/3)."""
    lines = [
        "| dtype | difference | best h | error there | rule of thumb for h |",
        "|---|---|---:|---:|---:|",
    ]
    for dtype in (np.float32, np.float64):
        for name, central, power in (("one-sided", False, 1 / 2), ("central", True, 1 / 3)):
            errors = slope_error(dtype, central)
            at = errors.argmin()
            thumb = f"ε^(1/{round(1 / power)}) = {float(np.finfo(dtype).eps) ** power:.0e}"
            measured = f"{STEPS[at]:.0e} | {errors[at]:.0e}"
            lines.append(f"| {np.dtype(dtype).name} | {name} | {measured} | {thumb} |")
    return "\n".join(lines)


# ---------------------------------------------------------------------- kinks


def kink_figure() -> Figure:
    """Left: where the central difference straddles a kink. Right: what it makes of the distance."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    x, h, relu = 0.3, 1.0, lambda t: np.maximum(t, 0)
    line = np.linspace(-1.5, 2, 300)
    left.plot(line, relu(line), color="black", lw=1.6, label="ReLU")
    for a, b, colour, name in (
        (x, x + h, BLUE, "right slope 1"),
        (x - h, x, ORANGE, f"left slope {relu(x) / h:.1f}"),
        (x - h, x + h, RED, f"central {relu(x + h) / (2 * h):.2f}"),
    ):
        slope = (relu(b) - relu(a)) / (b - a)
        left.plot(line, relu(a) + slope * (line - a), "--", color=colour, lw=1, label=name)
        left.plot([a, b], relu(np.array([a, b])), "o", color=colour, ms=4)
    left.set(xlabel="x (the point is 0.3, the step 1)", ylabel="value", ylim=(-0.8, 2))
    left.legend(fontsize=8)
    distance = np.linspace(-2, 2, 401)
    right.plot(distance, distance > 0, color="black", lw=1.6, label="gradient in the code")
    central = (relu(distance + 1) - relu(distance - 1)) / 2
    right.plot(distance, central, color=RED, label="central difference")
    right.axvspan(-1, 1, color=GREY, alpha=0.15, lw=0, label="one-sided slopes disagree")
    right.set(xlabel="distance of the point from the kink, in steps h", ylabel="slope")
    right.legend(fontsize=8)
    for ax in (left, right):
        ax.grid(alpha=0.25)
    return figure


# ---------------------------------------------------------------------- a seed of ones

WrongRule = Callable[[Any, Any], Any]


def _centred(a: Any) -> Any:
    return a - a.mean(axis=0)


def normalize(x: Any) -> Any:
    """Each column with mean 0 and variance 1."""
    return _centred(x) / (_centred(x) ** 2).mean(axis=0) ** 0.5


def right_rule(g: Any, x: Any) -> Any:
    n, std = normalize(x), (_centred(x) ** 2).mean(axis=0) ** 0.5
    return (_centred(g) - n * (g * n).mean(axis=0)) / std


WRONG_RULES: dict[str, WrongRule] = {
    "the right rule": right_rule,
    "zero": lambda g, x: 0 * x,
    "seven times too large": lambda g, x: 7 * right_rule(g, x),
    "the sign": lambda g, x: -right_rule(g, x),
    "no term for the variance": lambda g, x: _centred(g) / (_centred(x) ** 2).mean(axis=0) ** 0.5,
    "variance not under a root": lambda g, x: (
        right_rule(g, x) / (_centred(x) ** 2).mean(axis=0) ** 0.5
    ),
    "no term for the mean": lambda g, x: (
        (g - normalize(x) * (g * normalize(x)).mean(axis=0))
        / (_centred(x) ** 2).mean(axis=0) ** 0.5
    ),
}


def seed_errors(seed_of_ones: bool) -> dict[str, float]:
    """The largest difference of rule and central differences, by rule."""
    rng = np.random.default_rng(0)
    x = 1.5 * rng.normal(size=(5, 3)) + 1
    v = np.ones(x.shape) if seed_of_ones else rng.normal(size=x.shape)
    numeric, h = np.zeros(x.shape), 6e-6
    for at in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[at] = h
        numeric[at] = ((normalize(x + step) - normalize(x - step)) * v).sum() / (2 * h)
    return {name: float(abs(rule(v, x) - numeric).max()) for name, rule in WRONG_RULES.items()}


def seed_figure() -> Figure:
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    ax = figure.subplots()
    names = list(WRONG_RULES)
    for offset, ones, colour in ((-0.2, True, ORANGE), (0.2, False, BLUE)):
        errors = seed_errors(ones)
        label = "upstream gradient of ones" if ones else "random upstream gradient"
        places = [i + offset for i in range(len(names))]
        ax.barh(places, [max(errors[n], 1e-12) for n in names], 0.38, color=colour, label=label)
    ax.axvline(1e-6, color=RED, lw=1, label="tolerance")
    ax.set(xscale="log", xlim=(1e-12, 30), xlabel="largest |analytic - numeric|")
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.legend(fontsize=8, ncol=3, loc="lower center", bbox_to_anchor=(0.5, 1))
    ax.grid(axis="x", alpha=0.25)
    return figure


# ---------------------------------------------------------------------- one scale a pair


def scale_point() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Numeric slopes and errors of a right gradient whose entries differ by many orders."""
    rng = np.random.default_rng(1)
    x, v = 6 * rng.normal(size=(40, 10)), rng.normal(size=(40, 10))
    report = minires.gradcheck(lambda x: (ops.softmax(x) * Tensor(v)).sum(), [x])
    comparison = report.comparisons[0]
    return abs(comparison.numeric).ravel(), comparison.error.ravel()


def scale_figure() -> Figure:
    sizes, errors = scale_point()
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    ax: Axes = figure.subplots()
    ax.loglog(sizes, np.maximum(errors, 1e-20), ".", color=BLUE, ms=4, label="entries, all right")
    line = np.array([sizes.min(), sizes.max()])
    ax.loglog(line, 1e-6 * line, color=ORANGE, label="1e-6 of each entry: false alarms above")
    ax.axhline(1e-9 + 1e-6 * sizes.max(), color=RED, label="1e-6 of the largest entry")
    ax.set(xlabel="|numeric| of an entry", ylabel="|analytic - numeric|", ylim=(1e-20, 1e-4))
    ax.legend(fontsize=8, loc="lower right")
    ax.grid(alpha=0.25)
    return figure


def seed_counts() -> str:
    wrong = [name for name in WRONG_RULES if name != "the right rule"]
    ones, random = (sum(seed_errors(b)[n] < 1e-6 for n in wrong) for b in (True, False))
    return f"Of {len(wrong)} wrong rules {ones} pass with ones and {random} with random numbers."


def scale_counts() -> str:
    sizes, errors = scale_point()
    alarms = int((errors > 1e-6 * sizes).sum())
    return (
        f"Here {alarms} of {sizes.size} right entries of a softmax's gradient would fail an "
        f"element-wise check at 1e-6, and none fails with one scale."
    )


# ---------------------------------------------------------------------- the report


@op
def my_linear(x: Any, w: Any) -> Any:
    return x @ w


@my_linear.vjp
def _my_linear_vjp(g: Any, x: Any, w: Any) -> tuple[Any, Any]:
    return g @ w.transpose(), x.transpose() @ g / len(x)  # somebody averaged over the batch


def wrong_report() -> Report:
    rng = np.random.default_rng(2)
    inputs = [rng.normal(size=(4, 6)), rng.normal(size=(6, 3))]
    return minires.gradcheck(my_linear, inputs, raise_exception=False)


def report_text() -> str:
    text = re.sub(r"evaluations, [\d.]+ s", "evaluations, 0.01 s", str(wrong_report()))
    return f"```text\n{text}\n```"


# ---------------------------------------------------------------------- the page

FIGURES: dict[str, Callable[[], Figure]] = {
    "step": step_figure,
    "kink": kink_figure,
    "seed": seed_figure,
    "scale": scale_figure,
    "report": lambda: wrong_report().plot(),
}

BLOCKS: dict[str, Callable[[], str]] = {
    "step": step_table,
    "seed": seed_counts,
    "scale": scale_counts,
    "report": report_text,
}
"""What the page's marked blocks hold."""


def main() -> None:
    for name, draw in FIGURES.items():
        draw().savefig(IMAGES / f"check-{name}.png", dpi=110)
    markdown.write(PAGE, BLOCKS)


if __name__ == "__main__":
    main()
