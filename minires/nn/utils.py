"""What PyTorch keeps in `nn.utils`."""

from typing import TYPE_CHECKING

from minires.from_pytorch import module_getattr
from minires.optim.clipping import clip_grad_norm_, clip_grad_value_

if not TYPE_CHECKING:
    __getattr__ = module_getattr("nn.utils", __name__)

__all__ = ["clip_grad_norm_", "clip_grad_value_"]
