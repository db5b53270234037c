"""Layers: Modules with PyTorch's names, on images with channels last."""

from typing import TYPE_CHECKING

from minires.from_pytorch import module_getattr
from minires.nn import functional, init
from minires.nn.activation import LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from minires.nn.container import ModuleDict, ModuleList, Sequential
from minires.nn.convolution import Conv2d
from minires.nn.linear import Linear
from minires.nn.loss import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from minires.nn.module import KeyMismatch, Module, Parameter
from minires.nn.normalization import BatchNorm1d, BatchNorm2d
from minires.nn.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d, MinPool2d
from minires.nn.structure import Add, Dropout, Dropout2d, Flatten, Identity
from minires.nn.summary import Summary, summary

if not TYPE_CHECKING:
    __getattr__ = module_getattr("nn", __name__)

__all__ = [
    "AdaptiveAvgPool2d",
    "Add",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "Flatten",
    "Identity",
    "KeyMismatch",
    "L1Loss",
    "LeakyReLU",
    "Linear",
    "MSELoss",
    "MaxPool2d",
    "MinPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Summary",
    "Tanh",
    "functional",
    "init",
    "summary",
]
