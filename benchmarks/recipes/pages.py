"""What docs/recipes.md and the README say of the trainings, from the committed results."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks import markdown
from benchmarks.markdown import Blocks, table
from benchmarks.paper import results
from benchmarks.recipes.presets import PRESETS
from minires.training import History
from minires.training.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks" / "results" / "recipes"
PAGE, README = ROOT / "docs" / "recipes.md", ROOT / "README.md"
PICTURE = ROOT / "docs" / "images" / "curves.png"

FIRST = PRESETS[0].name
"""The preset of the first command, `minires train`."""

LATER = 3
"""After so many epochs the validation loss has no excuse."""

Run = dict[str, Any]


def runs_of(name: str) -> list[Run]:
    """A preset's committed runs; none if it has not been trained."""
    path = FOLDER / f"{name}.json"
    return list(results.read(path)["rows"].values()) if path.exists() else []


def spike(run: Run) -> float:
    """The highest validation loss after the first epochs."""
    return max(run["valid_loss"][LATER:], default=float("nan"))


def by_kernel(runs: list[Run]) -> dict[str, list[Run]]:
    """Runs of each kernel, in the order in which they came."""
    return {kernel: [r for r in runs if r["kernel"] == kernel] for kernel in _kernels(runs)}


def _kernels(runs: list[Run]) -> list[str]:
    return list(dict.fromkeys(run["kernel"] for run in runs))


# ---------------------------------------------------------------------- docs/recipes.md


def reached() -> str:
    """The distributions of every preset and kernel, and where they come from."""
    rows, origins = [], []
    for preset in PRESETS:
        runs = runs_of(preset.name)
        for kernel, some in by_kernel(runs).items():
            good = [run for run in some if "failed" not in run]
            accuracies = [run["test_accuracy"] for run in good]
            rows.append(
                {
                    "recipe": preset.name,
                    "epochs": preset.settings()["epochs"],
                    "kernel": kernel,
                    "runs": len(some),
                    "failed": len(some) - len(good),
                    **_distribution(accuracies),
                    "highest late validation loss": f"{max(map(spike, good)):.2f}",
                    "CPU seconds": _typical(good, "cpu_seconds"),
                }
            )
        if runs:
            origins.append(_origin(preset.name))
    return f"{table(rows)}\n\nMeasured: {'; '.join(origins)}."


def _origin(name: str) -> str:
    found = results.read(FOLDER / f"{name}.json")
    about = found["settings"].get("images")
    images = f" ({about})" if about else ""
    processors = dict.fromkeys(run["processor"] for run in found["rows"].values())
    return f"{name}{images} {found['date']}, {' and '.join(processors)}"


def _distribution(accuracies: list[float]) -> dict[str, str]:
    parts = {"worst %": min, "median %": median, "mean %": mean, "best %": max}
    return {name: f"{of(accuracies):.1f}" for name, of in parts.items()}


def _typical(runs: list[Run], key: str) -> str:
    known = [run[key] for run in runs if key in run]
    return f"{median(known):.0f}" if known else ""


SHOWN = (
    "model",
    "epochs",
    "batch_size",
    "lr",
    "weight_decay",
    "label_smoothing",
    "max_grad_norm",
    "augment",
)


def settings() -> str:
    """The recipes themselves: what the code says."""
    rows = []
    for preset in PRESETS:
        recipe = Recipe(**{**preset.settings(), "data_dir": None, "download": False, "seed": 0})
        row: dict[str, Any] = {"recipe": preset.name}
        for key in SHOWN:
            value = getattr(recipe, key)
            row[key.replace("_", " ")] = ", ".join(value) if isinstance(value, tuple) else value
        rows.append(row)
    return table(rows)


# ---------------------------------------------------------------------- README.md


def first_training() -> str:
    """What the first command reaches, in a sentence."""
    runs = runs_of(FIRST)
    accuracies = [run["test_accuracy"] for run in runs]
    seeds = len({run["seed"] for run in runs})
    kernels = " and ".join(_kernels(runs))
    return (
        f"It gets {median(accuracies):.1f}% of the test images right in the median, and "
        f"{min(accuracies):.1f}% in the worst of {len(runs)} trainings: {seeds} seeds on "
        f"OpenBLAS's {kernels} kernels. [docs/recipes.md](docs/recipes.md) has the distributions."
    )


def history(run: Run) -> History:
    """A run's epochs as `fit` gave them."""
    names = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "lr")
    columns = zip(*(run[name] for name in names), run["epoch_seconds"], strict=True)
    return History.from_rows(
        [
            {"epoch": number, **dict(zip((*names, "seconds"), row, strict=True))}
            for number, row in enumerate(columns, start=1)
        ]
    )


BLOCKS: Blocks = {"settings": settings, "reached": reached}
README_BLOCKS: Blocks = {"first training": first_training}


def write_all() -> None:
    """The page, the README's sentence, and the curves that both show: those of the first run."""
    markdown.write(PAGE, BLOCKS)
    if runs := runs_of(FIRST):
        markdown.write(README, README_BLOCKS)
        history(runs[0]).write_plot(PICTURE)
