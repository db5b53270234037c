"""Convolution and its two gradients, in plain loops: what the fast algorithms are tested against.

Slow, and short enough to believe. Nothing here is shared with the fast code.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[Any]]
Pair = tuple[int, int]


def conv2d(
    x: Floats,
    w: Floats,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Floats:
    """(N, H, W, C) images and (KH, KW, C/groups, O) filters -> (N, Ho, Wo, O)."""
    (N, H, W, _), (KH, KW, Cg, O) = x.shape, w.shape
    Ho = (H + 2 * padding[0] - dilation[0] * (KH - 1) - 1) // stride[0] + 1
    Wo = (W + 2 * padding[1] - dilation[1] * (KW - 1) - 1) // stride[1] + 1
    out = np.zeros((N, Ho, Wo, O), x.dtype)
    for n, i, j, o, k, l in np.ndindex(N, Ho, Wo, O, KH, KW):
        h = i * stride[0] + k * dilation[0] - padding[0]
        v = j * stride[1] + l * dilation[1] - padding[1]
        if 0 <= h < H and 0 <= v < W:
            group = o // (O // groups)
            for c in range(Cg):
                out[n, i, j, o] += x[n, h, v, group * Cg + c] * w[k, l, c, o]
    return out


def conv2d_dx(
    g: Floats,
    w: Floats,
    *,
    input_size: Pair,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Floats:
    """What each input is multiplied by in `conv2d`, times the gradient that arrives there."""
    (N, Ho, Wo, O), (KH, KW, Cg, _), (H, W) = g.shape, w.shape, input_size
    dx = np.zeros((N, H, W, Cg * groups), g.dtype)
    for n, i, j, o, k, l in np.ndindex(N, Ho, Wo, O, KH, KW):
        h = i * stride[0] + k * dilation[0] - padding[0]
        v = j * stride[1] + l * dilation[1] - padding[1]
        if 0 <= h < H and 0 <= v < W:
            group = o // (O // groups)
            for c in range(Cg):
                dx[n, h, v, group * Cg + c] += g[n, i, j, o] * w[k, l, c, o]
    return dx


def conv2d_dw(
    x: Floats,
    g: Floats,
    *,
    kernel_size: Pair,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Floats:
    """What each weight is multiplied by in `conv2d`, times the gradient that arrives there."""
    (N, H, W, C), (_, Ho, Wo, O), (KH, KW) = x.shape, g.shape, kernel_size
    Cg = C // groups
    dw = np.zeros((KH, KW, Cg, O), g.dtype)
    for n, i, j, o, k, l in np.ndindex(N, Ho, Wo, O, KH, KW):
        h = i * stride[0] + k * dilation[0] - padding[0]
        v = j * stride[1] + l * dilation[1] - padding[1]
        if 0 <= h < H and 0 <= v < W:
            group = o // (O // groups)
            for c in range(Cg):
                dw[k, l, c, o] += x[n, h, v, group * Cg + c] * g[n, i, j, o]
    return dw
