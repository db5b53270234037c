"""Group normalisation: by the statistics of each sample's groups of channels."""

from __future__ import annotations

from minires.nn import functional as F
from minires.nn.scale_and_shift import ScaleAndShift
from minires.ops.convolution import channels_first
from minires.tensors import Tensor


class GroupNorm(ScaleAndShift):
    """Group normalisation: each sample's channels in groups, over all places.

    Parameters
    ----------
    num_groups : int
        A divisor of num_channels; 1 normalises whole samples, num_channels each channel by itself.
    num_channels : int
    eps : float
        Added to the variance.
    affine : bool
        Whether to scale by a learned weight and shift by a learned bias.
    bias : bool
        False learns a weight alone.

    Attributes
    ----------
    weight, bias : Parameter (num_channels,) or None

    Raises
    ------
    ValueError
        If the groups do not divide the channels; when called, if the channels are others.

    See Also
    --------
    minires.nn.functional.group_norm : what is computed, and the paper.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: {num_groups} groups do not divide {num_channels} channels"
            )
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.affine = affine
        self._learn(num_channels, weight=affine, bias=affine and bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, ..., num_channels)."""
        if x.shape[-1:] != (self.num_channels,):
            hint = channels_first(x.shape, self.num_channels)
            raise ValueError(
                f"GroupNorm wants (N, ..., {self.num_channels}), got {tuple(x.shape)}{hint}"
            )
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        text = f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"
        return f"{text}, bias={self.bias is not None}"
