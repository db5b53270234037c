"""Healthy trainings with parts that are frozen, zero or shared, on purpose."""

from __future__ import annotations

from typing import Any

import numpy as np
from outside.setups import Setup, mlp, one_step

from minires import Tensor, models, nn, optim
from minires.nn import functional as F
from outside_second.material import batches, images
from outside_second.register import healthy
from outside_second.trainings import trained

# --- frozen on purpose -------------------------------------------------------------------------


@healthy("the first layer is the training data's principal axes, and stays that")
def principal_axes() -> Setup:
    x, y, xv, yv = images()
    flat = x.reshape(len(x), -1)
    axes = np.linalg.eigh(np.cov(flat.T))[1][:, :-31:-1].T.astype(np.float32)
    first = nn.Linear(64, 30, bias=False)
    first.weight.data[:] = axes.T / np.sqrt(np.square(flat @ axes.T).mean(0))
    first.requires_grad_(False)
    model = nn.Sequential(nn.Flatten(), first, nn.Linear(30, 48), nn.ReLU(), nn.Linear(48, 10))
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = optim.Adam(learned, lr=3e-3)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@healthy("a wide layer of random features is never trained, only the layer on top", epochs=8)
def random_features() -> Setup:
    body = nn.Sequential(nn.Flatten(), nn.Linear(64, 400), nn.ReLU())
    body.requires_grad_(False)
    head = nn.Linear(400, 10)
    model = nn.Sequential(body, head)
    return trained(model, optim.Adam(head.parameters(), lr=3e-3))


@healthy("a body trained on another question (is it even?) is kept and only a new head is trained")
def head_on_a_trained_body() -> Setup:
    x, y, xv, yv = images()
    body = nn.Sequential(nn.Flatten(), nn.Linear(64, 96), nn.ReLU())
    before = nn.Sequential(body, nn.Linear(96, 2))
    step = one_step(before, optim.Adam(before.parameters(), lr=3e-3), F.cross_entropy)
    for inputs, labels in batches(x, y, 60):
        step(inputs, labels % 2)
    body.requires_grad_(False)
    model = nn.Sequential(body, nn.Linear(96, 10))
    optimizer = optim.SGD(model[1].parameters(), lr=0.1, momentum=0.9)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


class FrozenNorm(nn.Module):
    """A body whose batch norm stays in evaluation mode, for tuning with small batches."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))

    def train(self, mode: bool = True) -> Any:
        super().train(mode)
        self.body[1].eval()
        return self

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x))


@healthy(
    "batch norm stays in evaluation mode while the rest is tuned, four images a time", epochs=3
)
def frozen_statistics() -> Setup:
    x, y, xv, yv = images()
    model = FrozenNorm()
    for _ in range(3):
        for inputs, _ in batches(x, y, 200):
            nn.Module.train(model)
            model(Tensor(inputs))
    model.train()
    optimizer = optim.SGD(model.parameters(), lr=5e-3, momentum=0.9)
    return Setup(model, batches(x, y, 4), (xv, yv), F.cross_entropy, optimizer)


class WithOldHead(nn.Module):
    """The head of an earlier task is kept for going back to it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU())
        self.parity_head = nn.Linear(64, 2)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x))


@healthy("the head of an earlier task stays in the model, frozen and unused")
def old_head_kept() -> Setup:
    model = WithOldHead()
    model.parity_head.requires_grad_(False)
    learned = [p for p in model.parameters() if p.requires_grad]
    return trained(model, optim.Adam(learned, lr=3e-3))


# --- zeros and shared weights ------------------------------------------------------------------


@healthy("the last batch norm of each residual block starts at zero", epochs=5)
def blocks_start_as_nothing() -> Setup:
    model = models.resnet8(num_classes=10, in_channels=1)
    for module in model.modules():
        if isinstance(module, models.BasicBlock):
            nn.init.zeros_(module.bn2.weight)
    return trained(model, optim.SGD(model.parameters(), lr=0.1, momentum=0.9), 64)


@healthy("the last layer starts at zero, so that all classes are alike at first")
def zero_head() -> Setup:
    model = mlp(64)
    nn.init.zeros_(model[3].weight)
    nn.init.zeros_(model[3].bias)
    return trained(model, optim.SGD(model.parameters(), lr=0.1, momentum=0.9))


class ReZero(nn.Module):
    """Branches behind gates that are learned and start shut."""

    def __init__(self, depth: int = 8) -> None:
        super().__init__()
        self.first = nn.Linear(64, 32)
        self.branches = nn.ModuleList([nn.Linear(32, 32) for _ in range(depth)])
        self.gates = nn.ParameterList([nn.Parameter(np.zeros(1, np.float32)) for _ in range(depth)])
        self.last = nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        x = self.first(x.reshape(x.shape[0], -1))
        for branch, gate in zip(self.branches, self.gates, strict=True):
            x = x + gate * F.relu(branch(x))
        return self.last(x)


@healthy("gates of eight branches start at zero and are learned")
def gates_start_shut() -> Setup:
    return trained(ReZero())


class Again(nn.Module):
    """One layer, four times."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = nn.Linear(64, 48), nn.Linear(48, 48)
        self.norm, self.last = nn.LayerNorm(48), nn.Linear(48, 10)

    def forward(self, x: Any) -> Any:
        x = self.first(x.reshape(x.shape[0], -1))
        for _ in range(4):
            x = self.norm(x + F.relu(self.again(x)))
        return self.last(x)


@healthy("the same layer is gone through four times, on purpose")
def same_layer_again() -> Setup:
    return trained(Again())


class Tied(nn.Module):
    """The decoder's weights are the encoder's, transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.head = nn.Linear(64, 32), nn.Linear(32, 10)

    def parts(self, x: Any) -> tuple[Any, Any]:
        hidden = F.relu(self.encode(x.reshape(x.shape[0], -1)))
        return hidden @ self.encode.weight.T, self.head(hidden)

    def forward(self, x: Any) -> Any:
        return self.parts(x)[1]


@healthy("classification with a reconstruction beside it whose weights are tied to the encoder's")
def tied_weights() -> Setup:
    x, y, xv, yv = images()
    model = Tied()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)

    def step(inputs: Any, labels: Any) -> float:
        optimizer.zero_grad()
        again, logits = model.parts(Tensor(inputs))
        rebuilt = F.mse_loss(again, inputs.reshape(len(inputs), -1))
        loss = F.cross_entropy(logits, labels) + 0.2 * rebuilt
        loss.backward()
        optimizer.step()
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)
