"""Classes are told from the parts of a data set, whatever these are called; links are followed."""

import contextlib
import io
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from minires.data import DataError, ImageFolder, load_dataset
from minires.data.parts import find_parts

IMAGE = "0.png"
PIXEL = io.BytesIO()
Image.new("L", (1, 1)).save(PIXEL, "PNG")


def make(root, *folders, images=(IMAGE,)):
    """Folders with images in each."""
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for image in images:
            (root / folder / image).write_bytes(PIXEL.getvalue())
    return root


@contextlib.contextmanager
def made(*folders, **options):
    with tempfile.TemporaryDirectory() as home:
        yield make(Path(home), *folders, **options)


# --- names ----------------------------------------------------------------------------------------

TRAIN = ["train", "training", "trn", "trainval", "trainset", "traindata", "train images"]
HELD_OUT = ["test", "testing", "tst", "val", "valid", "validation", "dev", "devel", "development"]
HELD_OUT += ["eval", "evaluation", "holdout", "testset", "dev set", "validation data"]


@st.composite
def named(draw, words):
    """A name as people write it: `Train`, `val_2017`, `my-TestSet`, `02 dev`."""
    name = draw(st.sampled_from(words))
    name = draw(st.sampled_from([str, str.upper, str.title, str.capitalize]))(name)
    name = name.replace(" ", draw(st.sampled_from([" ", "_", "-", ""])))
    before = draw(st.sampled_from(["", "", "my-", "01_", "cifar10.", "IMG "]))
    after = draw(st.sampled_from(["", "", "2017", "_v2", "-small", " (1)", ".raw", "_images"]))
    return before + name + after


classes = st.lists(st.sampled_from(["cat", "Dog", "ant", "éléphant", "9"]), min_size=2, unique=True)


@given(named(TRAIN), named(HELD_OUT), classes, st.data())
@settings(max_examples=60)
def test_parts_are_never_classes(train, held_out, inner, data):
    """They are recognised by their names, in any case; the second may lack a class."""
    tested = data.draw(st.lists(st.sampled_from(inner), min_size=1, unique=True))
    below = [f"{train}/{name}" for name in inner] + [f"{held_out}/{name}" for name in tested]
    with made(*below) as home:
        training, testing = (load_dataset(home, train=part) for part in (True, False))
        assert training.classes == testing.classes == tuple(sorted(inner))
        assert {path.parts[-3] for path in training.paths} == {train}
        assert {path.parts[-3] for path in testing.paths} == {held_out}
        with pytest.raises(DataError, match="is no class but the images to train on"):
            ImageFolder(home)


@given(named(TRAIN), named(HELD_OUT))
@settings(max_examples=60)
def test_images_without_classes_are_no_two_classes(train, held_out):
    """Unless the names have words of their own: a bullet train, a crash test."""
    with made(train, held_out) as home:
        if any(word in train + held_out for word in ("my", "cifar", "raw", "v2", "small")):
            assert find_parts(home) in (None, (train, held_out, ()))
            return
        assert find_parts(home) == (train, held_out, ())
        for part in (True, False):
            with pytest.raises(DataError, match="no folders in it"):
                load_dataset(home, train=part)


other = st.text(
    st.characters(categories=["Lu", "Ll", "Lo", "Nd"]) | st.sampled_from(" -_"), min_size=1
).filter(lambda name: len(name.encode()) < 200)


@given(st.lists(other, min_size=2, max_size=4, unique=True), classes)
@settings(max_examples=30)
def test_parts_by_any_other_name_are_refused_and_classes_are_not(names, inner):
    with made(*names, images=("0.png", "1.png", "2.png")) as home:
        assert load_dataset(home, train=True).classes == tuple(sorted(names))
    with made(*(f"{name}/{below}" for name in names for below in inner)) as home:
        with pytest.raises(DataError, match=r"both hold .*name what holds them 'train' and 'test'"):
            load_dataset(home, train=True)
        with pytest.raises(DataError, match="both hold"):
            ImageFolder(home)
        assert ImageFolder(home, sorted(names)).classes == tuple(sorted(names))  # one's own word
    # the way out that the message names
    with made(*(f"train/{name}/{below}" for name in names for below in inner)) as home:
        assert load_dataset(home, train=True).classes == tuple(sorted(names))


@pytest.mark.parametrize(
    ("folders", "parts"),
    [
        (["train/a", "test/a", "val/a"], ("train", "test", ("val",))),
        (["train/a", "Valid/a", "extra/a"], ("train", "Valid", ("extra",))),
        (["train/a", "train_more/a", "test/a"], ("train", "test", ("train_more",))),
        (["Training/a", "Training/b"], ("Training", None, ())),
        (["seg_train/a", "seg_test/a", "seg_pred"], ("seg_train", "seg_test", ("seg_pred",))),
        (["train", "car", "bus"], None),  # a vehicle
        (["bullet-train", "crash test"], None),
        (["train_a", "train_b"], None),  # no test: two kinds of train
        (["cat", "dog", "test"], None),
        (["cat/2019", "cat", "dog"], None),
        (["cat/images", "dog/images"], None),
        (["cat/2019", "cat/2020", "dog"], None),
        (["valley", "devil", "trainer", "testimony"], None),
    ],
)
def test_what_is_taken_for_what(tmp_path, folders, parts):
    assert find_parts(make(tmp_path, *folders)) == parts


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (
            ["train_a/x", "train_b/x", "test/x"],
            "train_a, train_b could each be the images to train",
        ),
        (["Train/x", "train/x", "Test/x"], "Train, train could each be the images to train on"),
        (["train/x", "test/x", "Testing/x"], "Testing, test could each be the images to test on"),
        (["train/x", "val1/x", "val2/x"], "val1, val2 could each be the images to test on"),
        (["train/x", "train/y", "more/x", "more/y"], "'train' holds x, y, and is no class"),
        (["Val/x", "Val/y"], "'Val' holds x, y, and is no class"),
        (["cat", "dog", "test/cat", "test/dog"], "'test' holds cat, dog, and is no class"),
        (["treino/x", "treino/y", "teste/x", "teste/y"], "'teste' and 'treino' both hold x, y"),
        (["a/x", "a/y", "a/z", "b/x", "b/y", "b/w"], "'a' and 'b' both hold x, y: if these are"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path, folders, message):
    make(tmp_path, *folders)
    for train in (True, False):
        with pytest.raises(DataError, match=message):
            load_dataset(tmp_path, train=train)


def test_a_test_folder_that_is_of_no_use(tmp_path):
    make(tmp_path, "train/a", "train/b", "test")
    with pytest.raises(
        DataError, match=r"test: no folders in it, so that the classes of its images"
    ):
        load_dataset(tmp_path, train=False)
    shutil.rmtree(tmp_path / "test")
    (tmp_path / "test").symlink_to(tmp_path / "train")
    with pytest.raises(DataError, match=r"test and .*train are the same folder: no test"):
        load_dataset(tmp_path, train=False)


# --- hidden, linked -------------------------------------------------------------------------------


def names(folder, label):
    dataset = ImageFolder(folder)
    chosen = [p for p, k in zip(dataset.paths, dataset.labels, strict=True) if k == label]
    return [path.relative_to(folder).as_posix() for path in chosen]


def test_linked_folders_and_files_belong_to_their_class(tmp_path):
    store = make(tmp_path / "elsewhere", "deep/er", "one")
    pets = make(tmp_path / "pets", "cat", "dog")
    (pets / "cat" / "linked").symlink_to(store / "deep")
    (pets / "cat" / "file.PNG").symlink_to(store / "one" / IMAGE)
    (pets / "bird").symlink_to(store / "one")
    assert ImageFolder(pets).classes == ("bird", "cat", "dog")
    assert names(pets, 1) == ["cat/0.png", "cat/file.PNG", "cat/linked/er/0.png"]


def test_what_is_linked_in_a_circle_or_twice_is_met_once(tmp_path):
    make(tmp_path, "cat/a/b", "cat/z", "dog")
    (tmp_path / "cat" / "a" / "up").symlink_to(tmp_path / "cat")
    (tmp_path / "cat" / "a" / "again").symlink_to(tmp_path / "cat" / "z")
    for i in range(8):  # as paths these are more than there are atoms
        (tmp_path / "cat" / f"farm{i}").mkdir()
        for j in range(8):
            (tmp_path / "cat" / f"farm{i}" / f"{j}").symlink_to(tmp_path / "cat" / f"farm{j}")
    assert names(tmp_path, 0) == ["cat/a/b/0.png", "cat/z/0.png"]


@pytest.mark.parametrize(("link", "target"), [("all", "."), ("cat/more", "dog"), ("copy", "cat")])
def test_a_folder_in_two_classes_is_refused(tmp_path, link, target):
    make(tmp_path, "cat", "dog")
    (tmp_path / link).symlink_to(tmp_path / target)
    with pytest.raises(DataError, match="are the same folder, in two classes"):
        ImageFolder(tmp_path)


def test_an_image_that_is_a_link_to_nothing_is_not_left_out_silently(tmp_path):
    make(tmp_path, "cat", "dog")
    (tmp_path / "cat" / "1.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "cat" / "2.png").symlink_to("2.png")
    dataset = ImageFolder(tmp_path)
    assert names(tmp_path, 0) == ["cat/0.png", "cat/1.png", "cat/2.png"]
    for i in (1, 2):
        with pytest.raises(
            DataError, match=f"{i}.png: cannot be read as an image: (No such|Too m)"
        ):
            dataset[i]


def test_names_are_the_same_however_their_accents_are_written(tmp_path):
    one, two = "caf\u00e9", "cafe\u0301"
    make(tmp_path, f"train/{one}", "train/tea", f"test/{two}")
    testing = load_dataset(tmp_path, train=False)
    assert (testing.classes, testing.labels.tolist()) == ((one, "tea"), [0])
    make(tmp_path, f"train/{two}")
    with pytest.raises(DataError, match="two classes of the same name in"):
        load_dataset(tmp_path, train=True)


name = st.sampled_from(["a", "b", "Ä b", "..c", "d.png", "train", "x.y"])
file = st.sampled_from(
    ["0.png", "1.JPeG", "2.txt", ".3.png", "png", "4.tiff.bak", "5.TIFF", "Ö.gif"]
)
tree = st.lists(st.tuples(st.lists(name, min_size=1, max_size=3), file), max_size=12)


@given(tree)
@settings(max_examples=60)
def test_every_image_is_in_the_class_of_its_top_folder(files):
    """As a list of all files says that the system's own walk gives."""
    with made() as home:
        for folders, image in files:
            if not (home / Path(*folders, image)).exists():
                make(home, str(Path(*folders)), images=(image,))
        every = [Path(top, file) for top, _, names in os.walk(home) for file in names]
        seen = [p for p in every if not any(x.startswith(".") for x in p.relative_to(home).parts)]
        images = [p for p in seen if p.suffix.lower() in (".png", ".jpeg", ".tiff", ".gif")]
        classes = sorted(p.name for p in home.iterdir() if p.is_dir() and p.name[0] != ".")
        empty = set(classes) - {p.relative_to(home).parts[0] for p in images}
        if not classes or empty or find_parts_or_refuse(home):
            with pytest.raises(DataError):
                ImageFolder(home)
            return
        dataset = ImageFolder(home)
        assert dataset.classes == tuple(classes)
        assert sorted(dataset.paths) == sorted(images)
        assert sorted(dataset.left_out) == sorted(set(seen) - set(images))
        for path, label in zip(dataset.paths, dataset.labels, strict=True):
            assert path.relative_to(home).parts[0] == classes[label]


def find_parts_or_refuse(home):
    try:
        return find_parts(home) is not None
    except DataError:
        return True


def test_what_is_hidden_or_the_systems_is_no_image(tmp_path):
    make(tmp_path, "cat", "dog", ".git/a", "cat/.thumbnails", "__MACOSX/cat", "dog/@eaDir/0.png")
    (tmp_path / "cat" / "._0.png").write_bytes(b"")
    (tmp_path / "dog" / "photo.HEIC").write_bytes(b"")
    (tmp_path / "dog" / "README").write_bytes(b"")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "dog" / "pipe.png")  # opening it would wait for ever
    dataset = ImageFolder(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert (names(tmp_path, 0), names(tmp_path, 1)) == (["cat/0.png"], ["dog/0.png"])
    assert [path.name for path in dataset.left_out] == ["README", "photo.HEIC"]
    make(tmp_path, ".")
    assert [path.name for path in ImageFolder(tmp_path).left_out] == [IMAGE, "README", "photo.HEIC"]
