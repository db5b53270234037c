"""What others print, to compare with. Every figure has its place in their text beside it."""

from __future__ import annotations

from typing import Any

# He et al. 2015 (arXiv:1512.03385), table 1, last row: multiply-adds, in units of 10^9, for a
# 224x224 image
MULTIPLY_ADDS_G = {18: 1.8, 34: 3.6, 50: 3.8, 101: 7.6, 152: 11.3}

# table 6: millions of parameters, and the error on CIFAR-10's test images in percent
PARAMETERS_M = {20: "0.27", 32: "0.46", 44: "0.66", 56: "0.85", 110: "1.7", 1202: "19.4"}
TEST_ERROR = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43, 1202: 7.93}

# tables 2 and 3: top-1 error in percent on ImageNet's validation images, ten crops
IMAGENET_ERROR = {
    "plain-18": 27.94,
    "ResNet-18": 27.88,
    "plain-34": 28.54,
    "ResNet-34 A": 25.03,
    "ResNet-34 B": 24.52,
    "ResNet-34 C": 24.19,
}

# section 4.2: how the CIFAR-10 networks were trained
RECIPE: dict[str, Any] = {
    "images": 50_000,
    "batch_size": 128,
    "steps": 64_000,
    "lr": 0.1,
    "lr_divided_at": (32_000, 48_000),
    "momentum": 0.9,
    "weight_decay": 1e-4,
}

# README of https://github.com/akamaster/pytorch_resnet_cifar10: error on CIFAR-10's test images in
# percent, of the weights published there
AKAMASTER_ERROR = {20: 8.27, 32: 7.37, 44: 6.90, 56: 6.61, 110: 6.32, 1202: 6.18}
