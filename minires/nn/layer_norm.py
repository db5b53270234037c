"""Layer normalisation: by each sample's own statistics."""

from __future__ import annotations

from minires.nn import functional as F
from minires.nn.scale_and_shift import ScaleAndShift
from minires.tensors import Tensor


class LayerNorm(ScaleAndShift):
    """Layer normalisation: each sample, and each place in it, over its last axes.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        The axes that are normalised together; an integer, as of channels, means the last one.
    eps : float
        Added to the variance.
    elementwise_affine : bool
        Whether to scale by a learned weight and shift by a learned bias.
    bias : bool
        False learns a weight alone.

    Attributes
    ----------
    weight, bias : Parameter of normalized_shape, or None

    Raises
    ------
    ValueError
        When called, if the last axes are others.

    See Also
    --------
    minires.nn.functional.layer_norm : what is computed, and the paper.
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        self.normalized_shape, self.eps = tuple(shape), eps
        self.elementwise_affine = elementwise_affine
        affine = elementwise_affine
        self._learn(self.normalized_shape, weight=affine, bias=affine and bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., normalized_shape)."""
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        affine = f"elementwise_affine={self.elementwise_affine}"
        return f"{self.normalized_shape}, eps={self.eps}, {affine}, bias={self.bias is not None}"
