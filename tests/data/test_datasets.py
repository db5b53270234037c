"""In-memory datasets: the embedded ones, their shape, statistics, splits."""

import fractions
import hashlib
import math
import runpy
import struct
import zlib
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.data import (
    DataError,
    ImageDataset,
    Normalize,
    dataset_statistics,
    digits,
    fashion_mini,
    pride_and_prejudice,
    split,
)

ROOT = Path(__file__).resolve().parents[2]


def checksum_of(dataset):
    content = dataset.images.tobytes() + dataset.labels.astype(np.uint8).tobytes()
    return hashlib.sha256(content).hexdigest()[:16]


@pytest.fixture
def small(rng):
    images = rng.integers(0, 256, (30, 4, 5, 3), dtype=np.uint8)
    return ImageDataset(images, np.arange(30) % 3, ("a", "b", "c"), "small")


@pytest.mark.parametrize(
    ("dataset", "shape", "per_class", "checksum"),
    [
        (digits(True), (1437, 8, 8, 1), None, "aa02f2dc25de98c0"),
        (digits(False), (360, 8, 8, 1), None, "70ab2c3d0feb4c22"),
        (fashion_mini(True), (5000, 28, 28, 1), 500, "3e4733ae8450a283"),
        (fashion_mini(False), (1000, 28, 28, 1), 100, "22489d4842e74e85"),
    ],
    ids=repr,
)
def test_embedded(dataset, shape, per_class, checksum):
    assert dataset.images.shape == shape
    assert dataset.images.dtype == np.uint8
    assert dataset.labels.dtype == np.int64
    assert len(dataset) == len(dataset.labels) == shape[0]
    assert len(dataset.classes) == 10
    counts = np.bincount(dataset.labels)
    assert (counts == per_class).all() if per_class else counts.min() >= 33
    assert checksum_of(dataset) == checksum


def test_digits_are_scaled_to_the_full_range():
    values = np.unique(digits().images).tolist()
    assert values == [round(value * 255 / 16) for value in range(17)]
    first = digits().images[0, 0, :, 0].tolist()
    assert first == [round(value * 255 / 16) for value in [0, 0, 5, 13, 9, 1, 0, 0]]
    assert digits().labels[:10].tolist() == list(range(10))


def test_embedded_files_are_small_and_licensed():
    folder = Path(str(resources.files("minires.data"))) / "embedded"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 3_000_000
    for data in folder.glob("*.npz"):
        assert "icen" in data.with_suffix(".txt").read_text(encoding="utf-8")
    assert "MIT License" in (folder / "fashion-mini.txt").read_text(encoding="utf-8")
    assert "CC BY 4.0" in (folder / "digits.txt").read_text(encoding="utf-8")


@pytest.mark.shared
def test_embedded_digits_are_the_source(shared):
    tool = runpy.run_path(str(ROOT / "tools" / "build_embedded_data.py"))
    source = tool["digits"](shared / "data" / "digits.csv.gz")
    both = np.concatenate([digits(True).images, digits(False).images])[..., 0]
    assert (both == np.rint(source["images"] * (255 / 16))).all()
    labels = np.concatenate([digits(True).labels, digits(False).labels])
    assert (labels == source["labels"]).all()


def test_the_novel_is_plain_text_a_line_each_paragraph():
    text = pride_and_prejudice()
    tool = runpy.run_path(str(ROOT / "tools" / "build_embedded_data.py"))
    assert hashlib.sha256(text.encode("ascii")).hexdigest() == tool["AUSTEN"]
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("Chapter")] == [
        f"Chapter {number}" for number in range(1, 24)
    ]
    assert lines[1].endswith("must be in want of a wife.")
    assert all(line == line.strip() and line for line in lines)


def test_the_novel_is_cut_from_r_s_file(tmp_path, monkeypatch):
    """Blocks as R 4 writes them, made by hand."""
    tool = runpy.run_path(str(ROOT / "tools" / "build_embedded_data.py"))

    def block(lines):
        header = b"X\n" + struct.pack(">4I", 3, 0x40201, 0x30500, 5)[:12] + b"\0\0\0\5UTF-8"
        strings = (struct.pack(">2I", 0x40009, len(line)) + line for line in lines)
        content = header + struct.pack(">2I", 16, len(lines)) + b"".join(strings)
        return struct.pack(">I", len(content)) + zlib.compress(content)

    first = [b"EMMA", b"", b"Chapter 1", b"No."]
    second = [b"PRIDE AND PREJUDICE", b"Chapter 1", b"", b"One _more_", b"line.", b"", b"Two."]
    path = tmp_path / "Rdata.rdb"
    path.write_bytes(block(first) + block([*second, b"", b"Chapter 24", b"Not this."]))
    wanted = "Chapter 1\nOne more line.\nTwo.\n"
    monkeypatch.setitem(
        tool["austen"].__globals__, "AUSTEN", hashlib.sha256(wanted.encode()).hexdigest()
    )
    assert tool["austen"](path)["text"].tobytes().decode() == wanted
    path.write_bytes(block(first))
    with pytest.raises(SystemExit, match="does not hold Pride and Prejudice"):
        tool["austen"](path)


def test_build_tool_is_deterministic(tmp_path, rng):
    tool = runpy.run_path(str(ROOT / "tools" / "build_embedded_data.py"))
    array = rng.integers(0, 9, (20, 4), dtype=np.uint8)
    for name in ("one.npz", "two.npz"):
        tool["write"](tmp_path / name, {"images": array})
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz", allow_pickle=False) as archive:
        assert (archive["images"] == array).all()


def test_indexing(small):
    image, label = small[4]
    assert (image == small.images[4]).all()
    assert label == 1
    assert isinstance(label, int)
    assert small[-1][1] == 2
    assert len(list(small)) == 30
    part = small[2:10:3]
    assert len(part) == 3
    assert (part.images == small.images[2:10:3]).all()
    assert part.labels.tolist() == [2, 2, 2]
    with pytest.raises(IndexError):
        small[30]


def test_take_and_subset_copy(small):
    images, labels = small.take(np.array([3, 1, 1]))
    assert (images == small.images[[3, 1, 1]]).all()
    assert labels.tolist() == [0, 1, 1]
    before = small.images.copy()
    images[:] = 0
    small.subset(np.arange(5)).images[:] = 0
    assert (small.images == before).all()


def test_a_mask_chooses_what_it_covers(small):
    mask = small.labels == 1
    for chosen in (mask, mask.tolist(), np.flatnonzero(mask), np.flatnonzero(mask).tolist()):
        assert small.subset(chosen).labels.tolist() == [1] * 10
        assert np.array_equal(small.take(chosen)[0], small.images[mask])
    assert len(small.subset([])) == 0


@pytest.mark.parametrize(
    "indices",
    [[1.0, 2.5], [True], np.ones(29, bool), [[1, 2]], 3, None, "abc", np.ones((30, 1), bool)],
)
def test_what_is_no_index(small, indices):
    with pytest.raises(
        DataError, match=r"small: expected integers .* or a mask of 30 booleans as ind"
    ):
        small.subset(indices)


def test_repr(small):
    assert repr(small) == "small: 30 images 4x5x3, 3 classes"


def uint8(*shape):
    return np.zeros(shape, np.uint8)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (uint8(2, 4, 4, 3).astype(np.float32), [0, 1], "expected uint8 images, got dtype float32"),
        (uint8(2, 4, 4), [0, 1], r"expected images \(N, H, W, C\), got an array of shape \(2, 4"),
        (uint8(2, 3, 4, 4), [0, 1], r"channels come last here: images.transpose\(0, 2, 3, 1\)"),
        (uint8(2, 4, 4, 2), [0, 1], r"expected 1 or 3 channels .* got shape \(2, 4, 4, 2\)"),
        (uint8(2, 4, 4, 3), [0, 3], "label 3 of image 1 is out of range: there are 3 classes"),
        (uint8(2, 4, 4, 3), [-1, 0], "label -1 of image 0"),
        (uint8(2, 4, 4, 3), [0.0, 1.0], "expected integer labels"),
        (uint8(2, 4, 4, 3), [[0], [1]], r"labels \(N,\), got .* shape \(2, 1\)"),
        (uint8(2, 4, 4, 3), [0], "2 images but 1 labels"),
        ([uint8(4, 4, 3)], [0], "got a list"),
        ("cat.png", [0], "expected a NumPy array"),
    ],
)
def test_wrong_images_or_labels(images, labels, message):
    with pytest.raises(DataError, match=message):
        ImageDataset(images, labels, "abc", "mine")


def test_statistics_against_the_definition(rng):
    images = rng.integers(0, 256, (300, 6, 5, 3), dtype=np.uint8)
    images[..., 1] //= 4
    mean, std = dataset_statistics(images)
    scaled = images / 255
    assert mean == pytest.approx(scaled.mean(axis=(0, 1, 2)), abs=1e-12)
    assert std == pytest.approx(scaled.std(axis=(0, 1, 2)), abs=1e-12)
    assert dataset_statistics(list(images)) == (mean, std)
    assert all(isinstance(value, float) for value in (*mean, *std))


def test_statistics_of_unequal_images():
    mean, std = dataset_statistics([np.full((2, 2, 1), 255, np.uint8), uint8(1, 4, 1)])
    assert mean == (0.5,)
    assert std == (0.5,)


channel = st.one_of(
    st.integers(0, 255).map(lambda value: [value]),  # constant
    st.lists(st.integers(0, 255), min_size=1, max_size=4),
    st.integers(0, 254).map(lambda value: [value] * 999 + [value + 1]),  # nearly
)


@given(st.lists(channel, min_size=1, max_size=3).filter(lambda c: len(c) != 2), st.integers(1, 50))
def test_statistics_are_exact(channels, times):
    """Against Python's fractions; a constant channel has deviation 0, and only that."""
    length = math.lcm(*map(len, channels))
    columns = [np.tile(c, length // len(c)) for c in channels]
    images = np.repeat(np.stack(columns, -1)[None, None].astype(np.uint8), times, axis=0)
    for values, mean, std in zip(channels, *dataset_statistics(images), strict=True):
        exact = fractions.Fraction(sum(values), 255 * len(values))
        squares = fractions.Fraction(sum(v * v for v in values), 255**2 * len(values))
        assert mean == pytest.approx(float(exact), rel=1e-15)
        assert std == pytest.approx(float(squares - exact**2) ** 0.5, rel=1e-15)
        assert (std == 0) == (len(set(values)) == 1)


def test_what_to_normalise_a_constant_channel_with_is_said():
    images = np.full((9, 4, 4, 1), 77, np.uint8)
    with pytest.raises(DataError, match=r"above 0, got \(0.0,\); where a channel has one"):
        Normalize(*dataset_statistics(images))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "there are no images"),
        (uint8(0, 4, 4, 3), "there are no images"),
        ([uint8(4, 4, 3), uint8(4, 4, 1)], "images of 3 and of 1 channels"),
        (uint8(4, 4, 3), "expected images"),
        (digits(), r"expected arrays of images, got tuple; of a dataset, pass its \.images"),
        (np.zeros((1, 4, 4, 3)), "expected uint8"),
    ],
)
def test_statistics_of_nothing_or_of_something_else(images, message):
    with pytest.raises(DataError, match=message):
        dataset_statistics(images)


@pytest.mark.parametrize("held_out", [0.2, 6])
def test_split_is_stratified_and_disjoint(small, held_out):
    small.images[:, 0, 0, 0] = np.arange(30)  # so that every image is known
    rest, held = split(small, held_out, seed=1)
    ids_rest, ids_held = rest.images[:, 0, 0, 0].tolist(), held.images[:, 0, 0, 0].tolist()
    assert len(held) == 6
    assert np.bincount(held.labels).tolist() == [2, 2, 2]
    assert sorted(ids_rest + ids_held) == list(range(30))
    assert ids_rest == sorted(ids_rest)
    assert held.labels.tolist() == [small.labels[i] for i in ids_held]
    assert split(small, held_out, seed=1)[1].images[:, 0, 0, 0].tolist() == ids_held
    assert split(small, held_out, seed=2)[1].images[:, 0, 0, 0].tolist() != ids_held


def test_split_of_unequal_classes():
    labels = np.repeat([0, 1, 2], [50, 30, 3])
    dataset = ImageDataset(uint8(83, 1, 1, 1), labels, ("a", "b", "c", "never seen"))
    for count in range(1, 83):
        rest, held = split(dataset, count)
        assert len(held) == count
        assert len(rest) == 83 - count
        exact = np.array([50, 30, 3, 0]) * count / 83
        assert (abs(np.bincount(held.labels, minlength=4) - exact) < 1).all()


@pytest.mark.parametrize("held_out", [np.float32(0.2), fractions.Fraction(1, 5), np.int64(6)])
def test_split_takes_any_number(small, held_out):
    _, held = split(small, held_out, seed=1)
    assert (held.images == split(small, 6, seed=1)[1].images).all()


@pytest.mark.parametrize("held_out", ["0.2", None, math.nan, math.inf, True])
def test_split_by_what_is_no_number(small, held_out):
    with pytest.raises(DataError, match="held_out must be a number of images or a share"):
        split(small, held_out)


@pytest.mark.parametrize("held_out", [0, 30, -1, 0.0, 1.0, 0.001])
def test_split_with_an_empty_part(small, held_out):
    with pytest.raises(DataError, match="both parts need at least one"):
        split(small, held_out)
