"""Names with something in front of them, and networks without a classifier."""

import numpy as np
import pytest
from interop.test_torch_file import torch_state
from interop.torch_files import Storage, tensor, zipped
from interop.torchvision import as_torch_file

import minires
from minires import models
from minires.files import FileError
from minires.interop import load_weights

PREFIXES = (
    *(
        "module.",
        "model.",
        "net.",
        "network.",
        "backbone.",
        "encoder.",
        "_orig_mod.",
        "model.module.",
    ),
    *("module._orig_mod.", "state_dict.model.", "a.b.c.d.", "student.backbone.", "fc.", "layer1."),
)


@pytest.fixture
def file(tmp_path):
    def make(state):
        path = tmp_path / "weights"
        path.write_bytes(zipped(state))
        return path

    return make


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_stands_in_front_does_not_matter(file, prefix):
    model = models.resnet8(7, 1)
    state, ours = torch_state(model, prefix)
    path = file({"state_dict": state, "epoch": 3})
    for loaded in (
        load_weights(path, "resnet8"),
        load_weights(path, models.resnet8(7, 1)),
        minires.load(path, "resnet8"),
    ):
        for name, values in ours.items():
            np.testing.assert_array_equal(loaded.state_dict()[name].numpy(), values, name)


@pytest.mark.parametrize("head", ["linear", "classifier", "head", "head.fc", "last_linear"])
@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_a_classifier_beside_the_backbone(file, prefix, head):
    """It may have another name, and stand outside."""
    model = models.resnet8()
    state, ours = torch_state(model, prefix)
    for part in ("weight", "bias"):
        state[f"{head}.{part}"] = state.pop(f"{prefix}fc.{part}")
    loaded = load_weights(file(state), "resnet8")
    np.testing.assert_array_equal(loaded.fc.weight.numpy(), ours["fc.weight"])


def headless(prefix=""):
    state, ours = torch_state(models.resnet8(), prefix)
    return {name: t for name, t in state.items() if ".fc." not in f".{name}"}, ours


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_without_a_classifier_the_message_says_what_is_there(file, prefix):
    path = file(headless(prefix)[0])
    for target in ("resnet8", models.resnet8()):
        with pytest.raises(FileError) as caught:
            load_weights(path, target)
        assert f"{path}: it has no classifier (fc.weight); it holds 35 tensors: " in str(
            caught.value
        )
        assert f": {prefix}conv1.weight, " in str(caught.value)
        assert "--replace-head" in str(caught.value)


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_without_a_classifier_the_rest_is_loaded(file, prefix):
    state, ours = headless(prefix)
    state["projection.weight"] = tensor(Storage(np.ones((3, 64), "f4"), "more"))
    path = file(state)
    model = models.resnet8(4)
    before = model.fc.weight.numpy().copy()
    for loaded in (
        load_weights(path, model, head=False),
        minires.load(path, "resnet8", head=False),
    ):
        for name, values in ours.items():
            if not name.startswith("fc."):
                np.testing.assert_array_equal(loaded.state_dict()[name].numpy(), values, name)
    np.testing.assert_array_equal(model.fc.weight.numpy(), before)


def test_a_backbone_trains_with_a_new_classifier_on_the_command_line(run, tmp_path):
    model = models.resnet8(10, 1)
    state = {}
    for name, value in model.state_dict().items():
        axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(value.ndim, tuple(range(value.ndim)))
        state[f"backbone.{name}"] = value.numpy().transpose(axes)
    state = {name: array for name, array in state.items() if ".fc." not in name}
    (tmp_path / "theirs.pth").write_bytes(as_torch_file(state))
    options = ("--weights", "theirs.pth", "--model", "resnet8", "--data", "digits", "--epochs", 1)
    code, _, err = run("train", *options, "--mean", 0.3, "--std", 0.35, "--out", "a")
    assert code == 2
    assert "it has no classifier (fc.weight)" in err
    code, out, err = run(
        "train", *options, "--mean", 0.3, "--std", 0.35, "--replace-head", "--out", "b"
    )
    assert (code, err) == (0, "")
    assert "accuracy" in out


def test_two_networks_in_one_file_are_not_guessed(file):
    student, _ = torch_state(models.resnet8(), "student.")
    teacher, _ = torch_state(models.resnet8(), "teacher.")
    with pytest.raises(FileError, match=r"it holds several such networks: student\., teacher\."):
        load_weights(file(student | teacher), "resnet8")


def test_what_is_beside_the_network_is_named(file):
    state, _ = torch_state(models.resnet8(), "model.")
    state["criterion.weight"] = state["model.bn1.bias"]
    with pytest.raises(FileError, match=r"its weights do not fit: unknown: criterion\.weight$"):
        load_weights(file(state), models.resnet8())


def test_a_state_of_something_else_says_what_it_holds(file):
    state = {f"{i}.weight": tensor(Storage(np.ones((2, 2), "f4"), str(i))) for i in range(9)}
    wanted = (
        "it holds 9 tensors: 0.weight, 1.weight, 2.weight, 3.weight, 4.weight, 5.weight and 3 more"
    )
    for target in ("resnet8", models.resnet8()):
        with pytest.raises(FileError, match=wanted) as caught:
            load_weights(file(state), target)
        assert "\n" not in str(caught.value)


def test_a_new_classifier_is_drawn_not_left_as_memory_was(tmp_path):
    whole, _ = torch_state(models.resnet8(3))
    path = tmp_path / "headless.pth"
    path.write_bytes(zipped({k: t for k, t in whole.items() if not k.startswith("fc.")}))
    head = minires.load(path, "resnet8", head=False).fc
    assert 0.01 < head.weight.numpy().std() < 1
    assert abs(head.bias.numpy()).max() < 1
