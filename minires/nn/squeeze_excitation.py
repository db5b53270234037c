"""Squeeze and excitation (Hu, Shen and Sun 2018, arXiv:1709.01507): channels weigh each other."""

from __future__ import annotations

from minires.nn.activation import ReLU, Sigmoid
from minires.nn.convolution import Conv2d
from minires.nn.module import Module
from minires.nn.pooling import AdaptiveAvgPool2d
from minires.tensors import Tensor


class SqueezeExcitation(Module):
    """Each channel times a number between 0 and 1 that the means of all channels decide.

    x -> x * sigmoid(fc2(relu(fc1(mean over the image))))

    Parameters
    ----------
    input_channels : int
    squeeze_channels : int
        How many lie between the two layers; the paper has a sixteenth of the channels.

    Attributes
    ----------
    fc1, fc2 : Conv2d
        Of 1x1, on an image of one pixel: linear layers, under torchvision's names.

    References
    ----------
    J. Hu, L. Shen and G. Sun, *Squeeze-and-excitation networks*, CVPR 2018, arXiv:1709.01507,
    equations 2, 3 and 4.
    """

    def __init__(self, input_channels: int, squeeze_channels: int) -> None:
        super().__init__()
        self.avgpool = AdaptiveAvgPool2d(1)
        self.fc1 = Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = Conv2d(squeeze_channels, input_channels, 1)
        self.activation = ReLU()
        self.scale_activation = Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, input_channels)."""
        squeezed = self.avgpool(x)  # (N, 1, 1, C)
        scale = self.scale_activation(self.fc2(self.activation(self.fc1(squeezed))))
        y: Tensor = x * scale
        return y
