"""Groups with few channels, put together into fewer groups with more.

A product with four channels and four filters leaves most of a vector unit idle, and copying four
channels at a time most of the memory's bandwidth. Several groups as one, whose weights are zero
between channels and filters of different groups, multiply by zeros in vain and still take less
time.
"""

from __future__ import annotations

from types import ModuleType

from minires.backend import Array
from minires.kernels.machinery.workspace import empty

ENOUGH = 16
"""How many channels a group should have."""


def how_many(channels: int, groups: int) -> int:
    """How many groups of so many channels to put together: the fewest that divide `groups`."""
    fitting = (m for m in range(1, groups) if groups % m == 0 and m * channels >= ENOUGH)
    return next(fitting, groups)


def merge(w: Array, xp: ModuleType, groups: int, together: int) -> Array:
    """The weights of `groups` groups as those of ``groups / together``.

    Parameters
    ----------
    w : (KH, KW, C/groups, O) array
    xp : module
    groups, together : int

    Returns
    -------
    (KH, KW, together*C/groups, O) array
        Zero where a channel and a filter are of different groups.
    """
    KH, KW, Cg, O = w.shape
    merged = xp.zeros((KH, KW, together * Cg, O), w.dtype)
    for own, part in _diagonal(merged, w, groups, together):
        own[...] = part
    return merged


def split(merged: Array, xp: ModuleType, groups: int, together: int) -> Array:
    """The adjoint of `merge`: the gradients of the weights within the `groups` groups."""
    KH, KW, wide, O = merged.shape
    w = empty(xp, (KH, KW, wide // together, O), merged.dtype)
    for own, part in _diagonal(merged, w, groups, together):
        part[...] = own
    return w


def _diagonal(merged: Array, w: Array, groups: int, together: int) -> list[tuple[Array, Array]]:
    """Views of the same weights in both, one pair for each place among the groups put together."""
    KH, KW, Cg, O = w.shape
    shape = (groups // together, together, O // groups)
    wide = merged.reshape(KH, KW, together, Cg, *shape)
    narrow = w.reshape(KH, KW, Cg, *shape)
    return [(wide[:, :, i, :, :, i], narrow[:, :, :, :, i]) for i in range(together)]
