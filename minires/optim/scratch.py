"""Working memory that an optimiser uses again for every parameter and every step."""

from __future__ import annotations

from minires.backend import Array, device_of, xp_of


class Scratch:
    """Named buffers, each as large as the largest array that it was asked for.

    `x -= lr * g` would allocate a temporary as large as `x`, and a large allocation costs page
    faults, so the updates write such products into a buffer from here. A buffer is valid until the
    next one of the same name is asked for.

    >>> scratch = Scratch()
    >>> x -= xp.multiply(g, lr, out=scratch("step", x))
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, str, str], Array] = {}

    def __call__(self, name: str, like: Array) -> Array:
        """An array of `like`'s shape, dtype and device, with arbitrary content."""
        key = name, like.dtype.str, device_of(like)
        buffer = self._buffers.get(key)
        if buffer is None or buffer.size < like.size:
            buffer = self._buffers[key] = xp_of(like).empty(like.size, like.dtype)
        return buffer[: like.size].reshape(like.shape)
