"""What adding up gradients costs between machines, by the alpha-beta model: computed, not measured.

A sum over n ranks of M bytes in two rounds (each rank adds up one nth and hands it on) sends n - 1
messages of M / n bytes from each rank in each round. A message of m bytes takes alpha + m / beta:

    t = 2 (n - 1) (alpha + M / (n beta))

(R. Hockney, *The communication challenge for MPP*, 1994; R. Thakur, R. Rabenseifner and W. Gropp,
*Optimization of collective communication operations in MPICH*, 2005, section 4.) The assumptions:
every rank has a link of its own at 0.9 of its nominal rate, nobody waits for another, and nothing
of the sum is hidden behind the backward pass, as nothing is here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from minires import models

RANKS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
USED = 0.9  # of a link's nominal rate


@dataclass(frozen=True)
class Link:
    """Between any two ranks."""

    gigabits: float  # nominal, in a second
    alpha: float  # seconds until a message begins to arrive


LINKS = (Link(10, 50e-6), Link(25, 30e-6), Link(100, 10e-6))
STEPS = (10.0, 0.5, 0.15)
"""Seconds that a rank computes for a step: a laptop's processor, a server's, a GPU."""


@cache
def size(network: str = "resnet50") -> int:
    """The bytes of a network's gradients."""
    return 4 * sum(p.size for p in models.create(network, 1000, 3).parameters())


def seconds(ranks: int, link: Link, count: int) -> float:
    """What the sum of `count` bytes takes."""
    beta = USED * link.gigabits * 1e9 / 8
    return 2 * (ranks - 1) * (link.alpha + count / (ranks * beta))


def efficiency(ranks: int, link: Link, count: int, step: float) -> float:
    """The share of the time in which a rank computes, where a step of its own takes `step`."""
    return step / (step + seconds(ranks, link, count))
