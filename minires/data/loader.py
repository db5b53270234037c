"""Batches, in an order that resumes exactly, made ready while the model works on the one before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from minires.data.arrays import Images, IndexArray, IntArray
from minires.data.dataset import LabelledImages
from minires.data.draws import Draws
from minires.data.errors import DataError
from minires.data.permutation import permutation
from minires.data.samples import Samples, default_collate, fetched
from minires.data.settings import whole
from minires.from_pytorch import PyTorchsKeywords

Batch: TypeAlias = tuple[NDArray[Any], IntArray]
"""Images (B, H, W, C), of the dtype that the transform leaves, and labels int64 (B,)."""

_Item: TypeAlias = Any  # a batch, an error, or None: no more batches
_Samples = TypeVar("_Samples", bound=Any)


def stretch(batch: _Samples, part: int, parts: int) -> _Samples:
    """One of so many stretches of a batch, as long as the others or longer by one."""
    mine: _Samples = batch[len(batch) * part // parts : len(batch) * (part + 1) // parts]
    return mine


class DataLoader(PyTorchsKeywords):
    """Goes through a dataset in batches.

    Both the order of an epoch and every random transform are functions of the seed, the epoch and
    the index of a sample. So `batches(epoch, start)` continues an interrupted epoch with the very
    batches that were still to come, and neither `batch_size` nor `prefetch` changes what a sample
    looks like.

    Parameters
    ----------
    dataset : LabelledImages, or a Dataset of your own
        Of the one, batches are arrays of images and labels. What has only `__len__` and
        `__getitem__` is asked for each sample, and batches are what `collate_fn` makes of them.
    batch_size : int
    shuffle : bool
        Go through the images in another random order every epoch.
    seed : int
        Of the order and of the transform.
    transform : callable, optional
        Of labelled images only: called with the images of a batch and its `Draws`; gives an array
        (B, H, W, C).
    drop_last : bool
        Leave out the last batch if it is smaller than `batch_size`.
    part : tuple of (int, int), optional
        Which stretch of each batch, and of how many, as long as the others or longer by one: what
        one of several processes loads (`minires.distributed`). Order and transforms stay those of
        the whole batch.
    prefetch : int
        How many batches a background thread makes ready ahead. 0: none, and no thread. A dataset
        of your own is read without, since it may draw from the generator that layers draw from.
    num_workers, pin_memory : int, bool
        Accepted, since many scripts have them, and not needed: the thread works ahead.
    sampler : sized iterable of int, optional
        The indices of an epoch's samples in their order, in the place of `shuffle`.
    batch_sampler : sized iterable of sequences of int, optional
        The indices of each batch, in the place of `batch_size`, `shuffle`, `drop_last` and
        `sampler`.
    collate_fn : callable, optional
        Called with the list of a batch's samples; `default_collate` if nothing is said.

    Raises
    ------
    DataError
        If the dataset is empty, if `batch_size` is below 1 or `prefetch` below 0, if no batch
        at all would be left, or if the others contradict each other.

    Notes
    -----
    Iterating gives the batches of `self.epoch`. A pass that reached its end moves on to the next
    epoch by itself; one that was broken off does not.
    """

    def __init__(
        self,
        dataset: LabelledImages | Samples,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        seed: int = 0,
        transform: Callable[[Any, Draws], Any] | None = None,
        drop_last: bool = False,
        part: tuple[int, int] | None = None,
        prefetch: int = 2,
        num_workers: int = 0,
        pin_memory: bool = False,
        sampler: Any = None,
        batch_sampler: Any = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        own = batch_sampler if batch_sampler is not None else sampler
        count = len(dataset if own is None else own)
        if count == 0:
            raise DataError(f"DataLoader: the {'dataset' if own is None else 'sampler'} is empty")
        if batch_size is None:
            raise DataError(
                "DataLoader: batch_size=None gives samples one by one in PyTorch: write "
                "`for sample in dataset`"
            )
        if batch_sampler is not None and (batch_size != 1 or shuffle or drop_last or sampler):
            raise DataError(
                "DataLoader: a batch_sampler has batches of its own: leave batch_size, shuffle, "
                "sampler and drop_last out"
            )
        batch_size = whole(batch_size, "DataLoader: batch_size", 1)
        prefetch = whole(prefetch, "DataLoader: prefetch", 0)
        if drop_last and count < batch_size:
            raise DataError(
                f"DataLoader: no batch is left, since drop_last drops the only one: "
                f"{count} images, batch_size {batch_size}"
            )
        if sampler is not None and shuffle:
            raise DataError("DataLoader: a sampler has an order of its own: leave shuffle out")
        if collate_fn is None and (isinstance(dataset, np.ndarray) or not hasattr(dataset, "take")):
            collate_fn = default_collate
        if transform is not None and collate_fn is not None:
            raise DataError(
                "DataLoader: transform is for batches of labelled images; a dataset of your own "
                "transforms its samples in __getitem__"
            )
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.transform = transform
        self.drop_last = drop_last
        self.part = part
        self.prefetch = 0 if collate_fn else prefetch
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.collate_fn = collate_fn
        self.epoch = 0

    def __len__(self) -> int:
        """How many batches an epoch has."""
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        count = len(self.dataset if self.sampler is None else self.sampler)
        whole, rest = divmod(count, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration goes through."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        epoch = self.epoch
        yield from self.batches(epoch)
        self.epoch = epoch + 1

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """The batches of an epoch from number `start` on.

        Closing or dropping the iterator stops the background thread. An error in the dataset or in
        the transform is raised here, with the traceback of where it happened.
        """
        if not 0 <= start <= len(self):
            raise DataError(f"DataLoader: start must be 0 to {len(self)} batches, got {start}")
        size = self.batch_size
        if self.batch_sampler is not None:
            own = [np.array([int(i) for i in batch], np.intp) for batch in self.batch_sampler]
            chunks = own[start:]
        else:
            order = self.order(epoch)
            chunks = [order[step * size : (step + 1) * size] for step in range(start, len(self))]
        if self.part is not None:
            chunks = [stretch(chunk, *self.part) for chunk in chunks]
        serial = (self.load(epoch, indices) for indices in chunks)
        return _ahead(serial, self.prefetch) if self.prefetch else serial

    def order(self, epoch: int) -> IndexArray:
        """The indices of the samples in the order of an epoch: intp (N,)."""
        if self.sampler is not None:
            return np.array([int(index) for index in self.sampler], dtype=np.intp)
        if self.shuffle:
            return permutation(len(self.dataset), self.seed, epoch)
        return np.arange(len(self.dataset), dtype=np.intp)

    def load(self, epoch: int, indices: IndexArray) -> Any:
        """The batch of the samples with these indices, transformed for that epoch."""
        dataset: Any = self.dataset
        if self.collate_fn is not None:
            return self.collate_fn(fetched(dataset, indices))
        images, labels = dataset.take(indices)
        batch: Images | NDArray[Any] = images
        if self.transform is not None:
            batch = self.transform(images, Draws(self.seed, epoch, indices))
        if not isinstance(batch, np.ndarray):
            sizes = sorted({f"{image.shape[0]}x{image.shape[1]}" for image in batch})
            raise DataError(
                f"DataLoader: images of unequal size in one batch ({', '.join(sizes[:3])}"
                f"{', ...' if len(sizes) > 3 else ''}): make them equal with a transform, for "
                f"example Compose([Resize(256), CenterCrop(224)])"
            )
        return batch, labels


def _ahead(batches: Iterator[Any], count: int) -> Iterator[Any]:
    """The same batches, of which a thread makes up to `count` before they are asked for."""
    ready: SimpleQueue[_Item] = SimpleQueue()
    slots = threading.Semaphore(count)
    stop = threading.Event()
    # The thread must not hold this generator itself, or dropping it would never stop the thread.
    thread = threading.Thread(
        target=_produce, args=(batches, ready, slots, stop), name="minires-prefetch", daemon=True
    )
    try:
        thread.start()
    except RuntimeError:  # no threads here, as in a browser
        yield from batches
        return
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                try:
                    raise item
                finally:
                    del item  # its traceback holds this frame: a cycle, if the frame held it too
            slots.release()
            yield item
    finally:
        # The thread ends by itself after the batch that it works on. To wait for that could wait
        # for ever: when Python exits, daemon threads are frozen before forgotten iterators close.
        stop.set()
        slots.release()


def _produce(
    batches: Iterator[Any],
    ready: SimpleQueue[_Item],
    slots: threading.Semaphore,
    stop: threading.Event,
) -> None:
    try:
        while True:
            slots.acquire()
            if stop.is_set():
                return
            batch = next(batches, None)
            ready.put(batch)
            if batch is None:
                return
    except BaseException as error:  # whatever it is, it belongs to the consumer
        ready.put(error)
