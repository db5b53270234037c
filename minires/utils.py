"""PyTorch's place for data: `minires.utils.data` is `minires.data`, and so are its modules."""

import sys
from typing import TYPE_CHECKING

from minires import data
from minires.from_pytorch import module_getattr

for name in ("", ".dataset", ".dataloader", ".sampler", ".distributed"):
    sys.modules[f"minires.utils.data{name}"] = data

if not TYPE_CHECKING:
    __getattr__ = module_getattr("utils", __name__)

__all__ = ["data"]
