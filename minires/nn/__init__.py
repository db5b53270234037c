"""Layers: Modules with PyTorch's names, on images with channels last."""

from typing import TYPE_CHECKING

from minires.from_pytorch import module_getattr
from minires.nn import functional, init, utils
from minires.nn.activation import GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Tanh
from minires.nn.attention import MultiheadAttention
from minires.nn.batch_norm import BatchNorm1d, BatchNorm2d
from minires.nn.container import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from minires.nn.convolution import Conv2d, ConvTranspose2d
from minires.nn.dropout import Dropout, Dropout2d, StochasticDepth
from minires.nn.embedding import Embedding
from minires.nn.flatten import Flatten, Identity
from minires.nn.group_norm import GroupNorm
from minires.nn.layer_norm import LayerNorm
from minires.nn.linear import Linear
from minires.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from minires.nn.module import KeyMismatch, Module, Parameter
from minires.nn.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d, MinPool2d
from minires.nn.residual_add import Add
from minires.nn.squeeze_excitation import SqueezeExcitation
from minires.nn.summary import Summary, summary
from minires.nn.upsampling import Upsample

if not TYPE_CHECKING:
    __getattr__ = module_getattr("nn", __name__, later=("modules", "parameter"))

__all__ = [
    "GELU",
    "AdaptiveAvgPool2d",
    "Add",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "Embedding",
    "Flatten",
    "GroupNorm",
    "Identity",
    "KLDivLoss",
    "KeyMismatch",
    "L1Loss",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "MinPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NLLLoss",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "SqueezeExcitation",
    "StochasticDepth",
    "Summary",
    "Tanh",
    "Upsample",
    "functional",
    "init",
    "summary",
    "utils",
]
