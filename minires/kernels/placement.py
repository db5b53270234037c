"""What every convolution algorithm is told about where the windows lie."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

Pair: TypeAlias = tuple[int, int]
"""One number for the height and one for the width."""


class Placement(NamedTuple):
    """Where windows lie over an image around which zeros go on for ever.

    Attributes
    ----------
    start : (int, int)
        Row and column of the first window's first cell; minus the padding in a forward pass.
    stride : (int, int)
        From a window to the next.
    dilation : (int, int)
        From a cell of a window to the next.
    groups : int
        Into how many groups channels and filters are split.
    """

    start: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    groups: int = 1

    def why_not_plain(self) -> str | None:
        """Why an algorithm for a stride and a dilation of 1 and one group cannot do it, or None."""
        if self.stride != (1, 1):
            return f"it needs a stride of 1, not {self.stride}"
        if self.dilation != (1, 1):
            return f"it needs a dilation of 1, not {self.dilation}"
        if self.groups != 1:
            return f"it needs one group, not {self.groups}"
        return None

    def rows(self, first: int, last: int, kernel: int) -> Pair:
        """The half-open range of input rows that the windows `first:last` read."""
        low = first * self.stride[0] + self.start[0]
        return low, low + (last - first - 1) * self.stride[0] + self.dilation[0] * (kernel - 1) + 1

    def columns(self, count: int, kernel: int) -> Pair:
        """The half-open range of input columns that `count` windows from the first on read."""
        low = self.start[1]
        return low, low + (count - 1) * self.stride[1] + self.dilation[1] * (kernel - 1) + 1
