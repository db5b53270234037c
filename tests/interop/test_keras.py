"""Keras's `.h5` files, read without Keras; tests/published has one of others."""

import json
import sys

import h5py
import numpy as np
import pytest
from helpers import normal
from interop.keras_files import layer, normalised, resnet, write
from onnx.reference import ReferenceEvaluator

import minires
from minires import Tensor, interop, no_grad
from minires.files import FileError
from minires.interop import export_onnx, load_keras, load_onnx


def run(network, x):
    with no_grad():
        return network(Tensor(x)).numpy()


@pytest.fixture
def example(tmp_path, rng):
    """The path of a small residual network, and what it computes by ONNX's reference."""
    layers, weights, proto = resnet(rng)
    path = tmp_path / "resnet.h5"
    write(path, layers, weights)
    evaluator = ReferenceEvaluator(proto)
    return path, lambda x: evaluator.run(None, {"images": x.transpose(0, 3, 1, 2)})[0]


X = normal(2, 9, 9, 3, dtype=np.float32)


def test_a_residual_network_with_tensorflows_padding(example):
    path, wanted = example
    network = load_keras(path)
    np.testing.assert_allclose(run(network, X), wanted(X), rtol=1e-4, atol=1e-6)
    assert not network.training
    assert (network.input_shape, network.num_classes) == ((9, 9, 3), 5)
    assert "conv_1" in dict(network.named_children())


def test_the_layout_of_keras_3(tmp_path, rng):
    layers, weights, _ = resnet(rng)
    for keras in (2, 3):
        write(tmp_path / f"{keras}.h5", layers, weights, keras=keras)
    a, b = (run(load_keras(tmp_path / f"{keras}.h5"), X) for keras in (2, 3))
    np.testing.assert_array_equal(a, b)


def test_load_gives_logits(example):
    path, wanted = example
    network = minires.load(path)
    with no_grad():
        got = minires.nn.functional.softmax(network(Tensor(X))).numpy()
    np.testing.assert_allclose(got, wanted(X), rtol=1e-4, atol=1e-6)
    assert run(network, X).min() < 0
    with pytest.raises(FileError, match="holds its own network: name no model"):
        minires.load(path, "resnet18")


def test_it_trains(example):
    network = minires.load(example[0]).train()
    optimizer = minires.optim.SGD(network.parameters(), lr=0.1)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = minires.nn.functional.cross_entropy(network(Tensor(X)), np.array([0, 1]))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("fold", [True, False])
def test_it_goes_out_as_onnx(example, tmp_path, fold):
    path, wanted = example
    export_onnx(load_keras(path), tmp_path / "x", (9, 9, 3), fold_batch_norm=fold)
    np.testing.assert_allclose(run(load_onnx(tmp_path / "x"), X), wanted(X), rtol=1e-4, atol=1e-6)


def sequential(path, *layers, shape=(6, 5, 4), weights=None, **options):
    """A file of a Sequential model, and the network read from it."""
    first = layer("InputLayer", "input_1", batch_input_shape=[None, *shape])
    write(path, [first, *layers], weights or {}, kind="Sequential", **options)
    return load_keras(path)


@pytest.mark.parametrize(
    ("entry", "definition"),
    [
        (layer("ReLU", "a", max_value=0.5), lambda x: x.clip(0, 0.5)),
        (layer("ReLU", "a", negative_slope=0.25), lambda x: np.where(x > 0, x, x / 4)),
        (layer("LeakyReLU", "a", alpha=0.25), lambda x: np.where(x > 0, x, x / 4)),
        (layer("Activation", "a", (), "swish"), lambda x: x / (1 + np.exp(-x))),
        (layer("ELU", "a", alpha=0.5), lambda x: np.where(x > 0, x, (np.exp(x) - 1) / 2)),
        (layer("Rescaling", "a", scale=0.5, offset=-1.0), lambda x: x / 2 - 1),
        (layer("GlobalAveragePooling2D", "a"), lambda x: x.mean((1, 2))),
        (layer("GlobalMaxPooling2D", "a", keepdims=True), lambda x: x.max((1, 2), keepdims=True)),
        (layer("Flatten", "a"), lambda x: x.reshape(2, -1)),
        (layer("Reshape", "a", target_shape=[10, -1]), lambda x: x.reshape(2, 10, 12)),
        (layer("Dropout", "a", rate=0.5), lambda x: x),
        (
            layer("ZeroPadding2D", "a", padding=[[1, 0], [0, 2]]),
            lambda x: np.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0))),
        ),
        (
            layer("MaxPooling2D", "a", pool_size=[2, 2], strides=None, padding="valid"),
            lambda x: x[:, :6, :4].reshape(2, 3, 2, 2, 2, 4).max((2, 4)),
        ),
    ],
)
def test_a_layer_by_its_definition(tmp_path, entry, definition):
    x = normal(2, 6, 5, 4, dtype=np.float32)
    got = run(sequential(tmp_path / "x.h5", entry), x)
    np.testing.assert_allclose(got, definition(x), rtol=1e-5, atol=1e-6)


def test_filters_of_each_channel_and_then_of_each_pixel(tmp_path, rng):
    """SeparableConv2D: channel c's filter m gives channel 2 c + m."""
    depth, point = rng.normal(size=(1, 1, 4, 2)), rng.normal(size=(1, 1, 8, 3))
    entry = layer("SeparableConv2D", "a", kernel_size=[1, 1], strides=[1, 1], padding="valid")
    names = ("depthwise_kernel", "pointwise_kernel")
    weights = {"a": list(zip(names, (depth.astype("f4"), point.astype("f4")), strict=True))}
    x = normal(2, 6, 5, 4, dtype=np.float32)
    wanted = np.einsum("nhwc,cm->nhwcm", x, depth[0, 0]).reshape(2, 6, 5, 8) @ point[0, 0]
    got = run(sequential(tmp_path / "x.h5", entry, weights=weights), x)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_a_layer_that_is_called_twice(tmp_path, rng):
    dense = layer("Dense", "d", ["x"], "tanh", units=4)
    dense["inbound_nodes"].append([["d", 0, 0, {}]])
    second = layer("Add", "sum", ["d"])
    second["inbound_nodes"] = [[["d", 1, 0, {}], ["d", 0, 0, {}]]]
    layers = [layer("InputLayer", "x", batch_input_shape=[None, 4]), second, dense]
    matrix = rng.normal(size=(4, 4)).astype("f4")
    write(tmp_path / "x.h5", layers, {"d": [("kernel", matrix)]}, output="sum")
    x = normal(3, 4, dtype=np.float32)
    once = np.tanh(x @ matrix)
    got = run(load_keras(tmp_path / "x.h5"), x)
    np.testing.assert_allclose(got, np.tanh(once @ matrix) + once, rtol=1e-4, atol=1e-6)


# ---------------------------------------------------------------------- what is refused


def norm_first(path, rng):
    bad = layer("BatchNormalization", "a", axis=[1], epsilon=0.1)
    run(sequential(path, bad, weights={"a": normalised(rng, 4)}), normal(2, 6, 5, 4))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (layer("Lambda", "a"), "layers that are not known here: Lambda "),
        (
            layer("Conv2D", "a", kernel_size=[3, 3], padding="causal"),
            "Conv2D a: 'kernel' is missing",
        ),
        (
            layer("MaxPooling2D", "a", pool_size=[2, 2], padding="full"),
            "padding 'full' is not known",
        ),
        (
            layer("MaxPooling2D", "a", pool_size=[2, 2], data_format="channels_first"),
            "MaxPooling2D a: channels first are not known here",
        ),
        (
            layer("Activation", "a", (), "hard_sigmoid"),
            "the activation 'hard_sigmoid' is not known",
        ),
        (layer("ReLU", "a", threshold=0.5), "ReLU a: a ReLU with a threshold"),
        (layer("Softmax", "a", axis=1), "Softmax a: a softmax over another axis"),
        (layer("Dense", "a", units=3), "Dense a: 'kernel' is missing"),
        (layer("MaxPooling2D", "a", pool_size=[2, 2], strides=[0, 1]), "sizes of at least 1"),
    ],
)
def test_what_is_not_known_is_named(tmp_path, entry, message):
    with pytest.raises(FileError, match=message) as caught:
        sequential(tmp_path / "x.h5", entry)
    assert "\n" not in str(caught.value)


def test_channels_first_are_not_normalised_as_if_they_were_last(tmp_path, rng):
    with pytest.raises(ValueError, match="batch norm of axis 1 of 4 is not known here"):
        norm_first(tmp_path / "x.h5", rng)


def test_images_of_another_shape(example):
    with pytest.raises(ValueError, match=r"wants shape \(N, 9, 9, 3\), got \(1, 8, 9, 3\)"):
        load_keras(example[0])(Tensor(np.zeros((1, 8, 9, 3), np.float32)))


def changed(path, change):
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def replaced(file, **options):
    group = file["model_weights/conv"]
    del group["conv/kernel:0"]
    group.create_dataset("conv/kernel:0", **options)


LIES = {
    "weights alone": (
        lambda f: f.attrs.__delitem__("model_config"),
        "an HDF5 file that holds no Ke",
    ),
    "no JSON": (lambda f: f.attrs.__setitem__("model_config", "{"), "Expecting property name"),
    "deep JSON": (
        lambda f: f.attrs.__setitem__("model_config", "[" * 20_000),
        "recursion|nest|too deep",
    ),
    "another shape of JSON": (lambda f: f.attrs.__setitem__("model_config", "[1]"), "indices must"),
    "a shape that nothing is stored for": (
        lambda f: replaced(f, shape=(10**6, 10**6), dtype="f4", chunks=(10, 10)),
        "is compressed or not in this file",
    ),
    "a compressed bomb": (
        lambda f: replaced(f, data=np.zeros(10**6, "f4"), compression="gzip"),
        "is compressed or not in this file",
    ),
    "numbers of another file": (
        lambda f: replaced(f, shape=(3, 3, 3, 4), dtype="f4", external=[("other.bin", 0, 432)]),
        "is compressed or not in this file",
    ),
    "a link to another file": (
        lambda f: (
            f["model_weights/conv"].__delitem__("conv/kernel:0"),
            f["model_weights/conv"].__setitem__(
                "conv/kernel:0", h5py.ExternalLink("other.h5", "/x")
            ),
        ),
        "cannot load",
    ),
    "text for numbers": (lambda f: replaced(f, data=[b"a"] * 9), "is of type"),
    "a missing array": (
        lambda f: f["model_weights/conv"].__delitem__("conv/kernel:0"),
        "Conv2D conv: ",
    ),
    "another shape": (
        lambda f: replaced(f, data=np.zeros((3, 3, 3, 5), "f4")),
        r"Conv2D conv: weights of shape",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_files_that_lie(example, lie):
    change, message = LIES[lie]
    path = changed(example[0], change)
    with pytest.raises(FileError, match=message) as caught:
        load_keras(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600 + len(str(path))


def test_a_file_cut_off_anywhere_or_changed_is_refused_or_read(example, rng):
    data = example[0].read_bytes()
    for length in range(0, len(data), 997):
        example[0].write_bytes(data[:length])
        with pytest.raises(FileError):
            load_keras(example[0])
    for _ in range(100):
        damaged = bytearray(data)
        damaged[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        example[0].write_bytes(damaged)
        try:
            load_keras(example[0])
        except FileError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either may happen


def test_weights_that_keras_saved_without_a_model(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"conv"]
    with pytest.raises(FileError, match=r"holds weights without their model: save it with model\."):
        load_keras(tmp_path / "w.h5")


def test_a_missing_library_is_named(example, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install 'minires\[keras\]'"):
        load_keras(example[0])
    with pytest.raises(FileError, match=r"it is an HDF5 file, .* not one of PyTorch's files"):
        interop.load_torch(example[0])


def test_it_is_measured_and_shown_on_the_command_line(run, tmp_path, rng):
    """A softmax at the end does not count twice."""
    entry = [layer("Flatten", "f"), layer("Dense", "d", (), "softmax", units=10)]
    matrix = rng.normal(size=(64, 10)).astype("f4")
    sequential(tmp_path / "x.h5", *entry, shape=(8, 8, 1), weights={"d": [("kernel", matrix)]})
    code, out, err = run("eval", "--weights", "x.h5", "--data", "digits", "--mean", 0, "--std", 1)
    assert (code, err) == (0, "")
    digits = minires.data.load_dataset("digits", train=False)
    logits = digits.images.reshape(len(digits), 64) / 255 @ matrix
    right = int((logits.argmax(1) == digits.labels).sum())
    assert f"({right:,} of {len(digits):,})" in out
    loss = -np.log((e := np.exp(logits))[range(len(e)), digits.labels] / e.sum(1)).mean()
    assert f"loss      {loss:.4f}" in out
    code, out, err = run("export", "x.npz", "--weights", "x.h5")
    assert code == 2
    assert "x.npz: this network is not from minires.models; .onnx keeps any network" in err
    assert json.loads(json.dumps(out)) == ""
    code, out, err = run("train", "--data", "digits", "--weights", "x.h5")
    assert code == 2
    assert "holds a network that is not from minires.models: train it in Python" in err
