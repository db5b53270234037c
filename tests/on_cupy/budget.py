"""What one training step of ResNet-20 asks of a GPU, counted; writes the table in docs/cupy.md.

python tests/on_cupy/budget.py    # where the CuPy wheel and g++ are; no GPU
"""

import sys
from pathlib import Path

import numpy as np

from benchmarks import markdown

DOCS = Path(__file__).resolve().parents[2] / "docs" / "cupy.md"
COLUMNS = {
    "launches": "kernel launches",
    "products": "cuBLAS calls",
    "to_device": "uploads",
    "to_host": "downloads",
    "on_device": "copies on the GPU",
    "synchronisations": "synchronisations",
}
BATCH, SIZE = 128, 32

Counts = dict[str, dict[str, int]]
"""By phase, then by what is counted."""


NETWORKS = {"resnet20": (BATCH, SIZE), "resnet18": (8, 224), "resnet50": (4, 224)}
"""Images and their size: the counts do not grow with them."""

MOST = {"resnet20": 250, "resnet18": 250, "resnet50": 630}
"""Launches of a whole step at most."""


def of_networks(emulated) -> dict[str, dict[str, int]]:
    """What a whole step of each network takes, with nothing fused by name and no plan."""
    steps = {}
    for name, (batch, size) in NETWORKS.items():
        whole = measure(emulated, name, batch, size)["the whole step"]
        steps[name] = {key: whole[key] for key in ("launches", "products")}
    return steps


def networks_table(steps: dict[str, dict[str, int]]) -> str:
    """The same as Markdown."""
    rows = []
    for name, counts in steps.items():
        batch, size = NETWORKS[name]
        row = {"network": name, "images": f"{batch} of {size}x{size}"}
        rows.append(row | {COLUMNS[key]: value for key, value in counts.items()})
    return markdown.table(rows)


def measure(emulated, network: str = "resnet20", batch: int = BATCH, size: int = SIZE) -> Counts:
    """Count the second step, with the images uploaded and the loss logged; nothing is computed."""
    from minires import Tensor, models, optim
    from minires.nn import functional as F

    model = models.create(network, 10, 3).to("cuda")
    optimizer = optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    images = np.zeros((batch, size, size, 3), np.float32)
    labels = np.zeros(batch, np.int64)
    counts: Counts = {}

    def phase(name, function):
        before = emulated.counts()
        result = function()
        after = emulated.counts()
        counts[name] = {key: after[key] - before[key] for key in COLUMNS}
        return result

    with emulated.counting_only():
        for _ in range(2):
            optimizer.zero_grad()
            x = phase("upload", lambda: Tensor(images).to("cuda"))
            loss = phase("forward", lambda x=x: F.cross_entropy(model(x), labels))
            phase("backward", loss.backward)
            phase("optimiser", optimizer.step)
            phase("logging the loss", loss.item)
    counts["the whole step"] = {
        key: sum(phase[key] for phase in counts.values()) for key in COLUMNS
    }
    return counts


def as_table(counts: Counts) -> str:
    """The counts as Markdown."""
    rows = [
        {"phase": name, **{COLUMNS[key]: value[key] for key in COLUMNS}}
        for name, value in counts.items()
    ]
    return markdown.table(rows)


def recorded() -> Counts:
    """The counts in docs/cupy.md."""
    lines = markdown.block(DOCS.read_text(encoding="utf-8"), "budget").splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
    return {
        name: {key: int(v.replace(",", "")) for key, v in zip(COLUMNS, values, strict=True)}
        for name, *values in cells
    }


def main() -> None:
    """Write the table."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from on_cupy import emulation

    emulated = emulation.install()
    table, networks = as_table(measure(emulated)), networks_table(of_networks(emulated))
    markdown.write(DOCS, {"budget": lambda: table, "networks": lambda: networks})
    print(table, networks, sep="\n\n")


if __name__ == "__main__":
    main()
