"""Folders of image files, and datasets by name."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from minires.data import (
    CenterCrop,
    Compose,
    DataError,
    DataLoader,
    ImageFolder,
    RandomResizedCrop,
    Resize,
    dataset_statistics,
    default_root,
    load_dataset,
    read_image,
    split,
)
from minires.data.fingerprint import fingerprint
from minires.data.split import split_by_name


def write_image(path, rng, size=(8, 6), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = size[::-1] if mode == "L" else (*size[::-1], len(mode))
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels, mode=None).save(path, **options)
    return pixels


@pytest.fixture
def folder(tmp_path, rng):
    """Three classes with 5 images each, of unequal size."""
    root = tmp_path / "pets"
    for label, name in enumerate(["cat", "dog", "Ant"]):
        for number in range(5):
            write_image(root / name / f"{number}.png", rng, (8 + label, 6 + number))
    return root


def test_image_folder(folder, rng):
    pixels = write_image(folder / "cat" / "deeper" / "x.PNG", rng, (4, 4))
    write_image(folder / ".hidden" / "x.png", rng)
    write_image(folder / "cat" / ".thumbnails" / "x.png", rng)
    (folder / "cat" / "notes.txt").write_text("no image")
    (folder / "readme.txt").write_text("no folder")
    dataset = ImageFolder(folder)
    assert dataset.classes == ("Ant", "cat", "dog")
    assert dataset.labels.tolist() == [0] * 5 + [1] * 6 + [2] * 5
    assert dataset.labels.dtype == np.int64
    assert len(dataset) == 16
    names = [path.relative_to(folder).as_posix() for path in dataset.paths]
    assert names[4:11] == ["Ant/4.png", *(f"cat/{n}.png" for n in range(5)), "cat/deeper/x.PNG"]
    image, label = dataset[10]
    assert np.array_equal(image, pixels)
    assert label == 1
    assert repr(dataset) == f"{folder}: 16 images, 3 classes"


def test_take_and_subset(folder):
    dataset = ImageFolder(folder)
    images, labels = dataset.take(np.array([14, 5, 0]))
    assert [image.shape for image in images] == [(10, 9, 3), (6, 8, 3), (6, 10, 3)]
    assert labels.tolist() == [2, 1, 0]
    part = dataset.subset(np.array([14, 5, 0]))
    assert all(np.array_equal(a, b) for a, b in zip(part.images, images, strict=True))
    assert part.labels.tolist() == [2, 1, 0]
    assert dataset.subset(dataset.labels == 2).paths == dataset.paths[10:] == dataset[10:].paths
    assert dataset.take(np.arange(15) > 13)[1].tolist() == [2]
    with pytest.raises(DataError, match="expected integers"):
        dataset.subset([1.5])
    assert len(dataset) == 15


def test_images_of_one_size_come_as_a_batch(folder):
    images, _ = ImageFolder(folder).take(np.array([3, 3]))
    assert images.shape == (2, 9, 10, 3)


def test_loading_with_transforms(folder):
    dataset = ImageFolder(folder)
    for transform in (Compose([Resize(8), CenterCrop(7)]), RandomResizedCrop(7)):
        batches = list(DataLoader(dataset, 4, shuffle=True, transform=transform))
        assert [images.shape for images, _ in batches] == [(n, 7, 7, 3) for n in (4, 4, 4, 3)]
    with pytest.raises(DataError, match="images of unequal size in one batch"):
        list(DataLoader(dataset, 4))


def test_statistics_and_split(folder):
    dataset = ImageFolder(folder)
    pixels = np.concatenate([image.reshape(-1, 3) for image in dataset.images]) / 255
    assert dataset_statistics(dataset.images)[0] == pytest.approx(pixels.mean(axis=0))
    rest, held = split(dataset, 3)
    assert sorted(rest.paths + held.paths) == sorted(dataset.paths)
    assert held.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("extension", ["png", "jpg", "bmp", "gif", "webp", "tiff", "ppm"])
def test_formats(tmp_path, rng, extension):
    path = tmp_path / f"image.{extension}"
    write_image(path, rng)
    image = read_image(path)
    assert image.shape == (6, 8, 3)
    assert image.dtype == np.uint8
    assert image.flags.writeable


def test_whatever_pillow_writes_and_reads_counts_in_a_folder(tmp_path, rng):
    """Every format of the installed Pillow that holds colour is tried, under each of its names."""
    Image.init()
    written = 0
    for extension, kind in Image.registered_extensions().items():
        path = tmp_path / "a" / f"{written}{extension.upper()}"
        if kind not in Image.OPEN or kind not in Image.SAVE or kind in ("EPS", "BLP", "IM"):
            continue
        try:
            write_image(path, rng)
            with Image.open(path) as image:
                image.load()
        except (OSError, ValueError):  # wants another mode, or a library that is not there
            path.unlink(missing_ok=True)
            continue
        written += 1
        assert ImageFolder(tmp_path).paths[-1].parent == path.parent
        assert len(ImageFolder(tmp_path)) == written, extension
        assert read_image(path).shape[2] == 3
    assert written > 15
    for extension in (".eps", ".h5", ".mpg", ".txt", ".pdf"):
        (tmp_path / "a" / f"no{extension}").write_bytes(b"")
    assert len(ImageFolder(tmp_path)) == written


def test_modes(tmp_path, rng):
    grey = write_image(tmp_path / "grey.png", rng, mode="L")
    assert np.array_equal(read_image(tmp_path / "grey.png"), np.stack([grey] * 3, axis=-1))
    clear = write_image(tmp_path / "clear.png", rng, mode="RGBA")
    assert np.array_equal(read_image(tmp_path / "clear.png"), clear[..., :3])

    deep = rng.integers(0, 65536, (5, 7), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.array_equal(read_image(tmp_path / "deep.png"), np.stack([deep >> 8] * 3, axis=-1))

    palette = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).quantize(16)
    palette.save(tmp_path / "palette.png", transparency=bytes(range(16)))
    expected = np.asarray(palette.convert("RGB"))
    assert np.array_equal(read_image(tmp_path / "palette.png"), expected)


def test_photographs_are_turned_upright(tmp_path, rng):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    pixels = write_image(tmp_path / "turned.png", rng, exif=exif)
    assert np.array_equal(read_image(tmp_path / "turned.png"), np.rot90(pixels, -1))


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "gif"])
def test_damaged_images_are_named(folder, rng, extension):
    path = folder / "cat" / f"9.{extension}"
    write_image(path, rng, (60, 60))
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"not an image", whole[:20]):
        path.write_bytes(damaged)
        dataset = ImageFolder(folder)
        with pytest.raises(DataError, match=rf"9\.{extension}: cannot be read as an image"):
            dataset.take(np.arange(len(dataset)))
    with pytest.raises(DataError, match=r"gone.png: cannot be read as an image"):
        read_image(folder / "gone.png")


def test_an_error_in_the_loaders_thread_names_the_image(folder):
    (folder / "dog" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"0\.png: cannot be read"):
        list(DataLoader(ImageFolder(folder), 4, transform=Resize((4, 4))))


def test_folders_that_are_none(tmp_path, folder):
    with pytest.raises(DataError, match="nowhere: no such folder"):
        ImageFolder(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"0\.png: not a folder"):
        ImageFolder(folder / "cat" / "0.png")
    with pytest.raises(DataError, match="cat: no folders in it; expected one folder of images"):
        ImageFolder(folder / "cat")
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: no images in it \(of type .*.png, "):
        ImageFolder(folder)


def test_without_pillow(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match=r"pip install 'minires\[images\]'"):
        ImageFolder(folder)
    with pytest.raises(DataError, match=r"pip install 'minires\[images\]'"):
        read_image(folder / "cat" / "0.png")


def test_a_fingerprint_tells_folders_apart(folder, rng):
    """Whatever comes, goes, is renamed or changes its class; a folder that moves is the same."""
    before = fingerprint(ImageFolder(folder))
    moved = folder.rename(folder.with_name("elsewhere"))
    assert fingerprint(ImageFolder(moved)) == before
    folder = moved.rename(folder)
    for _ in range(20):
        i, old = (int(n) for n in rng.integers((3, 5)))
        name, other = ["cat", "dog", "Ant"][i], ["cat", "dog", "Ant"][i - 1]
        path = folder / name / f"{old}.png"
        for changed in (
            folder / name / f"{old}a.png",
            folder / other / f"{old}a.png",
            folder / name / "deeper" / path.name,
        ):
            changed.parent.mkdir(exist_ok=True)
            path.rename(changed)
            assert fingerprint(ImageFolder(folder)) != before
            changed.rename(path)
        assert fingerprint(ImageFolder(folder)) == before
        part = ImageFolder(folder).subset(np.flatnonzero(np.arange(15) != 5 * i + old))
        assert fingerprint(part) != before
    (folder / "cat").rename(folder / "elk")
    assert fingerprint(ImageFolder(folder)) != before


# --- load_dataset ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "train", "count"),
    [("digits", True, 1437), ("digits", False, 360), ("fashion-mini", False, 1000)],
)
def test_embedded_by_name(name, train, count):
    assert len(load_dataset(name, train=train)) == count


def test_a_folder_is_split_the_same_way_every_time(folder):
    training, testing = load_dataset(folder, train=True), load_dataset(str(folder), train=False)
    assert len(training) == 12
    assert testing.labels.tolist() == [0, 1, 2]
    assert sorted(training.paths + testing.paths) == sorted(ImageFolder(folder).paths)
    assert load_dataset(folder, train=False).paths == testing.paths


@given(st.data())
@settings(max_examples=60)
def test_an_image_that_comes_moves_one_other_at_most(drawn):
    """Names and classes are drawn; the folder is made up: which files there are is all that counts.

    The folder itself may be elsewhere and may list its images in another order.
    """
    letters = st.text("abcdefgéß日 ", min_size=1, max_size=5)
    names = drawn.draw(
        st.lists(st.lists(letters, min_size=1, max_size=23, unique=True), min_size=2, max_size=4)
    )
    sides = halves(names)
    for members in names:
        count = sum(sides[path] for path in sides if path[0] == names.index(members))
        assert 1 <= count <= len(members)  # to train on
        assert len(members) - count == max(1, round(len(members) / 5)) * (len(members) > 1)
    label = drawn.draw(st.integers(0, len(names) - 1))
    new = drawn.draw(letters.filter(lambda name: name not in names[label]))
    grown = [
        [*reversed(members), new] if k == label else members for k, members in enumerate(names)
    ]
    after = halves(grown, "elsewhere")
    moved = [path for path in sides if sides[path] != after[path]]
    assert len(moved) <= 1
    assert all(path[0] == label for path in moved)
    if len(names[label]) > 1 and round(len(grown[label]) / 5) <= max(
        1, round(len(names[label]) / 5)
    ):
        assert not any(sides[path] for path in moved)  # no test on what was trained on


def halves(names, root="root"):
    """Whether each image is to train on, by its class and name."""
    folder = object.__new__(ImageFolder)
    folder.root, folder.classes = Path(root), tuple(f"class{k}" for k in range(len(names)))
    pairs = [(k, name) for k, members in enumerate(names) for name in members]
    folder.paths = [folder.root / f"class{k}" / f"{name}.png" for k, name in pairs]
    folder.labels = np.array([k for k, _ in pairs])
    rest, held = split_by_name(folder, 0.2)
    assert sorted(rest.paths + held.paths) == sorted(folder.paths)
    return {pair: path in rest.paths for pair, path in zip(pairs, folder.paths, strict=True)}


def test_a_class_of_one_image_keeps_it_to_train_on(tmp_path, rng):
    for k in range(6):
        for i in range(10 if k == 5 else 1):
            write_image(tmp_path / f"c{k}" / f"{i}.png", rng)
    training, testing = (load_dataset(tmp_path, train=train) for train in (True, False))
    assert np.bincount(training.labels).tolist() == [1] * 5 + [8]
    assert testing.labels.tolist() == [5, 5]
    rest, held = split(training, 0.3)
    assert (np.bincount(rest.labels, minlength=6) > 0).all()
    assert held.labels.tolist() == [5] * 4
    assert np.bincount(split(training, 10)[0].labels).tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("test_name", ["test", "val", "valid", "validation"])
def test_a_folder_with_parts(tmp_path, rng, test_name):
    for name in ("a", "b", "c"):
        write_image(tmp_path / "train" / name / "1.png", rng)
    write_image(tmp_path / test_name / "c" / "1.png", rng)
    assert load_dataset(tmp_path, train=True).labels.tolist() == [0, 1, 2]
    testing = load_dataset(tmp_path, train=False)
    assert testing.labels.tolist() == [2]
    assert testing.classes == ("a", "b", "c")
    write_image(tmp_path / test_name / "d" / "1.png", rng)
    with pytest.raises(DataError, match="folder 'd' is none of the classes a, b, c"):
        load_dataset(tmp_path, train=False)


def test_a_folder_with_nothing_but_train_is_no_single_class(tmp_path, rng):
    for i in range(10):
        write_image(tmp_path / "train" / "ab"[i % 2] / f"{i}.png", rng)
    for train, count in ((True, 8), (False, 2)):
        dataset = load_dataset(tmp_path, train=train)
        assert (dataset.classes, len(dataset)) == (("a", "b"), count)


def test_too_few_images_to_test_on(tmp_path, rng):
    write_image(tmp_path / "a" / "1.png", rng)
    write_image(tmp_path / "b" / "1.png", rng)
    with pytest.raises(DataError, match=": 2 images are too few to hold some out for a test"):
        load_dataset(tmp_path, train=True)


def test_unknown_name():
    names = "digits, fashion-mini, fashion-mnist, cifar10, cifar100, or an existing folder"
    with pytest.raises(DataError, match=f"unknown dataset 'mnits': expected one of {names}"):
        load_dataset("mnits", train=True)
    with pytest.raises(DataError, match="unknown dataset ''"):  # not the folder one is in
        load_dataset("", train=True)


def test_an_empty_name_is_not_the_folder_one_is_in(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert len(ImageFolder(".")) == 15
    with pytest.raises(DataError, match="the name of the folder is empty"):
        ImageFolder("")
    with pytest.raises(DataError, match="root is empty"):
        load_dataset("cifar10", "", train=True)


def test_default_root(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIRES_DATA", str(tmp_path))
    assert default_root() == tmp_path
    for name in ("fashion-mnist", "cifar10", "cifar100"):
        with pytest.raises(DataError, match=f"is not in {tmp_path}"):
            load_dataset(name, train=True)
    monkeypatch.delenv("MINIRES_DATA")
    assert default_root().parts[-2:] == (".cache", "minires")


def test_without_a_home_folder(monkeypatch):
    monkeypatch.setenv("MINIRES_DATA", "~no_such_user/x")
    with pytest.raises(DataError, match="MINIRES_DATA=~no_such_user/x: there is no such home"):
        load_dataset("cifar10", train=True)

    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MINIRES_DATA")
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(DataError, match=r"no home folder .* MINIRES_DATA or --data-dir"):
        load_dataset("cifar10", train=True)
