"""Pictures that move: what happened, recorded step by step, as HTML that needs no kernel."""

from minires.viz.confusion import confusion_matrix
from minires.viz.descent import loss_landscape, optimizer_path
from minires.viz.flow import gradient_flow
from minires.viz.inside import feature_maps, filters, grad_cam
from minires.viz.network import graph
from minires.viz.normalizing import batch_norm
from minires.viz.picture import Picture
from minires.viz.player import Player, TooLargeError
from minires.viz.sliding import convolution
from minires.viz.stepper import step_through

__all__ = [
    "Picture",
    "Player",
    "TooLargeError",
    "batch_norm",
    "confusion_matrix",
    "convolution",
    "feature_maps",
    "filters",
    "grad_cam",
    "gradient_flow",
    "graph",
    "loss_landscape",
    "optimizer_path",
    "step_through",
]
