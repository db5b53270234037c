"""Small ONNX graphs as other programs write them, each with images for its input."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import minires


def model(nodes, weights, shape, rank=4, opset=17):
    """A model of one input "x" of this shape, N any; weights are arrays by name."""
    value = helper.make_tensor_value_info
    return helper.make_model(
        helper.make_graph(
            nodes,
            "graph",
            [value("x", TensorProto.FLOAT, ["N", *shape[1:]])],
            [value("out", TensorProto.FLOAT, [f"d{i}" for i in range(rank)])],
            [numpy_helper.from_array(np.asarray(a), name) for name, a in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )


def chain(*steps):
    """Nodes one after the other: (kind, names of further inputs, attributes)."""
    nodes, before = [], "x"
    for i, (kind, further, attributes) in enumerate(steps):
        after = "out" if i == len(steps) - 1 else f"t{i}"
        nodes.append(helper.make_node(kind, [before, *further], [after], **attributes))
        before = after
    return nodes


def f4(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def cases():
    """By name: the model, and an input as the model wants it."""
    rng = np.random.default_rng(7)
    image = (2, 3, 9, 8)
    w3, w1 = f4(rng, 4, 3, 3, 3), f4(rng, 4, 3, 1, 1)
    norm = {
        "gamma": f4(rng, 4) + 1,
        "beta": f4(rng, 4),
        "mean": f4(rng, 4),
        "var": f4(rng, 4) ** 2 + 0.5,
    }
    found = {}

    def case(name, steps, weights, shape=image, scale=1, **options):
        x = np.float32(scale) * f4(rng, *shape)
        found[name] = (model(chain(*steps), weights, shape, **options), x)

    conv = ("Conv", ("w", "b"), {"strides": [2, 1], "pads": [1, 0, 1, 0], "dilations": [1, 2]})
    case("a convolution of every option", [conv], {"w": w3, "b": f4(rng, 4)})
    case(
        "groups, no bias",
        [("Conv", ("w",), {"group": 3, "kernel_shape": [2, 3]})],
        {"w": f4(rng, 6, 1, 2, 3)},
    )
    case("unequal padding", [("Conv", ("w",), {"pads": [0, 1, 2, 0]})], {"w": w3})
    for rule in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        case(rule, [("Conv", ("w",), {"auto_pad": rule, "strides": [2, 3]})], {"w": w3})
        walk = {"auto_pad": rule, "strides": [2, 2], "kernel_shape": [3, 2]}
        case(f"pooling, {rule}", [("MaxPool", (), walk)], {})
    case(
        "pooling with unequal padding",
        [("MaxPool", (), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]})],
        {},
    )
    case(
        "average pooling",
        [
            (
                "AveragePool",
                (),
                {"kernel_shape": [3, 2], "pads": [1, 0, 1, 0], "count_include_pad": 1},
            )
        ],
        {},
    )
    case(
        "batch norm",
        [("Conv", ("w",), {}), ("BatchNormalization", tuple(norm), {"epsilon": 0.01})],
        {"w": w1, **norm},
    )
    head = [("GlobalAveragePool", (), {}), ("Flatten", (), {})]
    fc = {"w": f4(rng, 3, 5), "b": f4(rng, 5)}
    case("a classifier", [*head, ("Gemm", ("w", "b"), {}), ("Softmax", (), {})], fc, rank=2)
    scaled = {"transB": 1, "alpha": 0.5, "beta": 2.0}
    case("a scaled product", [*head, ("Gemm", ("w", "b"), scaled)], {**fc, "w": fc["w"].T}, rank=2)
    case(
        "one number as the bias",
        [*head, ("Gemm", ("w", "c"), {})],
        {**fc, "c": np.float32(2)},
        rank=2,
    )
    case(
        "mean, product, sum",
        [
            ("ReduceMean", (), {"axes": [2, 3], "keepdims": 0}),
            ("MatMul", ("w",), {}),
            ("Add", ("b",), {}),
        ],
        fc,
        rank=2,
    )
    case(
        "mean that keeps axes, then squeezed",
        [("ReduceMean", (), {"axes": [-2, -1]}), ("Squeeze", ("axes",), {})],
        {"axes": np.array([2, -1])},
        rank=2,
    )
    case("all numbers in a row", [("Relu", (), {}), ("Flatten", (), {})], {}, rank=2)
    case("reshaped", [("Reshape", ("shape",), {})], {"shape": np.array([0, -1])}, rank=2)
    case("four axes to four", [("Reshape", ("shape",), {})], {"shape": np.array([2, 9, 4, 6])})
    case("softmax over channels", [("Softmax", (), {"axis": 1})], {})
    case("moved axes", [("Transpose", (), {"perm": [2, 0, 3, 1]})], {})
    case("turned round", [("Transpose", (), {})], {})
    case(
        "padded with a number",
        [("Pad", ("pads", "value"), {})],
        {"pads": np.array([0, 2, 1, 0, 0, 3, 0, 1]), "value": np.float32(0.5)},
    )
    case(
        "sliced",
        [("Slice", ("starts", "ends", "axes", "steps"), {})],
        {
            "starts": np.array([1, -1, 0]),
            "ends": np.array([2**31 - 1, -(2**31), -1]),
            "axes": np.array([-2, 3, 1]),
            "steps": np.array([2, -1, 1]),
        },
    )
    case(
        "normalised inside",
        [("Sub", ("mean",), {}), ("Div", ("std",), {}), ("Mul", ("one",), {})],
        {"mean": f4(rng, 1, 3, 1, 1), "std": f4(rng, 3, 1, 1) ** 2 + 1, "one": np.float32(3)},
    )
    case(
        "nonlinearities",
        [("LeakyRelu", (), {"alpha": 0.2}), ("Sigmoid", (), {}), ("Tanh", (), {})],
        {},
    )
    case("nothing", [("Identity", (), {}), ("Dropout", (), {})], {})
    case(
        CHANNELS_LAST,
        [
            ("Transpose", (), {"perm": [0, 3, 1, 2]}),
            ("Pad", ("pads",), {}),
            ("Conv", ("w",), {"strides": [2, 2]}),
            ("Transpose", (), {"perm": [0, 2, 3, 1]}),
            ("Relu", (), {}),
        ],
        {"w": w3, "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])},
        shape=(2, 9, 8, 3),
    )
    case(
        "three summed, held between bounds",
        [("Sum", ("w", "x"), {}), ("Clip", ("low", "high"), {}), ("Clip", ("", "low"), {})],
        {"w": f4(rng, 3, 1, 8), "low": np.float32(-0.5), "high": np.float32(0.75)},
    )
    for rule in ("SAME_UPPER", "SAME_LOWER"):
        fits = {"auto_pad": rule, "strides": [3, 2], "kernel_shape": [3, 2]}
        case(
            f"{rule} that needs no padding", [("MaxPool", (), fits), ("AveragePool", (), fits)], {}
        )
    case(
        "means of what is no padding",
        [("AveragePool", (), {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [2, 0, 1, 1]})],
        {},
    )
    rounded = {"kernel_shape": [2, 3], "strides": [2, 3], "ceil_mode": 1}
    case("a last window that is cut off", [("MaxPool", (), rounded)], {})
    case("neighbouring channels", [("LRN", (), {"size": 3, "alpha": 0.5, "beta": 0.6})], {})
    case(
        "the mean of everything: no axes",
        [("ReduceMean", ("axes",), {"keepdims": 0})],
        {"axes": np.zeros(0, np.int64)},
        rank=0,
        opset=18,
    )
    case(
        "the mean of nothing: no axes, and it says so",
        [("ReduceMean", ("axes",), {"noop_with_empty_axes": 1})],
        {"axes": np.zeros(0, np.int64)},
        opset=18,
    )
    case(
        "whole numbers divided towards zero",
        [("Cast", (), {"to": 6}), ("Div", ("w",), {}), ("Cast", (), {"to": 1})],
        {"w": np.array([3, -2, 5, 7, -1, 2, 3, 4], np.int32)},
        scale=20,
    )
    alike = (2, 4, 5, 4)  # as many columns as channels
    for axes in ([0, 1, 2], [0, 1], [0]):
        found[f"broadcast with a mean over {len(axes)} axes"] = (
            model(
                [
                    helper.make_node("ReduceMean", ["x"], ["m"], axes=axes, keepdims=0),
                    helper.make_node("Mul", ["m", "x"], ["y"]),
                    helper.make_node("PRelu", ["y", "m"], ["out"]),
                ],
                {},
                alike,
            ),
            f4(rng, *alike),
        )
    view = [
        helper.make_node("Shape", ["x"], ["lengths"]),
        helper.make_node("Gather", ["lengths", "zero"], ["count"], axis=0),
        helper.make_node("Unsqueeze", ["count", "axis"], ["row"]),
        helper.make_node("Concat", ["row", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["out"]),
    ]
    weights = {"zero": np.array(0), "axis": np.array([0]), "rest": np.array([-1])}
    weights["w"] = f4(rng, 3 * 9 * 8, 5)
    found["x.view(x.size(0), -1)"] = (model(view, weights, image, rank=2), f4(rng, *image))
    groups = np.array([0, 2, -1, 9, 8])
    shuffle = [("Reshape", ("a",), {}), ("Transpose", (), {"perm": [0, 2, 1, 3, 4]})]
    case(
        "channels shuffled between groups",
        [*shuffle, ("Reshape", ("b",), {})],
        {"a": groups, "b": np.array([0, 6, 9, 8])},
        shape=(2, 6, 9, 8),
    )
    block = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["x", "v"], ["c"]),
        helper.make_node("Add", ["b", "c"], ["d"]),
        helper.make_node("Sub", ["one", "d"], ["out"]),
    ]
    weights = {"w": w1, "v": f4(rng, 4, 3, 1, 1), "one": np.ones((1, 4, 1, 1), np.float32)}
    found["two branches"] = (model(block, weights, image), f4(rng, *image))
    return found


CHANNELS_LAST = "channels last, as from TensorFlow"
REFERENCE_IS_WRONG = {
    "pooling, SAME_LOWER",  # it gives 4 rows of 9 by 2; the definition says 5
    "neighbouring channels",  # it computes as many channels as there are images
}
if tuple(map(int, onnx.__version__.split(".")[:2])) < (1, 21):
    REFERENCE_IS_WRONG |= {"SAME_UPPER", "SAME_LOWER"}  # where a stride leaves pixels out
    REFERENCE_IS_WRONG |= {"the mean of nothing: no axes, and it says so"}


def ours(network, name, x):
    """A loaded network's output for the graph's input, in the order of the graph's axes."""
    with minires.no_grad():
        images = x if name == CHANNELS_LAST else x.transpose(0, 2, 3, 1)
        out = network(minires.Tensor(np.ascontiguousarray(images))).numpy()
    return out.transpose(0, 3, 1, 2) if out.ndim == 4 and name != CHANNELS_LAST else out
