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
    """Raise a ValueError if a batch of so many samples leaves some process without any.

    Also a TypeError if what should be a group is none: an MPI communicator has a size, too.
    """
    if not isinstance(group, Group):
        raise TypeError(f"group must be distributed.world(), got {type(group).__name__}")
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
    TypeError
        If it is no module, or no group.

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
        if not isinstance(model, Module):
            raise TypeError(f"model must be a Module, got {type(model).__name__}")
        enough(0, group)
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
        if not len(batch):
            raise ValueError("the batch is empty")
        enough(len(batch), self.group)
        mine = stretch(batch, self.group.rank, self.group.size)
        return mine, len(mine) / len(batch)

    def synchronize(self, share: float | None = None) -> None:
        """Add up all processes' gradients, and average their running statistics, in place.

        The gradients are to be those of this process's part of the loss over the whole batch: of
        the mean over its own samples, times its share. A parameter that has a gradient in one
        process has one in all of them afterwards. All goes in one message, after a short one about
        which parameters have a gradient.

        Parameters
        ----------
        share : float, optional
            This process's share of the batch; by default all are equal.

        Raises
        ------
        ValueError
            In every process, if the shares do not add up to 1.
        DistributedError
            In every process, if a parameter learns in some processes and is frozen in others.
        """
        if self.group.size == 1:
            return
        share = 1 / self.group.size if share is None else float(share)
        named = dict(self.model.named_parameters())
        state = [2 * p.requires_grad + (p.grad is not None) for p in named.values()]
        every = self.group.gather(np.array([share, *state]))
        whole, states = every[:, 0].sum(), every[:, 1:]
        if not abs(whole - 1) < 1e-6:
            raise agreed(ValueError(f"the processes' shares of the batch add up to {whole:g}"))
        for name, column in zip(named, states.T >= 2, strict=True):
            if column.any() != column.all():
                where = ", ".join(map(str, np.flatnonzero(~column)))
                raise agreed(DistributedError(f"{name} is frozen in rank {where} only"))
        wanted = (states == 3).any(axis=0)
        self._add_up([p for p, here in zip(named.values(), wanted, strict=True) if here], share)

    def average_statistics(self, share: float) -> None:
        """Average the running statistics alone, by the processes' shares."""
        if self.group.size > 1:
            self._add_up([], share)

    def _add_up(self, parameters: list[Any], share: float) -> None:
        """Their gradients and all running statistics, in one message."""
        running = [b for b in self.model.buffers() if b.dtype.kind == "f"]
        tensors = [*parameters, *running]
        if not tensors:
            return
        length = -(-sum(t.size for t in tensors) // self.group.size) * self.group.size
        dtype = np.result_type(np.float32, *(t.dtype for t in tensors))
        if self._flat is None or self._flat.size != length or self._flat.dtype != dtype:
            self._flat = xp_of(*(t.data for t in tensors)).zeros(length, dtype)
        starts = np.cumsum([0, *(t.size for t in tensors)])
        places = [
            self._flat[start : start + t.size].reshape(t.shape)
            for t, start in zip(tensors, starts, strict=False)
        ]
        of_running = places[len(parameters) :]
        for parameter, place in zip(parameters, places, strict=False):
            place[...] = 0 if parameter.grad is None else parameter.grad.data
        for buffer, place in zip(running, of_running, strict=True):
            place[...] = buffer.data
            place *= share
        self.group.sum(self._flat)
        for parameter, place in zip(parameters, places, strict=False):
            if parameter.grad is None:
                parameter.grad = Tensor(place.astype(parameter.dtype))
            else:
                parameter.grad.data[...] = place
        for buffer, place in zip(running, of_running, strict=True):
            buffer.data[...] = place

    def sums(self, *numbers: Any) -> list[Any]:
        """The sums over all processes of a few numbers, in float64; of one, the numbers."""
        if self.group.size == 1:
            return list(numbers)
        every = self.group.gather(np.array([float(number) for number in numbers]))
        total: list[Any] = every.sum(axis=0).tolist()
        return total

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
