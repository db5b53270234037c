"""Layers: Modules with PyTorch's names, on images with channels last."""

from minires.nn import functional, init
from minires.nn.activation import GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Tanh
from minires.nn.attention import MultiheadAttention
from minires.nn.container import ModuleList, Sequential
from minires.nn.convolution import Conv2d, ConvTranspose2d
from minires.nn.embedding import Embedding
from minires.nn.linear import Linear
from minires.nn.loss import CrossEntropyLoss, MSELoss
from minires.nn.module import KeyMismatch, Module, Parameter
from minires.nn.normalization import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from minires.nn.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d, MinPool2d
from minires.nn.squeeze_excitation import SqueezeExcitation
from minires.nn.structure import Add, Dropout, Flatten, Identity, StochasticDepth
from minires.nn.summary import Summary, summary
from minires.nn.upsampling import Upsample

__all__ = [
    "GELU",
    "AdaptiveAvgPool2d",
    "Add",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "GroupNorm",
    "Identity",
    "KeyMismatch",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MSELoss",
    "MaxPool2d",
    "MinPool2d",
    "Module",
    "ModuleList",
    "MultiheadAttention",
    "Parameter",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "SqueezeExcitation",
    "StochasticDepth",
    "Summary",
    "Tanh",
    "Upsample",
    "functional",
    "init",
    "summary",
]
