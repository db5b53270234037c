"""Dropout: of values, of channels, and of residual branches."""

from __future__ import annotations

from minires.nn import functional as F
from minires.nn.module import Module
from minires.tensors import Tensor


class Dropout(Module):
    """Zero each value with probability `p` in training (Srivastava et al. 2014).

    With `inplace=True` the input is changed to the result, see `functional.relu`.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout wants a probability p with 0 <= p <= 1, got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.dropout(x, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}" + ", inplace=True" * self.inplace


class Dropout2d(Dropout):
    """Zero each channel of each image with probability `p` in training (Tompson et al. 2015)."""

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, H, W, C)."""
        return F.dropout2d(x, self.p, self.training, self.inplace)


class StochasticDepth(Module):
    """Leave out a residual branch with probability `p` in training, sample by sample.

    What is kept is scaled by `1 / (1 - p)`, so that evaluation, which keeps all, needs no scaling.

    Parameters
    ----------
    p : float
    mode : {"row", "batch"}
        Whether each sample is drawn for by itself, or all of a batch together.

    See Also
    --------
    minires.nn.functional.stochastic_depth : where draws come from, and the paper.
    """

    def __init__(self, p: float, mode: str = "row") -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"StochasticDepth wants a probability p with 0 <= p <= 1, got {p}")
        if mode not in ("row", "batch"):
            raise ValueError(f'StochasticDepth: mode must be "row" or "batch", got {mode!r}')
        self.p, self.mode = p, mode

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...), before it is added to the shortcut."""
        return F.stochastic_depth(x, self.p, self.mode, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, mode={self.mode}"
