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


def measure(emulated) -> Counts:
    """Count the second step, with the images uploaded and the loss logged; nothing is computed."""
    from minires import Tensor, models, optim
    from minires.nn import functional as F

    model = models.create("resnet20", 10, 3).to("cuda")
    optimizer = optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    images = np.zeros((BATCH, SIZE, SIZE, 3), np.float32)
    labels = np.zeros(BATCH, np.int64)
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

    table = as_table(measure(emulation.install()))
    markdown.write(DOCS, {"budget": lambda: table})
    print(table)


if __name__ == "__main__":
    main()
