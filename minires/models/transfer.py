"""Transfer learning: what a network learned on one task, at work on another."""

from __future__ import annotations

from minires import nn
from minires.models.resnet import ResNet
from minires.tensors import Tensor


class FeatureExtractor(nn.Module):
    """Images (N, H, W, in_channels) to the mean of the last stage's map (N, channels).

    Attributes
    ----------
    channels : int
    """

    def __init__(self, network: ResNet) -> None:
        super().__init__()
        self.network = network
        self.channels: int = network.fc.in_features

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, in_channels) to (N, channels)."""
        net = self.network
        y: Tensor = net.flatten(net.avgpool(net.features(x)))
        return y


def _check(network: ResNet) -> None:
    if not isinstance(network, ResNet):
        raise TypeError(f"this is for networks of the class ResNet, not {type(network).__name__}")


def feature_extractor(network: ResNet) -> FeatureExtractor:
    """A network without its classifier: the features that the classifier would see.

    It shares the network's weights. `y = extractor(images)` under `minires.no_grad()` turns a data
    set into vectors, on which a linear classifier trains in seconds.
    """
    _check(network)
    return FeatureExtractor(network)


def replace_head(network: ResNet, num_classes: int) -> ResNet:
    """Give the network a new, random classifier of `num_classes` classes, in place."""
    _check(network)
    device = network.fc.weight.device
    network.fc = nn.Linear(network.fc.in_features, num_classes).to(device)
    if network.architecture:
        network.architecture = {**network.architecture, "num_classes": num_classes}
    return network


def freeze_backbone(network: ResNet) -> ResNet:
    """Let only the classifier learn, in place.

    The batch norms before it keep to their running statistics in training too: what is frozen does
    not depend on the batch.
    """
    _check(network)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith("fc."))
    network.frozen = True
    return network.train(network.training)
