"""Build the README's picture: the player of a residual block in one dimension, frame by frame.

    python -m tools.build_readme_picture

Writes docs/images/residual_block.gif, on a white ground, so that it reads in light and dark.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from minires import Tensor, viz
from minires.files import atomic_write
from minires.viz.player import Player

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "residual_block.gif"
SECONDS = 1.8, 5.0
"""How long each step stands, and the last one."""


def player() -> Player:
    """y = x + tanh(w x), and the loss y²: the gradient takes both ways back to x."""
    x = Tensor(np.array(2.0), requires_grad=True)
    w = Tensor(np.array(-0.75), requires_grad=True)
    branch = (w * x).tanh()
    y = branch + x
    loss = y * y
    return viz.step_through(loss, {"x": x, "w": w, "branch": branch, "y": y, "loss": loss})


def main() -> None:
    shown = player()
    frames = []
    for step in range(len(shown)):
        file = io.BytesIO()
        shown.plot(step).savefig(file, format="png", dpi=96)
        frames.append(Image.open(file).convert("RGB").quantize(64))
    durations = [int(1000 * SECONDS[step == len(shown) - 1]) for step in range(len(shown))]
    with atomic_write(PICTURE) as file:
        frames[0].save(
            file, "gif", save_all=True, append_images=frames[1:], duration=durations, loop=0
        )
    print(f"{PICTURE}: {len(frames)} frames, {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
