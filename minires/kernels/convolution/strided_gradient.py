"""The gradient of a convolution by its input, as convolutions of stride 1.

Row h of the input meets tap k in output row i where ``h + padding = i*stride + k*dilation``. For
the rows of one *phase*, those with the same ``(h + padding) % stride``, the same few taps take
part and i moves on by one from a row to the next: a plain convolution of g with those taps in
reverse order. A stride of 1 has one phase, with all taps; a stride of s has s phases along each
axis, which share the taps out without waste, where a gradient dilated with zeros would multiply
by them.
"""

from __future__ import annotations

from math import gcd
from typing import NamedTuple

from minires.backend import Array


class Phase(NamedTuple):
    """One phase along one axis.

    Attributes
    ----------
    first : int
        The first position of the input in it; the others follow in steps of the stride.
    taps : slice
        Its taps, in ascending order.
    start : int
        The position of g that the last tap (the first in reverse order) meets at `first`.
    dilation : int
        The distance in g from a tap to the next.
    """

    first: int
    taps: slice
    start: int
    dilation: int


def phases(kernel: int, stride: int, padding: int, dilation: int) -> list[Phase]:
    """The phases along an axis that some tap reaches, in no more than `stride` pieces."""
    step = stride // gcd(stride, dilation)  # taps in one phase are this far apart
    found = []
    for k in range(min(step, kernel)):
        taps = range(k, kernel, step)
        first = (k * dilation - padding) % stride
        start = (first + padding - taps[-1] * dilation) // stride
        found.append(Phase(first, slice(k, None, step), start, step * dilation // stride))
    return found


def swap_channels(w: Array, groups: int) -> Array:
    """(KH, KW, C/groups, O) -> (KH, KW, O/groups, C): the filters that carry g back to x."""
    KH, KW, Cg, O = w.shape
    split = w.reshape(KH, KW, Cg, groups, O // groups)
    swapped: Array = split.transpose(0, 1, 4, 3, 2).reshape(KH, KW, O // groups, groups * Cg)
    return swapped
