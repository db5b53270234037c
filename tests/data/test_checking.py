"""Every image is looked at before a training, in bounded time, and all that is wrong is said."""

import re

import numpy as np
import pytest
from PIL import Image

from minires.data import CenterCrop, Compose, DataError, ImageFolder, Resize, checking
from minires.data.checking import check_images


@pytest.fixture
def folder(tmp_path, rng):
    for i in range(50):
        path = tmp_path / "cat" / f"{i:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(path)
    return tmp_path


def damage(path):
    path.write_bytes(path.read_bytes()[:-90])


def test_one_damaged_image(folder):
    assert check_images([(ImageFolder(folder), None)]) == 0
    damage(folder / "cat" / "44.png")
    with pytest.raises(
        DataError, match=r"^\S*44.png: cannot be read as an image: image file is tr"
    ):
        check_images([(ImageFolder(folder), None)])


def test_several_damaged_images_are_told_at_once(folder):
    for i in (49, 3, 17, 20, 31):
        damage(folder / "cat" / f"{i:02}.png")
    with pytest.raises(DataError) as caught:
        check_images([(ImageFolder(folder), None)])
    text = str(caught.value)
    assert text.startswith("5 of 50 images cannot be used: ")
    assert re.findall(r"(\d\d)\.png: cannot be read", text) == ["03", "17", "20"]
    assert text.endswith("; ...")


def test_there_is_an_end_to_it(folder, monkeypatch):
    dataset = ImageFolder(folder)
    assert check_images([(dataset, None)], seconds=0) == 50
    monkeypatch.setattr(checking, "_ENOUGH", 10)
    for path in dataset.paths:
        damage(path)
    with pytest.raises(DataError, match=r"^32 of 32 images cannot be used"):  # of those looked at
        check_images([(dataset, None)])


def test_the_first_come_first(folder):
    dataset = ImageFolder(folder)
    damage(dataset.paths[40])
    late, early = (dataset.subset(np.arange(start, start + 10)) for start in (0, 40))
    with pytest.raises(DataError, match=r"40\.png"):
        check_images([(early, None), (late, None)])


def test_an_image_that_cannot_be_prepared(folder):
    Image.new("L", (30_000, 1)).save(folder / "cat" / "line.png")
    dataset = ImageFolder(folder)
    assert check_images([(dataset, None)]) == 0
    with pytest.raises(DataError, match=r"line.png: an image of 1 x 30000 pixels would become 256"):
        check_images([(dataset, Compose([Resize(256), CenterCrop(224)]))])
