"""Random draws that depend on what is drawn, never on how much was drawn before.

A generator that is read as a stream ties every augmentation to its position in the run: another
batch size, a prefetching thread or a run resumed in the middle of an epoch, and each image gets
another crop. Here a draw is a *function* of (seed, epoch, name of the draw, index of the sample),
so that none of these matters. (Counter-based generators: Salmon et al., "Parallel random numbers:
as easy as 1, 2, 3", SC 2011.)

The function is the output step of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
number generators", OOPSLA 2014): sample i gets the i-th output of the SplitMix64 stream whose state
starts at a key, and the key is a hash of seed, epoch and name. It is integer arithmetic, the same
on every machine and in every version of NumPy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minires.data.arrays import IndexArray, IntArray

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio: SplitMix64's increment


def splitmix64(key: int, counters: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Output number `counters` (from 0) of the SplitMix64 stream that starts at state `key`.

    Parameters
    ----------
    key : int
        The stream, 0 to 2**64 - 1.
    counters : uint64 array of any shape
        Which outputs.

    Returns
    -------
    uint64 array of the same shape
        Uniform over all 64-bit values. Arithmetic is modulo 2**64.
    """
    z = counters * np.uint64(_GOLDEN)
    z += np.uint64((key + _GOLDEN) & _MASK)
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


@lru_cache(maxsize=1024)
def stream_key(seed: int, epoch: int, name: str) -> int:
    """The 64-bit key of the stream for one named draw in one epoch.

    A cryptographic hash, since neighbouring seeds and epochs must give unrelated streams and the
    price is paid once a draw and epoch, not once a sample.
    """
    digest = hashlib.blake2b(f"{seed} {epoch} {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


@dataclass(frozen=True)
class Draws:
    """Random numbers for the samples of one batch: one value a sample for each name.

    Parameters
    ----------
    seed, epoch : int
        Of the run, and how many times the data has been gone through before.
    indices : int64 (N,)
        Index of each sample in its dataset.
    scope : str
        Put before every name, so that two random crops in one pipeline draw independently.
    """

    seed: int
    epoch: int
    indices: IntArray | IndexArray
    scope: str = ""
    _counters: NDArray[np.uint64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        indices = np.asarray(self.indices, dtype=np.int64)
        object.__setattr__(self, "indices", indices)
        object.__setattr__(self, "_counters", indices.astype(np.uint64))

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, samples: slice) -> Draws:
        """The same draws for some of the samples only."""
        return Draws(self.seed, self.epoch, self.indices[samples], self.scope)

    def scoped(self, name: str) -> Draws:
        """The same samples with `name` put before the name of every draw."""
        return Draws(self.seed, self.epoch, self.indices, f"{self.scope}{name}.")

    def bits(self, name: str) -> NDArray[np.uint64]:
        """64 random bits a sample: uint64 (N,)."""
        return splitmix64(stream_key(self.seed, self.epoch, self.scope + name), self._counters)

    def uniform(self, name: str, low: float = 0.0, high: float = 1.0) -> NDArray[np.float64]:
        """Uniform from `low` to `high`: float64 (N,). Over [0, 1) the upper end never occurs."""
        values = (self.bits(name) >> np.uint64(11)).astype(np.float64)  # as many as it holds: 53
        values *= (high - low) * 2.0**-53
        values += low
        return values

    def integers(self, name: str, low: int, high: int | NDArray[Any]) -> IntArray:
        """Uniform over the integers low, ..., high - 1: int64 (N,).

        `high` may be an array (N,) with a bound for each sample. Some values are likelier than
        others by a factor of 1 + (high - low) / 2**53 at most.
        """
        return low + (self.uniform(name) * (high - low)).astype(np.int64)
