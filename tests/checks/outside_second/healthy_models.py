"""Healthy trainings of models that look linear, saturated or narrow, and are right."""

from __future__ import annotations

from typing import Any

import numpy as np
from outside.setups import Setup, mlp

from minires import nn, optim
from minires.nn import functional as F
from outside_second.material import batches, circles, judged_by, most_likely
from outside_second.register import healthy
from outside_second.trainings import trained


@healthy("softmax regression: there is no hidden layer and no activation", epochs=8)
def no_hidden_layer() -> Setup:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    return trained(model, optim.SGD(model.parameters(), lr=0.2))


@healthy("two linear layers without activation between, as a factorisation of low rank", epochs=8)
def low_rank() -> Setup:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8, bias=False), nn.Linear(8, 10))
    return trained(model)


@healthy("one layer of sigmoids, as it used to be done", epochs=10)
def sigmoids_once_more() -> Setup:
    return trained(mlp(48, activation=nn.Sigmoid), size=16)


@healthy("six layers of tanh, drawn as Glorot does")
def deep_tanh() -> Setup:
    model = mlp(*[48] * 6, activation=nn.Tanh)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
    return trained(model, optim.Adam(model.parameters(), lr=1e-3), 16)


class Maxout(nn.Module):
    """The larger of two linear functions."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Linear(64, 32), nn.Linear(64, 32), nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        x = x.reshape(x.shape[0], -1)
        left, right = self.one(x), self.two(x)
        return self.last(right + F.relu(left - right))


@healthy("maxout units instead of an activation function")
def maxout() -> Setup:
    return trained(Maxout())


class Gaussian(nn.Module):
    """Bumps around centres that are learned, and no dot product in sight."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.centres = nn.Parameter(rng.normal(0, 1, (1, 24, 2)).astype(np.float32))
        self.width = nn.Parameter(np.ones(24, np.float32))
        self.last = nn.Linear(24, 2)

    def forward(self, x: Any) -> Any:
        far = ((x.reshape(-1, 1, 2) - self.centres) ** 2).sum(2)
        return self.last((-far * self.width**2).exp())


@healthy(
    "radial basis functions with centres and widths that are learned",
    judge=judged_by(circles, most_likely),
    good=0.95,
    epochs=10,
)
def radial_bumps() -> Setup:
    (x, y), valid, _ = circles()
    model = Gaussian()
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    return Setup(model, batches(x, y), valid, F.cross_entropy, optimizer)


class Cosine(nn.Module):
    """Cosines of the angles between features and class directions, scaled."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 24))
        self.ways = nn.Parameter(np.random.default_rng(0).normal(size=(24, 10)).astype("float32"))

    def forward(self, x: Any) -> Any:
        h = self.body(x)
        h = h / ((h**2).sum(1, keepdims=True) + 1e-8).sqrt()
        ways = self.ways / (self.ways**2).sum(0, keepdims=True).sqrt()
        return 12 * (h @ ways)


@healthy("logits are cosines times 12, so that they never leave -12 to 12")
def cosine_logits() -> Setup:
    return trained(Cosine())


class Experts(nn.Module):
    """Four small networks, and a fifth that says how much each counts."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList([mlp(16) for _ in range(4)])
        self.gate = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.Softmax(-1))

    def forward(self, x: Any) -> Any:
        share = self.gate(x)
        said = [e(x) * share[:, i].reshape(-1, 1) for i, e in enumerate(self.experts)]
        return said[0] + said[1] + said[2] + said[3]


@healthy("a softmax in the middle of the model, which mixes four experts")
def mixed_experts() -> Setup:
    return trained(Experts())


class Together(nn.Module):
    """The mean of what three networks say."""

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList([mlp(24) for _ in range(3)])

    def forward(self, x: Any) -> Any:
        return sum(member(x) for member in self.members) / 3


@healthy("three networks trained as one, by the mean of their logits")
def three_together() -> Setup:
    return trained(Together())


class Activations(nn.Module):
    """A plain list, but of functions without parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.acts = [F.relu, F.tanh, F.silu]
        self.layers = nn.ModuleList([nn.Linear(64, 40), nn.Linear(40, 40), nn.Linear(40, 40)])
        self.last = nn.Linear(40, 10)

    def forward(self, x: Any) -> Any:
        x = x.reshape(x.shape[0], -1)
        for layer, act in zip(self.layers, self.acts, strict=True):
            x = act(layer(x))
        return self.last(x)


@healthy("a plain Python list holds activation functions, another one each layer")
def list_of_functions() -> Setup:
    return trained(Activations())
