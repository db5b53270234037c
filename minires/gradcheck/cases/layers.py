"""The layers' cases. Parameters and running statistics are random: gamma is not 1, beta not 0."""

from __future__ import annotations

from typing import Any

import numpy as np  # host randomness and labels

from minires import nn
from minires.gradcheck.cases.case import Case, apart, case, chance, nonzero, normal
from minires.tensors import Tensor

LABELS = np.array([3, 0, 2])
WEIGHT = np.array([0.5, 2.0, 1.5, 0.25])


def drawn(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module with normal parameters and, among its buffers, positive statistics."""
    rng = np.random.default_rng(seed)
    for parameter in module.parameters():
        parameter.data[...] = rng.normal(size=parameter.shape)
    for buffer in module.buffers():
        if buffer.dtype.kind == "f":
            buffer.data[...] = rng.uniform(0.5, 1.5, buffer.shape)
    return module


class Branches(nn.Module):
    """A `ModuleList` at work: the sum of what its modules give."""

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Any:
        """Anything that they all take."""
        first, *others = self.branches
        return sum((module(x) for module in others), first(x))


class Named(nn.Module):
    """A `ModuleDict` at work: the sum of what its modules give."""

    def __init__(self, left: nn.Module, right: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({"left": left, "right": right})

    def forward(self, x: Tensor) -> Any:
        """Anything that both take."""
        return self.parts["left"](x) + self.parts["right"](x)


class Scaled(nn.Module):
    """A `ParameterList` and a `ParameterDict` at work."""

    def __init__(self) -> None:
        super().__init__()
        self.factors = nn.ParameterList([normal(4), normal(4, seed=1)])
        self.shifts = nn.ParameterDict({"after": normal(3, 1)})

    def forward(self, x: Tensor) -> Any:
        """(3, 4)."""
        return x * self.factors[0] * self.factors[1] + self.shifts["after"]


def block() -> nn.Module:
    """Convolution, batch norm and ReLU, as networks are made of them."""
    return nn.Sequential(
        nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU()
    )


LAYERS: dict[str, list[Case]] = {
    "AdaptiveAvgPool2d": [
        case(nn.AdaptiveAvgPool2d(1), normal(2, 5, 4, 3)),
        case(nn.AdaptiveAvgPool2d((3, 2)), normal(2, 5, 4, 3)),
        case(nn.AdaptiveAvgPool2d((2, 3)), normal(1, 3, 2, 4)),  # more cells than columns
    ],
    "Add": [
        case(nn.Add(), normal(2, 3), normal(2, 3, seed=1)),
        case(nn.Add(), normal(2, 3, 4, 5), normal(2, 3, 4, 5, seed=1)),
    ],
    "AvgPool2d": [
        case(nn.AvgPool2d(2), normal(2, 5, 6, 3)),
        case(nn.AvgPool2d((3, 2), (2, 1), (1, 0)), normal(1, 5, 4, 2)),
        case(nn.AvgPool2d(3, 2, 1, True, False), normal(1, 4, 6, 2)),
    ],
    "BCELoss": [
        case(nn.BCELoss(), chance(3, 4), normal(3, 4, seed=1) > 0),
        case(nn.BCELoss(WEIGHT, "sum"), chance(3, 4), normal(3, 4, seed=2) > 0),
    ],
    "BCEWithLogitsLoss": [
        case(nn.BCEWithLogitsLoss(), normal(3, 4), normal(3, 4, seed=1) > 0),
        case(nn.BCEWithLogitsLoss(WEIGHT, "sum", 2.5), normal(3, 4), normal(3, 4, seed=1) > 0),
        case(nn.BCEWithLogitsLoss(), np.zeros((2, 3)), np.full((2, 3), 1)),
    ],
    "BatchNorm1d": [
        case(drawn(nn.BatchNorm1d(3)), normal(5, 3)),
        case(drawn(nn.BatchNorm1d(3, eps=0.1)), 3 * normal(2, 4, 3) + 5),
        case(drawn(nn.BatchNorm1d(3)).eval(), normal(5, 3)),
        case(nn.BatchNorm1d(3, affine=False), normal(4, 3)),
    ],
    "BatchNorm2d": [
        case(drawn(nn.BatchNorm2d(3)), normal(2, 3, 2, 3)),
        case(drawn(nn.BatchNorm2d(2, track_running_stats=False)).eval(), normal(2, 1, 3, 2)),
        case(drawn(nn.BatchNorm2d(3)).eval(), normal(2, 3, 2, 3)),
    ],
    "Conv2d": [
        case(drawn(nn.Conv2d(1, 3, 3, stride=2, padding=1)), normal(2, 6, 5, 1)),
        case(drawn(nn.Conv2d(4, 2, (1, 2), dilation=(1, 2), groups=2)), normal(1, 3, 5, 4)),
        case(drawn(nn.Conv2d(3, 2, 1, bias=False)), normal(2, 4, 1, 3)),
    ],
    "ConvTranspose2d": [
        case(drawn(nn.ConvTranspose2d(2, 3, 3, 2, 1, 1)), normal(2, 3, 2, 2)),
        case(
            drawn(nn.ConvTranspose2d(4, 2, (1, 2), (2, 3), output_padding=(1, 0), groups=2)),
            normal(1, 2, 3, 4),
        ),
        case(
            drawn(nn.ConvTranspose2d(1, 2, 2, output_padding=2, dilation=3, bias=False)),
            normal(2, 1, 2, 1),
        ),
    ],
    "CrossEntropyLoss": [
        case(nn.CrossEntropyLoss(), normal(3, 4), LABELS),
        case(nn.CrossEntropyLoss("sum", label_smoothing=0.1), normal(3, 4), LABELS),
        case(nn.CrossEntropyLoss("none"), normal(3, 4), LABELS),
        case(nn.CrossEntropyLoss(weight=WEIGHT, ignore_index=2), normal(3, 4), LABELS),
        case(nn.CrossEntropyLoss("sum", 0.1, weight=WEIGHT), normal(3, 4), LABELS),
    ],
    "Dropout": [
        case(nn.Dropout(0.3), normal(4, 5)),
        case(nn.Dropout(0.5).eval(), normal(2, 3)),
    ],
    "Dropout2d": [
        case(nn.Dropout2d(0.4), normal(2, 3, 2, 4)),
        case(nn.Dropout2d(0.5).eval(), normal(1, 2, 2, 3)),
    ],
    "Embedding": [
        case(drawn(nn.Embedding(5, 3)), LABELS),
        case(drawn(nn.Embedding(4, 2, padding_idx=-1)), np.array([[0, 2, 1], [1, 1, 0]])),
    ],
    "Flatten": [
        case(nn.Flatten(), normal(2, 3, 4, 5)),
        case(nn.Flatten(2), normal(2, 3, 4, 5)),
    ],
    "GELU": [
        case(nn.GELU(), normal(3, 4)),
        case(nn.GELU(), 3 * normal(2, 3, 4)),
        case(nn.GELU("tanh"), 3 * normal(3, 4)),
    ],
    "GroupNorm": [
        case(drawn(nn.GroupNorm(2, 4)), normal(2, 3, 2, 4)),
        case(drawn(nn.GroupNorm(1, 3, eps=0.1)), 3 * normal(2, 4, 3) + 5),
        case(drawn(nn.GroupNorm(3, 6, bias=False)), normal(2, 2, 6)),
        case(nn.GroupNorm(2, 6, affine=False), normal(3, 6)),
    ],
    "Identity": [case(nn.Identity(), normal(2, 3)), case(nn.Identity(), normal(4))],
    "KLDivLoss": [
        case(nn.KLDivLoss(), normal(3, 4), chance(3, 4)),
        case(nn.KLDivLoss("batchmean", log_target=True), normal(3, 4), normal(3, 4, seed=1)),
    ],
    "L1Loss": [
        case(nn.L1Loss(), apart(3, 4), apart(3, 4) + nonzero(3, 4)),
        case(nn.L1Loss("none"), apart(5), apart(5) + nonzero(5)),
    ],
    "LayerNorm": [
        case(drawn(nn.LayerNorm(4)), normal(2, 3, 4)),
        case(drawn(nn.LayerNorm((2, 3, 4), eps=0.1)), 3 * normal(2, 2, 3, 4) + 5),
        case(drawn(nn.LayerNorm(5, bias=False)), normal(3, 5)),
        case(nn.LayerNorm(3, elementwise_affine=False), normal(2, 4, 3)),
    ],
    "LeakyReLU": [
        case(nn.LeakyReLU(), nonzero(3, 4)),
        case(nn.LeakyReLU(0.2), nonzero(2, 3, 4)),
    ],
    "Linear": [
        case(drawn(nn.Linear(3, 4)), normal(2, 3)),
        case(drawn(nn.Linear(3, 4)), normal(3)),
        case(drawn(nn.Linear(4, 2, bias=False)), normal(2, 3, 4)),
    ],
    "MSELoss": [
        case(nn.MSELoss(), normal(3, 4), normal(3, 4, seed=1)),
        case(nn.MSELoss("sum"), normal(2, 3), normal(2, 3, seed=1)),
        case(nn.MSELoss("none"), normal(5), normal(5, seed=1)),
    ],
    "MaxPool2d": [
        case(nn.MaxPool2d(2), apart(2, 5, 6, 3)),
        case(nn.MaxPool2d(3, 2, 1), apart(1, 5, 4, 2)),
        case(nn.MaxPool2d(3, 2, 1, ceil_mode=True), apart(1, 4, 6, 2)),
    ],
    "MinPool2d": [
        case(nn.MinPool2d(2), apart(2, 5, 6, 3)),
        case(nn.MinPool2d((3, 2), (2, 1), (1, 0)), apart(1, 5, 4, 2)),
        case(nn.MinPool2d((3, 2), (2, 3), ceil_mode=True), apart(1, 4, 6, 2)),
    ],
    "ModuleList": [case(Branches(drawn(nn.Linear(3, 2)), drawn(nn.Linear(3, 2), 1)), normal(4, 3))],
    "ModuleDict": [case(Named(drawn(nn.Linear(3, 2)), drawn(nn.Linear(3, 2), 1)), normal(4, 3))],
    "NLLLoss": [
        case(nn.NLLLoss(), normal(3, 4), LABELS),
        case(nn.NLLLoss(WEIGHT, ignore_index=2, reduction="sum"), normal(3, 4), LABELS),
        case(nn.NLLLoss(WEIGHT), normal(2, 3, 4), np.stack([LABELS, LABELS[::-1]])),
    ],
    "MultiheadAttention": [
        case(
            drawn(nn.MultiheadAttention(4, 2)),
            normal(2, 3, 4),
            normal(2, 2, 4),
            normal(2, 2, 4, seed=1),
        ),
        case(
            drawn(nn.MultiheadAttention(3, 1, dropout=0.3)),
            *(normal(1, 4, 3, seed=seed) for seed in range(3)),
            is_causal=True,
            average_attn_weights=False,
        ),
        case(
            drawn(nn.MultiheadAttention(4, 2, bias=False)),
            *(normal(2, 3, 4, seed=seed) for seed in range(3)),
            attn_mask=np.array([[False, True, False], [False, False, True], [False] * 3]),
            key_padding_mask=np.array([[False] * 3, [False, False, True]]),
        ),
    ],
    "ParameterDict": [case(Scaled(), normal(3, 4))],
    "ParameterList": [case(Scaled(), normal(3, 4, seed=1))],
    "ReLU": [case(nn.ReLU(), nonzero(3, 4)), case(nn.ReLU(), nonzero(2, 3, 4))],
    "Sequential": [
        case(drawn(block()), normal(2, 5, 3, 2)),
        case(drawn(nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))), normal(4, 3)),
    ],
    "SiLU": [case(nn.SiLU(), normal(3, 4)), case(nn.SiLU(), 5 * normal(2, 3, 4))],
    "Sigmoid": [case(nn.Sigmoid(), normal(3, 4)), case(nn.Sigmoid(), 5 * normal(2, 3, 4))],
    "SmoothL1Loss": [
        case(nn.SmoothL1Loss(), 3 * normal(3, 4), normal(3, 4, seed=1)),
        case(nn.SmoothL1Loss("none", 0.5), normal(5), normal(5, seed=1)),
    ],
    "LogSoftmax": [case(nn.LogSoftmax(1), normal(2, 5, 3))],
    "Softmax": [case(nn.Softmax(), normal(3, 4)), case(nn.Softmax(1), normal(2, 5, 3))],
    "SqueezeExcitation": [
        case(drawn(nn.SqueezeExcitation(4, 2)), normal(2, 3, 2, 4)),
        case(drawn(nn.SqueezeExcitation(3, 5), 1), normal(1, 2, 2, 3)),
    ],
    "StochasticDepth": [
        case(nn.StochasticDepth(0.4), normal(5, 2, 3)),
        case(nn.StochasticDepth(0.2, "batch"), normal(3, 4)),
        case(nn.StochasticDepth(0.5).eval(), normal(2, 3)),
    ],
    "Tanh": [case(nn.Tanh(), normal(3, 4)), case(nn.Tanh(), normal(2, 3, 4))],
    "Upsample": [
        case(nn.Upsample(scale_factor=2), normal(2, 3, 2, 3)),
        case(nn.Upsample((2, 5)), normal(1, 4, 3, 2)),
        case(nn.Upsample((5, 4), mode="bilinear"), normal(2, 3, 5, 2)),
        case(nn.Upsample(scale_factor=(1.7, 2.0), mode="bilinear"), normal(1, 3, 4, 2)),
        case(nn.Upsample(7, mode="bilinear", align_corners=True), normal(1, 3, 4, 2)),
    ],
}
