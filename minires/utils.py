"""PyTorch's place for data: `minires.utils.data` is `minires.data`."""

import sys

from minires import data

sys.modules["minires.utils.data"] = data

__all__ = ["data"]
