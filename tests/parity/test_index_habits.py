"""Indices as PyTorch's users write them: the same values, or an error that says what to do."""

import itertools

import numpy as np
import pytest
import torch

import minires
from minires import Tensor

SHAPE = (2, 3, 4, 2)
VALUES = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
PIECES = {
    "number": lambda lib: 1,
    "number from the end": lambda lib: -1,
    "number as a tensor": lambda lib: lib.tensor(1),
    "all": lambda lib: slice(None),
    "some": lambda lib: slice(1, None),
    "new": lambda lib: None,
    "others": lambda lib: ...,
    "list": lambda lib: [0, 1],
    "tensor": lambda lib: lib.tensor([1, 0]),
    "array": lambda lib: np.array([0, 1]),
}


def picked(lib, values, names):
    """What the pieces of these names pick, as an array; None or a message if it is an error."""
    key = tuple(PIECES[name](lib) for name in names)
    try:
        return np.asarray(values[key])
    except (IndexError, TypeError) as error:
        return str(error) if lib is minires else None


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_what_an_index_picks(length):
    ours, theirs = minires.tensor(VALUES), torch.tensor(VALUES)
    asked = 0
    for names in itertools.product(PIECES, repeat=length):
        wanted = picked(torch, theirs, names)
        if wanted is None or names.count("others") > 1:
            continue
        got = picked(minires, ours, names)
        if isinstance(got, str):  # asked without need it would be an error for NumPy's users too
            numpys = VALUES[
                tuple(
                    np.asarray(k) if isinstance(k, Tensor) else k
                    for k in (PIECES[name](minires) for name in names)
                )
            ]
            assert "where they stand in PyTorch" in got, (names, got)
            assert numpys.shape != wanted.shape or (numpys != wanted).any(), names
            asked += 1
        else:
            assert got.shape == wanted.shape, names
            np.testing.assert_array_equal(got, wanted)
    assert (asked > 0) == (length > 2)


def test_the_hint_for_an_index_is_right():
    x, places = minires.tensor(VALUES), [2, 0]
    with pytest.raises(IndexError, match=r"x\[0\]\[:, places\] for the one, .*swapaxes\(0, 1\)"):
        x[0, :, places]
    with pytest.raises(IndexError, match="where they stand"):
        x[0, :, places] = 1.0
    np.testing.assert_array_equal(x[0][:, places], torch.tensor(VALUES)[0, :, places])
    np.testing.assert_array_equal(x[0][:, places].swapaxes(0, 1), VALUES[0, :, places])
    mask = np.array([True, False, True, False])
    assert x[0][:, mask].shape == torch.tensor(VALUES)[0, :, torch.tensor(mask)].shape
    with pytest.raises(IndexError, match="where they stand"):
        x[0, :, mask]


@pytest.mark.parametrize("key", [0, (0, 1), (0, 1, 2), (0, 1, 2, 1), slice(1), ..., [0, 1]])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 1, 1, 1), (2,), (1, 2), (3, 4, 2)])
def test_what_is_written_at_an_index(key, shape):
    value = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + 100
    theirs, ours = torch.tensor(VALUES), minires.tensor(VALUES)
    try:
        theirs[key] = torch.tensor(value)
    except RuntimeError:
        with pytest.raises(ValueError, match=r"broadcast|sequence"):
            ours[key] = minires.tensor(value)
    else:
        ours[key] = minires.tensor(value)
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize("first", range(-4, 4))
@pytest.mark.parametrize("last", range(-4, 4))
def test_axes_counted_from_the_end_in_one(first, last):
    try:
        wanted = torch.tensor(VALUES).flatten(first, last).shape
    except RuntimeError:
        with pytest.raises(ValueError, match="flatten: no axes from"):
            minires.tensor(VALUES).flatten(first, last)
    else:
        assert minires.tensor(VALUES).flatten(first, last).shape == tuple(wanted)
        assert minires.flatten(minires.tensor(VALUES), first, last).shape == tuple(wanted)
