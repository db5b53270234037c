"""Pictures that move: what happened, recorded step by step, as HTML that needs no kernel."""

from minires.viz.flow import gradient_flow
from minires.viz.network import graph
from minires.viz.normalizing import batch_norm
from minires.viz.player import Player, TooLargeError
from minires.viz.sliding import convolution
from minires.viz.stepper import step_through

__all__ = [
    "Player",
    "TooLargeError",
    "batch_norm",
    "convolution",
    "gradient_flow",
    "graph",
    "step_through",
]
