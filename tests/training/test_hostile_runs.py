"""Files of a run that say what no training wrote: refused in one line, before they cost anything.

What they say is drawn: any value of a real file is replaced by any JSON.
"""

import json
import warnings

import numpy as np
import pytest
import small_run
from hypothesis import given, settings
from hypothesis import strategies as st
from nonsense import ESCAPES, changed, drawn

import minires
from minires import models
from minires.files import LONGEST_MESSAGE
from minires.training import FileError, TrainingError
from minires.training.archive import read_archive, write_archive
from minires.training.checkpoint import read_checkpoint
from minires.training.recipe import Recipe, make_recipe

quick = pytest.fixture(small_run.quick)


def refused(call, *kinds):
    """Whether a call was refused, with a message fit for a terminal; any other error is one."""
    message = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of numbers that overflow
        try:
            call()
        except kinds as error:
            message = str(error)
    assert message is None or message.isprintable()
    assert message is None or 0 < len(message) <= LONGEST_MESSAGE
    return message is not None


# ---------------------------------------------------------------------- recipe.json

WHOLE = make_recipe(data="digits", data_dir="d", weights="w", mean=(0.3,), std=(0.3,), augment=None)
RECIPE = json.loads(json.dumps(vars(WHOLE)))
MAY_BE_NONE = {"data_dir", "weights", "mean", "std"}


@drawn
@given(changed(RECIPE))
def test_a_recipe(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("run") / "recipe.json"
    path.write_text(json.dumps(tree))
    if refused(lambda: Recipe.read(path), FileError):
        return
    recipe = Recipe.read(path)
    for name, known in vars(WHOLE).items():
        value = getattr(recipe, name)
        if value is None:
            assert name in MAY_BE_NONE
        else:
            assert type(value) is type(known)
        if isinstance(value, tuple):
            assert all(type(item) is (str if name == "augment" else float) for item in value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is damaged"),
        ("[" * 100_000, "is damaged: maximum recursion"),
        ('{"a":' * 100_000, "is damaged: maximum recursion"),
        ("[1, 2]", "is damaged: an object was wanted, got a list"),
        ('{"data": "digits", "data": "cifar10"}', "'data' stands twice"),
        (json.dumps({**RECIPE, "lr": float("nan")}), "lr must be a number greater than 0, got nan"),
        (json.dumps({**RECIPE, "epochs": "3"}), "epochs must be a whole number, got '3'"),
        (json.dumps({**RECIPE, "epochs": True}), "epochs must be a whole number, got True"),
        (json.dumps({**RECIPE, "lr": 10**400}), "lr must be a number, got 1000"),
        (json.dumps({**RECIPE, "augment": "crop"}), "augment must be a list, got 'crop'"),
        (json.dumps({**RECIPE, "mean": [0.1, None]}), "mean must be a number, got None"),
        (json.dumps({**RECIPE, ESCAPES: 1}), r"'\\x1b\]0;owned.*' is unknown"),
        ('{"epochs": 1' + "0" * 5000 + "}", "is damaged: Exceeds the limit"),
        (" " * (1 << 20) + json.dumps(RECIPE), "has more than 1,048,576 bytes"),
    ],
)
def test_texts_that_are_no_recipe(tmp_path, text, message):
    path = tmp_path / "recipe.json"
    path.write_text(text)
    with pytest.raises(FileError, match=message):
        Recipe.read(path)


def test_a_recipe_as_editors_on_windows_save_it(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(RECIPE, indent=2).replace("\n", "\r\n").encode())
    assert vars(Recipe.read(path))["data"] == "digits"


# ---------------------------------------------------------------------- last.npz


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The content of a real last.npz, and the folder that it is from."""
    patch = pytest.MonkeyPatch()
    small_run.quick(patch)
    folder = tmp_path_factory.mktemp("run")
    small_run.train(folder, epochs=2)
    patch.undo()
    return folder, read_archive(folder / "last.npz", "checkpoint")


@given(data=st.data())
@settings(drawn, max_examples=80)
def test_a_checkpoint(checkpoint, quick, data):
    folder, content = checkpoint
    small = {**content, "model": {}, "optimizer": {**content["optimizer"], "state": {}}}
    tree = data.draw(changed(small))
    for name in ("model", "optimizer"):  # arrays are not JSON; what was not changed is the file's
        if tree.get(name) == small[name]:
            tree[name] = content[name]
    try:
        write_archive(folder / "last.npz", "checkpoint", tree)
        if not refused(lambda: read_checkpoint(folder / "last.npz"), FileError):
            refused(
                lambda: small_run.train(folder, epochs=2, resume=True), FileError, TrainingError
            )
    finally:
        write_archive(folder / "last.npz", "checkpoint", content)


# ---------------------------------------------------------------------- weights

NETWORK = models.resnet8(in_channels=1)
STATE = {name: tensor.numpy() for name, tensor in NETWORK.state_dict().items()}
ARCHITECTURE = {"name": "resnet8", "num_classes": 10, "in_channels": 1, "shortcut": "A"}


@given(changed({"architecture": ARCHITECTURE, "metadata": {"classes": ["a"]}}))
@settings(drawn, max_examples=60)
def test_a_weights_file(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("weights") / "w.npz"
    write_archive(path, "weights", {**tree, "state": STATE})
    if not refused(lambda: minires.load(path), FileError):
        found = minires.load(path)
        if isinstance(found, dict):  # a state_dict that was saved alone
            assert tree["architecture"] == {}
            assert found.keys() == STATE.keys()
        else:
            assert found.architecture["num_classes"] == 10


@pytest.mark.parametrize(
    "architecture",
    [
        {"name": "resnet600002"},
        {"name": "resnet" + "9" * 4000 + "8"},
        {"name": "preact_resnet600002"},
        {"name": "plain9998"},
        *({"name": "resnet8", "num_classes": 10**n} for n in (6, 8, 9, 12, 18, 30)),
        *({"name": "resnet8", "in_channels": 10**n} for n in (6, 8, 9, 12, 18, 30)),
        {"name": "resnet152", "width_per_group": 10**5},
        {"name": "resnet152", "width_per_group": 10**9},
        {"name": "resnet50", "groups": 10**5},
        {"name": "resnext50_32x4d", "num_classes": 10**10},
        {"name": "resnet8", "num_classes": -1},
        {"name": "resnet8", "num_classes": float("nan")},
        {"name": "resnet8", "in_channels": "3"},
    ],
    ids=str,
)
def test_a_small_file_that_describes_a_large_network(tmp_path, monkeypatch, architecture):
    """Refused before it is built: arrays are asked for, and their memory is never written to."""
    path = tmp_path / "w.npz"
    state = {f"layer1.{i}": np.zeros(1, np.float32) for i in range(200)}
    write_archive(path, "weights", {"architecture": architecture, "metadata": {}, "state": state})
    written = []
    monkeypatch.setattr("minires.random.generator", lambda: written.append("a draw"))
    with pytest.raises(FileError, match="cannot be loaded"):
        minires.load(path)
    assert written == []
