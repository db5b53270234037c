"""Faults of the optimiser and of what it is given."""

from __future__ import annotations

from typing import Any

import numpy as np
from outside.setups import Setup, conv, mlp

import minires
from minires import Tensor, nn, no_grad, optim
from minires.nn import functional as F
from outside_second.material import accuracy_of, batches, images
from outside_second.register import (
    IVANOV,
    MISSING,
    OWN,
    TAXONOMY,
    fault,
)

PARAMETERS = "parameters and optimiser"


# --- what the optimiser has --------------------------------------------------------------------


@fault(
    PARAMETERS,
    "microsoft/nni#4521",
    "the last layer is exchanged after the optimiser was made, which updates the old one",
    MISSING,
    "the optimiser holds parameters that are not the model's",
    "the last layer is never updated",
)
def head_exchanged_late(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(24)
    if wrong:
        optimizer = optim.SGD(model.parameters(), lr=0.03)
        model[3] = nn.Linear(24, 10)
    else:
        model[3] = nn.Linear(24, 10)
        optimizer = optim.SGD(model.parameters(), lr=0.03)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(
    PARAMETERS,
    "spro/practical-pytorch#9",
    "the model was made twice, and the optimiser has the parameters of the first",
    "the optimiser holds another model's parameters",
    MISSING,
    "the model's parameters never change",
)
def made_twice(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = conv(width=6)
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    if wrong:
        model = conv(width=6)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


class Encoder(nn.Module):
    def __init__(self, hidden: int = 12) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
        )
        self.head = nn.Linear(hidden, 10)

    def forward(self, x: Any) -> Any:
        return self.head(self.encoder(x))


@fault(
    PARAMETERS,
    "zjunlp/HVPNeT#5",
    "only the head was given to the optimiser, and the encoder before it was never trained",
    MISSING,
    "only the last layer is trained",
)
def only_the_head(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = Encoder()
    trained = model.head if wrong else model
    optimizer = optim.Adam(trained.parameters(), lr=3e-3)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(
    PARAMETERS,
    IVANOV,
    "the encoder was frozen for a first phase and never thawed, though nothing had trained it",
    "parameters are frozen",
    "requires_grad is False for untrained parameters",
    MISSING,
)
def never_thawed(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = Encoder()
    if wrong:
        for parameter in model.encoder.parameters():
            parameter.requires_grad = False
    optimizer = optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(
    PARAMETERS,
    OWN,
    "the groups with and without weight decay are picked by name, and no name has 'weights' in it",
    MISSING,
    "only the biases are trained",
    "an empty parameter group",
)
def decay_by_name(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    word = "weights" if wrong else "weight"
    named = list(model.named_parameters())
    decayed = [p for name, p in named if word in name]
    plain = [p for name, p in named if "bias" in name]
    groups = [{"params": decayed, "weight_decay": 1e-4}, {"params": plain, "weight_decay": 0.0}]
    optimizer = optim.SGD(groups, lr=0.1, momentum=0.9)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


class Listed(nn.Module):
    def __init__(self, wrong: bool) -> None:
        super().__init__()
        hidden = [nn.Linear(64, 10), nn.Linear(10, 10), nn.Linear(10, 10)]
        self.hidden = hidden if wrong else nn.ModuleList(hidden)
        self.out = nn.Linear(10, 10)

    def forward(self, x: Any) -> Any:
        x = x.reshape(x.shape[0], -1)
        for layer in self.hidden:
            x = layer(x).relu()
        return self.out(x)


@fault(
    PARAMETERS,
    "theflyingbirds.in, Pytorch mysteries: nn.Module, nn.Parameter, ModuleList",
    "the hidden layers are in a plain Python list, so that the module does not know them",
    "layers kept in a list are not registered",
    MISSING,
    "hidden layers are never updated",
)
def plain_list(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = Listed(wrong)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


class Scratch(nn.Module):
    """All from hand: two layers of plain arrays of weights."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        rng = np.random.default_rng(minires.randint(0, 1000, (1,)).item())
        self.w1 = kind((rng.normal(size=(64, 10)) / 8).astype(np.float32))
        self.w2 = nn.Parameter((rng.normal(size=(10, 10)) / 3).astype(np.float32))
        self.b2 = nn.Parameter(np.zeros(10, np.float32))

    def forward(self, x: Any) -> Any:
        return (x.reshape(x.shape[0], -1) @ self.w1).relu() @ self.w2 + self.b2


@fault(
    PARAMETERS,
    TAXONOMY,
    "the first weights are a tensor that requires a gradient and no Parameter: nobody updates them",
    "a tensor that is no Parameter",
    "a weight is not registered",
    MISSING,
)
def tensor_for_parameter(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = Scratch((lambda a: Tensor(a, requires_grad=True)) if wrong else nn.Parameter)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(
    PARAMETERS,
    OWN,
    "Adam's eps is 1, which drowns the second moment",
    "Adam's eps is too large",
    "the updates are far too small",
    "the learning rate is too low",
)
def adam_eps_one(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = conv(width=6)
    optimizer = optim.Adam(model.parameters(), lr=1e-3, eps=1.0 if wrong else 1e-8)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(
    PARAMETERS,
    OWN,
    "Adam's two betas are the wrong way round",
    "Adam's betas are swapped",
    "the first moment is averaged for longer than the second",
    "updates are too large",
    judge=accuracy_of("fashion"),
)
def betas_swapped(wrong: bool) -> Setup:
    x, y, xv, yv = images("fashion")
    betas = (0.999, 0.9) if wrong else (0.9, 0.999)
    model = mlp(64, 64, pixels=784)
    optimizer = optim.Adam(model.parameters(), lr=1e-3, betas=betas)
    return Setup(model, batches(x, y, 64), (xv, yv), F.cross_entropy, optimizer)


@fault(
    PARAMETERS,
    OWN,
    "momentum is 1, so that no gradient is ever forgotten",
    "momentum is too large",
    "momentum of 1",
    "the training is unstable",
)
def momentum_of_one(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(64, 32)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=1.0 if wrong else 0.9)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


# --- updates of one's own ----------------------------------------------------------------------


@fault(
    PARAMETERS,
    OWN,
    "the update by hand makes a new tensor under the old name and leaves the parameter as it was",
    "the parameters never change",
    "the update does not write into the parameters",
)
def update_of_a_copy(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(32)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(inputs: Any, labels: Any) -> float:
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        model.zero_grad()
        loss.backward()
        with no_grad():
            for p in model.parameters():
                if wrong:
                    p = p - 0.1 * p.grad
                else:
                    p -= 0.1 * p.grad
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    PARAMETERS,
    OWN,
    "the update by hand adds the gradient where it has to subtract it",
    "gradient ascent",
    "the loss is maximised",
    "the sign of the update is wrong",
)
def uphill(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(32)
    rate = 0.1
    optimizer = optim.SGD(model.parameters(), lr=rate)

    def step(inputs: Any, labels: Any) -> float:
        model.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        with no_grad():
            for p in model.parameters():
                if wrong:
                    p += rate * p.grad
                else:
                    p -= rate * p.grad
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)


class OwnRMSprop(optim.SGD):
    """RMSprop, written for an exercise."""

    def __init__(self, parameters: Any, lr: float, root: bool) -> None:
        super().__init__(parameters, lr=lr)
        self.root = root
        self.squares = [np.zeros(p.shape, np.float32) for p in self.param_groups[0]["params"]]

    def step(self) -> None:
        group = self.param_groups[0]
        with no_grad():
            for i, p in enumerate(group["params"]):
                g = p.grad.numpy()
                self.squares[i] = 0.9 * self.squares[i] + 0.1 * g * g
                scale = np.sqrt(self.squares[i]) if self.root else self.squares[i]
                p -= group["lr"] * Tensor(g / (scale + 1e-6))


@fault(
    PARAMETERS,
    OWN,
    "RMSprop of one's own divides by the mean square itself and not by its root",
    "the optimiser's update rule is wrong",
    "updates are too large",
    "the update grows as the gradient shrinks",
    "the learning rate is too high",
)
def rmsprop_without_root(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    optimizer = OwnRMSprop(model.parameters(), 1e-3, not wrong)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(
    PARAMETERS,
    OWN,
    "the running average of the weights is written back into the model after each step",
    "the weights are overwritten after each step",
    "the updates are undone",
    "the updates are far too small",
)
def average_written_back(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    average = [p.numpy().copy() for p in model.parameters()]

    def step(inputs: Any, labels: Any) -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        optimizer.step()
        with no_grad():
            for kept, p in zip(average, model.parameters(), strict=True):
                kept *= 0.99
                kept += 0.01 * p.numpy()
                if wrong:
                    p.copy_(Tensor(kept))
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)
