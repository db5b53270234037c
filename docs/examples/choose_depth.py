"""How deep? Train several depths on a part, compare on held-out images, test the winner once."""

from __future__ import annotations

import typer
from small import Row, clothes_to_test, fashion, learn, percent, show

import minires
from minires import data, models, nn


def run(images: int = 2000, epochs: int = 4, depths: tuple[int, ...] = (8, 14, 20)) -> list[Row]:
    train, held = data.split(fashion(images), 0.25)
    rows, best, best_score = [], None, -1.0
    for depth in depths:
        minires.manual_seed(0)
        model = models.create(f"resnet{depth}", in_channels=1)
        history = learn(model, train, epochs)
        score = percent(model, held)
        rows.append(
            {
                "depth": depth,
                "parameters": sum(p.size for p in model.parameters()),
                "multiply-adds": nn.summary(model, (14, 14, 1)).multiply_adds,
                "training %": round(100 * history[-1].train_accuracy, 1),
                "held-out %": score,
                "test %": "",
            }
        )
        if score > best_score:
            best, best_score = (model, rows[-1]), score
    assert best is not None
    best[1]["test %"] = percent(best[0], clothes_to_test())
    return rows


def main(images: int = 2000, epochs: int = 4) -> None:
    show(run(images, epochs))


if __name__ == "__main__":
    typer.run(main)
