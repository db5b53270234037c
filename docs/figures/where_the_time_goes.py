"""The pictures, tables and code of docs/where-the-time-goes.md.

`python docs/figures/where_the_time_goes.py` draws docs/images/time-*.png from the results in
benchmarks/results and writes the marked blocks of the page anew. Run it after new measurements, and
after changing one of the functions that the page shows.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

DOCS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(DOCS.parent))

from benchmarks import inference, layers, markdown, plot, story  # noqa: E402
from benchmarks.results import Results  # noqa: E402
from minires.bench.measure import OURS, PYTORCH  # noqa: E402
from minires.bench.report import Row, amount  # noqa: E402
from minires.bench.workloads import NETWORKS  # noqa: E402
from minires.kernels import batch_norm, reference  # noqa: E402
from minires.kernels.convolution import im2col, winograd_1d  # noqa: E402
from minires.kernels.machinery import threads  # noqa: E402

PAGE = DOCS / "where-the-time-goes.md"
IMAGES = DOCS / "images"
RESULTS = DOCS.parent / "benchmarks" / "results" / "xeon-2-cores.json"
COMPILED = Results.read(DOCS.parent / "benchmarks" / "results" / "epyc-2-threads.json")

BLUE, ORANGE, GREY, RED = plot.BLUE, plot.ORANGE, plot.GREY, plot.RED
COLOURS = (BLUE, "#74b3e3", ORANGE, "#f0b878", GREY)

results = Results.read(RESULTS)
loops, layer, norm = (results.rows[f"story-{name}"] for name in ("loops", "layer", "norm"))
WORDS = story.STEPS


def code(function: Callable[..., Any], inner: str = "") -> str:
    """The source of a function, or of one defined inside it, without its docstring."""
    tree = ast.parse(source := textwrap.dedent(inspect.getsource(function)))
    node: Any = tree.body[0]
    if inner:
        node = next(n for n in ast.walk(node) if isinstance(n, ast.FunctionDef) and n.name == inner)
    lines = source.splitlines()
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    head = lines[node.lineno - 1 : first.lineno - 1]
    body = lines[(first.end_lineno if documented else first.lineno - 1) : node.end_lineno]
    text = textwrap.dedent("\n".join([*head, *body]))
    return f"```python\n{text}\n```"


# ---------------------------------------------------------------------- the steps


def _seconds_of_the_loops() -> float:
    """What the loops would take for the layer, by the multiply-adds of each."""
    small, large = (w.task for w in story.workloads()[:2])
    scale = layers.operations(large) / layers.operations(small)
    return scale * loops.figures[WORDS["loops"]].median


def _speed(seconds: float) -> str:
    """Of the layer in GFLOP/s; Winograd's counts as many operations as the others'."""
    giga = layer.operations / seconds / 1e9
    return f"{giga:.4f}" if giga < 1 else f"{giga:.0f}"


def step_rows() -> list[tuple[str, float]]:
    """What each step takes for the layer, and PyTorch."""
    found = [(WORDS["loops"], _seconds_of_the_loops())]
    found += [(WORDS[step], layer.figures[WORDS[step]].median) for step in story.LAYER]
    return [*found, (f"{_best(layer)}, two threads", layer.figures[_best(layer)].median)]


def _best(row: Row) -> str:
    return min((c.name for c in PYTORCH), key=lambda name: row.figures[name].median)


def step_table() -> str:
    lines = ["| | time | GFLOP/s | times the loops' speed |", "|---|---:|---:|---:|"]
    first = _seconds_of_the_loops()
    for words, seconds in step_rows():
        shown = f"{seconds:.0f} s" if seconds > 10 else amount(seconds, "s")
        lines.append(f"| {words} | {shown} | {_speed(seconds)} | {first / seconds:,.0f} |")
    return "\n".join(lines)


def steps_figure() -> Figure:
    figure = Figure(figsize=(9, 3), layout="constrained")
    ax = figure.subplots()
    for i, (words, seconds) in enumerate(step_rows()):
        speed = layer.operations / seconds / 1e9
        ax.barh(i, speed, 0.6, color=GREY if "PyTorch" in words else BLUE)
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # the line is behind it
        ax.text(speed * 1.1, i, _speed(seconds), va="center", fontsize=8, bbox=ground)
    peak = results.rows["product"]
    fastest = min(figure.median for figure in peak.figures.values())
    ax.axvline(peak.operations / fastest / 1e9, color=RED, lw=1, label="a large matrix product")
    ax.set_yticks(range(len(step_rows())), [words for words, _ in step_rows()], fontsize=8)
    ax.set(xscale="log", xlabel="GFLOP/s", xlim=(1e-3, 3e4))
    ax.legend(fontsize=8, loc="upper right")
    ax.invert_yaxis()
    return figure


def loop_sentence() -> str:
    one = loops.figures[WORDS["loops"]].median
    each = one / (layers.operations(story.workloads()[0].task) / 2)
    return (
        f"A multiplication with its addition takes {each * 1e9:.0f} ns here. The layer has "
        f"{layer.operations / 2e6:.0f} million of them: {_seconds_of_the_loops() / 60:.0f} minutes."
    )


def _compare(before: str, after: str, row: Row = layer) -> str:
    """`before` and `after` are steps."""
    slow, fast = (row.figures[WORDS[step]].median for step in (before, after))
    return f"**{amount(slow, 's')} before, {amount(fast, 's')} after.**"


def product_sentence() -> str:
    seconds = layer.figures[WORDS["product"]].median
    return f"**{_seconds_of_the_loops() / 60:.0f} minutes before, {amount(seconds, 's')} after.**"


def norm_table() -> str:
    lines = ["| batch norm of 128 x 32 x 32 x 16, forward and backward | time |", "|---|---:|"]
    names = [WORDS[step] for step in story.NORM]
    names += [f"{_best(norm)}, 1 thread", _best(norm)]
    lines += [f"| {name} | {amount(norm.figures[name].median, 's')} |" for name in names]
    return "\n".join(lines)


# ---------------------------------------------------------------------- whole networks


def _networks() -> list[Row]:
    return [results.rows[w.name] for w in NETWORKS if w.name in results.rows]


def network_table() -> str:
    lines = [
        "| | minires | PyTorch NCHW | PyTorch channels_last | ratio | limit | target |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in _networks():
        cells = [amount(row.figures[c.name].median, row.unit) for c in (OURS, *PYTORCH)]
        targets = [f"{x:.2f}" if x else "" for x in (row.limit, row.target)]
        lines.append(f"| {' | '.join([row.words, *cells, f'{row.ratio():.2f}', *targets])} |")
    return "\n".join(lines)


def networks_figure() -> Figure:
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    plot.ratios(left, results)
    plot.others(right, results)
    return figure


def settings_table() -> str:
    """One thread on both sides, and memory kept on both."""
    lines = [
        "| minires over PyTorch's faster layout | default settings | one thread | memory kept |",
        "|---|---:|---:|---:|",
    ]
    for row in _networks():
        alike = results.rows.get(f"settings-{row.name}")
        if alike is not None:
            ratios = [_ratio(row, ""), _ratio(alike, ", 1 thread"), _ratio(alike, ", memory kept")]
            lines.append(f"| {' | '.join([row.words, *(f'{r:.2f}' for r in ratios)])} |")
    return "\n".join(lines)


def _ratio(row: Row, ending: str) -> float:
    ratio = row.over([OURS.name + ending], [c.name + ending for c in PYTORCH])
    assert ratio is not None
    return ratio


def _divided() -> list[Row]:
    return [row for name, row in results.rows.items() if name.startswith("parts-")]


def parts_figure() -> Figure:
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    ax = figure.subplots()
    for i, row in enumerate(_divided()):
        start, total = 0.0, sum(f.median for f in row.figures.values())
        for (name, one), colour in zip(row.figures.items(), COLOURS, strict=True):
            share = one.median / total
            ax.barh(i, share, 0.6, left=start, color=colour, label=name if i == 0 else None)
            if share > 0.03:
                ax.text(start + share / 2, i, f"{share:.0%}", ha="center", va="center", fontsize=8)
            start += share
    ax.set_yticks(range(len(_divided())), [row.words for row in _divided()], fontsize=8)
    ax.set(xlim=(0, 1), xlabel="share of the time, on one thread")
    ax.invert_yaxis()
    ax.legend(fontsize=8, ncols=2, loc="lower center", bbox_to_anchor=(0.45, 1))
    return figure


def parts_table() -> str:
    rows = _divided()
    lines = [f"| | {' | '.join(row.words for row in rows)} |", "|---|" + "---:|" * len(rows)]
    for name in rows[0].figures:
        cells = [amount(row.figures[name].median, row.unit) for row in rows]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def growth_figure() -> Figure:
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    for ax, memory in zip(figure.subplots(1, 2), (False, True), strict=True):
        plot.growth(ax, results, memory)
    return figure


def growth_table() -> str:
    """A step's time and memory, of the batch and per image."""
    lines = [
        "| network | images | time | per image | memory | per image |",
        "|---|---:" + "|---:" * 4 + "|",
    ]
    for row in results.rows.values():
        if not row.name.startswith("growth-step"):
            continue
        depth, batch = row.name.removeprefix("growth-step-resnet").split("-")
        time = row.figures[OURS.name].median
        memory = results.rows[row.name.replace("step", "memory")].figures[OURS.name].median
        lines.append(
            f"| ResNet-{depth} | {batch} | {amount(time, 's')} | {time / int(batch) * 1e3:.2f} ms "
            f"| {amount(memory, 'bytes')} | {memory / int(batch) / 2**20:.2f} MiB |"
        )
    return "\n".join(lines)


def compiled_table() -> str:
    """Plans beside eager code, PyTorch and its compilers, and ONNX Runtime."""
    eager, ours, torch, onnx = OURS, inference.COMPILED, PYTORCH[1], inference.ONNX_RUNTIME
    contestants = (eager, ours, torch, inference.FROZEN, inference.TORCH_COMPILE, onnx)
    heads = [*(c.name for c in contestants), "of eager", "of PyTorch", "of ONNX Runtime"]
    lines = [machine(COMPILED), "", f"| | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    for row in COMPILED.rows.values():
        if ours.name in row.figures:
            cells = [amount(row.figures[c.name].median, row.unit) for c in contestants]
            over = (row.over((ours.name,), (c.name,)) for c in (eager, torch, onnx))
            cells += [f"{ratio:.2f}" for ratio in over if ratio is not None]
            lines.append(f"| {row.words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def machine(results: Results = results) -> str:
    """Whose figures these are."""
    facts = results.machine
    versions = [results.contestants[c.name] for c in (OURS, PYTORCH[0])]
    dates = sorted(date[:10] for date in results.dates.values())
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    return (
        f"Measured on {facts['processor']}, {facts['cores']} cores, {facts['memory']}, {when}: "
        f"{versions[0]['library']} on NumPy {versions[0]['NumPy']} ({versions[0]['kernels']}), "
        f"{versions[1]['library']} ({versions[1]['kernels']})."
    )


# ---------------------------------------------------------------------- the page

FIGURES: dict[str, Callable[[], Figure]] = {
    "steps": steps_figure,
    "networks": networks_figure,
    "parts": parts_figure,
    "growth": growth_figure,
}

BLOCKS: dict[str, Callable[[], str]] = {
    "machine": machine,
    "steps": step_table,
    "loops code": lambda: code(reference.conv2d),
    "loops": loop_sentence,
    "product code": lambda: code(story.product),
    "product": product_sentence,
    "blocks code": lambda: code(im2col.correlate, "run"),
    "blocks": lambda: _compare("product", "blocks"),
    "winograd code": lambda: code(winograd_1d.correlate_prepared, "run"),
    "winograd": lambda: _compare("blocks", "winograd"),
    "threads code": lambda: code(threads._Batch.work),
    "threads": lambda: _compare("winograd", "threads"),
    "norm code": lambda: code(batch_norm.scale_shift, "run"),
    "norm": norm_table,
    "networks": network_table,
    "settings": settings_table,
    "parts": parts_table,
    "compiled": compiled_table,
    "growth": growth_table,
}
"""What the page's marked blocks hold."""


def main() -> None:
    for name, draw in FIGURES.items():
        draw().savefig(IMAGES / f"time-{name}.png", dpi=110)
    markdown.write(PAGE, BLOCKS)


if __name__ == "__main__":
    main()
