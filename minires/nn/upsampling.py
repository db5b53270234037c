"""The layer that makes images larger without weights."""

from __future__ import annotations

from minires.nn import functional as F
from minires.nn.module import Module
from minires.nn.sizes import Size
from minires.tensors import Tensor


class Upsample(Module):
    """Images (N, H, W, C) of another size, by copying or mixing the nearest pixels.

    Parameters
    ----------
    size : int or (int, int), optional
        Of the result, or give `scale_factor`.
    scale_factor : float or (float, float), optional
        How many times as high and wide; sizes are rounded down.
    mode : {"nearest", "bilinear"}
    align_corners : bool, optional
        For "bilinear": whether the centres of the corner pixels stay where they are, or the edges.

    Raises
    ------
    ValueError
        If the size is given twice or not at all, or the mode is another one.

    See Also
    --------
    minires.nn.functional.interpolate : where the new pixels are in the old image.
    """

    def __init__(
        self,
        size: Size | None = None,
        scale_factor: float | tuple[float, float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
    ) -> None:
        super().__init__()
        if (size is None) == (scale_factor is None):
            raise ValueError("Upsample wants either size or scale_factor")
        if mode not in ("nearest", "bilinear"):
            raise ValueError(f'Upsample: mode must be "nearest" or "bilinear", got {mode!r}')
        self.size, self.scale_factor = size, scale_factor
        self.mode, self.align_corners = mode, align_corners

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to (N, height, width, C)."""
        return F.interpolate(x, self.size, self.scale_factor, self.mode, self.align_corners)

    def extra_repr(self) -> str:
        size = f"size={self.size}"
        if self.size is None:
            factor = self.scale_factor
            floats = tuple(map(float, factor)) if isinstance(factor, tuple) else float(factor or 0)
            size = f"scale_factor={floats}"
        return f"{size}, mode={self.mode!r}"
