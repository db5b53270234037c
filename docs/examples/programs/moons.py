"""Micrograd's two moons: a multilayer perceptron and a hinge loss, with a rate lowered by hand."""

import numpy as np

import minires
from minires import nn, optim


def moons(count, rng):
    """Points (count, 2) on two half circles that interlock, and their sides, 1 or -1."""
    side = rng.integers(0, 2, count) * 2 - 1
    angle = rng.uniform(0, np.pi, count)
    x = np.where(side > 0, np.cos(angle), 1 - np.cos(angle))
    y = np.where(side > 0, np.sin(angle), 0.5 - np.sin(angle))
    points = np.stack([x, y], axis=1) + rng.normal(0, 0.1, (count, 2))
    return minires.tensor(points, dtype=minires.float32), minires.tensor(side).float()


def run(seed=0, steps=100):
    minires.manual_seed(seed)
    rng = np.random.default_rng(seed)
    x, y = moons(100, rng)

    model = nn.Sequential(
        nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1)
    )
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1.0 - 0.9 * step / steps
        scores = model(x).squeeze(1)
        hinge = (1 - y * scores).relu().mean()
        loss = hinge + 1e-4 * sum((p * p).sum() for p in model.parameters())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    new_x, new_y = moons(1000, rng)
    with minires.no_grad():
        right = ((model(new_x).squeeze(1) > 0) == (new_y > 0)).float().mean()
    return {"new points right %": round(100 * right.item(), 1)}


if __name__ == "__main__":
    print(run())
