"""Fashion-MNIST and CIFAR files, written byte by byte here, whole and damaged."""

import gzip
import struct
import tarfile

import numpy as np
import pytest

from minires.data import CIFAR10, CIFAR100, DataError, FashionMNIST, load_dataset
from minires.data import files as data_files

# --- Fashion-MNIST: idx ---------------------------------------------------------------------------

PREFIX = {True: "train", False: "t10k"}


def idx(array):
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    return header + bytes(array.ravel().tolist())


@pytest.fixture
def fashion(rng):
    """Images (6, 28, 28), labels (6,)."""
    images = rng.integers(0, 256, (6, 28, 28), dtype=np.uint8)
    return images, np.array([9, 0, 3, 3, 1, 2], np.uint8)


def write_fashion(folder, images, labels, train=True, gz=True):
    folder.mkdir(parents=True, exist_ok=True)
    for kind, content in (("images-idx3", images), ("labels-idx1", labels)):
        content = content if isinstance(content, bytes) else idx(content)
        name = f"{PREFIX[train]}-{kind}-ubyte"
        if gz:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
        else:
            (folder / name).write_bytes(content)


@pytest.mark.parametrize("where", [".", "fashion-mnist", "FashionMNIST/raw"])
@pytest.mark.parametrize("gz", [True, False])
@pytest.mark.parametrize("train", [True, False])
def test_fashion(tmp_path, fashion, where, gz, train):
    write_fashion(tmp_path / where, *fashion, train=train, gz=gz)
    dataset = FashionMNIST(tmp_path, train=train)
    assert dataset.images.shape == (6, 28, 28, 1)
    assert np.array_equal(dataset.images[..., 0], fashion[0])
    assert dataset.labels.tolist() == fashion[1].tolist()
    assert dataset.classes[9] == "ankle boot"
    assert f"fashion-mnist ({'train' if train else 'test'}): 6 images 28x28x1" in repr(dataset)


def truncated(content):
    return content[:-1]


FASHION_DAMAGE = {
    "truncated": (
        lambda i, n: (truncated(idx(i)), n),
        r"truncated: 4,703 values, .* \(6, 28, 28\)",
    ),
    "trailing": (lambda i, n: (idx(i) + b"\0", n), "trailing bytes after the 4,704 values"),
    "nothing": (lambda i, n: (idx(i[:0]), idx(n[:0])), "images-idx3.*: it holds no images"),
    "magic": (lambda i, n: (b"\0\0\x0d\3" + idx(i)[4:], n), "magic number 0x00000d03, expected"),
    "swapped": (lambda i, n: (idx(n), idx(i)), "magic number 0x00000801, expected 0x00000803"),
    "header": (lambda i, n: (idx(i)[:9], n), "truncated: 9 bytes, the header has 16"),
    "empty": (lambda i, n: (b"", n), "magic number 0x, expected 0x00000803"),
    "huge": (lambda i, n: (idx(i)[:4] + b"\xff" * 12, n), "header claims .* values, more than"),
    "label": (
        lambda i, n: (i, np.array([0, 1, 10, 3, 4, 5])),
        "label 10 of image 2 is out of range",
    ),
    "counts": (lambda i, n: (i, n[:5]), "has 6 images but .* 5 labels"),
}


@pytest.mark.parametrize("damage", FASHION_DAMAGE)
@pytest.mark.parametrize("gz", [True, False])
def test_damaged_fashion(tmp_path, fashion, damage, gz):
    change, message = FASHION_DAMAGE[damage]
    write_fashion(tmp_path, *change(*fashion), gz=gz)
    with pytest.raises(DataError, match=message) as caught:
        FashionMNIST(tmp_path)
    assert "ubyte" in str(caught.value)  # names the file


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[: len(content) // 2], "truncated"),
        (lambda content: content[:-3], "truncated"),
        (lambda content: b"no gzip at all", "corrupt"),
        (lambda content: content[:-8] + bytes(8), "corrupt"),
    ],
)
def test_damaged_gzip(tmp_path, fashion, change, message):
    write_fashion(tmp_path, *fashion)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        FashionMNIST(tmp_path)
    assert str(path) in str(caught.value)


def test_missing_fashion(tmp_path, fashion):
    with pytest.raises(DataError, match=r"Fashion-MNIST is not in .*download=True"):
        FashionMNIST(tmp_path)
    write_fashion(tmp_path, *fashion)
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte.gz: no such file"):
        FashionMNIST(tmp_path)


# --- CIFAR: records -------------------------------------------------------------------------------

CIFAR = {CIFAR10: ("cifar-10-batches-bin", 1, 10), CIFAR100: ("cifar-100-binary", 2, 100)}
both = pytest.mark.parametrize("cifar", CIFAR, ids=lambda kind: kind.__name__)


def write_cifar(folder, cifar, rng, count=3):
    """Files of a few records; gives the images and labels of both parts as they must be read."""
    _, label_bytes, classes = CIFAR[cifar]
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for train, names in cifar.files.items():
        images, labels = [], []
        for name in names:
            content = b""
            for _ in range(count):
                planes = rng.integers(0, 256, (3, 32, 32), dtype=np.uint8)
                label = int(rng.integers(0, classes))
                coarse = bytes([label // 5]) if label_bytes == 2 else b""
                content += coarse + bytes([label]) + planes.tobytes()
                image = np.empty((32, 32, 3), np.uint8)
                for channel, row, column in np.ndindex(3, 32, 32):
                    image[row, column, channel] = planes[channel, row, column]
                images.append(image)
                labels.append(label)
            (folder / name).write_bytes(content)
        expected[train] = np.array(images), labels
    return expected


def pack(archive, folder, names, prefix="anything/"):
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.addfile(tarfile.TarInfo(prefix + "readme.html"))
        for name in names:
            tar.add(folder / name, prefix + name)
    return archive


def check(dataset, expected, cifar):
    assert np.array_equal(dataset.images, expected[0])
    assert dataset.images.flags.c_contiguous
    assert dataset.labels.tolist() == expected[1]
    assert len(dataset.classes) == len(set(dataset.classes)) == CIFAR[cifar][2]


@both
@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("train", [True, False])
def test_cifar_folder(tmp_path, rng, cifar, direct, train):
    expected = write_cifar(tmp_path if direct else tmp_path / CIFAR[cifar][0], cifar, rng)
    check(cifar(tmp_path, train=train), expected[train], cifar)


@both
@pytest.mark.parametrize("train", [True, False])
def test_cifar_archive(tmp_path, rng, cifar, train):
    expected = write_cifar(tmp_path / "unpacked", cifar, rng)
    names = [*cifar.files[False], *reversed(cifar.files[True])]  # in any order
    archive = pack(tmp_path / cifar.remote.file, tmp_path / "unpacked", names)
    check(cifar(tmp_path, train=train), expected[train], cifar)
    check(cifar(archive, train=train), expected[train], cifar)
    check(load_dataset(cifar.__name__.lower(), tmp_path, train=train), expected[train], cifar)
    assert sorted(path.name for path in tmp_path.iterdir()) == [cifar.remote.file, "unpacked"]


def test_class_names():
    assert CIFAR10.class_names[0] == "airplane"
    assert CIFAR10.class_names[9] == "truck"
    assert [CIFAR100.class_names[n] for n in (0, 19, 42, 55, 99)] == [
        "apple",
        "cattle",
        "leopard",
        "otter",
        "worm",
    ]
    assert list(CIFAR100.class_names) == sorted(CIFAR100.class_names)


def test_batches_of_different_length(tmp_path, rng):
    write_cifar(tmp_path, CIFAR10, rng)
    third = tmp_path / "data_batch_3.bin"
    third.write_bytes(third.read_bytes()[:3073])
    assert CIFAR10(tmp_path).images.shape == (13, 32, 32, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:-1], "9,218 bytes, expected whole records of 3,073 bytes: 2 are"),
        (lambda content: content + b"\0", "3 are there and 1 bytes more"),
        (lambda content: b"", "0 bytes, expected whole records"),
        (lambda content: b"\x0a" + content[1:], "label 10 of image 0 is out of range"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_damaged_records(tmp_path, rng, change, message, packed):
    folder = tmp_path / "cifar-10-batches-bin"
    write_cifar(folder, CIFAR10, rng)
    (folder / "data_batch_4.bin").write_bytes(change((folder / "data_batch_4.bin").read_bytes()))
    root = tmp_path
    if packed:
        root = pack(tmp_path / "packed.tar.gz", folder, CIFAR10.files[True])
    with pytest.raises(DataError, match=message) as caught:
        CIFAR10(root)
    assert "data_batch_4.bin" in str(caught.value)
    if packed:
        assert "packed.tar.gz" in str(caught.value)


def test_too_large_a_file(tmp_path, rng, monkeypatch):
    folder = tmp_path / "cifar-10-batches-bin"
    write_cifar(folder, CIFAR10, rng)
    monkeypatch.setattr(CIFAR10, "records", {True: 2, False: 2})
    message = "test_batch.bin: 9,219 bytes, expected no more than 6,146"
    with pytest.raises(DataError, match=message):
        CIFAR10(tmp_path, train=False)
    archive = pack(tmp_path / "packed.tar.gz", folder, ["test_batch.bin"])
    with pytest.raises(DataError, match=message):
        CIFAR10(archive, train=False)
    monkeypatch.setattr(data_files, "MAX_ARCHIVE", 5000)
    with pytest.raises(
        DataError, match=r"packed\.tar\.gz: 9,219 bytes, expected no more than 5,000"
    ):
        CIFAR10(archive, train=False)


def test_missing_files(tmp_path, rng):
    with pytest.raises(DataError, match=r"CIFAR-10 is not in .*cifar-10-binary.tar.gz, data_batch"):
        CIFAR10(tmp_path)
    (tmp_path / "cifar-10-batches-py").mkdir()
    with pytest.raises(DataError, match=r"\(cifar-10-batches-py is there, but holds pickles"):
        CIFAR10(tmp_path)
    with pytest.raises(DataError, match="CIFAR-100 is not in"):
        CIFAR100(tmp_path / "nowhere")
    write_cifar(tmp_path, CIFAR10, rng)
    (tmp_path / "data_batch_2.bin").unlink()
    with pytest.raises(DataError, match=r"data_batch_2.bin: no such file"):
        CIFAR10(tmp_path)
    archive = pack(tmp_path / "packed.tar.gz", tmp_path, ["data_batch_1.bin", "data_batch_3.bin"])
    with pytest.raises(DataError, match=r"holds no data_batch_2.bin, data_batch_4.bin, data_batch"):
        CIFAR10(archive)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-5],
        lambda content: content[:-8] + bytes(8),
        lambda content: b"PK\3\4 this is a zip file",
        lambda content: gzip.compress(b"no tar archive in here" * 100),
        lambda content: gzip.compress(gzip.decompress(content)[:5000]),
        lambda content: b"",
    ],
    ids=["half", "no checksum", "wrong checksum", "zip", "no tar", "tar cut", "empty"],
)
def test_damaged_archive(tmp_path, rng, change):
    write_cifar(tmp_path / "unpacked", CIFAR10, rng)
    archive = pack(tmp_path / "packed.tar.gz", tmp_path / "unpacked", CIFAR10.files[True])
    archive.write_bytes(change(archive.read_bytes()))
    with pytest.raises(DataError, match=r"packed\.tar\.gz: ") as caught:
        CIFAR10(archive)
    assert "\n" not in str(caught.value)


def test_member_names_are_never_used_as_paths(tmp_path, rng):
    expected = write_cifar(tmp_path / "unpacked", CIFAR10, rng)
    archive = tmp_path / "a" / "b" / "evil.tar.gz"
    archive.parent.mkdir(parents=True)
    pack(archive, tmp_path / "unpacked", CIFAR10.files[True], prefix="../../../")
    with tarfile.open(tmp_path / "links.tar.gz", "w:gz") as tar:
        link = tarfile.TarInfo("test_batch.bin")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "unpacked" / "test_batch.bin")
        tar.addfile(link)
    check(CIFAR10(archive), expected[True], CIFAR10)
    with pytest.raises(DataError, match=r"holds no test_batch.bin"):
        CIFAR10(tmp_path / "links.tar.gz", train=False)
    assert {path.name for path in tmp_path.iterdir()} == {"unpacked", "a", "links.tar.gz"}


def test_a_bomb_behind_the_archive_is_not_unpacked(tmp_path, rng, monkeypatch):
    write_cifar(tmp_path / "unpacked", CIFAR10, rng)
    archive = pack(tmp_path / "packed.tar.gz", tmp_path / "unpacked", CIFAR10.files[False])
    archive.write_bytes(archive.read_bytes() + gzip.compress(bytes(20 << 20)))
    monkeypatch.setattr(data_files, "MAX_ARCHIVE", 4 << 20)
    with pytest.raises(DataError, match="expected no more than 4,194,304"):
        CIFAR10(archive, train=False)


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(("train", "count"), [(True, 50_000), (False, 10_000)])
def test_the_real_cifar10(shared, train, count):
    dataset = load_dataset("cifar10", shared / "data", train=train)
    assert dataset.images.shape == (count, 32, 32, 3)
    assert np.bincount(dataset.labels).tolist() == [count // 10] * 10
    if train:
        assert dataset.labels[:5].tolist() == [6, 9, 9, 4, 1]  # a frog, two trucks, ...
        mean = dataset.images.mean(axis=(0, 1, 2)) / 255
        assert mean == pytest.approx([0.4914, 0.4822, 0.4465], abs=1e-4)
    else:
        assert dataset.labels[:5].tolist() == [3, 8, 8, 0, 6]  # a cat, two ships, ...
