"""What a network looks at: feature maps and Grad-CAM, as pictures and as a number.

The number: Fashion-MNIST's background is black, so it is known where the object is. How much of
Grad-CAM's map lies on it, compared with the share of the picture that it covers?
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from small import NORMALIZE, Row, clothes_to_test, fashion, learn, percent, show

import minires
from minires import models, viz

LAYER = "layer2"


def on_the_object(picture: np.ndarray, heat: np.ndarray) -> tuple[float, float]:
    """The share of `heat` on the object, and the object's share of the picture."""
    scale = picture.shape[0] // heat.shape[0]
    inside = picture > 25
    large = np.kron(heat, np.ones((scale, scale)))
    return float((large * inside).sum() / large.sum()), float(inside.mean())


def run(
    images: int = 2000, epochs: int = 3, looked_at: int = 100, pictures: Path | None = None
) -> list[Row]:
    train, test = fashion(images, size=28), clothes_to_test(28)
    minires.manual_seed(0)
    model = models.resnet8(in_channels=1)
    learn(model, train, epochs)
    shares = []
    for picture in test.images[:looked_at]:
        heat = viz.grad_cam(model, NORMALIZE(picture[None])[0], layer=LAYER).values["map"]
        if heat.any():  # nothing may speak for the class
            shares.append(on_the_object(picture[..., 0], heat))
    if pictures is not None:
        image = NORMALIZE(test.images[:1])[0]
        pictures.mkdir(parents=True, exist_ok=True)
        for name, drawn in (
            ("grad-cam", viz.grad_cam(model, image, layer=LAYER)),
            ("feature-maps", viz.feature_maps(model, image, "layer1.0.relu")),
        ):
            drawn.plot().savefig(pictures / f"{name}.png", dpi=100)
    on, area = np.mean(shares, axis=0) if shares else (float("nan"),) * 2
    return [
        {
            "pictures": len(shares),
            "test %": percent(model, test),
            "% of Grad-CAM on the object": round(100 * float(on), 1),
            "% of the picture that it covers": round(100 * float(area), 1),
        }
    ]


def main(
    images: int = 2000,
    epochs: int = 3,
    looked_at: int = 100,
    pictures: Annotated[Path | None, typer.Option(help="A folder to draw to.")] = None,
) -> None:
    show(run(images, epochs, looked_at, pictures))


if __name__ == "__main__":
    typer.run(main)
