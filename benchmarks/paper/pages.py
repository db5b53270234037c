"""The tables and pictures of docs/paper.md and docs/articles.md, from the committed results."""

from __future__ import annotations

import ast
from functools import partial
from typing import Any

from benchmarks import markdown
from benchmarks.markdown import Blocks, cell, table
from benchmarks.paper import articles, pictures, results
from benchmarks.paper.counts import cifar_counts, imagenet_counts, rounded_like
from benchmarks.paper.published import IMAGENET_ERROR, RECIPE, TEST_ERROR

DOCS = articles.DOCS
IMAGES = DOCS / "images"


def result(name: str) -> dict[str, Any] | None:
    """The committed results of an experiment; None if it has not been run."""
    path = results.FOLDER / f"{name}.json"
    return results.read(path) if path.exists() else None


def origin(found: dict[str, Any], command: str) -> str:
    """Where figures come from: command, machine, seed, date."""
    machine = found["machine"]
    seed = found["settings"].get("seed", 0)
    return (
        f"`{command}`, seed {seed}, {found['date']}, {machine['threads']} of "
        f"{machine['cores']} cores of an {machine['processor']}."
    )


# ---------------------------------------------------------------------- docs/paper.md


def imagenet_table() -> str:
    return table(
        [
            {
                "network": c.network,
                "parameters": c.parameters,
                "multiply-adds": c.multiply_adds,
                "in 10⁹": f"{c.multiply_adds / 1e9:.2f}",
                "table 1 (10⁹)": c.published,
            }
            for c in imagenet_counts()
        ]
    )


def cifar_table() -> str:
    return table(
        [
            {
                "network": c.network,
                "parameters": c.parameters,
                "in 10⁶": rounded_like(c.parameters / 1e6, c.published),
                "table 6 (10⁶)": c.published,
                "multiply-adds": c.multiply_adds,
            }
            for c in cifar_counts()
        ]
    )


def smaller_table() -> str:
    """What the experiments have less of than the paper."""
    found = result("degradation")
    assert found is not None
    ours = found["settings"]
    steps = ours["images"] // ours["batch_size"] * ours["epochs"]
    pairs = [
        ("training images", ours["images"], RECIPE["images"]),
        ("pixels", f"{ours['size']}x{ours['size']}", "32x32"),
        ("images a step", ours["batch_size"], RECIPE["batch_size"]),
        ("steps", steps, RECIPE["steps"]),
        (
            "rate divided by 10 at",
            f"{steps // 2:,}, {steps * 3 // 4:,}",
            ", ".join(f"{n:,}" for n in RECIPE["lr_divided_at"]),  # type: ignore[attr-defined]
        ),
        ("first rate", ours["lr"], RECIPE["lr"]),
        ("momentum, weight decay", "0.9, 0.0001", "0.9, 0.0001"),
        ("runs of each network", "1", "1; 5 for ResNet-110"),
    ]
    rows = [{"": what, "here": cell(here), "paper": cell(paper)} for what, here, paper in pairs]
    return table(rows)


def degradation_table() -> str:
    found = result("degradation")
    assert found is not None
    networks = found["rows"]
    depths = sorted(int(n.removeprefix("plain")) for n in networks if n.startswith("plain"))
    depths = [d for d in depths if f"resnet{d}" in networks]

    def last(kind: str, depth: int) -> float:
        error: float = networks[f"{kind}{depth}"]["train_error"][-1]
        return error

    rows = [
        {
            "layers": f"{d}",
            "plain, training error %": f"{last('plain', d):.1f}",
            "residual, training error %": f"{last('resnet', d):.1f}",
            "plain, test error %": f"{networks[f'plain{d}']['test_error']:.1f}",
            "residual, test error %": f"{networks[f'resnet{d}']['test_error']:.1f}",
            "residual, paper's test error %": TEST_ERROR.get(d, ""),
        }
        for d in depths
    ]
    deepest = depths[-1]
    plain, residual = (last(kind, deepest) - last(kind, 20) for kind in ("plain", "resnet"))
    command = "python -m benchmarks.paper degradation"
    return (
        f"{table(rows)}\n\n{origin(found, command)}\n\n"
        f"From 20 to {deepest} layers the plain networks' training error rises by {plain:.1f} "
        f"points and the residual ones' by {residual:.1f}; at {deepest} layers it is "
        f"{last('plain', deepest) - last('resnet', deepest):.1f} points lower with shortcuts."
    )


def gradient_table() -> str:
    found = result("degradation")
    assert found is not None
    rows = []
    for name, row in sorted(found["rows"].items(), key=lambda pair: _depth(pair[0])):
        line: dict[str, Any] = {"network": name}
        for when in ("start", "end"):
            norms = row["gradient_norms"][when]
            line |= {
                f"first layer, {when}": f"{norms[0]:.3g}",
                f"last layer, {when}": f"{norms[-1]:.3g}",
                f"first / last, {when}": f"{norms[0] / norms[-1]:.3g}",
            }
        rows.append(line)
    return table(rows)


def response_table() -> str:
    found = result("degradation")
    assert found is not None
    rows = []
    for name, row in sorted(found["rows"].items(), key=lambda pair: _depth(pair[0])):
        values = sorted(row["response_deviations"])
        rows.append(
            {
                "network": name,
                "smallest": f"{values[0]:.2f}",
                "median": f"{values[len(values) // 2]:.2f}",
                "largest": f"{values[-1]:.2f}",
            }
        )
    return table(rows)


def _depth(name: str) -> tuple[int, str]:
    return int(name.removeprefix("plain").removeprefix("resnet")), name


def ablation_table() -> str:
    found = result("ablation")
    assert found is not None
    rows = [
        {
            "ResNet-20 with": name,
            "parameters": row["parameters"],
            "first rate": row["lr"],
            "training error %": f"{row['train_error'][-1]:.1f}" if "train_error" in row else "",
            "test error %": f"{row['test_error']:.1f}" if "test_error" in row else "diverged",
        }
        for name, row in found["rows"].items()
    ]
    seeds = [
        row["train_error"][-1]
        for name, row in found["rows"].items()
        if name in ("shortcut A", "shortcut A, second seed", "shortcut A, third seed")
    ]
    command = "python -m benchmarks.paper ablation"
    return (
        f"{table(rows)}\n\n{origin(found, command)}\n\n"
        f"{len(seeds)} seeds of the same network differ by up to {max(seeds) - min(seeds):.1f} "
        "points of training error."
    )


def paper_shortcuts() -> str:
    return table(
        [{"network": name, "top-1 error %": error} for name, error in IMAGENET_ERROR.items()]
    )


def resnet20_text() -> str:
    command = "python -m benchmarks.paper resnet20 --data-dir FOLDER"
    found = result("resnet20")
    if found is None:
        return f"It has not been run yet: `{command}` writes its result and curve."
    settings, curve = found["settings"], found["curve"]
    return (
        f"{found['correct']:,} of {found['test_images']:,} test images right: an error of "
        f"**{found['test_error']}%** after {settings['epochs']} epochs; the paper has "
        f"{TEST_ERROR[20]}%. Training error {curve['train_error'][-1]}% in the last epoch, "
        f"{found['seconds'] / 60:.0f} minutes. SHA-256 of the weights: "
        f"`{found['weights_sha256']}`.\n\n{origin(found, command)}\n\n"
        "![Error by epoch](images/paper-resnet20.png)"
    )


PAPER: Blocks = {
    "imagenet": imagenet_table,
    "cifar": cifar_table,
    "smaller": smaller_table,
    "degradation": degradation_table,
    "gradients": gradient_table,
    "responses": response_table,
    "ablation": ablation_table,
    "shortcuts": paper_shortcuts,
    "resnet20": resnet20_text,
}

COUNTS = ("imagenet", "cifar")
"""The blocks that depend on the code alone."""

# ---------------------------------------------------------------------- docs/articles.md


def article_table(name: str) -> str:
    """A script's table, and how to get it."""
    path = articles.FOLDER / f"{name}.json"
    if not path.exists():
        return f"Not measured yet: `python -m benchmarks.paper articles {name}`."
    found = results.read(path)
    settings = ", ".join(f"{k} {v}" for k, v in found["settings"].items() if k != "pictures")
    return (
        f"{table(found['rows'])}\n\n[{name}.py](examples/{name}.py), {settings}: "
        f"{found['seconds']:.0f} s on a busy machine, {found['date']}."
    )


SHOWN = {
    "article_1_residual_block": "ResidualBlock",
    "article_2_image_folder": "run",
    "article_3_fit": "SmallResNet",
    "article_4_from_a_table": "ResNet",
}
"""The part of an article's script that the page shows."""


def shown_code(name: str) -> str:
    """A class or function of a script, as it stands there."""
    source = (articles.EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    (part,) = (n for n in ast.parse(source).body if getattr(n, "name", "") == SHOWN[name])
    return f"```python\n{ast.get_source_segment(source, part)}\n```"


def article_blocks() -> Blocks:
    tables: Blocks = {n: partial(article_table, n) for n in articles.names()}
    code: Blocks = {f"code of {n}": partial(shown_code, n) for n in SHOWN}
    return {**tables, **code}


# ---------------------------------------------------------------------- writing


def write_all() -> None:
    """Both pages and their pictures."""
    markdown.write(DOCS / "paper.md", PAPER)
    markdown.write(DOCS / "articles.md", article_blocks())
    for name in ("degradation", "resnet20"):
        found = result(name)
        if found is not None:
            for stem, figure in pictures.of(name, found).items():
                figure.savefig(IMAGES / f"paper-{stem}.png", dpi=110)
