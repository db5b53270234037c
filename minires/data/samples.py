"""Datasets of one's own, as PyTorch has them: a length, and a sample for each number below it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from numbers import Integral
from typing import Any, Protocol

import numpy as np

from minires.creation import stack
from minires.data.arrays import IndexArray
from minires.data.errors import DataError
from minires.data.permutation import permutation
from minires.from_pytorch import all_with_pytorchs_keywords
from minires.tensors import Tensor


class Samples(Protocol):
    """What has a length and samples: a dataset of one's own, or a list."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any: ...


class Dataset:
    """What a dataset of your own may inherit from; it has `__len__` and `__getitem__`.

    A sample is a tensor, an array, a number, or a tuple or dict of such. `DataLoader` stacks the
    samples of a batch into tensors (see `default_collate`).

    Examples
    --------
    >>> class Squares(data.Dataset):
    ...     def __len__(self):
    ...         return 10
    ...     def __getitem__(self, i):
    ...         return np.float32(i), i * i
    >>> for x, y in data.DataLoader(Squares(), batch_size=4, shuffle=True): ...
    """

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} needs __len__")

    def __getitem__(self, index: Any, /) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs __getitem__")

    def __add__(self, other: Samples) -> ConcatDataset:
        return ConcatDataset([self, other])


class TensorDataset(Dataset):
    """Rows of tensors of one length: sample i is the tuple of their rows i.

    Raises
    ------
    DataError
        If there is none, or their lengths differ.
    """

    def __init__(self, *tensors: Tensor) -> None:
        if len({len(tensor) for tensor in tensors}) != 1:
            lengths = [len(tensor) for tensor in tensors]
            raise DataError(f"TensorDataset wants tensors of one length, got lengths {lengths}")
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Any, /) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)


class Subset(Dataset):
    """The samples of a dataset with these indices, in their order."""

    def __init__(self, dataset: Samples, indices: Iterable[int]) -> None:
        self.dataset = dataset
        self.indices = [int(index) for index in indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any, /) -> Any:
        return self.dataset[self.indices[index]]


class ConcatDataset(Dataset):
    """The samples of several datasets, one after the other."""

    def __init__(self, datasets: Iterable[Samples]) -> None:
        self.datasets = list(datasets)
        self.ends = list(accumulate(map(len, self.datasets)))

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def __getitem__(self, index: Any, /) -> Any:
        place = int(index) + len(self) * (index < 0)
        if not 0 <= place < len(self):
            raise IndexError(f"there is no sample {index} among {len(self)}")
        which = bisect_right(self.ends, place)
        return self.datasets[which][place - ([0, *self.ends])[which]]


def random_split(dataset: Samples, lengths: Sequence[float], seed: int = 0) -> list[Subset]:
    """A dataset divided at random into parts that share no sample.

    Parameters
    ----------
    dataset : Dataset
    lengths : sequence of int, or of float
        Of the parts; or their shares, which add up to 1: what rounding leaves over goes to the
        first parts, one each.
    seed : int
        The same seed gives the same parts.

    Raises
    ------
    DataError
        If the lengths do not add up to the dataset's.
    """
    total = len(dataset)
    counts = [int(length) for length in lengths]
    if not all(isinstance(length, Integral) for length in lengths) and sum(lengths) < 1 + 1e-9:
        counts = [int(total * share) for share in lengths]
        left = total - sum(counts) if abs(sum(lengths) - 1) < 1e-9 else 0
        counts = [count + (i < left) for i, count in enumerate(counts)]
    if sum(counts) != total or min(counts, default=0) < 0:
        raise DataError(f"random_split: lengths {list(lengths)} of a dataset of {total} samples")
    order = permutation(total, seed, 0, "random_split")
    ends = [0, *accumulate(counts)]
    return [Subset(dataset, order[i:j]) for i, j in pairwise(ends)]


def default_collate(samples: Sequence[Any]) -> Any:
    """Samples as one batch: tensors, arrays and numbers are stacked along a new first axis.

    Tuples and dicts become lists and dicts of batches, and texts stay a list.

    Raises
    ------
    DataError
        If shapes differ, or a sample is something else.
    """
    first = samples[0]
    if isinstance(first, str | bytes):
        return list(samples)
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, tuple | list):
        if len({len(sample) for sample in samples}) > 1:
            raise DataError("DataLoader: samples of unequal length in one batch: give a collate_fn")
        parts = [default_collate(part) for part in zip(*samples, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    if not isinstance(first, Tensor | np.ndarray | np.generic | float | int):
        raise DataError(
            "DataLoader: a sample holds tensors, arrays, numbers and texts, not "
            f"{type(first).__name__}: turn it into one, or give a collate_fn"
        )
    if len(shapes := sorted({np.shape(sample) for sample in samples})) > 1:
        raise DataError(
            f"DataLoader: samples of unequal shape in one batch ({', '.join(map(str, shapes[:3]))}"
            f"{', ...' if len(shapes) > 3 else ''}): make them equal, or give a collate_fn"
        )
    return stack(list(samples)) if isinstance(first, Tensor) else Tensor(np.stack(samples))


def fetched(dataset: Samples, indices: IndexArray) -> list[Any]:
    """The samples with these indices."""
    return [dataset[index] for index in indices.tolist()]


all_with_pytorchs_keywords(globals(), __name__)
