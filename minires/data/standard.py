"""Fashion-MNIST, CIFAR-10 and CIFAR-100 from their official binary files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minires.data.arrays import IntArray, UInt8Array, check_labels
from minires.data.builtin import FASHION_CLASSES
from minires.data.class_names import CIFAR10_CLASSES, CIFAR100_CLASSES
from minires.data.dataset import ImageDataset
from minires.data.errors import DataError
from minires.data.files import holds_any, read_files
from minires.data.formats import CIFAR_PIXELS, cifar_records, interleave, read_idx


@dataclass(frozen=True)
class Remote:
    """A published file: where it is, how large, and how to know it."""

    url: str
    size: int
    sha256: str

    @property
    def file(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]


class FashionMNIST(ImageDataset):
    """Fashion-MNIST: 60,000 images to train on, 10,000 to test on, grey, 28x28, ten classes.

    Xiao, Rasul and Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine
    learning algorithms", 2017. MIT licence, Zalando SE.

    Parameters
    ----------
    root : path
        A folder with the idx files, compressed (.gz) or not, in `fashion-mnist/`, in
        `FashionMNIST/raw/` or directly. They are taken as they are, without a checksum.
    train : bool
        The training images or the test images.
    download : bool
        If they are not there, download them (30 MB) to `root/fashion-mnist`.

    Raises
    ------
    DataError
        If files are missing, damaged or contradict each other.
    """

    base: ClassVar[str] = (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
    )
    remote: ClassVar[dict[bool, tuple[Remote, Remote]]] = {
        True: (
            Remote(
                base + "train-images-idx3-ubyte.gz",
                26421880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            Remote(
                base + "train-labels-idx1-ubyte.gz",
                29515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
        ),
        False: (
            Remote(
                base + "t10k-images-idx3-ubyte.gz",
                4422102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            Remote(
                base + "t10k-labels-idx1-ubyte.gz",
                5148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
    }

    def __init__(self, root: str | Path, train: bool = True, download: bool = False) -> None:
        images_path, labels_path = self._locate(Path(root), train, download)
        images = read_idx(images_path, 3)[..., None]
        labels = check_labels(read_idx(labels_path, 1), len(FASHION_CLASSES), str(labels_path))
        if not len(images):
            raise DataError(f"{images_path}: it holds no images")
        if len(images) != len(labels):
            raise DataError(
                f"{images_path} has {len(images):,} images but {labels_path} {len(labels):,} labels"
            )
        super().__init__(images, labels, FASHION_CLASSES, f"fashion-mnist ({_part(train)})")

    @classmethod
    def _locate(cls, root: Path, train: bool, download: bool) -> list[Path]:
        files = cls.remote[train]
        names = [file.file for file in files]
        plain = [name.removesuffix(".gz") for name in names]
        home = root / "fashion-mnist"
        for folder in (home, root / "FashionMNIST" / "raw", root):
            if holds_any(folder, names) or holds_any(folder, plain):
                pairs = zip(names, plain, strict=True)
                return [
                    folder / (bare if (folder / bare).is_file() else name) for name, bare in pairs
                ]
        if not download:
            raise _not_found("Fashion-MNIST", root, names)
        for file in files:
            _fetch(file.url, home / file.file, sha256=file.sha256, size=file.size)
        return [home / name for name in names]


class _CIFAR(ImageDataset):
    """What CIFAR-10 and CIFAR-100 share: one archive, files of records."""

    title: ClassVar[str]
    folder: ClassVar[str]
    pickled: ClassVar[tuple[str, ...]]  # the same images in a form that is not read
    files: ClassVar[dict[bool, tuple[str, ...]]]
    records: ClassVar[dict[bool, int]]  # in each file; a shorter file is taken as it is
    label_bytes: ClassVar[int]
    class_names: ClassVar[tuple[str, ...]]
    remote: ClassVar[Remote]

    def __init__(self, root: str | Path, train: bool = True, download: bool = False) -> None:
        images, labels = self._read(self._locate(Path(root), train, download), train)
        name = f"{self.title.lower().replace('-', '')} ({_part(train)})"
        super().__init__(images, labels, self.class_names, name)

    @classmethod
    def _locate(cls, root: Path, train: bool, download: bool) -> Path:
        names = cls.files[train]
        for place in (root / cls.folder, root, root / cls.remote.file):
            if place.is_file() or (place.is_dir() and holds_any(place, names)):
                return place
        if not download:
            there = [name for name in cls.pickled if (root / name).exists()]
            hint = f" ({there[0]} is there, but holds pickles, which are not read)" if there else ""
            raise _not_found(cls.title, root, [cls.remote.file, *names], hint)
        archive = root / cls.remote.file
        _fetch(cls.remote.url, archive, sha256=cls.remote.sha256, size=cls.remote.size)
        return archive

    @classmethod
    def _read(cls, source: Path, train: bool) -> tuple[UInt8Array, IntArray]:
        names, records = cls.files[train], cls.records[train]
        limit = records * (cls.label_bytes + CIFAR_PIXELS)
        # Room for all, filled from one file after the other in whatever order an archive has them.
        room = np.empty((len(names), records, 32, 32, 3), np.uint8)
        images: dict[str, UInt8Array] = {}
        labels: dict[str, IntArray] = {}
        for name, content in read_files(source, names, limit):
            planes, labels[name] = cifar_records(
                content, source / name, cls.label_bytes, len(cls.class_names)
            )
            images[name] = room[names.index(name), : len(planes)]
            interleave(planes, images[name])
        if all(len(part) == records for part in images.values()):
            joined = room.reshape(-1, 32, 32, 3)
        else:
            joined = np.concatenate([images[name] for name in names])
        return joined, np.concatenate([labels[name] for name in names])


class CIFAR10(_CIFAR):
    """CIFAR-10: 50,000 images to train on, 10,000 to test on, in colour, 32x32, ten classes.

    Krizhevsky, "Learning multiple layers of features from tiny images", 2009.

    Parameters
    ----------
    root : path
        A folder with `cifar-10-batches-bin/`, with its .bin files directly, or with
        `cifar-10-binary.tar.gz`; or that archive itself, which is read without unpacking it. They
        are taken as they are, without a checksum.
    train : bool
        The training images or the test images.
    download : bool
        If they are not there, download the archive (170 MB) to `root`.

    Raises
    ------
    DataError
        If files are missing or damaged.
    """

    title = "CIFAR-10"
    folder = "cifar-10-batches-bin"
    pickled = ("cifar-10-batches-py", "cifar-10-python.tar.gz")
    files: ClassVar = {
        True: tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        False: ("test_batch.bin",),
    }
    records: ClassVar = {True: 10_000, False: 10_000}
    label_bytes = 1
    class_names = CIFAR10_CLASSES
    remote = Remote(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        170052171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    )


class CIFAR100(_CIFAR):
    """CIFAR-100, fine labels: 50,000 images to train on, 10,000 to test on, 32x32, 100 classes.

    Parameters and errors as of `CIFAR10`; the names are `cifar-100-binary/` with `train.bin` and
    `test.bin`, and `cifar-100-binary.tar.gz` (169 MB).
    """

    title = "CIFAR-100"
    folder = "cifar-100-binary"
    pickled = ("cifar-100-python", "cifar-100-python.tar.gz")
    files: ClassVar = {True: ("train.bin",), False: ("test.bin",)}
    records: ClassVar = {True: 50_000, False: 10_000}
    label_bytes = 2
    class_names = CIFAR100_CLASSES
    remote = Remote(
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        168513733,
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    )


def _part(train: bool) -> str:
    return "train" if train else "test"


def _fetch(url: str, path: Path, **expected: Any) -> None:
    from minires.data.download import download  # brings urllib, ssl and email

    download(url, path, **expected)


def _not_found(title: str, root: Path, names: list[str], hint: str = "") -> DataError:
    return DataError(
        f"{title} is not in {root}: looked there and in its usual folders for "
        f"{', '.join(names)}{hint}; put the files there, or "
        "have them downloaded (download=True, --download)"
    )
