"""Files laid out as Keras 2 and 3 write them, and the same networks as ONNX graphs."""

import json

import h5py
import numpy as np
from onnx import TensorProto, helper, numpy_helper


def layer(kind, name, inputs=(), activation=None, **config):
    """A layer's entry in a model's configuration, as Keras 2.4 writes it."""
    config |= {"name": name, "trainable": True, "dtype": "float32"}
    if activation:
        config["activation"] = activation
    nodes = [[[one, 0, 0, {}] for one in inputs]] if inputs else []
    return {"class_name": kind, "config": config, "name": name, "inbound_nodes": nodes}


def as_keras_3(entry):
    """The same as Keras 3 writes it."""

    def tensor(part):
        history = {"shape": [None], "dtype": "float32", "keras_history": part[:3]}
        return {"class_name": "__keras_tensor__", "config": history}

    nodes = []
    for node in entry["inbound_nodes"]:
        tensors = [tensor(part) for part in node]
        nodes.append({"args": [tensors] if len(tensors) > 1 else tensors, "kwargs": {}})
    config = dict(entry["config"])
    if "batch_input_shape" in config:
        config["batch_shape"] = config.pop("batch_input_shape")
    return {**entry, "module": "keras.layers", "config": config, "inbound_nodes": nodes}


def write(path, layers, weights, *, kind="Functional", keras=2, output=None, **dataset):
    """An `.h5` file of a model; weights are lists of (name, array) by layer."""
    entries = [as_keras_3(entry) if keras == 3 else entry for entry in layers]
    config = {"name": "model", "layers": entries}
    if kind == "Functional":
        output = output or layers[-1]["name"]
        config |= {"input_layers": [[layers[0]["name"], 0, 0]], "output_layers": [[output, 0, 0]]}
    with h5py.File(path, "w") as file:
        file.attrs["backend"] = b"tensorflow"
        file.attrs["model_config"] = json.dumps({"class_name": kind, "config": config})
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [entry["config"]["name"].encode() for entry in layers]
        for entry in layers:
            name = entry["config"]["name"]
            own, arrays = group.create_group(name), weights.get(name, ())
            ending = ":0" if keras == 2 else ""
            names = [f"{name}/{part}{ending}" for part, _ in arrays]
            own.attrs["weight_names"] = [one.encode() if keras == 2 else one for one in names]
            for one, (_, array) in zip(names, arrays, strict=True):
                own.create_dataset(one, data=array, **dataset)


def normalised(rng, channels):
    """A batch norm's arrays, as Keras names them."""
    parts = ("gamma", "beta", "moving_mean", "moving_variance")
    return [(part, rng.uniform(0.5, 1.5, channels).astype("f4")) for part in parts]


def resnet(rng, size=9):
    """A small residual network with stride 2 and "same" padding, which is unequal then.

    Returns its layers, its weights, and the same as an ONNX graph of images (N, C, H, W).
    """
    f4 = lambda *shape: (rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))).astype("f4")  # noqa: E731
    layers = [layer("InputLayer", "images", batch_input_shape=[None, size, size, 3])]
    weights, nodes, arrays = {}, [], {}

    def conv(name, before, kernel, inputs, outputs, stride):
        filters, bias = f4(kernel, kernel, inputs, outputs), f4(outputs)
        layers.append(
            layer(
                "Conv2D",
                name,
                [before],
                "linear",
                filters=outputs,
                kernel_size=[kernel, kernel],
                strides=[stride, stride],
                padding="same",
                data_format="channels_last",
                dilation_rate=[1, 1],
                groups=1,
                use_bias=True,
            )
        )
        weights[name] = [("kernel", filters), ("bias", bias)]
        arrays[f"{name}_w"], arrays[f"{name}_b"] = filters.transpose(3, 2, 0, 1), bias
        length = size if before in ("images", "relu") else -(-size // 2)
        total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
        options = {"strides": [stride] * 2}
        options["pads"] = [total // 2] * 2 + [total - total // 2] * 2  # as TensorFlow does
        nodes.append(
            helper.make_node("Conv", [before, f"{name}_w", f"{name}_b"], [name], **options)
        )

    def norm(name, before, channels):
        layers.append(layer("BatchNormalization", name, [before], axis=[3], epsilon=0.001))
        weights[name] = normalised(rng, channels)
        arrays.update((f"{name}_{part}", array) for part, array in weights[name])
        names = [f"{name}_{part}" for part, _ in weights[name]]
        nodes.append(
            helper.make_node("BatchNormalization", [before, *names], [name], epsilon=0.001)
        )

    def relu(name, before):
        layers.append(layer("Activation", name, [before], "relu"))
        nodes.append(helper.make_node("Relu", [before], [name]))

    conv("conv", "images", 3, 3, 4, 1)
    norm("norm", "conv", 4)
    relu("relu", "norm")
    conv("conv_1", "relu", 3, 4, 6, 2)
    norm("norm_1", "conv_1", 6)
    relu("relu_1", "norm_1")
    conv("conv_2", "relu_1", 2, 6, 6, 1)
    norm("norm_2", "conv_2", 6)
    conv("shortcut", "relu", 1, 4, 6, 2)
    layers.append(layer("Add", "add", ["shortcut", "norm_2"]))
    nodes.append(helper.make_node("Add", ["shortcut", "norm_2"], ["add"]))
    relu("relu_2", "add")
    pool = {"pool_size": [2, 2], "strides": [2, 2], "padding": "same"}
    layers.append(layer("AveragePooling2D", "pool", ["relu_2"], **pool))
    window = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 1, 1]}
    nodes.append(helper.make_node("AveragePool", ["relu_2"], ["pool"], **window))
    layers.append(layer("Flatten", "flatten", ["pool"], data_format="channels_last"))
    nodes.append(helper.make_node("Transpose", ["pool"], ["turned"], perm=[0, 2, 3, 1]))
    nodes.append(helper.make_node("Flatten", ["turned"], ["flatten"]))
    matrix, bias = f4(54, 5), f4(5)
    layers.append(layer("Dense", "dense", ["flatten"], "softmax", units=5, use_bias=True))
    weights["dense"] = [("kernel", matrix), ("bias", bias)]
    arrays |= {"dense_w": matrix, "dense_b": bias}
    nodes.append(helper.make_node("Gemm", ["flatten", "dense_w", "dense_b"], ["logits"]))
    nodes.append(helper.make_node("Softmax", ["logits"], ["dense"]))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "resnet",
        [value("images", TensorProto.FLOAT, ["N", 3, size, size])],
        [value("dense", TensorProto.FLOAT, ["N", 5])],
        [numpy_helper.from_array(np.ascontiguousarray(a), n) for n, a in arrays.items()],
    )
    return layers, weights, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
