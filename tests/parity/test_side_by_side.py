"""The table of `docs/conventions.md`: both columns are run, and give the same."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import minires
from minires import Tensor
from minires.nn import functional as F

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conventions.md"
TABLE = PAGE.read_text(encoding="utf-8").split("<!-- side by side -->")[1].split("<!-- end of")[0]
ROWS = re.findall(r"^\| `(.+?)` \| `(.+?)`", TABLE, re.MULTILINE)

rng = np.random.default_rng(0)
ARRAYS = {name: rng.normal(size=(4, 3, 5)).astype(np.float32) for name in ("x", "y", "w")}
IMAGES = rng.normal(size=(2, 6, 5, 3))  # channels last
FILTERS = rng.normal(size=(3, 3, 3, 4))


def names(make, transposed):
    """`x`, `y`, `w`, `loss`, `images` and `filters`, of one library."""
    found = {name: make(array.copy()) for name, array in ARRAYS.items()}
    found["w"].requires_grad_()
    found["loss"] = (found["w"] * found["w"]).sum()
    if transposed:
        images, filters = IMAGES.transpose(0, 3, 1, 2).copy(), FILTERS.transpose(3, 2, 0, 1).copy()
    else:
        images, filters = IMAGES, FILTERS
    return found | {"images": make(images), "filters": make(filters)}


def test_the_table_is_read():
    assert len(ROWS) == 15


@pytest.mark.parametrize(("left", "right"), ROWS)
def test_both_give_the_same(left, right):
    theirs = eval(left, {"torch": torch, "F": TF} | names(torch.from_numpy, True))
    ours = eval(right, {"minires": minires, "F": F} | names(Tensor, False))
    theirs, ours = np.asarray(theirs), np.asarray(ours)
    if "images" in left:
        theirs = theirs.transpose(0, 2, 3, 1)
    assert ours.dtype == theirs.dtype or ours.dtype.kind == "i"
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
