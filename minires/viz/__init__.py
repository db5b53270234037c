"""Pictures that move: what happened, recorded step by step, as HTML that needs no kernel."""

from minires.viz.batch_norm_player import batch_norm
from minires.viz.confusion import confusion_matrix
from minires.viz.convolution_player import convolution
from minires.viz.feature_maps import feature_maps, filters
from minires.viz.grad_cam import grad_cam
from minires.viz.gradient_flow_player import gradient_flow
from minires.viz.network import graph
from minires.viz.optimizer_path_player import loss_landscape, optimizer_path
from minires.viz.picture import Picture
from minires.viz.player import Player, TooLargeError
from minires.viz.rewrites_player import rewrites
from minires.viz.step_through_player import step_through

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
    "rewrites",
    "step_through",
]
