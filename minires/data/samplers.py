"""Orders of samples under PyTorch's names, for `DataLoader(sampler=...)`.

A loader asks for the order anew each epoch. The random ones draw from the generator that layers
draw from, so `minires.manual_seed` repeats them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any

import numpy as np

from minires import random
from minires.data.errors import DataError
from minires.data.settings import whole
from minires.from_pytorch import PyTorchsKeywords


class Sampler(PyTorchsKeywords):
    """What a sampler of your own may inherit from; it has `__iter__` and `__len__`."""

    def __init__(self, data_source: Sized | None = None) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} needs __iter__")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} needs __len__")


class SequentialSampler(Sampler):
    """The indices of a dataset in their order."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source: Sized = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class WeightedRandomSampler(Sampler):
    """Indices drawn with a probability each, in proportion to `weights`.

    Raises
    ------
    DataError
        If there are negative weights, none above 0, or fewer of those than `num_samples` without
        replacement.
    """

    def __init__(
        self, weights: Iterable[float], num_samples: int, replacement: bool = True
    ) -> None:
        found = np.array([float(weight) for weight in weights])
        if not found.size or not (found >= 0).all() or not 0 < found.sum() < np.inf:
            raise DataError("WeightedRandomSampler: weights are numbers from 0, and not all are 0")
        self.weights = found
        self.num_samples = whole(num_samples, "WeightedRandomSampler: num_samples", 1)
        self.replacement = replacement
        if not replacement and np.count_nonzero(found) < num_samples:
            raise DataError(
                f"WeightedRandomSampler: {num_samples} samples without replacement of "
                f"{np.count_nonzero(found)} with a weight above 0"
            )

    def __iter__(self) -> Iterator[int]:
        chances = self.weights / self.weights.sum()
        rng = random.generator()
        drawn = rng.choice(len(chances), self.num_samples, self.replacement, chances)
        return iter(drawn.tolist())

    def __len__(self) -> int:
        return self.num_samples


class RandomSampler(Sampler):
    """The indices of a dataset in random order; with `replacement`, each drawn by itself."""

    def __init__(
        self, data_source: Sized, replacement: bool = False, num_samples: int | None = None
    ) -> None:
        self.data_source: Sized = data_source
        self.replacement = replacement
        wanted = len(data_source) if num_samples is None else num_samples
        self.num_samples = whole(wanted, "RandomSampler: num_samples", 1)

    def __iter__(self) -> Iterator[int]:
        rng, count = random.generator(), len(self.data_source)
        if self.replacement:
            return iter(rng.integers(count, size=self.num_samples).tolist())
        rounds = [rng.permutation(count) for _ in range(-(-self.num_samples // count))]
        return iter(np.concatenate(rounds)[: self.num_samples].tolist())

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """These indices, in random order."""

    def __init__(self, indices: Sequence[Any]) -> None:
        self.indices = indices

    def __iter__(self) -> Iterator[Any]:
        return (self.indices[i] for i in random.generator().permutation(len(self.indices)).tolist())

    def __len__(self) -> int:
        return len(self.indices)


class BatchSampler(Sampler):
    """What another sampler gives, in lists of `batch_size`, for `DataLoader(batch_sampler=...)`."""

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool) -> None:
        self.sampler = sampler
        self.batch_size = whole(batch_size, "BatchSampler: batch_size", 1)
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[Any]]:
        order = iter(self.sampler)
        while batch := list(islice(order, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        full, rest = divmod(len(self.sampler), self.batch_size)
        return full + (rest > 0 and not self.drop_last)
