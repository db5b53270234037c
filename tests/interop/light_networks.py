"""The networks that the onnx package ships for tests; their weights are ones, made in the graph."""

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NAMES = sorted(path.stem for path in FOLDER.glob("*.onnx"))


def load(name):
    """The network, and images for it."""
    proto = onnx.load(FOLDER / f"{name}.onnx")
    weights = {t.name for t in proto.graph.initializer}
    (source,) = (i for i in proto.graph.input if i.name not in weights)
    shape = [d.dim_value for d in source.type.tensor_type.shape.dim]
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return proto, source.name, x


def with_weights(proto):
    """The same network with random weights, such that what comes out depends on the images."""
    rng, graph = np.random.default_rng(1), proto.graph
    shapes = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    squared = {n.input[4] for n in graph.node if n.op_type == "BatchNormalization"}
    kept = []
    for node in graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        shape = tuple(int(n) for n in shapes[node.input[0]])
        array = rng.standard_normal(shape, np.float32)
        if len(shape) > 1:
            array *= np.float32(1.2 / np.sqrt(np.prod(shape[1:])))
        if node.output[0] in squared:
            array = array**2 + np.float32(0.5)
        graph.initializer.append(numpy_helper.from_array(array, node.output[0]))
    if kept[-1].op_type == "Softmax":  # which would hide most of it
        graph.output[0].name = kept.pop().input[0]
    del graph.node[:]
    graph.node.extend(kept)
    proto.ir_version = 8  # from 4 on weights are no inputs
    return proto
