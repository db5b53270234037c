"""`minires export`, and weights of others on the command line."""

import json
import os
import re

import numpy as np
import onnx
import pytest
from interop.torch_files import Storage, tensor, zipped
from interop.torchvision import as_torch_file
from safetensors import safe_open
from safetensors.numpy import load_file

import minires
from minires import interop, models
from minires.interop import read_checkpoint


@pytest.fixture
def theirs(tmp_path):
    """A PyTorch file with the weights of a ResNet-8 for the digits, in PyTorch's layout."""
    model = models.resnet8(10, 1)
    state = {}
    for name, value in model.state_dict().items():
        axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(value.ndim, tuple(range(value.ndim)))
        state[name] = value.numpy().transpose(axes)
    path = tmp_path / "theirs.pth"
    path.write_bytes(as_torch_file(state))
    return path, model.eval()


def test_to_every_format(run, theirs, tmp_path):
    path, model = theirs
    (tmp_path / "names.txt").write_text("\n".join("abcdefghij") + "\n", encoding="utf-8-sig")
    source = ("--weights", path, "--model", "resnet8")
    code, out, err = run("export", "a.onnx", *source, "--size", 8)
    assert (code, err) == (0, "")
    assert out == (
        "a.onnx: resnet8, 75,002 parameters, opset 17, images (N, 1, 8, 8), batch norm folded\n"
    )
    code, out, _ = run("export", "b.onnx", *source, "--keep-batch-norm")
    assert "images (N, 1, 32, 32), batch norm kept" in out
    counts = [len(onnx.load(tmp_path / name).graph.node) for name in ("a.onnx", "b.onnx")]
    assert counts[1] - counts[0] == 7  # its batch norms

    classes = ("--classes", "names.txt")
    assert run("export", "c.SafeTensors", *source, *classes)[0] == 0
    (tmp_path / "c.SafeTensors").rename(tmp_path / "c.safetensors")
    with safe_open(tmp_path / "c.safetensors", framework="np") as file:
        assert json.loads(file.metadata()["classes"]) == list("abcdefghij")
        assert json.loads(file.metadata()["architecture"])["name"] == "resnet8"
    written = load_file(tmp_path / "c.safetensors")["conv1.weight"]
    np.testing.assert_array_equal(written, model.conv1.weight.numpy().transpose(3, 2, 0, 1))

    normal = ("--mean", "0.5", "--std", "0.25", "--classes", "names.txt")
    assert run("export", "d.npz", *source, *normal, "--size", 8)[0] == 0
    again = minires.load(tmp_path / "d.npz")
    np.testing.assert_array_equal(again.fc.weight.numpy(), model.fc.weight.numpy())
    assert again.metadata == {
        "mean": [0.5],
        "std": [0.25],
        "size": [8, 8],
        "classes": list("abcdefghij"),
    }
    assert run("export", "e.onnx", "--weights", "d.npz")[1].startswith("e.onnx: resnet8, ")
    assert run("eval", "--weights", "d.npz", "--data", "digits", "--model", "resnet8")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x.txt", "--model", "resnet8"), "x.txt: the name must end in .onnx, .safetensors, .npz"),
        (("x.onnx",), "export wants --weights FILE, --model NAME or both"),
        (("x.onnx", "--weights", "theirs.pth"), "theirs.pth does not say which network"),
        (("x.onnx", "--weights", "none.pth"), "cannot read none.pth: No such file"),
        (
            ("x.onnx", "--weights", "theirs.pth", "--model", "resnet14"),
            "cannot load theirs.pth: its weights do not fit: missing: layer1.1.conv1.weight, ",
        ),
        (
            ("x.npz", "--weights", "theirs.pth", "--model", "resnet8", "--classes", "theirs.py"),
            "theirs.py: No such file",
        ),
        (("x.npz", "--model", "resnet8", "--mean", "a"), "--mean wants numbers"),
        (("x.npz", "--model", "resnet8", "--mean", "0.5"), "--mean and --std belong together"),
        (
            ("x.npz", "--model", "resnet8", "--mean", "0.5,0.5", "--std", "1,1,1"),
            "the network sees 3 channels: got 2 means, 3 deviations",
        ),
        (
            ("x.npz", "--model", "resnet8", "--mean", "0,0,0", "--std", "1,0,1"),
            "--std wants numbers above 0, got 0",
        ),
        (("x.npz", "--model", "resnet8", "--classes", "theirs.pth"), "theirs.pth is no text in"),
        (("x.npz", "--model", "resnet8", "--keep-batch-norm"), "--keep-batch-norm is for .onnx"),
        (("folder.onnx", "--model", "resnet8"), "cannot write folder.onnx: Is a directory"),
    ],
)
def test_mistakes_get_one_line(run, theirs, arguments, message):
    (theirs[0].parent / "folder.onnx").mkdir()
    code, out, err = run("export", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_eval_takes_weights_of_others(run, theirs):
    path, model = theirs
    options = ("--data", "digits", "--mean", "0.5", "--std", "0.25")
    code, out, err = run("eval", "--weights", path, "--model", "resnet8", *options)
    assert (code, err) == (0, "")
    digits = minires.data.load_dataset("digits", train=False)
    prepare = minires.data.Normalize((0.5,), (0.25,))
    right = minires.training.evaluate(model, digits, transform=prepare).correct
    assert f"({right:,} of {len(digits):,})" in out


def test_predict_takes_weights_of_others(run, theirs, tmp_path):
    from PIL import Image

    Image.fromarray(np.full((9, 9, 3), 200, np.uint8)).save(tmp_path / "grey.png")
    path, _ = theirs
    options = ("--model", "resnet8", "--mean", "0.5", "--std", "0.25", "--top", 1)
    code, out, _ = run("predict", path, "grey.png", *options)
    assert code == 0
    assert "class" in out


@pytest.mark.parametrize("batch", [1, 4, 7])
def test_a_graph_that_takes_so_many_images_at_a_time(run, theirs, tmp_path, batch):
    path, _ = theirs
    source = ("--weights", path, "--model", "resnet8", "--size", 8)
    normal = ("--mean", "0.5", "--std", "0.25", "--data", "digits")
    assert run("export", "free.onnx", *source)[0] == 0
    proto = onnx.load(tmp_path / "free.onnx")
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    onnx.save(proto, tmp_path / "fixed.onnx")
    network = minires.load(tmp_path / "fixed.onnx")
    with pytest.raises(ValueError, match=f"takes {batch} images? at a time, .* got {batch + 1}"):
        network(minires.Tensor(np.zeros((batch + 1, 8, 8, 1), np.float32)))
    code, out, err = run("eval", "--weights", "fixed.onnx", *normal)
    if 360 % batch:
        assert (code, out) == (2, "")
        assert "fixed.onnx takes 7 images at a time, digits has 360 to test" in err
    else:
        assert (code, err) == (0, "")
        assert out.replace("fixed", "free") == run("eval", "--weights", "free.onnx", *normal)[1]


def test_what_export_writes_beside_safetensors_is_read_again(run, theirs, tmp_path):
    path, model = theirs
    (tmp_path / "names.txt").write_text("\n".join("abcdefghij"))
    options = ("--mean", "0.5", "--std", "0.25", "--size", 8, "--classes", "names.txt")
    source = ("--weights", path, "--model", "resnet8")
    for name in ("a.safetensors", "a.npz"):
        assert run("export", name, *source, *options)[0] == 0
    networks = [minires.load(tmp_path / name) for name in ("a.safetensors", "a.npz")]
    assert networks[0].metadata == networks[1].metadata
    assert networks[0].architecture == networks[1].architecture
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(networks[0].state_dict()[name].numpy(), value.numpy(), name)
    assert run("export", "b.safetensors", "--weights", "a.safetensors")[0] == 0
    assert minires.load(tmp_path / "b.safetensors").metadata == networks[0].metadata


@pytest.mark.parametrize(
    "architecture",
    [
        1,
        [],
        {},
        {"name": 3},
        {"name": "resnet99"},
        {"name": "resnet1202"},
        {"name": "resnet8", "x": 1},
    ]
    + [{"name": "resnet8", "num_classes": c} for c in (-1, 11, 10**12, "10", None)],
)
def test_lies_in_the_head_of_safetensors_get_one_line(run, theirs, tmp_path, architecture):
    said = {"architecture": json.dumps(architecture), "size": "[1, 2, 3]"}
    interop.save_torch_compatible(theirs[1], tmp_path / "a.safetensors", said)
    code, out, err = run("predict", "a.safetensors", "none.png")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(("minires: a.safetensors", "minires: cannot load a.safetensors: "))


@pytest.mark.parametrize("keys", [("student", "teacher"), ("ema_state_dict", "model_weights")])
def test_of_several_state_dicts_none_is_taken_silently(tmp_path, theirs, keys):
    state = read_checkpoint(theirs[0])
    content = {
        key: {k: tensor(Storage(v.read(), f"{key}{k}")) for k, v in state.items()} for key in keys
    }
    path = tmp_path / "several.pth"
    path.write_bytes(zipped({**content, "epoch": 3}))
    with pytest.raises(
        minires.training.FileError, match=f"several state dicts: {', '.join(keys)}; save"
    ):
        minires.load(path, "resnet8")
    path.write_bytes(zipped({**content, "state_dict": content[keys[1]]}))
    minires.load(path, "resnet8")
    path.write_bytes(zipped({keys[0]: content[keys[0]], "epoch": 3}))
    minires.load(path, "resnet8")


@pytest.mark.parametrize(
    ("left_out", "message"),
    [("fc.bias", "missing: fc.bias"), ("fc.weight", "it has no classifier (fc.weight)")],
)
def test_which_part_of_the_classifier_is_missing_is_said(tmp_path, theirs, left_out, message):
    state = {k: v.read() for k, v in read_checkpoint(theirs[0]).items() if k != left_out}
    path = tmp_path / "part.pth"
    path.write_bytes(as_torch_file(state))
    with pytest.raises(minires.training.FileError, match=re.escape(message)):
        minires.load(path, "resnet8")


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors", "a.onnx", "theirs.pth"])
def test_weights_from_a_pipe_are_refused(run, theirs, tmp_path, name):
    source = ("--weights", theirs[0], "--model", "resnet8")
    if name != "theirs.pth":
        assert run("export", name, *source)[0] == 0
    here, there = os.pipe()
    with open(there, "wb") as writing, open(here, "rb"):  # noqa: PTH123
        writing.write((tmp_path / name).read_bytes()[:1000])
        writing.flush()
        code, out, err = run("predict", f"/dev/fd/{here}", "x.png")
    assert (code, out) == (2, "")
    assert (
        err
        == f"minires: cannot read /dev/fd/{here}: it is a pipe or a device, and a file is wanted\n"
    )
