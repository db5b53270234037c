"""Faults of the network's structure."""

from __future__ import annotations

from typing import Any

import numpy as np
from outside.setups import Setup, mlp

from minires import Tensor, nn, no_grad
from minires.nn import functional as F
from outside_second.material import CIRCLES, SPIRALS, circles, judged_by, most_likely, spirals, sums
from outside_second.register import DEEPCRIME, HOLDEN, OWN, TAXONOMY, UMLAUT, fault
from outside_second.trainings import digits_with, toy_with

STRUCTURE = "model structure"


@fault(
    STRUCTURE,
    UMLAUT,
    "no activation between three linear layers, which are one linear layer then",
    "missing nonlinearity",
    "the model is linear",
    judge=CIRCLES,
    epochs=10,
)
def three_linear_layers(wrong: bool) -> Setup:
    act = nn.Identity if wrong else nn.ReLU
    model = nn.Sequential(nn.Linear(2, 32), act(), nn.Linear(32, 32), act(), nn.Linear(32, 2))
    return toy_with(model, circles)


class Skipped(nn.Module):
    """Three layers of one width."""

    def __init__(self, wrong: bool) -> None:
        super().__init__()
        self.embed = nn.Linear(2, 24)
        self.one, self.two = nn.Linear(24, 24), nn.Linear(24, 24)
        self.out = nn.Linear(24, 3)
        self.wrong = wrong

    def forward(self, x: Any) -> Any:
        x = self.embed(x)
        h = F.relu(self.one(x))
        h = F.relu(self.two(x if self.wrong else h))
        return self.out(h)


@fault(
    STRUCTURE,
    OWN,
    "the second layer takes x where the first layer's output was meant, which goes nowhere",
    "a layer is disconnected",
    "a layer gets no gradient",
    "a layer's output is not used",
    judge=SPIRALS,
    epochs=15,
)
def output_goes_nowhere(wrong: bool) -> Setup:
    return toy_with(Skipped(wrong), spirals, 0.01)


class Gated(nn.Module):
    """A linear path, and beside it a nonlinear one behind a gate that starts shut."""

    def __init__(self, wrong: bool) -> None:
        super().__init__()
        self.plain = nn.Linear(2, 2)
        self.deep = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
        zero = np.zeros(1, np.float32)
        self.gate = Tensor(zero) if wrong else nn.Parameter(zero)

    def forward(self, x: Any) -> Any:
        return self.plain(x) + self.gate * self.deep(x)


@fault(
    STRUCTURE,
    OWN,
    "the gate of a branch is a constant zero and not a parameter, so that the branch is dead",
    "a branch is dead",
    "a part of the model gets no gradient",
    "a parameter is not registered",
    judge=CIRCLES,
    epochs=10,
)
def gate_stays_shut(wrong: bool) -> Setup:
    return toy_with(Gated(wrong), circles)


class Cut(nn.Module):
    """A convolutional body and a head, with something between."""

    def __init__(self, between: Any, bodyless: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten()
        )
        self.head = nn.Linear(16, 10)
        self.between, self.bodyless = between, bodyless

    def forward(self, x: Any) -> Any:
        if self.bodyless:
            with no_grad():
                hidden = self.body(x)
        else:
            hidden = self.body(x)
        return self.head(self.between(hidden))


def kept(x: Any) -> Any:
    return x


@fault(
    STRUCTURE,
    "jiangtaoxie/fast-MPN-COV#15",
    "a detach between body and head, so that the body stays as it was drawn",
    "no gradient reaches a part of the model",
    "the graph is cut",
    "a layer gets no gradient",
    epochs=8,
)
def detached_body(wrong: bool) -> Setup:
    return digits_with(Cut((lambda h: h.detach()) if wrong else kept), 5e-3)


@fault(
    STRUCTURE,
    OWN,
    "an activation is computed with NumPy, which no gradient passes",
    "no gradient reaches a part of the model",
    "the graph is cut",
    "NumPy inside the forward pass",
    epochs=8,
)
def numpy_inside(wrong: bool) -> Setup:
    def log1p(h: Any) -> Any:
        return Tensor(np.log1p(h.detach().numpy())) if wrong else (h + 1).log()

    return digits_with(Cut(log1p), 5e-3)


@fault(
    STRUCTURE,
    OWN,
    "no_grad around the body was left in the forward pass from extracting features",
    "no gradient reaches a part of the model",
    "no_grad in the forward pass",
    "a layer gets no gradient",
    epochs=8,
)
def no_grad_inside(wrong: bool) -> Setup:
    return digits_with(Cut(kept, wrong), 5e-3)


@fault(
    STRUCTURE,
    HOLDEN,
    "all has to pass through a layer of one unit",
    "a bottleneck is too narrow",
    "the model is too small",
)
def one_unit(wrong: bool) -> Setup:
    return digits_with(mlp(48, 1 if wrong else 24, 48))


@fault(
    STRUCTURE,
    DEEPCRIME,
    "softmax as the activation of the hidden layers",
    "the hidden activation is wrong",
    "gradients vanish",
    "activations are saturated",
)
def softmax_inside(wrong: bool) -> Setup:
    def act() -> nn.Module:
        return nn.Softmax(-1) if wrong else nn.ReLU()

    return digits_with(mlp(48, 48, 48, activation=act), 1e-3)


@fault(
    STRUCTURE,
    HOLDEN,
    "eight layers of sigmoids, whose gradients vanish on the way down",
    "gradients vanish",
    "activations are saturated",
    "the hidden activation is wrong",
    epochs=8,
)
def eight_sigmoids(wrong: bool) -> Setup:
    act = nn.Sigmoid if wrong else nn.ReLU
    return digits_with(mlp(*[48] * 8, activation=act), 1e-3)


@fault(
    STRUCTURE,
    "acids-ircam/ddsp_pytorch#37, zalandoresearch/pytorch-vq-vae#2",
    "a list of one block times six is six times the same block",
    "weights are shared by mistake",
    "the same module is used several times",
    judge=SPIRALS,
    epochs=12,
)
def one_block_six_times(wrong: bool) -> Setup:
    def block() -> nn.Module:
        return nn.Sequential(nn.Linear(6, 6), nn.Tanh())

    blocks = [block()] * 6 if wrong else [block() for _ in range(6)]
    return toy_with(nn.Sequential(nn.Linear(2, 6), *blocks, nn.Linear(6, 3)), spirals, 0.01)


class Attending(nn.Module):
    """Attention over the rows of an image."""

    def __init__(self, wrong: bool) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 24)
        places = np.random.default_rng(0).normal(0, 0.3, (1, 8, 24))
        self.place = nn.Parameter(places.astype(np.float32))
        self.attention = nn.MultiheadAttention(24, 4)
        self.head = nn.Linear(24, 10)
        self.wrong = wrong

    def forward(self, x: Any) -> Any:
        rows = self.embed(x.reshape(-1, 8, 8)) + self.place
        if self.wrong:
            rows = rows.swapaxes(0, 1)
        found = self.attention(rows, rows, rows)
        found = (found[0] if isinstance(found, tuple) else found) + rows
        if self.wrong:
            found = found.swapaxes(0, 1)
        return self.head(F.relu(found).mean(1))


@fault(
    STRUCTURE,
    "IBM/TabFormer#14, om-ai-lab/OmDet#19",
    "the axes are turned to (rows, batch), so that attention runs between the images of a batch",
    "samples of a batch influence one another",
    "attention over the wrong axis",
    "batch and sequence are mixed up",
)
def attention_between_images(wrong: bool) -> Setup:
    return digits_with(Attending(wrong), 5e-3)


class Summing(nn.Module):
    """A number each of a sequence, and what is known of their mean."""

    def __init__(self, wrong: bool) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(1, 16), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))
        self.wrong = wrong

    def forward(self, x: Any) -> Any:
        values, mask = x[:, :, :1], x[:, :, 1:]
        if self.wrong:
            values = values - 99 * (1 - mask)
            return self.head(self.each(values).mean(1))
        return self.head((self.each(values) * mask).sum(1) / mask.sum(1))


@fault(
    STRUCTURE,
    OWN,
    "padding of -99 goes into the mean over a sequence, since no mask keeps it out",
    "padding is not masked",
    "padding counts as data",
    judge=judged_by(sums, most_likely),
    epochs=8,
)
def padding_counts(wrong: bool) -> Setup:
    return toy_with(Summing(wrong), sums, 5e-3)


class Pooled(nn.Module):
    """A convolution whose maps are averaged."""

    def __init__(self, wrong: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 24, 3, padding=1), nn.ReLU(), nn.AvgPool2d(4))
        self.head = nn.Linear(96, 10)
        self.axis = 0 if wrong else None

    def forward(self, x: Any) -> Any:
        maps = self.body(x)
        if self.axis == 0:
            maps = maps - maps.max(axis=0, keepdims=True) + maps.mean(axis=0, keepdims=True)
        return self.head(maps.reshape(maps.shape[0], -1))


@fault(
    STRUCTURE,
    OWN,
    "maps are centred by the other images of the batch, since axis 0 was taken for the height",
    "samples of a batch influence one another",
    "a reduction over the batch axis",
)
def centred_by_neighbours(wrong: bool) -> Setup:
    return digits_with(Pooled(wrong))


@fault(
    STRUCTURE,
    TAXONOMY,
    "strides of 4 and pooling leave one number of each map, and 2 maps there are",
    "a bottleneck is too narrow",
    "the model is too small",
    "too much is thrown away by pooling",
)
def pooled_away(wrong: bool) -> Setup:
    width = 2 if wrong else 16
    model = nn.Sequential(
        nn.Conv2d(1, width, 3, stride=4 if wrong else 1, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1 if wrong else 4),
        nn.Flatten(),
        nn.Linear(width if wrong else 16 * width, 10),
    )
    return digits_with(model, 5e-3)
