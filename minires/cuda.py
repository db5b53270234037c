"""Whether there is a GPU, by PyTorch's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minires import backend
from minires.from_pytorch import module_getattr


def device_count() -> int:
    """How many GPUs CuPy can compute on."""
    try:
        return int(backend.load_cupy().cuda.runtime.getDeviceCount())
    except backend.DeviceError:
        return 0


def is_available() -> bool:
    """Whether `to("cuda")` works here."""
    return device_count() > 0


def synchronize() -> None:
    """Wait until the GPU has done what was asked of it."""
    backend.finish()


if not TYPE_CHECKING:
    __getattr__ = module_getattr("cuda", __name__)
