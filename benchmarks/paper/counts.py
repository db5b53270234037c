"""Parameters and multiply-adds, as the code counts them, beside the paper's tables 1 and 6."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from benchmarks.paper.published import MULTIPLY_ADDS_G, PARAMETERS_M
from minires import models, nn


@dataclass(frozen=True)
class Count:
    """A network's size, and what the paper prints for it."""

    network: str
    parameters: int
    multiply_adds: int  # of one image: convolutions and the linear layer
    published: str


@cache
def imagenet_counts() -> list[Count]:
    """Table 1's networks at 224x224, as the paper has them: stride in the first 1x1 convolution."""
    rows = []
    for depth, published in MULTIPLY_ADDS_G.items():
        options = {"stride_in_1x1": True} if depth >= 50 else {}
        summary = nn.summary(models.create(f"resnet{depth}", **options), (224, 224, 3))
        rows.append(
            Count(f"ResNet-{depth}", summary.parameters, summary.multiply_adds, f"{published}")
        )
    return rows


@cache
def cifar_counts() -> list[Count]:
    """Table 6's networks at 32x32."""
    rows = []
    for depth, published in PARAMETERS_M.items():
        summary = nn.summary(models.create(f"resnet{depth}"), (32, 32, 3))
        rows.append(Count(f"ResNet-{depth}", summary.parameters, summary.multiply_adds, published))
    return rows


def rounded_like(value: float, text: str) -> str:
    """`value` with as many decimals as `text` has."""
    return f"{value:.{len(text.partition('.')[2])}f}"
