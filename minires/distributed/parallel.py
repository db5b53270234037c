"""Data parallelism: what keeps the copies of a network equal to the bit."""

from __future__ import annotations

import zlib
from collections import Counter
from typing import Any, TypeVar

import numpy as np

from minires.backend import Array, to_host, xp_of
from minires.data.loader import stretch
from minires.distributed.group import DistributedError, Group, agreed
from minires.nn import Module
from minires.tensors import Tensor

Batch = TypeVar("Batch", bound=Any)


def enough(count: int, group: Group) -> None:
    """Raise a ValueError if a batch of so many samples leaves some process without any."""
    if 0 < count < group.size:
        raise ValueError(f"a batch of {count} is too small for {group.size} processes")


class DataParallel:
    """One process's copy of a network, and the sums that keep all copies equal.

    Parameters
    ----------
    model : Module
        Becomes the first process's network everywhere.
    group : Group

    Raises
    ------
    DistributedError
        If another process has another network.

    Examples
    --------
    >>> parallel = DataParallel(model, world())
    >>> mine, share = parallel.part(batch)  # `batch`: indices, the same in every process
    >>> optimizer.zero_grad()
    >>> (F.cross_entropy(model(images[mine]), labels[mine]) * share).backward()
    >>> parallel.synchronize(share)
    >>> optimizer.step()
    """

    def __init__(self, model: Module, group: Group) -> None:
        self.model, self.group = model, group
        self._flat: Array | None = None
        tensors = dict(model.named_parameters()) | dict(model.named_buffers())
        shapes = [f"{name} {tuple(t.shape)} {t.dtype}" for name, t in tensors.items()]
        every = group.exchange(shapes)
        for rank, other in enumerate(every):
            if other != every[0]:
                raise agreed(DistributedError(f"rank {rank} has another network than rank 0"))
        for tensor in tensors.values():
            group.broadcast(tensor.data)

    def part(self, batch: Batch) -> tuple[Batch, float]:
        """This process's stretch of a batch, as long as the others' or one longer, and its share.

        Parameters
        ----------
        batch : array or list
            The whole batch, or the indices of its samples.

        Raises
        ------
        ValueError
            If there are fewer samples than processes.
        """
        enough(len(batch), self.group)
        mine = stretch(batch, self.group.rank, self.group.size)
        return mine, len(mine) / len(batch)

    def synchronize(self, share: float | None = None) -> None:
        """Add up all processes' gradients, and average their running statistics, in place.

        The gradients are to be those of this process's part of the loss over the whole batch: of
        the mean over its own samples, times its share. A parameter that has a gradient in one
        process has one in all of them afterwards. All goes in one message.

        Parameters
        ----------
        share : float, optional
            This process's share of the batch; by default all are equal.
        """
        if self.group.size == 1:
            return
        share = 1 / self.group.size if share is None else share
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        running = [b for b in self.model.buffers() if b.dtype.kind == "f"]
        flat, places = self._buffer([*parameters, *running], len(parameters))
        has_gradient = places.pop()
        has_gradient[...] = xp_of(flat).asarray([p.grad is not None for p in parameters])
        for parameter, place in zip(parameters, places, strict=False):
            place[...] = 0 if parameter.grad is None else parameter.grad.data
        for buffer, place in zip(running, places[len(parameters) :], strict=True):
            place[...] = buffer.data
            place *= share
        self.group.sum(flat)
        somewhere = to_host(has_gradient) > 0
        for parameter, place, wanted in zip(parameters, places, somewhere, strict=False):
            if parameter.grad is not None:
                parameter.grad.data[...] = place
            elif wanted:
                parameter.grad = Tensor(place.astype(parameter.dtype))
        for buffer, place in zip(running, places[len(parameters) :], strict=True):
            buffer.data[...] = place

    def _buffer(self, tensors: list[Tensor], flags: int) -> tuple[Array, list[Array]]:
        """Room for all of them and some flags, the same in every step, and each one's place."""
        sizes = [*(t.size for t in tensors), flags]
        length = -(-sum(sizes) // self.group.size) * self.group.size
        dtype = np.result_type(np.float32, *(t.dtype for t in tensors))
        if self._flat is None or self._flat.size != length or self._flat.dtype != dtype:
            self._flat = xp_of(*(t.data for t in tensors)).zeros(length, dtype)
        starts = np.cumsum([0, *sizes])
        shapes = [*(t.shape for t in tensors), (flags,)]
        places = [
            self._flat[start : start + size].reshape(shape)
            for start, size, shape in zip(starts, sizes, shapes, strict=False)
        ]
        return self._flat, places

    def sums(self, *numbers: Any) -> list[Any]:
        """The sums over all processes of a few numbers, in float64; of one, the numbers."""
        if self.group.size == 1:
            return list(numbers)
        every = self.group.gather(np.array([float(number) for number in numbers]))
        total = every[0]
        for one in every[1:]:
            total = total + one
        return [float(number) for number in total]

    def average_statistics(self, share: float) -> None:
        """Average the running statistics alone, by the processes' shares."""
        for buffer in self.model.buffers():
            if self.group.size > 1 and buffer.dtype.kind == "f":
                every = self.group.gather(buffer.data * buffer.dtype.type(share))
                buffer.data[...] = xp_of(buffer.data).asarray(sum(every[1:], start=every[0]))

    def check(self) -> None:
        """Compare checksums of all weights and statistics.

        Raises
        ------
        DistributedError
            In every process, if they differ: in which ranks, and in what first.
        """
        if self.group.size == 1:
            return
        state = self.model.state_dict()
        own = [zlib.crc32(np.ascontiguousarray(to_host(a)).tobytes()) for a in state.values()]
        every = self.group.gather(np.array(own, np.uint32))
        usual = Counter(row.tobytes() for row in every).most_common(1)[0][0]
        odd = [rank for rank, row in enumerate(every) if row.tobytes() != usual]
        if odd:
            first = int((every != np.frombuffer(usual, np.uint32)).any(axis=0).argmax())
            ranks = f"rank{'s' * (len(odd) > 1)} {', '.join(map(str, odd))}"
            raise agreed(
                DistributedError(
                    f"the networks are no longer equal: {ranks} of {self.group.size} "
                    f"differ{'s' * (len(odd) == 1)} from the others, first in {list(state)[first]}"
                )
            )
