"""The tables and pictures of docs/paper.md, weights.md and articles.md, from the results."""

from __future__ import annotations

import ast
from functools import partial
from typing import Any

from benchmarks import markdown
from benchmarks.markdown import Blocks, cell, table
from benchmarks.paper import articles, pictures, results
from benchmarks.paper.counts import cifar_counts, imagenet_counts, rounded_like
from benchmarks.paper.published import AKAMASTER_ERROR, IMAGENET_ERROR, RECIPE, TEST_ERROR

DOCS = articles.DOCS
IMAGES = DOCS / "images"


def result(name: str) -> dict[str, Any] | None:
    """The committed results of an experiment; None if it has not been run."""
    path = results.FOLDER / f"{name}.json"
    return results.read(path) if path.exists() else None


def origin(found: dict[str, Any], command: str) -> str:
    """Where figures come from: command, machine, seed, date."""
    machine = found["machine"]
    seed = f"seed {found['settings']['seed']}, " if "seed" in found["settings"] else ""
    return (
        f"`{command}`, {seed}{found['date']}, {machine['threads']} of "
        f"{machine['cores']} cores of an {machine['processor']}."
    )


# ---------------------------------------------------------------------- docs/paper.md


def imagenet_table() -> str:
    counts = imagenet_counts()
    rows = [
        {
            "network": c.network,
            "parameters": c.parameters,
            "multiply-adds": c.multiply_adds,
            "in 10⁹": f"{c.multiply_adds / 1e9:.2f}",
            "table 1 (10⁹)": c.published,
        }
        for c in counts
    ]
    furthest = max(abs(c.multiply_adds / 1e9 - float(c.published)) for c in counts)
    return f"{table(rows)}\n\nNone is further than {furthest:.2f} from what the paper prints."


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
            ", ".join(map(cell, RECIPE["lr_divided_at"])),
        ),
        ("first rate", ours["lr"], RECIPE["lr"]),
        ("momentum, weight decay", "0.9, 0.0001", "0.9, 0.0001"),
        ("runs of each network", "1", "1; 5 for ResNet-110"),
    ]
    return table(_here_and_paper(pairs))


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
    found = result("resnet20")
    if found is None:
        return f"It has not been run yet: `{RESNET20_COMMAND}` writes its result and curve."
    settings, curve = found["settings"], found["curve"]
    steps = settings["images"] // settings["batch_size"] * settings["epochs"]
    divided = " and ".join(cell(n) for n in RECIPE["lr_divided_at"])
    pairs = [
        ("training images", settings["images"], RECIPE["images"]),
        ("images a step", settings["batch_size"], RECIPE["batch_size"]),
        ("steps", steps, RECIPE["steps"]),
        ("learning rate", settings["schedule"], f"{RECIPE['lr']}, divided by 10 at {divided}"),
        ("weight decay", settings["weight_decay"], RECIPE["weight_decay"]),
        ("training error in the last epoch %", f"{curve['train_error'][-1]:.2f}", ""),
        ("test error %", f"{found['test_error']:.2f}", f"{TEST_ERROR[20]:.2f}"),
    ]
    usual = {"dataset": "cifar10", "images": RECIPE["images"], "seed": 0}
    options = {"dataset": "data", "images": "images", "epochs": "epochs", "seed": "seed"}
    command = RESNET20_COMMAND + "".join(
        f" --{option} {settings[key]}"
        for key, option in options.items()
        if settings[key] != usual.get(key)
    )
    return (
        f"{found['correct']:,} of {found['test_images']:,} test images are right after "
        f"{settings['epochs']} epochs, which took {found['seconds'] / 60:.0f} minutes.\n\n"
        f"{table(_here_and_paper(pairs))}\n\n"
        "![Error by epoch, and the paper's](images/paper-resnet20.png)\n\n"
        f"SHA-256 of the weights, of which the same machine and number of threads give the same: "
        f"`{found['weights_sha256']}`.\n\n{origin(found, command)}"
    )


def _here_and_paper(pairs: list[tuple[str, Any, Any]]) -> list[dict[str, str]]:
    return [{"": what, "here": cell(here), "paper": cell(paper)} for what, here, paper in pairs]


RESNET20_COMMAND = "python -m benchmarks.paper resnet20 --data-dir FOLDER"

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

# ---------------------------------------------------------------------- docs/weights.md


def _weights(kind: str) -> list[dict[str, Any]]:
    found = result("weights")
    assert found is not None
    return [row for row in found["rows"].values() if row["kind"] == kind]


def _relative(row: dict[str, Any]) -> str:
    return f"{row['difference'] / row['largest_logit']:.0e}"


def published_weights() -> str:
    found = result("weights")
    assert found is not None
    count, rows = found["settings"]["images"], []
    for row in _weights("published"):
        depth = int(row["file"].split("-")[0].removeprefix("resnet"))
        rows.append(
            {
                "file": row["file"],
                "parameters": row["parameters"],
                "published error %": f"{AKAMASTER_ERROR[depth]:.2f}",
                "error here %": f"{100 * (1 - row['correct'] / count):.2f}",
                f"right of {count:,}": row["correct"],
                "largest difference of a logit": f"{row['difference']:.0e}",
            }
        )
    return (
        f"{table(rows)}\n\n{origin(found, WEIGHTS_COMMAND)} Logits are compared for the first "
        f"{_weights('published')[0]['compared']} images."
    )


def torchvision_weights() -> str:
    found = result("weights")
    assert found is not None
    return table(
        [
            {
                "network": name.removeprefix("torchvision "),
                "parameters": row["parameters"],
                "entries of the state dict": row["entries"],
                "largest difference / largest logit": _relative(row),
            }
            for name, row in found["rows"].items()
            if row["kind"] == "torchvision"
        ]
    )


def onnx_networks() -> str:
    return table(
        [
            {
                "network": row["network"],
                "batch norm": "folded" if row["folded"] else "kept",
                "nodes": row["nodes"],
                "largest difference / largest logit": _relative(row),
            }
            for row in sorted(
                _weights("onnx"), key=lambda row: int(row["network"][len("resnet") :])
            )
        ]
    )


WEIGHTS_COMMAND = "python -m benchmarks.paper weights FILE ... --data-dir FOLDER"

WEIGHTS: Blocks = {
    "published": published_weights,
    "torchvision": torchvision_weights,
    "onnx": onnx_networks,
}

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
    """The three pages and their pictures."""
    markdown.write(DOCS / "paper.md", PAPER)
    markdown.write(DOCS / "weights.md", WEIGHTS)
    markdown.write(DOCS / "articles.md", article_blocks())
    for name in ("degradation", "resnet20"):
        found = result(name)
        if found is not None:
            for stem, figure in pictures.of(name, found).items():
                figure.savefig(IMAGES / f"paper-{stem}.png", dpi=110)
