"""ONNX's own tests of single nodes, as graphs of one input that `load_onnx` may read.

A node's inputs are known at load ("constants") but for one, or all floating ones are computed in
the graph from one row of numbers ("computed").
"""

import functools
import importlib
import pkgutil
import warnings
from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

import minires
from minires.interop import load_onnx
from minires.interop.onnx_import import KNOWN, OLDEST_OPSET

WAYS = ("constants", "computed")


class Case(NamedTuple):
    """A test: a model, and what goes in and comes out."""

    model: onnx.ModelProto
    inputs: list
    outputs: list

    @property
    def kinds(self):
        return [n.op_type if n.domain == "" else "?" for n in self.model.graph.node]


@functools.cache
def all_cases():
    """Every test whose nodes are all known, by name."""
    from onnx.backend.test.case import node as package

    wanted = {kind.lower() for kind in KNOWN} | {f"{kind.lower()}s" for kind in KNOWN}
    wanted |= {"rangeop"}  # the others are named as their operation, or as several of it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they overflow and divide by zero on purpose
        for found in pkgutil.iter_modules(package.__path__):
            if found.name.replace("_", "") in wanted:
                importlib.import_module(f"{package.__name__}.{found.name}")
    cases = {}
    for test in package._NodeTestCases:
        case = Case(test.model, *([*map(_array, values)] for values in test.data_sets[0]))
        arrays = all(a is not None and a.dtype.kind not in "OUST" for a in case.inputs)
        if {*case.kinds} <= set(KNOWN) and arrays:
            cases[test.name] = case
    return cases


def _array(value):
    """An array of numbers; None for sequences and the like."""
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value) if hasattr(value, "dtype") else None


def graph_of(case, way):
    """The model of one input, what it is given and what must come out; None if there is none."""
    model = onnx.ModelProto.FromString(case.model.SerializeToString())
    graph, outputs = model.graph, case.outputs
    named = dict(zip([i.name for i in graph.input], case.inputs, strict=True))
    floats = [name for name, a in named.items() if a.dtype.kind == "f"]
    if way == "computed":
        moving = [n for n in floats if named[n].dtype == named[floats[0]].dtype]
        if len(moving) < 2 or model.opset_import[0].version < OLDEST_OPSET:
            return None
        x = np.concatenate([named[name].ravel() for name in moving])
        kind = helper.np_dtype_to_tensor_dtype(x.dtype)
        source = helper.make_tensor_value_info("everything", kind, [x.size])
        begin, nodes = 0, []
        for name in moving:
            nodes += _part(name, named[name], begin, model, graph)
            begin += named[name].size
        nodes += graph.node
        del graph.node[:]
        graph.node.extend(nodes)
    else:
        moving = (floats or list(named))[:1]
        if not moving:
            return None
        x = named[moving[0]]
        source = next(i for i in graph.input if i.name == moving[0])
        source = onnx.ValueInfoProto.FromString(source.SerializeToString())
    for name, array in named.items():
        if name not in moving:
            graph.initializer.append(numpy_helper.from_array(array, name))
    del graph.input[:]
    graph.input.append(source)
    model.ir_version = max(model.ir_version, 4)  # from which on weights are no inputs
    return model, x, outputs[0]


def _part(name, array, begin, model, graph):
    """Nodes that take an array out of the row of numbers."""
    shape = numpy_helper.from_array(np.array(array.shape, np.int64), f"{name}_shape")
    graph.initializer.append(shape)
    cut, ends = f"{name}_cut", (begin, begin + array.size)
    reshape = helper.make_node("Reshape", [cut, f"{name}_shape"], [name])
    if model.opset_import[0].version < 10:
        starts = {"starts": ends[:1], "ends": ends[1:], "axes": [0]}
        return [helper.make_node("Slice", ["everything"], [cut], **starts), reshape]
    names = [f"{name}_start", f"{name}_end"]
    for place, end in zip(names, ends, strict=True):
        graph.initializer.append(numpy_helper.from_array(np.array([end], np.int64), place))
    return [helper.make_node("Slice", ["everything", *names], [cut]), reshape]


def run(network, x):
    """A loaded network's output for the graph's input, both in the graph's order."""
    turned = not network.source.channels_last
    x = x.astype(np.float32) if x.dtype.name == "bfloat16" else x
    if x.ndim == 4 and turned:
        x = x.transpose(0, 2, 3, 1)
    with minires.no_grad():
        out = network(minires.Tensor(x.copy())).numpy()
    return out.transpose(0, 3, 1, 2) if out.ndim == 4 and turned else out


def outcome(case, way, path):
    """ "" if the test is passed, why it is refused, or "WRONG"; None if there is no such test."""
    made = graph_of(case, way)
    if made is None:
        return None
    model, x, wanted = made
    path.write_bytes(model.SerializeToString())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 1 / 0 is wanted in places
        try:
            network = load_onnx(path)
            got = run(network, x)
        except ValueError as error:  # FileError too
            return str(error).replace(str(path), "it")
    if got.shape != wanted.shape or (got.dtype.kind in "iub") != (wanted.dtype.kind in "iub"):
        return f"WRONG: {got.shape} of {got.dtype}, wanted {wanted.shape} of {wanted.dtype}"
    got, exact = got.astype(np.float64), wanted.astype(np.float64)
    narrow = wanted.dtype.name in ("float16", "bfloat16")
    tolerance = 1e-2 if narrow else 1e-3  # some are written in four digits
    if not np.allclose(got, exact, rtol=tolerance, atol=1e-5, equal_nan=True):
        return "WRONG: other numbers"
    return ""


def outcomes(path):
    """What becomes of every test, by its name and the way in which it is put."""
    found = {
        (name, way): outcome(case, way, path) for name, case in all_cases().items() for way in WAYS
    }
    return {key: said for key, said in found.items() if said is not None}
