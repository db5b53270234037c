"""Weights and images by a stated formula, the same wherever it is computed.

A tensor's numbers depend on its name, its shape and their places in it, in C order of PyTorch's
layout. Whole numbers are mixed (splitmix64: Steele et al. 2014), so that no rounding comes in.
"""

import zlib

import numpy as np


def uniform(name, shape):
    """Numbers in [0, 1), float64: the upper 53 bits of splitmix64(place + crc32(name) * 2^32)."""
    z = np.arange(np.prod(shape, dtype=int), dtype=np.uint64)
    z += np.uint64(zlib.crc32(name.encode()) << 32)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return ((z >> np.uint64(11)) * 2.0**-53).reshape(shape)


def fill(name, shape):
    """A tensor of a state dict in PyTorch's layout, by its name and shape.

    Convolutions and linear weights are uniform with variance 2 / fan_in; of batch norms the scale
    is in [0.25, 0.75), the running variance in [0.5, 1.5), all other vectors are in [-0.25, 0.25).
    """
    kind = name.rpartition(".")[2]
    if kind == "num_batches_tracked":
        return np.array(1, np.int64)
    u = uniform(name, shape)
    if len(shape) > 1:
        values = (u - 0.5) * np.sqrt(12 * 2 / np.prod(shape[1:]))
    elif kind == "weight":
        values = 0.25 + 0.5 * u
    else:
        values = 0.5 + u if kind == "running_var" else 0.5 * (u - 0.5)
    return values.astype(np.float32)


def image(size=64, count=2):
    """Normalised images (N, C, H, W), as in PyTorch, float32 in [-2, 2)."""
    return (4 * uniform("image", (count, 3, size, size)) - 2).astype(np.float32)
