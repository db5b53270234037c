"""Pictures that move: what happened, recorded step by step, as HTML that needs no kernel."""

from minires.viz.player import Player, TooLargeError
from minires.viz.stepper import step_through

__all__ = ["Player", "TooLargeError", "step_through"]
