"""What a model was recorded to do, as nodes of an ONNX graph: for each operation a method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minires.backend import to_host
from minires.engine import make_tensor, raw
from minires.grad_mode import no_grad
from minires.interop.onnx_export_graph import TO_FIRST, TO_LAST, Graph, Value, graph_type
from minires.kernels import ConvGeometry
from minires.model_recording import Leaf, Recorded, Recording, Ref, same
from minires.source_lines import line_of

END = 2**31 - 1  # of a slice: to the last
VARYING = {"shape", "sizes"}
"""Constants of operations that follow the number of images, as shapes tell it."""

SIMPLE = {
    **{"add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "power": "Pow"},
    **{"maximum": "Max", "minimum": "Min", "negative": "Neg", "absolute": "Abs", "sign": "Sign"},
    **{"exp": "Exp", "log": "Log", "sqrt": "Sqrt", "relu": "Relu", "sigmoid": "Sigmoid"},
    **{"erf": "Erf", "tanh": "Tanh", "where": "Where", "less": "Less", "less_equal": "LessOrEqual"},
    **{"greater": "Greater", "greater_equal": "GreaterOrEqual", "equal": "Equal"},
    **{"not_equal": "Equal", "logical_and": "And", "logical_or": "Or", "logical_not": "Not"},
    **{"leaky_relu": "LeakyRelu", "clip": "Clip", "astype": "Identity", "move": "Identity"},
}
"""Element by element, with NumPy's rules of broadcasting."""
STATISTICS = ("weight", "bias", "running_mean", "running_var")
"""Of a batch norm, as ONNX orders them."""
COMPARISONS = {"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"}
REDUCTIONS = {"sum": "ReduceSum", "mean": "ReduceMean", "logsumexp": "ReduceLogSumExp"}


class Writer(Graph):
    """A graph written step by step.

    Parameters
    ----------
    two, three : Recording
        Of the model with two and with three images: what differs follows their number.
    modules : dict
        The model's, by name: a batch norm becomes one node again.
    """

    def __init__(self, two: Recording, three: Recording, modules: dict[str, Any]) -> None:
        super().__init__()
        self._modules, self._recording = modules, two
        if [s.op for s in two.steps] != [s.op for s in three.steps]:
            raise ValueError(
                "cannot export: the model does other things to another number of images"
            )
        self._pairs = list(zip(two.steps, three.steps, strict=True))
        self._uses: dict[Ref, int] = {}
        self._makers = {step.out: step for step in two.steps}

    def write(self, shapes: Sequence[tuple[int, ...]]) -> Value:
        """The nodes of every step that the output needs; the output."""
        varying = tuple(None if a != b else a for a, b in zip(*shapes, strict=True))
        self.values[Ref(0)] = Value(varying, np.dtype(np.float32), {"first": "images"})
        last = self._recording.outputs
        if type(last) is not Ref:
            raise ValueError("cannot export: the model returns several tensors, one is wanted")
        needed = self._count(last)
        for one, other in self._pairs:
            if one.out in needed:
                self._step(one, other)
        return self.values[last]

    def _count(self, last: Ref) -> set[Ref]:
        """The steps that are needed, and how often each value is."""
        self._uses, open_ = {last: 1}, [last]
        needed: set[Ref] = set()
        while open_:
            ref = open_.pop()
            if ref in needed or ref not in self._makers:
                continue
            needed.add(ref)
            for i in self._makers[ref].inputs:
                if type(i) is Ref:
                    self._uses[i] = self._uses.get(i, 0) + 1
                    open_.append(i)
        return needed

    def _step(self, step: Recorded, other: Recorded) -> None:
        constants = {k: v for k, v in step.constants.items() if k not in VARYING}
        changed = not same(constants, {k: other.constants.get(k) for k in constants})
        inputs = []
        for a, b in zip(step.inputs, other.inputs, strict=True):
            rows = not same(a, b) and _same_rows(a, b)
            changed |= not (same(a, b) or rows)
            inputs.append(self._repeated(a) if rows else self._value(a))
        sizes = list(zip(step.shape, other.shape, strict=True))
        if changed or any(a != b and 3 * a != 2 * b for a, b in sizes):
            raise self.refusal(step, "computes with the number of images")
        shape = tuple(None if a != b else a for a, b in sizes)
        out = self.values[step.out] = Value(shape, step.dtype)
        if None not in shape and all(value.array is not None for value in inputs):
            tensors = [make_tensor(v.array) if v.array.ndim else v.array.item() for v in inputs]  # type: ignore[union-attr]
            with no_grad():
                out.array = np.asarray(raw(step.op(*tensors, **step.constants)), step.dtype)
            return
        if step.dtype == np.float16:
            raise self.refusal(step, "computes in float16")
        name = step.op.name.lstrip("_")
        make = getattr(self, f"_{name}", None)
        if name in SIMPLE:
            make = self._simple
        elif name in REDUCTIONS:
            make = self._reduce
        if make is None:
            raise self.refusal(step, "has no counterpart in ONNX")
        make(step, inputs, out)

    def _repeated(self, array: Any) -> Value:
        """A constant with the same numbers for each image, such as zeros for new channels."""
        row = self.initializer(to_host(array[:1]))
        name = self.add("Expand", [row, self._dims((None, *array.shape[1:]), array.shape, True)])
        return Value((None, *array.shape[1:]), array.dtype, {"last": name})

    def refusal(self, step: Recorded, why: str) -> ValueError:
        """An error that names the operation and the model's line."""
        name = step.op.name.lstrip("_")
        return ValueError(
            f"cannot export: {name} on shape {step.shape}, {line_of(*step.where)}, {why}"
        )

    # ------------------------------------------------------------------ element by element

    def _simple(self, step: Recorded, inputs: list[Value], out: Value) -> None:
        name, order = step.op.name, self._order(inputs, out)
        if name == "add" and self._joins_bias(step, inputs, out):
            return
        kinds = [out.dtype] * len(inputs)
        if name in COMPARISONS:  # of whole numbers where no fraction is among them
            floating = any(v.dtype.kind == "f" for v in inputs)
            kinds = [np.float32 if floating else np.int64] * 2
        elif name in ("logical_and", "logical_or", "logical_not"):
            kinds = [np.bool_] * len(inputs)
        elif name == "where":
            kinds[0] = np.bool_
        names = [self.name(v, order, k, out.ndim) for v, k in zip(inputs, kinds, strict=True)]
        attributes = {}
        if name == "leaky_relu":
            attributes["alpha"] = step.constants.get("negative_slope", 0.01)
        if name == "clip":
            bounds = (step.constants.get(end) for end in ("low", "high"))
            names += [
                "" if b is None else self.initializer(b, dtype=graph_type(out.dtype))
                for b in bounds
            ]
        if SIMPLE[name] == "Identity":
            out.names = {order: names[0]}
            return
        made = self.add(SIMPLE[name], names, **attributes)
        out.names[order] = self.add("Not", [made]) if name == "not_equal" else made

    def _joins_bias(self, step: Recorded, inputs: list[Value], out: Value) -> bool:
        """Whether this adds a vector to a convolution or a product: that is its bias."""
        for i, (made, bias) in enumerate((inputs, inputs[::-1])):
            if made.array is not None or bias.array is None or bias.shape != out.shape[-1:]:
                continue
            maker = next((n for n in self.nodes if n.output in made.names.values()), None)
            used = self._uses[step.inputs[i]] + len(made.names)
            if maker and maker.kind in ("Conv", "Gemm") and len(maker.inputs) == 2 and used == 2:
                maker.inputs.append(self.name(bias, dtype=out.dtype))
                out.names = made.names
                return True
        return False

    def _scale_shift(self, step: Recorded, inputs: list[Value], out: Value) -> None:
        x, scale, shift = inputs
        if x.ndim in (2, 4) and scale.array is not None and shift.array is not None:
            eps, names = 0.0, [""] * 4
            parts = [scale.array, shift.array, 0 * shift.array, 0 * scale.array + 1]
            prefix = self._batch_norm(step)
            if prefix is not None:
                module = self._modules[prefix]
                own = [to_host(raw(getattr(module, name))) for name in STATISTICS]
                factor = own[0] / np.sqrt(own[3] + module.eps)
                wanted = factor, own[1] - factor * own[2]
                if np.allclose((scale.array, shift.array), wanted, 1e-4, 1e-6):
                    eps, parts = module.eps, own
                    names = [f"{prefix}.{name}".lstrip(".") for name in STATISTICS]
            given = [self.initializer(*pair, np.float32) for pair in zip(parts, names, strict=True)]
            order = "first" if x.ndim == 4 else "last"
            given = [self.name(x, order), *given]
            out.names[order] = self.add("BatchNormalization", given, epsilon=eps)
            return
        order = self._order(inputs, out)
        names_ = [self.name(value, order, ndim=out.ndim) for value in inputs]
        scaled = self.add("Mul", names_[:2])
        out.names[order] = self.add("Add", [scaled, names_[2]])

    def _batch_norm(self, step: Recorded) -> str | None:
        """The name of the batch norm whose running statistics these scales and shifts are of."""
        leaves, open_ = set(), list(step.inputs[1:])
        while open_:
            given = open_.pop()
            if isinstance(given, Leaf):
                leaves.add(given.name)
            elif type(given) is Ref and given in self._makers:
                open_ += self._makers[given].inputs
        found = {name.rpartition(".")[0] for name in leaves}
        prefix = found.pop() if len(found) == 1 else None
        module = None if prefix is None else self._modules.get(prefix)
        parts = {name.rpartition(".")[2] for name in leaves}
        return prefix if parts == {*STATISTICS} and hasattr(module, "eps") else None

    # ------------------------------------------------------------------ windows and products

    def _conv2d(self, step: Recorded, inputs: list[Value], out: Value) -> None:
        x, w = inputs
        if w.array is None:
            raise self.refusal(step, "has weights that are computed of the images")
        g = step.constants.get("geometry", ConvGeometry())
        weight = self.initializer(w.array.transpose(3, 2, 0, 1), w.leaf, np.float32)
        out.names["first"] = self.add(
            "Conv",
            [self.name(x, "first"), weight],
            kernel_shape=w.array.shape[:2],
            strides=g.stride,
            pads=(*g.padding, *g.padding),
            dilations=g.dilation,
            group=g.groups,
        )

    def _conv2d_dx(self, step: Recorded, inputs: list[Value], out: Value) -> None:
        x, w = inputs
        if w.array is None:
            raise self.refusal(step, "has weights that are computed of the images")
        g, size = step.constants["geometry"], step.constants["input_size"]
        kernel = w.array.shape[:2]
        extra = [  # rows and columns that no window of the convolution reaches
            m - ((n - 1) * s - 2 * p + d * (k - 1) + 1)
            for m, n, s, p, d, k in zip(
                size, x.shape[1:3], g.stride, g.padding, g.dilation, kernel, strict=True
            )
        ]
        weight = self.initializer(w.array.transpose(3, 2, 0, 1), w.leaf, np.float32)
        out.names["first"] = self.add(
            "ConvTranspose",
            [self.name(x, "first"), weight],
            kernel_shape=kernel,
            strides=g.stride,
            pads=(*g.padding, *g.padding),
            output_padding=extra,
            dilations=g.dilation,
            group=g.groups,
        )

    def _max_pool2d(self, step: Recorded, inputs: list[Value], out: Value) -> None:
        self._pool("MaxPool", step, inputs[0], out)

    def _avg_pool2d(self, step: Recorded, inputs: list[Value], out: Value) -> None:
        self._pool("AveragePool", step, inputs[0], out, count_include_pad=1)

    def _pool(self, kind: str, step: Recorded, x: Value, out: Value, **more: int) -> None:
        padding = step.constants.get("padding", (0, 0))
        windows = {"kernel_shape": step.constants["kernel_size"], "pads": (*padding, *padding)}
        windows["strides"] = step.constants["stride"]
        name = self.name(x, "first", np.float32)
        out.names["first"] = self.add(kind, [name], **windows, **more)

    def _matmul(self, step: Recorded, inputs: list[Value], out: Value) -> None:
        x, y = inputs
        if x.array is None and y.array is not None and (x.ndim, y.ndim) == (2, 2):
            weight = self.initializer(y.array.T, y.leaf, np.float32)
            out.names["last"] = self.add("Gemm", [self.name(x), weight], transB=1)
            return
        names = [self.name(value, dtype=out.dtype) for value in inputs]
        out.names["last"] = self.add("MatMul", names)

    # ------------------------------------------------------------------ over axes

    def _softmax(self, step: Recorded, inputs: list[Value], out: Value) -> None:
        order = self._order(inputs, out)
        kind = "Softmax" if step.op.name == "softmax" else "LogSoftmax"
        axis = _axis(step.constants.get("axis", -1), out.ndim, order)
        out.names[order] = self.add(kind, [self.name(inputs[0], order, out.dtype)], axis=axis)

    _log_softmax = _softmax

    def _reduce(self, step: Recorded, inputs: list[Value], out: Value) -> None:
        out.names = self._reduced(REDUCTIONS[step.op.name], step, inputs[0], out)

    def _reduced(self, kind: str, step: Recorded, x: Value, out: Value) -> dict[str, str]:
        """The names of a reduction, which stays in its order where it may."""
        axes, kept = (
            _axes(step.constants.get("axis"), x.ndim),
            step.constants.get("keepdims", False),
        )
        order = "first" if x.ndim == 4 and "first" in x.names else "last"
        if not kept and order == "first" and set(axes) not in ({1, 2}, {1, 2, 3}, {0, 1, 2, 3}):
            order = "last"  # else the axes that are left are in the same order
        name = self.name(x, order, out.dtype)
        if kind == "ReduceMean" and kept and order == "first" and axes == (1, 2):
            return {order: self.add("GlobalAveragePool", [name])}
        there = sorted(_axis(axis, x.ndim, order) for axis in axes)
        more: dict[str, Any] = {"keepdims": int(kept)}
        names = [name]
        if kind == "ReduceSum":  # the only one whose axes are an input in this opset
            names.append(self.numbers(*there))
        else:
            more["axes"] = there
        made = self.add(kind, names, **more) if there else self.add("Identity", names[:1])
        return {order if kept else "last": made}

    def _var(self, step: Recorded, inputs: list[Value], out: Value) -> None:
        (x,) = inputs
        axes, ddof = _axes(step.constants.get("axis"), x.ndim), step.constants.get("ddof", 0)
        name = self.name(x, "last", out.dtype)
        mean = self.add("ReduceMean", [name], axes=axes, keepdims=1)
        centred = self.add("Sub", [name, mean])
        kept = int(step.constants.get("keepdims", False))
        made = self.add("ReduceMean", [self.add("Mul", [centred] * 2)], axes=axes, keepdims=kept)
        if ddof:
            lengths = [x.shape[axis] for axis in axes]
            if None in lengths:
                raise self.refusal(step, "computes with the number of images")
            count = int(np.prod(lengths))  # type: ignore[arg-type]
            made = self.add("Mul", [made, self.initializer(np.float32(count / (count - ddof)))])
        out.names["last"] = self.add("Sqrt", [made]) if step.op.name == "std" else made

    _std = _var

    def _argmax(self, step: Recorded, inputs: list[Value], out: Value) -> None:
        (x,), axis = inputs, step.constants.get("axis")
        name = self.name(x, dtype=np.float32 if x.dtype.kind == "f" else np.int64)
        if axis is None:
            name = self.add("Reshape", [name, self.numbers(-1)])
        kind = "ArgMax" if step.op.name == "argmax" else "ArgMin"
        out.names["last"] = self.add(kind, [name], axis=axis or 0, keepdims=0)

    _argmin = _argmax

    # ------------------------------------------------------------------ moved about

    def _reshape(self, step: Recorded, inputs: list[Value], out: Value) -> None:
        (x,) = inputs
        flat = x.ndim == 4 and x.shape[1:3] == (1, 1) and "first" in x.names
        name = self.name(x, "first" if flat else "last")
        inside = x.shape[1:]
        whole = None not in inside and out.shape == (None, math.prod(n or 0 for n in inside))
        if whole and x.ndim > 2 and x.shape[0] is None:
            out.names["last"] = self.add("Flatten", [name], axis=1)
        else:
            out.names["last"] = self.add("Reshape", [name, self._dims(out.shape, step.shape)])

    def _transpose(self, step: Recorded, inputs: list[Value], out: Value) -> None:
        (x,) = inputs
        axes = tuple(a % x.ndim for a in step.constants.get("axes") or reversed(range(x.ndim)))
        if axes == TO_FIRST:  # as the graph has it
            out.names["last"] = self.name(x, "first")
        elif axes == TO_LAST:
            out.names["first"] = self.name(x)
        else:
            out.names["last"] = self.add("Transpose", [self.name(x)], perm=axes)

    def _broadcast_to(self, step: Recorded, inputs: list[Value], out: Value) -> None:
        (x,) = inputs
        own = (1,) * (out.ndim - x.ndim) + x.shape
        wanted = [1 if a is None else b for a, b in zip(own, out.shape, strict=True)]
        shape = self._dims(wanted, step.shape, None in wanted)
        out.names["last"] = self.add("Expand", [self.name(x), shape])

    def _concatenate(self, step: Recorded, inputs: list[Value], out: Value) -> None:
        order = self._order(inputs, out)
        names = [self.name(value, order, out.dtype, out.ndim) for value in inputs]
        axis = _axis(step.constants["axis"], out.ndim, order)
        out.names[order] = self.add("Concat", names, axis=axis)

    def _pad(self, step: Recorded, inputs: list[Value], out: Value) -> None:
        order = self._order(inputs, out)
        width = _ordered(step.constants["width"], order)
        ends = self.numbers(*(before for before, _ in width), *(after for _, after in width))
        value = step.constants.get("value", 0.0)
        more = [self.initializer(value, dtype=graph_type(out.dtype))] if value else []
        out.names[order] = self.add("Pad", [self.name(inputs[0], order), ends, *more])

    def _take(self, step: Recorded, inputs: list[Value], out: Value) -> None:
        (x,), key = inputs, step.constants["key"]
        key = list(key) if isinstance(key, tuple) else [key]
        rest = [slice(None)] * (x.ndim - sum(part not in (None, ...) for part in map(_plain, key)))
        dots = [i for i, part in enumerate(key) if part is Ellipsis] or [len(key)]
        key[dots[0] : dots[0] + 1] = rest
        arrays = [i for i, part in enumerate(key) if _plain(part) == "array"]
        new = [part is None for part in key]
        whole = [isinstance(part, int | np.integer) for part in key]
        wrong = len(arrays) > 1 or (arrays and (any(new) or any(whole)))
        if wrong or any(isinstance(part, bool | np.bool_) for part in key):
            raise self.refusal(step, "has a key that is not known here")
        order = self._order(inputs, out) if not (any(new) or any(whole) or arrays) else "last"
        axes = [part for part in key if part is not None]
        name = self._sliced(self.name(x, order), axes, order)
        if arrays:
            at = np.asarray(to_host(key[arrays[0]]))
            at = at.nonzero()[0] if at.dtype.kind == "b" and at.ndim == 1 else at
            if at.dtype.kind not in "iu":
                raise self.refusal(step, "has a key that is not known here")
            name = self.add("Gather", [name, self.initializer(at, dtype=np.int64)], axis=arrays[0])
        if any(whole):
            gone = [i for i, part in enumerate(axes) if isinstance(part, int | np.integer)]
            name = self.add("Squeeze", [name, self.numbers(*gone)])
        if any(new):
            kept = [part for part in key if not isinstance(part, int | np.integer)]
            grown = [i for i, part in enumerate(kept) if part is None]
            name = self.add("Unsqueeze", [name, self.numbers(*grown)])
        out.names[order] = name

    def _sliced(self, name: str, axes: Sequence[Any], order: str) -> str:
        """The slices and single numbers of a key, one for each axis."""
        rows = []
        for axis, part in enumerate(axes):
            if isinstance(part, int | np.integer):
                rows.append((int(part), END if part == -1 else int(part) + 1, axis, 1))
            elif isinstance(part, slice) and part != slice(None):
                step = 1 if part.step is None else part.step
                first = part.start if part.start is not None else (0 if step > 0 else END)
                last = part.stop if part.stop is not None else (END if step > 0 else -END)
                rows.append((first, last, _axis(axis, len(axes), order), step))
        if not rows:
            return name
        return self.add("Slice", [name, *(self.numbers(*n) for n in zip(*rows, strict=True))])


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """All of them for None, else those given, in order."""
    given = range(ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    return tuple(sorted(a % ndim for a in given))


def _axis(axis: int, ndim: int, order: str) -> int:
    """Where an axis is in this order."""
    return TO_FIRST.index(axis % ndim) if order == "first" else axis % ndim


def _plain(part: Any) -> Any:
    """A part of a key, which may be compared."""
    return "array" if getattr(part, "shape", ()) else part


def _ordered(items: Sequence[Any], order: str) -> Sequence[Any]:
    return [items[i] for i in TO_FIRST] if order == "first" else items


def _same_rows(a: Any, b: Any) -> bool:
    """Whether two arrays differ in their length alone."""
    if not (getattr(a, "ndim", 0) and getattr(b, "ndim", 0)) or (len(a), len(b)) != (2, 3):
        return False
    return same(a[[0, 0, 0]], b) and same(b[:2], a)
