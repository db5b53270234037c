"""Files that lie or want to do harm: memory stays bounded, and one line says what is refused.

tests/interop/test_torch_file.py has the pickles that ask for code, and cut and changed files.
"""

import io
import itertools
import json
import pickle
import re
import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import onnx
import pytest
from interop.onnx_graphs import chain, model
from interop.torch_files import (
    FORMATS,
    MAGIC,
    SYSTEM,
    VERSION,
    Storage,
    pickled,
    tensor,
    zipped,
)
from onnx import helper

import minires
from minires.interop import load_onnx, load_safetensors, load_torch, unpickler
from minires.interop.unpickler import PickleError, unpickle
from minires.training import FileError

NASTY = "a\nb\x1b[2J"  # breaks a line and clears a terminal


@pytest.fixture
def refused(tmp_path):
    """`refused(load, data)`: the message with which a file of these bytes is refused."""

    def message(load, data):
        path = tmp_path / "weights"
        path.write_bytes(data)
        with pytest.raises(FileError) as caught:
            load(path)
        text = str(caught.value)
        assert text.isprintable()
        assert len(text) < 800 + len(str(path))
        return text

    return message


# ---------------------------------------------------------------------- PyTorch's


def one(name="bias", *, key="0", size=None, **options):
    return {name: tensor(Storage(np.ones(4, "f4"), key, size=size), **options)}


TORCH = {
    "more axes than arrays have": (one(shape=(1,) * 65, strides=(1,) * 65), "at most 32 numbers$"),
    "an axis beyond 64 bits": (one(shape=(2**63,), strides=(0,)), "no whole numbers$"),
    "numbers too long to print": (one(shape=(10**4000,) * 9, strides=(1,) * 9), "no whole numbers"),
    "a state dict of numbers": ({7: one()["bias"]}, "it holds: a key of type int$"),
    "a state dict of nothing": ({None: one()["bias"]}, "it holds: a key of type NoneType$"),
    "a number as a key, too long to print": ({10**5000: 1}, "it holds: a key of type int$"),
    "a key that clears the terminal": ({NASTY: 1}, r"it holds: 'a\\nb\\x1b\[2J'$"),
    "an endless key": ({"a" * 10**6: 1}, r"it holds: a{40}\.\.\.$"),
}


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("lie", TORCH)
def test_a_pytorch_file(refused, write, lie):
    content, message = TORCH[lie]
    for load in (load_torch, lambda path: minires.load(path, "resnet8")):
        assert re.search(message, refused(load, write(content)))


def test_a_size_too_long_to_print(refused):
    assert "described in a way" in refused(load_torch, zipped(one(size=10**5000)))


def test_a_storage_whose_name_clears_the_terminal(refused):
    data = zipped({"a": one(key=NASTY)["bias"]}).replace(b"archive/data/a", b"archive/date/a")
    assert r"no record data/'a\nb\x1b[2J'" in refused(load_torch, data)


def test_a_step_that_nothing_takes_may_be_any_number(tmp_path):
    """Where an axis has one number, its stride says nothing, even if 64 bits do not hold it."""
    path = tmp_path / "weights"
    path.write_bytes(zipped(one(shape=(1, 4), strides=(2**62, 1))))
    np.testing.assert_array_equal(load_torch(path)["bias"], [[1, 1, 1, 1]])


@pytest.mark.parametrize(
    "keys",
    [
        pickle.dumps([10**5000], 2),
        b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        pickle.dumps([["0"]], 2),
        pickle.dumps({"0": 1}, 2),
    ],
    ids=["too long to print", "too deep to print", "a list", "a dict"],
)
def test_a_list_of_storages_that_cannot_be_looked_up(refused, keys):
    data, _ = pickled(one(), (None,))
    parts = [pickle.dumps(part, 2) for part in (MAGIC, VERSION, SYSTEM)]
    parts += [data, keys, struct.pack("<q", 4), bytes(16)]
    assert "list of storages is not that of its tensors" in refused(load_torch, b"".join(parts))


def test_an_error_of_the_program_is_told_in_few_words(refused):
    parts = [pickle.dumps(part, 2) for part in (MAGIC, VERSION, SYSTEM)]
    program = b"F" + b"x" * 10**6 + b"\n."
    said = refused(load_torch, b"".join([*parts, program]))
    assert re.search(r"its pickle is damaged \(could not convert .{0,90}\.\.\.\)$", said)


def test_a_program_of_too_many_instructions_is_stopped(monkeypatch):
    """A byte makes an empty set of more than two hundred."""
    monkeypatch.setattr(unpickler, "MOST_INSTRUCTIONS", 1000)
    assert len(unpickle(io.BytesIO(b"](" + b"K\x01" * 990 + b"e."), {})) == 990
    with pytest.raises(PickleError, match="more than 1,000 instructions"):
        unpickle(io.BytesIO(b"](" + b"\x8f" * 2000 + b"e."), {})


# ---------------------------------------------------------------------- safetensors


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "F4", "F6_E2M3", "C64"])
def test_numbers_of_unknown_types_in_safetensors(refused, dtype):
    bits = {"C64": 64, "F4": 4, "F6_E2M3": 6}.get(dtype, 8)
    entry = {"dtype": dtype, "shape": [8], "data_offsets": [0, bits]}
    head = json.dumps({NASTY: entry}).encode()
    data = struct.pack("<Q", len(head)) + head + bytes(bits)
    for load in (load_safetensors, lambda path: minires.load(path, "resnet8")):
        assert rf"'a\nb\x1b[2J' is of type {dtype}, which is not known" in refused(load, data)


# ---------------------------------------------------------------------- ONNX


def node(kind, inputs, outputs, **attributes):
    return helper.make_node(kind, inputs, outputs, **attributes)


def proto(nodes, weights=None, opset=17, **options):
    found = model(nodes, weights or {}, (1, 3, 4, 4), **options)
    found.opset_import[0].version = opset
    return found


FILTERS = np.ones((2, 3, 1, 1), np.float32)


def conv(**attributes):
    return proto([node("Conv", ["x", "w"], ["out"], **attributes)], {"w": FILTERS})


def doubled(times):
    """A thousand numbers, put behind themselves again and again."""
    names = ["w", *(f"c{i}" for i in range(times))]
    nodes = [node("Concat", [a, a], [b], axis=0) for a, b in itertools.pairwise(names)]
    return proto([*nodes, node("Reshape", ["x", names[-1]], ["out"])], {"w": np.arange(1000)})


def joined(times):
    """Images, put behind themselves again and again."""
    names = ["x", *(f"c{i}" for i in range(times - 1)), "out"]
    return proto([node("Concat", [a, a], [b], axis=0) for a, b in itertools.pairwise(names)])


def added(made, weights):
    return proto([made, node("Add", ["x", "g"], ["out"])], weights)


def changed(change, graph=None):
    found = graph or proto([node("Relu", ["x"], ["out"])])
    change(found.graph)
    return found


ONNX = {
    # what would be computed wrongly
    "an attribute of another meaning": (
        changed(lambda g: g.node[0].attribute.append(helper.make_attribute("alpha", 2.0)), conv()),
        "damaged or no ONNX file .*Unrecognized attribute: alpha",
    ),
    "padding of no known kind": (
        proto(chain(("Pad", ("p",), {"mode": "mirror"})), {"p": np.zeros(8, int)}),
        "Pad out: padding of mode 'mirror' is not known here",
    ),
    "batch norm in training": (
        proto(
            [
                node(
                    "BatchNormalization",
                    ["x", *"bbbb"],
                    ["out", "m", "v"],
                    training_mode=1,
                )
            ],
            {"b": np.ones(3, "f4")},
        ),
        "BatchNormalization out: batch norm in training mode is not known here",
    ),
    "the same before opset 14": (
        proto(
            [node("BatchNormalization", ["x", *"bbbb"], ["out", "m", "v", "p", "q"])],
            {"b": np.ones(3, "f4")},
            opset=9,
        ),
        "BatchNormalization out: batch norm in training mode is not known here",
    ),
    "whole numbers to the power of pixels": (
        proto([node("Pow", ["w", "x"], ["out"])], {"w": np.array([2, 3])}),
        "Pow out: a power of whole numbers is not known here",
    ),
    "a matrix and a row of weights that are no matrix": (
        proto(chain(("Flatten", (), {}), ("Gemm", ("w",), {})), {"w": np.ones(2, "f4")}),
        "Gemm out: a product with an array of 1 axes is not known here|damaged",
    ),
    "dropout in training": (
        proto(chain(("Dropout", ("r", "t"), {})), {"r": np.float32(0.5), "t": np.array(True)}),
        "Dropout out: dropout in training mode is not known here",
    ),
    "a second output": (
        proto(
            [
                node("MaxPool", ["x"], ["a", "places"], kernel_shape=[2, 2]),
                node("Relu", ["places"], ["out"]),
            ]
        ),
        "Relu out: its input places, another's second output, is not known here",
    ),
    "an old opset": (proto(chain(("Relu", (), {})), opset=6), "of opset 6; those from 7 on"),
    # what makes no sense
    "half the padding": (conv(pads=[1, 1]), "Conv out: 2 pads and 2 strides, wanted 4 and 2"),
    "padding of a strange name": (conv(auto_pad=NASTY), r"Conv out: padding called 'a\\nb"),
    "no groups": (conv(group=0), "Conv out: Conv2d wants positive channels"),
    "a stride of 0": (conv(strides=[0, 0]), "Conv out: Conv2d wants a stride of at least 1"),
    "a name that clears the terminal": (
        conv(strides=[0, 0], name=NASTY),
        r"Conv 'a\\nb\\x1b\[2J': Conv2d wants a stride",
    ),
    "a product in three axes": (
        proto(chain(("Flatten", (), {}), ("Gemm", ("w",), {})), {"w": np.ones((2, 2, 2), "f4")}),
        "Gemm out: a product with an array of 3 axes is not known here",
    ),
    "an output that is a weight": (
        proto([node("Relu", ["x"], ["y"]), node("Identity", ["w"], ["out"])], {"w": FILTERS}),
        "its output out does not depend on the images",
    ),
    "no output": (changed(lambda g: g.output.pop()), "1 inputs and 0 outputs"),
    "two inputs": (
        changed(lambda g: g.input.append(helper.make_tensor_value_info("z", 1, [1]))),
        "2 inputs and 1 outputs",
    ),
    "a graph within": (
        proto(
            [
                node(
                    "If",
                    ["c"],
                    ["out"],
                    **dict.fromkeys(
                        ("then_branch", "else_branch"),
                        helper.make_graph(
                            [node("Relu", ["x"], ["q"])],
                            "g",
                            [],
                            [helper.make_tensor_value_info("q", 1, None)],
                        ),
                    ),
                )
            ],
            {"c": np.array(True)},
        ),
        "operations that are not known here: If ",
    ),
    # bombs
    "numbers doubled again and again": (doubled(40), "Concat c8: .* far more constants"),
    "one number taken very often": (
        added(
            node("Gather", ["w", "i"], ["g"]),
            {"w": np.ones((1, 3000), "f4"), "i": np.zeros(30_000, int)},
        ),
        "Gather g: .* far more constants",
    ),
    "a large constant that is no layer's": (
        added(node("ConstantOfShape", ["s"], ["g"]), {"s": np.array([10**4, 10**4])}),
        "a constant of 1e\\+08 numbers that the file does not hold",
    ),
    "an endless constant": (
        added(node("ConstantOfShape", ["s"], ["g"]), {"s": np.array([10**6, 10**6])}),
        "ConstantOfShape g: .* far more constants",
    ),
    "a shape that lies": (
        changed(lambda g: g.initializer[0].dims.__setitem__(0, 10**12), conv()),
        "too small for the declared shape|damaged|cannot load",
    ),
}


@pytest.mark.parametrize("graph", ONNX)
def test_an_onnx_graph(refused, graph):
    proto, message = ONNX[graph]
    assert re.search(message, refused(load_onnx, proto.SerializeToString()))


@pytest.mark.parametrize("place", ["/etc/passwd", "../weights", "nowhere"])
def test_weights_elsewhere_on_the_disk_are_not_read(refused, place):
    found = conv()
    weights = found.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=place)
    assert "weights is damaged or no ONNX file" in refused(load_onnx, found.SerializeToString())


@pytest.mark.skipif(sys.platform != "linux", reason="reads a process's size in Linux's way")
def test_a_bomb_takes_no_memory(tmp_path):
    """Not even for a moment: 256 MB more than it has are refused to the process."""
    (tmp_path / "bomb.onnx").write_bytes(doubled(40).SerializeToString())
    code = """
import resource, sys
from minires.interop import load_onnx
import onnx.reference
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 2**28, now + 2**28))
try:
    load_onnx(sys.argv[1])
except ValueError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "bomb.onnx")], capture_output=True, text=True
    )
    assert "far more constants than it has weights" in done.stdout, done.stderr


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_an_older_softmax_is_over_all_axes_behind(tmp_path, axis):
    """Until opset 13; numbers by the definition."""
    (tmp_path / "x").write_bytes(
        proto(chain(("Softmax", (), {"axis": axis})), opset=11).SerializeToString()
    )
    x = np.random.default_rng(0).normal(size=(1, 3, 4, 4)).astype(np.float32)
    rows = np.exp(x).reshape(int(np.prod(x.shape[: axis % 4])), -1)
    wanted = (rows / rows.sum(axis=1, keepdims=True)).reshape(x.shape)
    with minires.no_grad():
        images = minires.Tensor(np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
        got = load_onnx(tmp_path / "x")(images).numpy().transpose(0, 3, 1, 2)
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


LATER = {
    "images put behind themselves again and again": (
        joined(40),
        r"Concat c18: a tensor of 2.5e\+07 numbers, which is refused",
    ),
    "padding without end": (
        proto(chain(("Pad", ("p",), {})), {"p": np.array([0, 0, 10**6, 10**6] * 2)}),
        r"Pad out: a tensor of 1.2e\+13 numbers, which is refused",
    ),
    "a copy for every number": (
        proto(chain(("Expand", ("s",), {})), {"s": np.array([10**9, 3, 4, 4])}),
        r"Expand out: a tensor of 4.8e\+10 numbers, which is refused",
    ),
    "rows by columns": (
        proto(
            [
                node("Reshape", ["x", "s"], ["t0"]),
                node("Expand", ["t0", "r"], ["a"]),
                node("Transpose", ["a"], ["b"]),
                node("MatMul", ["a", "b"], ["out"]),
            ],
            {"s": np.array([48, 1]), "r": np.array([10**5, 48, 1])},
        ),
        "MatMul out: a tensor of .* numbers, which is refused",
    ),
    "a shape put behind itself again and again": (
        proto(
            [
                node("Shape", ["x"], ["c0"]),
                *(node("Concat", [f"c{i}"] * 2, [f"c{i + 1}"], axis=0) for i in range(24)),
                node("Reshape", ["x", "c24"], ["out"]),
            ]
        ),
        "Concat c17: the graph computes far more",
    ),
    "zeros without end": (
        proto(
            [
                node("Shape", ["x"], ["s"]),
                node("Mul", ["s", "w"], ["t"]),
                node("ConstantOfShape", ["t"], ["z"]),
                node("Add", ["x", "z"], ["out"]),
            ],
            {"w": np.array(1000)},
        ),
        "ConstantOfShape z: the graph computes far more",
    ),
    "copies without end": (
        proto(
            [
                node("Shape", ["x"], ["s"]),
                node("Mul", ["s", "w"], ["t"]),
                node("Tile", ["x", "t"], ["out"]),
            ],
            {"w": np.array(100)},
        ),
        r"Tile out: a tensor of .* numbers, which is refused",
    ),
    "padding without end and a stride as long": (
        conv(pads=[10**6] * 4, strides=[10**6] * 2),
        r"Conv out: a tensor of 1.2e\+13 numbers, which is refused",
    ),
    "the same around a pool": (
        proto(
            chain(
                (
                    "MaxPool",
                    (),
                    {
                        "pads": [99_999] * 4,
                        "strides": [10**5] * 2,
                        "kernel_shape": [2, 2],
                        "dilations": [10**5] * 2,
                    },
                )
            )
        ),
        r"MaxPool out: a tensor of .* numbers, which is refused",
    ),
}


@pytest.mark.parametrize("graph", LATER)
def test_a_bomb_that_depends_on_the_images(tmp_path, graph):
    """It is refused when the network is called, before the memory is taken."""
    proto, message = LATER[graph]
    (tmp_path / "x").write_bytes(proto.SerializeToString())
    network = load_onnx(tmp_path / "x")
    tracemalloc.start()
    with pytest.raises(ValueError, match=message):
        network(minires.Tensor(np.zeros((1, 4, 4, 3), np.float32)))
    assert tracemalloc.get_traced_memory()[1] < 2e8
    tracemalloc.stop()
