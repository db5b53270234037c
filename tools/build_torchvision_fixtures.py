"""Write tests/interop/fixtures: torchvision's keys and shapes, and its logits for known weights.

Needs an environment of its own with torch 2.14.1 and torchvision 0.29.1:

    python tools/build_torchvision_fixtures.py

The weights and images are those of tests/interop/formula.py; the logits are float32, computed in
float64 so that only the final rounding is PyTorch's.
"""

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "interop" / "fixtures"
sys.path.insert(0, str(ROOT / "tests"))

from interop.formula import fill, image  # noqa: E402

NETWORKS = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("resnext50_32x4d", "wide_resnet50_2"),
)


def main():
    FOLDER.mkdir(exist_ok=True)
    shapes, logits = {}, {}
    for name in NETWORKS:
        network = getattr(torchvision.models, name)(weights=None).eval()
        state = network.state_dict()
        shapes[name] = {key: list(value.shape) for key, value in state.items()}
        network.load_state_dict({k: torch.from_numpy(fill(k, s)) for k, s in shapes[name].items()})
        with torch.no_grad():
            values = network.double()(torch.from_numpy(image()).double())
        logits[name] = values.numpy().astype(np.float32)
        print(f"{name:<16} {len(state):4} keys, logits to {abs(logits[name]).max():.3g}")
    text = json.dumps({"torchvision": torchvision.__version__, "shapes": shapes})
    (FOLDER / "torchvision_shapes.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    np.savez_compressed(FOLDER / "torchvision_logits.npz", **logits)


if __name__ == "__main__":
    main()
