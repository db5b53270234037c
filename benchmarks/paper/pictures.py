"""The pictures of docs/paper.md, from the results."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from benchmarks.paper.published import TEST_ERROR

COLOURS = {8: "#7a7a7a", 20: "#0a6ebd", 32: "#2a9d57", 44: "#d96c00", 56: "#c62828"}
KINDS = (("plain", "plain networks"), ("resnet", "residual networks"))


def of(name: str, found: dict[str, Any]) -> dict[str, Figure]:
    """The pictures of one experiment, by the end of their file's name."""
    if name == "resnet20":
        return {"resnet20": resnet20(found)}
    rows = found["rows"]
    return {
        "degradation": degradation(rows),
        "depth": by_depth(rows),
        "gradients": gradients(rows),
        "responses": responses(rows),
    }


def _two(rows: dict[str, Any]) -> tuple[Figure, list[tuple[Any, str, dict[int, Any]]]]:
    """A figure of two panels, and for each its title and the rows of its networks by depth."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    found = []
    for ax, (kind, title) in zip(panels, KINDS, strict=True):
        own = {int(n.removeprefix(kind)): r for n, r in rows.items() if n.startswith(kind)}
        ax.set_title(title)
        ax.grid(alpha=0.25)
        found.append((ax, kind, dict(sorted(own.items()))))
    return figure, found


def degradation(rows: dict[str, Any]) -> Figure:
    """Training error by epoch, as in figure 6 left and middle."""
    figure, panels = _two(rows)
    for ax, kind, networks in panels:
        for depth, row in networks.items():
            epochs = range(1, len(row["train_error"]) + 1)
            ax.plot(epochs, row["train_error"], color=COLOURS[depth], label=f"{kind}{depth}")
            ax.plot(epochs[-1], row["test_error"], "o", color=COLOURS[depth], ms=5, mfc="none")
        ax.set(xlabel="epoch")
        ax.legend(fontsize=8)
    panels[0][0].set_ylabel("training error (%); circles: test error")
    return figure


def by_depth(rows: dict[str, Any]) -> Figure:
    """The last training error by depth, and beside it the paper's test errors."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for kind, colour in (("plain", "#c62828"), ("resnet", "#0a6ebd")):
        depths = sorted(int(n.removeprefix(kind)) for n in rows if n.startswith(kind))
        for what, style in (("train_error", "-o"), ("test_error", ":s")):
            values = [rows[f"{kind}{d}"][what] for d in depths]
            values = [v[-1] if isinstance(v, list) else v for v in values]
            name = f"{kind}, {'training' if what == 'train_error' else 'test'}"
            left.plot(depths, values, style, color=colour, label=name, ms=4)
    left.set(title="here", xlabel="layers", ylabel="error (%)")
    left.legend(fontsize=8)
    shown = {d: e for d, e in TEST_ERROR.items() if d <= 110}
    right.plot(list(shown), list(shown.values()), ":s", color="#0a6ebd", label="resnet, test", ms=4)
    right.set(title="He et al. 2015, table 6", xlabel="layers", ylabel="error (%)", ylim=(5, 10))
    right.legend(fontsize=8)
    for ax in (left, right):
        ax.grid(alpha=0.25)
    return figure


def gradients(rows: dict[str, Any]) -> Figure:
    """The gradient norm of each 3x3 convolution, before the first step and after the last."""
    figure, panels = _two(rows)
    for ax, kind, networks in panels:
        for depth, row in networks.items():
            for when, style in (("start", "-"), ("end", ":")):
                norms = row["gradient_norms"][when]
                label = f"{kind}{depth}" if when == "start" else None
                ax.plot(range(1, len(norms) + 1), norms, style, color=COLOURS[depth], label=label)
        ax.set(xlabel="3x3 convolution, from the first", yscale="log")
        ax.legend(fontsize=8)
    panels[0][0].set_ylabel("norm of its gradient\n(dotted: after training)")
    return figure


def responses(rows: dict[str, Any]) -> Figure:
    """The standard deviation of each 3x3 layer's responses, as in figure 7 above."""
    figure, panels = _two(rows)
    for ax, kind, networks in panels:
        for depth, row in networks.items():
            values = row["response_deviations"]
            ax.plot(range(1, len(values) + 1), values, color=COLOURS[depth], label=f"{kind}{depth}")
        ax.set(xlabel="3x3 layer, from the first", yscale="log")
        ax.legend(fontsize=8)
    panels[0][0].set_ylabel("standard deviation of its responses")
    return figure


def resnet20(found: dict[str, Any]) -> Figure:
    """Training and test error by epoch, and the paper's last test error."""
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    ax = figure.subplots()
    for part, what, colour in (("train", "training", "#0a6ebd"), ("test", "test", "#c62828")):
        values = found["curve"][f"{part}_error"]
        ax.plot(range(1, len(values) + 1), values, color=colour, label=f"{what} error")
    theirs = f"test error of He et al. 2015, table 6 ({TEST_ERROR[20]}%)"
    ax.axhline(TEST_ERROR[20], color="#7a7a7a", ls=":", label=theirs)
    ax.set(xlabel="epoch", ylabel="error (%)", ylim=(0, None))
    ax.grid(alpha=0.25)
    ax.legend(fontsize=8)
    return figure
