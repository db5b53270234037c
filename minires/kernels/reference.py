"""The definitions, in plain loops: what the fast kernels are tested against.

Slow, and short enough to believe. Nothing here is shared with the fast code.
"""

from __future__ import annotations

import math

import numpy as np

from minires.kernels.convolution.reference import Floats, Pair, conv2d, conv2d_dw, conv2d_dx

__all__ = [
    "avg_pool",
    "batch_norm",
    "batch_norm_backward",
    "conv2d",
    "conv2d_dw",
    "conv2d_dx",
    "max_pool",
]


def max_pool(
    x: Floats, *, kernel_size: Pair, stride: Pair, padding: Pair = (0, 0)
) -> tuple[Floats, Floats]:
    """The first maximum of each window and its place ``kh*KW + kw``; NaN is above all."""
    (N, H, W, C), (KH, KW) = x.shape, kernel_size
    Ho = (H + 2 * padding[0] - KH) // stride[0] + 1
    Wo = (W + 2 * padding[1] - KW) // stride[1] + 1
    out = np.zeros((N, Ho, Wo, C), x.dtype)
    indices = np.zeros((N, Ho, Wo, C), int)
    for n, i, j, c in np.ndindex(N, Ho, Wo, C):
        best, place = None, 0
        for k, l in np.ndindex(KH, KW):
            h, v = i * stride[0] + k - padding[0], j * stride[1] + l - padding[1]
            if not (0 <= h < H and 0 <= v < W):
                continue
            value = x[n, h, v, c]
            if best is None or value > best or (math.isnan(value) and not math.isnan(best)):
                best, place = value, k * KW + l
        out[n, i, j, c], indices[n, i, j, c] = best, place
    return out, indices


def avg_pool(x: Floats, *, kernel_size: Pair, stride: Pair, padding: Pair = (0, 0)) -> Floats:
    """The mean of each window, in which padding counts as zeros."""
    (N, H, W, C), (KH, KW) = x.shape, kernel_size
    Ho = (H + 2 * padding[0] - KH) // stride[0] + 1
    Wo = (W + 2 * padding[1] - KW) // stride[1] + 1
    out = np.zeros((N, Ho, Wo, C), x.dtype)
    for n, i, j, c, k, l in np.ndindex(N, Ho, Wo, C, KH, KW):
        h, v = i * stride[0] + k - padding[0], j * stride[1] + l - padding[1]
        if 0 <= h < H and 0 <= v < W:
            out[n, i, j, c] += x[n, h, v, c] / (KH * KW)
    return out


def batch_norm(x: Floats, gamma: Floats, beta: Floats, eps: float = 1e-5) -> Floats:
    """Each channel of an (..., C) array with mean beta and standard deviation ``|gamma|``."""
    rows = x.reshape(-1, x.shape[-1])
    out = np.zeros_like(rows)
    for c in range(rows.shape[1]):
        mean = sum(rows[:, c]) / len(rows)
        var = sum((value - mean) ** 2 for value in rows[:, c]) / len(rows)
        for m, value in enumerate(rows[:, c]):
            out[m, c] = (value - mean) / math.sqrt(var + eps) * gamma[c] + beta[c]
    return out.reshape(x.shape)


def batch_norm_backward(
    g: Floats, x: Floats, gamma: Floats, eps: float = 1e-5
) -> tuple[Floats, Floats, Floats]:
    """The gradients with respect to x, gamma and beta.

    Mean and variance depend on every x of a channel.

    With ``n_i = (x_i - mean) / std``: ``d n_i / d x_j = ([i = j] - 1/M - n_i n_j / M) / std``.
    """
    rows, cotangent = x.reshape(-1, x.shape[-1]), g.reshape(-1, x.shape[-1])
    M, C = rows.shape
    dx, dgamma, dbeta = np.zeros_like(rows), np.zeros_like(gamma), np.zeros_like(gamma)
    for c in range(C):
        mean = sum(rows[:, c]) / M
        std = math.sqrt(sum((value - mean) ** 2 for value in rows[:, c]) / M + eps)
        normal = [(value - mean) / std for value in rows[:, c]]
        for i in range(M):
            dbeta[c] += cotangent[i, c]
            dgamma[c] += cotangent[i, c] * normal[i]
            for j in range(M):
                slope = ((i == j) - 1 / M - normal[i] * normal[j] / M) / std
                dx[j, c] += cotangent[i, c] * gamma[c] * slope
    return dx.reshape(x.shape), dgamma, dbeta
