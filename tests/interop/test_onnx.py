"""ONNX, out and in, against the reference implementation that comes with the library.

tests/parity compares with onnxruntime.
"""

import json
import sys

import numpy as np
import onnx
import pytest
from helpers import normal
from interop.functional import Program
from interop.onnx_graphs import CHANNELS_LAST, REFERENCE_IS_WRONG, cases, chain, model, ours
from onnx.reference import ReferenceEvaluator
from PIL import Image

import minires
from minires import Tensor, cli, models, nn, no_grad, ops
from minires.interop import export_onnx, load_onnx
from minires.nn import functional as F
from minires.training import FileError

GRAPHS = cases()


def unusual(network):
    """The network with batch norms as if it had been trained."""
    rng = np.random.default_rng(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low in (
                (module.weight, 0.25),
                (module.bias, -0.25),
                (module.running_mean, -0.25),
                (module.running_var, 0.5),
            ):
                tensor.data[...] = rng.uniform(low, low + 0.5, tensor.shape)
    return network.eval()


def run(network, x):
    with no_grad():
        return network(Tensor(x)).numpy()


def exported(network, path, shape, **options):
    """What the file computes for images (N, H, W, C), by the reference implementation."""
    export_onnx(network, path, shape, **options)
    evaluator = ReferenceEvaluator(onnx.load(path))
    return lambda x: evaluator.run(None, {"images": x.transpose(0, 3, 1, 2)})[0]


# ---------------------------------------------------------------------- out


@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("resnet8", 16, {}),
        ("resnet8", 16, {"shortcut": "B"}),
        ("plain8", 16, {}),
        ("preact_resnet8", 16, {}),
    ],
)
def test_networks_give_the_same_logits_in_onnx(tmp_path, name, size, options, fold):
    network = unusual(models.create(name, 7, **options))
    x = normal(3, size, size, 3, dtype=np.float32)
    other = exported(network, tmp_path / "x", (size, size, 3), fold_batch_norm=fold)
    wanted = run(network, x)
    np.testing.assert_allclose(other(x), wanted, rtol=0, atol=1e-5 * abs(wanted).max())
    kinds = {node.op_type for node in onnx.load(tmp_path / "x").graph.node}
    assert ("BatchNormalization" in kinds) == (not fold or name.startswith("preact"))
    again = load_onnx(tmp_path / "x")
    np.testing.assert_allclose(run(again, x), wanted, rtol=0, atol=1e-5 * abs(wanted).max())


def test_the_file_says_what_it_holds(tmp_path):
    network = models.resnet8(in_channels=1)
    network.metadata = {"classes": list("abcdefghij"), "mean": [0.5]}
    export_onnx(network, tmp_path / "x", (28, 28, 1))
    proto = onnx.load(tmp_path / "x")
    dims = [
        [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    ]
    assert dims == [["N", 1, 28, 28], ["N", 10]]
    assert [i.version for i in proto.opset_import] == [17]
    props = {p.key: json.loads(p.value) for p in proto.metadata_props}
    assert props["classes"] == list("abcdefghij")
    assert props["architecture"]["name"] == "resnet8"
    assert "layer1.0.conv1.weight" in {t.name for t in proto.graph.initializer}
    assert network.training


class Other(nn.Module):
    """Layers that residual networks have not."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, (3, 2), (2, 1), (1, 0), (1, 2))
        self.act = nn.Sequential(nn.LeakyReLU(0.1), nn.Sigmoid(), nn.Tanh(), nn.Dropout(0.5))
        self.pool = nn.Sequential(nn.AvgPool2d(2, 1, 1), nn.MaxPool2d(2))
        self.flatten, self.fc = nn.Flatten(), nn.Linear(6, 6, bias=False)
        self.norm, self.softmax = nn.BatchNorm1d(6), nn.Softmax()

    def forward(self, x):
        x = self.flatten(self.pool(self.act(self.conv(x))))
        x = self.fc(self.fc(x))  # the same layer twice
        return self.softmax(self.norm(x))


def test_other_layers_and_a_layer_called_twice(tmp_path):
    network = Other().eval()
    network.norm.running_mean.data[...] = 0.3
    x = normal(2, 5, 4, 2, dtype=np.float32)
    other = exported(network, tmp_path / "x", (5, 4, 2))
    np.testing.assert_allclose(other(x), run(network, x), rtol=0, atol=1e-6)


class Looks(nn.Module):
    """A convolution, and then what it is told."""

    def __init__(self, then):
        super().__init__()
        self.conv, self.then = nn.Conv2d(1, 1, 1), then

    def forward(self, x):
        return self.then(self.conv(x))


@minires.engine.op
def doubled(x):
    return x * 2


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Looks(lambda x: doubled(x)), r"doubled on shape .*test_onnx\.py:\d+, has no counterpart"),
        (
            Looks(lambda x: x / len(x)),
            r"divide .*test_onnx\.py:\d+, computes with the number of im",
        ),
        (Looks(lambda x: x[: len(x) - 1]), "take .*, computes with the number of images"),
        (Looks(lambda x: x.astype(np.float16)), "astype .*, computes in float16"),
        (Looks(lambda x: x * x.mean().item()), "looks at the numbers of a result"),
        (Looks(lambda x: ops.conv2d(x, x[0].reshape(4, 4, 1, 1))), "weights that are computed"),
        (Looks(lambda x: (x, x)), "returns several tensors"),
        (nn.Sequential(nn.Identity()), "Sequential computes nothing"),
    ],
)
def test_what_cannot_be_exported_is_named(tmp_path, network, message):
    path = tmp_path / "x"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match=message):
        export_onnx(network, path, (4, 4, 1))
    assert path.read_bytes() == b"before"
    assert network.training


@pytest.mark.parametrize("start", range(0, 60, 20))
def test_programs_of_functions(tmp_path, start):
    """Whatever is written in a forward, for any number of images."""
    for seed in range(start, start + 20):
        program = Program(seed).eval()
        other = exported(program, tmp_path / "x", program.shape, fold_batch_norm=bool(seed % 2))
        for count in (1, 4):
            x = np.random.default_rng(seed).normal(size=(count, *program.shape)).astype(np.float32)
            wanted, got = run(program, x), other(x)
            got = got.transpose(0, 2, 3, 1) if got.ndim == 4 else got
            assert got.shape == wanted.shape, program.told
            scale = max(1, abs(wanted).max(initial=0))
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4 * scale, err_msg=f"{seed}")


class Own(nn.Module):
    """The statistics of a batch norm, used in another way."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        n = self.norm
        scale = n.weight / (n.running_var + 0.5).sqrt()
        return ops.scale_shift(x, scale, n.bias - n.running_mean)


def test_a_batch_norm_of_ones_own(tmp_path):
    network, x = unusual(Own()), normal(2, 4, 4, 3, dtype=np.float32)
    got = exported(network, tmp_path / "x", (4, 4, 3))(x).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(got, run(network, x), rtol=0, atol=1e-5)


def test_a_weight_used_in_two_ways(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(normal(4, 4, dtype=np.float32))

        def forward(self, x):
            y = F.flatten(x) @ self.weight
            return y @ self.weight.T + self.weight[0]

    x = normal(3, 2, 2, 1, dtype=np.float32)
    other = exported(Tied().eval(), tmp_path / "x", (2, 2, 1))
    assert other(x).shape == (3, 4)


# ---------------------------------------------------------------------- in


@pytest.mark.parametrize("name", sorted(GRAPHS.keys() - REFERENCE_IS_WRONG))
def test_graphs_of_others(tmp_path, name):
    proto, x = GRAPHS[name]
    onnx.save(proto, tmp_path / "x")
    (wanted,) = ReferenceEvaluator(proto).run(None, {"x": x})
    got = ours(load_onnx(tmp_path / "x"), name, x)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", sorted(GRAPHS.keys() - REFERENCE_IS_WRONG - {"four axes to four"}))
def test_graphs_of_others_go_out_again(tmp_path, name):
    proto, x = GRAPHS[name]
    onnx.save(proto, tmp_path / "x")
    network = load_onnx(tmp_path / "x")
    images = x if name == CHANNELS_LAST else x.transpose(0, 2, 3, 1)
    other = exported(network, tmp_path / "y", images.shape[1:])
    wanted, got = run(network, np.ascontiguousarray(images)), other(images)
    got = got.transpose(0, 2, 3, 1) if got.ndim == 4 else got
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("fold", [True, False])
def test_what_was_read_and_trained_goes_out(tmp_path, fold):
    export_onnx(models.resnet8(), tmp_path / "x", (8, 8, 3), fold_batch_norm=False)
    network = load_onnx(tmp_path / "x").train()
    x = normal(4, 8, 8, 3, dtype=np.float32)
    network(Tensor(x)).sum().backward()
    minires.optim.SGD(network.parameters(), lr=0.01).step()
    other = exported(network.eval(), tmp_path / "y", (8, 8, 3), fold_batch_norm=fold)
    wanted = run(network, x)
    np.testing.assert_allclose(other(x), wanted, rtol=0, atol=1e-5 * abs(wanted).max())
    np.testing.assert_array_equal(run(load_onnx(tmp_path / "y"), x).shape, wanted.shape)


def test_a_layer_that_was_replaced_is_used_and_not_written(tmp_path):
    export_onnx(models.resnet8(), tmp_path / "x", (8, 8, 3))
    network = load_onnx(tmp_path / "x")
    name = next(name for name, _ in network.named_children() if name.startswith("gemm"))
    setattr(network, name, nn.Linear(64, 3))
    assert run(network, normal(2, 8, 8, 3, dtype=np.float32)).shape == (2, 3)
    with pytest.raises(ValueError, match=f"{name} is not the Gemm that the file has"):
        export_onnx(network, tmp_path / "y", (8, 8, 3))


def test_images_of_another_shape_are_refused(tmp_path):
    export_onnx(models.resnet8(), tmp_path / "x", (8, 8, 3))
    network = load_onnx(tmp_path / "x")
    for shape in ((1, 3, 8, 8), (1, 8, 9, 3), (1, 8, 8)):
        with pytest.raises(ValueError, match=r"wants an input of shape \(N, 8, 8, 3\), got "):
            network(Tensor(np.zeros(shape, np.float32)))


def test_a_loaded_network_trains(tmp_path):
    export_onnx(models.resnet8(), tmp_path / "x", (8, 8, 3), fold_batch_norm=False)
    network = load_onnx(tmp_path / "x").train()
    x = Tensor(normal(4, 8, 8, 3, dtype=np.float32))
    optimizer = minires.optim.SGD(network.parameters(), lr=0.1)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(x), np.arange(4))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert len(network.state_dict()) == len(models.resnet8().state_dict())


def test_weights_in_a_file_beside_it(tmp_path):
    export_onnx(models.resnet8(), tmp_path / "x", (8, 8, 3))
    x = normal(2, 8, 8, 3, dtype=np.float32)
    wanted = run(load_onnx(tmp_path / "x"), x)
    onnx.save(
        onnx.load(tmp_path / "x"),
        tmp_path / "y",
        save_as_external_data=True,
        location="y.data",
        size_threshold=0,
    )
    np.testing.assert_array_equal(run(load_onnx(tmp_path / "y"), x), wanted)
    (tmp_path / "y.data").write_bytes(b"")
    with pytest.raises(FileError, match=r"y is damaged|cannot load|cannot read"):
        load_onnx(tmp_path / "y")


def one_node(kind, further=(), weights=None, **attributes):
    return model(chain((kind, further, attributes)), weights or {}, (1, 3, 4, 4))


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (
            model(
                chain(("Erf", (), {}), ("Relu", (), {}), ("LpPool", (), {"kernel_shape": [3, 3]})),
                {},
                (1, 3, 4, 4),
            ),
            "operations that are not known here: Erf, LpPool",
        ),
        (one_node("MaxPool", kernel_shape=[2, 2, 2]), "MaxPool out: a window of 3 axes"),
        (
            one_node("AveragePool", kernel_shape=[2, 2], pads=[2, 2, 2, 2]),
            "AveragePool out: padding of",
        ),
        (one_node("Conv", ["x"]), "Conv out: x is computed, a constant was wanted"),
        (one_node("Conv", ["w"], {"w": np.ones((2, 3, 3), np.float32)}), "a window of 1 axes"),
        (one_node("Cast", to=onnx.TensorProto.BFLOAT16), "Cast out: a cast to type 16"),
        (
            one_node("Conv", ["w"], {"w": np.ones((3, 1, 3, 3), np.float32)}, group=2),
            "Conv out: Conv2d wants positive channels that groups divides",
        ),
    ],
)
def test_what_is_not_known_is_named(tmp_path, proto, message):
    path = tmp_path / "x"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(FileError, match=message) as caught:
        load_onnx(path)
    assert "\n" not in str(caught.value)


def test_an_operation_of_another_domain_is_named(tmp_path):
    proto, _ = GRAPHS["nothing"]
    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    proto.graph.node[0].domain = "com.example"
    proto.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    (tmp_path / "x").write_bytes(proto.SerializeToString())
    with pytest.raises(FileError, match=r"not known here: com.example.Identity"):
        load_onnx(tmp_path / "x")


@pytest.mark.parametrize("data", [b"", b"hello", b"\x08\x07"])
def test_other_files_get_one_line(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(FileError, match="x is damaged or no ONNX file") as caught:
        load_onnx(tmp_path / "x")
    assert "\n" not in str(caught.value)
    with pytest.raises(FileError, match=r"cannot read .*nowhere: No such file"):
        load_onnx(tmp_path / "nowhere")


@pytest.mark.parametrize("size", [1, 2, 3, 4, 9])
def test_neighbouring_channels_by_the_definition(tmp_path, size):
    """From floor((size - 1) / 2) channels before to ceil((size - 1) / 2) behind."""
    proto = one_node("LRN", size=size, alpha=0.5, beta=0.6, bias=1.5)
    (tmp_path / "x").write_bytes(proto.SerializeToString())
    x = normal(1, 3, 4, 4, dtype=np.float32)
    squares = np.zeros_like(x)
    for c in range(3):
        first, last = max(c - (size - 1) // 2, 0), min(c + size // 2, 2)
        squares[:, c] = (x[:, first : last + 1] ** 2).sum(axis=1)
    wanted = x / (1.5 + 0.5 / size * squares) ** 0.6
    np.testing.assert_allclose(ours(load_onnx(tmp_path / "x"), "", x), wanted, rtol=1e-5)


def test_probabilities_of_each_class_by_itself_are_shown_as_they_are(tmp_path, capsys, monkeypatch):
    """Not a softmax of them, which would say nearly the same of every class."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 3), nn.Sigmoid()).eval()
    export_onnx(net, tmp_path / "x.onnx", (4, 4, 3))
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    command = ["predict", tmp_path / "x.onnx", tmp_path / "image.png", "--mean", "0,0,0"]
    command += ["--std", "1,1,1"]
    monkeypatch.setattr(sys, "argv", ["minires", *map(str, command)])
    with pytest.raises(SystemExit):
        cli.main()
    printed = capsys.readouterr()
    shown = [line.split() for line in printed.out.splitlines()[1:]]
    assert shown, printed.err
    wanted = sorted(net(Tensor(pixels[None] / np.float32(255))).numpy()[0], reverse=True)
    assert [float(words[0].rstrip("%")) for words in shown] == pytest.approx(
        [100 * p for p in wanted], abs=0.01
    )


def test_no_cross_entropy_is_told_of_probabilities_of_each_class_by_itself(
    tmp_path, capsys, monkeypatch
):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Sigmoid()).eval()
    export_onnx(net, tmp_path / "x.onnx", (8, 8, 1))
    command = f"eval --weights {tmp_path / 'x.onnx'} --data digits --mean 0 --std 1"
    monkeypatch.setattr(sys, "argv", ["minires", *command.split()])
    with pytest.raises(SystemExit):
        cli.main()
    printed = capsys.readouterr()
    _, accuracy, loss = printed.out.splitlines()
    digits = minires.data.digits(train=False)
    given = net(Tensor(digits.images / np.float32(255))).numpy().argmax(axis=1)
    assert accuracy.split()[1] == f"{np.mean(given == digits.labels):.2%}"
    assert loss.split(maxsplit=1)[1].startswith("no cross-entropy")


def test_the_largest_of_a_file_is_exported_as_whole_numbers_again(tmp_path):
    graph = model(
        [onnx.helper.make_node("ArgMax", ["x"], ["out"], axis=1, keepdims=0)], {}, (1, 3, 4, 4), 3
    )
    onnx.save(graph, tmp_path / "x")
    export_onnx(load_onnx(tmp_path / "x"), tmp_path / "y", (4, 4, 3))
    written = onnx.load(tmp_path / "y")
    assert written.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.INT64
    x = normal(1, 4, 4, 3, dtype=np.float32)
    np.testing.assert_array_equal(run(load_onnx(tmp_path / "y"), x), x.argmax(axis=3))
