"""The definitions, in plain loops: what the fast kernels are tested against.

Slow, and short enough to believe. Nothing here is shared with the fast code.
"""

from __future__ import annotations

import math
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
    """The gradients by x, gamma and beta, where mean and variance depend on every x of a channel.

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
