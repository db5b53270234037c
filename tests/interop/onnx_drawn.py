"""Random ONNX graphs: nodes that fit together, of any rank, whatever the opset calls their parts.

Each node is computed by ONNX's reference as it is drawn, which says the shapes there are.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

OPSETS = (9, 10, 11, 12, 13, 15, 17, 18, 20)
MOST = 4000  # numbers in a tensor


class Drawn:
    """A graph that grows from one input "x"; `pools` is what the reference does not know well."""

    def __init__(self, seed, pools=True):
        self.rng = np.random.default_rng(seed)
        self.opset = int(self.rng.choice(OPSETS))
        self.pools = pools
        shapes = [(2, 3, 6, 5), (1, 4, 4, 7), (3, 2, 5, 5), (2, 6), (2, 3, 4), (2, 2, 3, 2, 2)]
        shape = shapes[self.rng.choice(6, p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.1])]
        self.x = self.numbers(*shape)
        self.values, self.nodes, self.weights = {"x": self.x}, [], {}
        self.last = "x"
        for _ in range(int(self.rng.integers(2, 9))):
            self.grow()

    # ------------------------------------------------------------------ drawing

    def numbers(self, *shape):
        return self.rng.normal(size=shape).astype(np.float32)

    def pick(self, *choices):
        return choices[int(self.rng.integers(len(choices)))]

    def some(self):
        """A value of the graph, mostly the latest."""
        return self.last if self.rng.random() < 0.7 else self.pick(*self.values)

    def weight(self, array):
        name = f"w{len(self.weights)}"
        self.weights[name] = np.asarray(array)
        return name

    def whole(self, *numbers):
        return self.weight(np.array(numbers, np.int64))

    def node(self, kind, inputs, outputs=1, **attributes):
        """Add a node, if the reference can compute it and its result is of a fair size."""
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        made = helper.make_node(kind, inputs, names, **attributes)
        known = {n: self.values[n] if n in self.values else self.weights[n] for n in inputs if n}
        info = onnx.ValueInfoProto
        graph = helper.make_graph(
            [made], "g", [info(name=n) for n in known], [info(name=n) for n in names]
        )
        try:
            found = ReferenceEvaluator(graph, opsets={"": self.opset}).run(None, known)
        except Exception:  # it does not fit: draw another
            return None
        found = [np.asarray(array) for array in found]
        if any(
            not 0 < a.size <= MOST or not np.isfinite(a).all() or abs(a).max(initial=0) > 1e4
            for a in found
        ):
            return None
        self.nodes.append(made)
        self.values.update(zip(names, found, strict=True))
        if found[0].dtype == np.float32:
            self.last = names[0]
        return names

    def listed(self, kind, x, name, numbers, since, **attributes):
        """A node whose list is an attribute before opset `since`, and an input from then on."""
        if self.opset < since:
            return self.node(kind, [x], **{name: [int(n) for n in numbers]}, **attributes)
        return self.node(kind, [x, self.whole(*numbers)], **attributes)

    # ------------------------------------------------------------------ kinds of nodes

    def grow(self):
        x = self.some()
        if self.values[x].dtype != np.float32:
            x = self.last
        kinds = [
            self.broadcast, self.broadcast, self.unary, self.reduce, self.reduce, self.reshape,
            self.flatten, self.transpose, self.squeeze, self.join, self.cut, self.gather,
            self.softmax, self.matmul, self.expand, self.pad, self.by_shape, self.by_shape,
            self.split, self.where, self.channels,
        ]  # fmt: skip
        if not self.values[x].ndim:
            kinds = [self.broadcast, self.unary, self.expand, self.where]
        if self.pools and self.values[x].ndim == 4:
            kinds += [self.pool] * 6
        self.pick(*kinds)(x, self.values[x].shape)

    def broadcast(self, x, shape):
        """With a constant or a computed value of this or a lower rank."""
        kind = self.pick("Add", "Sub", "Mul", "Max", "Min", "Sum", "Mean", "PRelu")
        if self.rng.random() < 0.4:
            part = shape[int(self.rng.integers(len(shape) + 1)) :]
            other = self.weight(self.numbers(*(n if self.rng.random() < 0.6 else 1 for n in part)))
        else:
            other = self.some()
            if other != x and self.rng.random() < 0.6:  # lower the rank of one in the graph
                axes = range(int(self.rng.integers(1, max(2, self.values[other].ndim))))
                made = self.reduced("ReduceMax", other, axes, keepdims=0)
                other = made[0] if made else other
        pair = [x, other] if self.rng.random() < 0.7 or kind == "PRelu" else [other, x]
        self.node(kind, pair)

    def unary(self, x, shape):
        kind = self.pick("Relu", "Sigmoid", "Tanh", "Abs", "Neg", "Exp", "Softplus", "Elu", "Clip")
        if kind != "Clip":
            self.node(kind, [x])
        elif self.opset < 11:
            self.node("Clip", [x], min=-0.5, max=0.75)
        else:
            low, high = (self.weight(np.float32(v)) for v in (-0.5, 0.75))
            self.node("Clip", self.pick([x, low, high], [x, "", high], [x, low]))

    def reduced(self, kind, x, axes, **attributes):
        since = 13 if kind == "ReduceSum" else 18
        return self.listed(kind, x, "axes", [*axes], since, **attributes)

    def reduce(self, x, shape):
        kind = self.pick("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2")
        keep = int(self.rng.integers(2))
        axes = [a - len(shape) * int(self.rng.integers(2)) for a in range(len(shape))]
        axes = [a for a in axes if self.rng.random() < 0.5]
        if axes:
            self.reduced(kind, x, axes, keepdims=keep)
        else:
            self.node(kind, [x], keepdims=keep)

    def reshape(self, x, shape):
        size, wanted = int(np.prod(shape)), []
        for _ in range(int(self.rng.integers(1, 6))):
            fits = [n for n in range(1, size + 1) if size % n == 0]
            wanted.append(int(self.pick(*fits)))
            size //= wanted[-1]
        wanted.append(-1)
        if wanted[:1] == [*shape[:1]]:
            wanted[0] = self.pick(0, shape[0])
        self.node("Reshape", [x, self.whole(*wanted)])

    def flatten(self, x, shape):
        self.node("Flatten", [x], axis=int(self.rng.integers(len(shape) + 1)))

    def transpose(self, x, shape):
        self.node("Transpose", [x], perm=[int(i) for i in self.rng.permutation(len(shape))])

    def squeeze(self, x, shape):
        ones = [i for i, n in enumerate(shape) if n == 1]
        if ones and self.rng.random() < 0.6:
            self.listed("Squeeze", x, "axes", [self.pick(*ones)], 13)
        else:
            self.listed("Unsqueeze", x, "axes", [int(self.rng.integers(len(shape) + 1))], 13)

    def join(self, x, shape):
        axis = int(self.rng.integers(len(shape)))
        alike = [
            n for n, v in self.values.items() if v.ndim == len(shape) and v.dtype == np.float32
        ]
        longer = list(shape)
        longer[axis] = 2
        other = self.pick(*alike, self.weight(self.numbers(*longer)))
        self.node(
            "Concat", [x, other, x][: self.pick(2, 3)], axis=self.pick(axis, axis - len(shape))
        )

    def split(self, x, shape):
        axis = int(self.rng.integers(len(shape)))
        if shape[axis] < 2:
            return
        parts = [1, shape[axis] - 1]
        if self.opset < 13:
            made = self.node("Split", [x], 2, axis=axis, split=parts)
        else:
            made = self.node("Split", [x, self.whole(*parts)], 2, axis=axis)
        if made:
            self.last = self.pick(*made)

    def cut(self, x, shape):
        axis = int(self.rng.integers(len(shape)))
        n = shape[axis]
        start, end = int(self.rng.integers(-n, n)), self.pick(-1, n, n - 1, 2**31 - 1)
        if self.opset < 10:
            self.node("Slice", [x], starts=[start], ends=[end], axes=[axis])
        elif self.rng.random() < 0.7:
            place = self.pick(axis, axis - len(shape))
            names = [self.whole(v) for v in (start, end, place, self.pick(1, 2))]
            self.node("Slice", [x, *names])
        else:
            far = self.pick(-(2**31), -n - 1, 0)
            self.node("Slice", [x, *(self.whole(v) for v in (self.pick(n + 2, -1), far, axis, -1))])

    def gather(self, x, shape):
        axis = int(self.rng.integers(len(shape)))
        places = self.pick((), (2,), (1, 2))
        low = -shape[axis] if self.opset >= 11 else 0
        indices = self.weight(self.rng.integers(low, shape[axis], places))
        self.node("Gather", [x, indices], axis=axis)

    def softmax(self, x, shape):
        low = -len(shape) if self.opset >= 11 else 0
        kind = self.pick("Softmax", "LogSoftmax")
        if self.opset >= 13:  # the reference knows only what it is since then
            self.node(kind, [x], axis=int(self.rng.integers(low, len(shape))))

    def matmul(self, x, shape):
        size = shape[-1]
        lead = self.pick((), (), shape[:-2], (1,))
        other = self.weight(self.numbers(*lead, size, 3) / np.float32(size))
        self.node("MatMul", [x, other])

    def expand(self, x, shape):
        wanted = [n if n > 1 else self.pick(1, 3) for n in shape]
        self.node("Expand", [x, self.whole(*self.pick([], [2]), *wanted)])

    def pad(self, x, shape):
        widths = [int(n) for n in self.rng.integers(0, 2, 2 * len(shape))]
        mode = self.pick("constant", "constant", "edge", "reflect")
        if mode == "reflect" and min(shape) < 2:
            return
        if self.opset < 11:
            self.node("Pad", [x], pads=widths, mode=mode, value=0.5)
        else:
            self.node("Pad", [x, self.whole(*widths), self.weight(np.float32(0.5))], mode=mode)

    def where(self, x, shape):
        if self.opset < 9:
            return
        mask = np.array(self.rng.random(self.pick(shape, shape[-1:], shape[-2:])) < 0.5)
        self.node("Where", [self.weight(mask), x, self.weight(self.numbers(*shape[-1:]))])

    def by_shape(self, x, shape):
        """What PyTorch writes for `x.view(x.size(0), -1)`, and sums of it."""
        lengths = self.node("Shape", [x])
        axis = int(self.rng.integers(len(shape)))
        one = self.node("Gather", [*lengths, self.weight(np.array(axis))], axis=0)
        if self.rng.random() < 0.3:
            number = self.node("Cast", one, to=1)
            self.node(self.pick("Mul", "Add", "Div"), [x, *number])
            return
        if self.opset < 13:
            row = self.node("Unsqueeze", one, axes=[0])
        else:
            row = self.node("Unsqueeze", [*one, self.whole(0)])
        rest = self.whole(-1)
        if self.rng.random() < 0.5:  # two axes of which one is twice the other's part
            rest = self.whole(1, -1)
        wanted = self.node("Concat", [*row, rest], axis=0)
        if wanted:
            self.node("Reshape", [x, *wanted])

    def channels(self, x, shape):
        """What treats the second axis by itself."""
        if len(shape) < 2:
            return
        scale, bias, mean = (self.weight(self.numbers(shape[1])) for _ in range(3))
        var = self.weight(self.numbers(shape[1]) ** 2 + np.float32(0.5))
        known = self.pools or self.opset >= 14  # before it the reference computes something else
        if known and (self.rng.random() < 0.6 or len(shape) != 4):
            self.node("BatchNormalization", [x, scale, bias, mean, var], epsilon=0.01)
        elif len(shape) == 4:
            self.node(self.pick("GlobalAveragePool", "GlobalMaxPool"), [x])

    def pool(self, x, shape):
        """Convolutions and pools, with every kind of padding."""
        kind = self.pick("Conv", "MaxPool", "AveragePool")
        kernel = [int(n) for n in self.rng.integers(1, 4, 2)]
        attributes = {
            "strides": [int(n) for n in self.rng.integers(1, 4, 2)],
            "kernel_shape": kernel,
        }
        rule = self.pick("NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
        dilated = rule in ("NOTSET", "VALID") and (
            kind == "Conv" or self.opset >= {"MaxPool": 10, "AveragePool": 19}[kind]
        )
        if dilated and self.rng.random() < 0.3:
            attributes["dilations"] = [int(n) for n in self.rng.integers(1, 3, 2)]
        if rule == "NOTSET":
            attributes["pads"] = [int(self.rng.integers(k)) for k in kernel * 2]
        else:  # onnxruntime cuts off pixels where a stride leaves some out
            attributes["auto_pad"] = rule
            pairs = zip(attributes["strides"], kernel, strict=True)
            attributes["strides"] = [min(stride, length + 1) for stride, length in pairs]
        if kind == "Conv":
            groups = self.pick(1, shape[1])
            filters = self.numbers(2 * groups, shape[1] // groups, *kernel)
            self.add_unseen(kind, [x, self.weight(filters)], group=groups, **attributes)
            return
        if self.opset >= 10 and rule == "NOTSET":
            attributes["ceil_mode"] = int(self.rng.integers(2))
        if kind == "AveragePool":
            attributes["count_include_pad"] = int(self.rng.integers(2))
        self.add_unseen(kind, [x], **attributes)

    def add_unseen(self, kind, inputs, **attributes):
        """A node that ends the graph, as the reference does not compute it reliably."""
        self.ending = helper.make_node(kind, inputs, ["end"], **attributes)

    # ------------------------------------------------------------------ the whole

    ending = None

    def model(self):
        nodes = [*self.nodes, *([self.ending] if self.ending else [])]
        output = "end" if self.ending else self.last
        rank = 4 if self.ending else self.values[output].ndim
        info = helper.make_tensor_value_info
        return helper.make_model(
            helper.make_graph(
                nodes,
                "drawn",
                [info("x", 1, self.x.shape)],
                [info(output, 1, [f"d{i}" for i in range(rank)])],
                [numpy_helper.from_array(a, name) for name, a in self.weights.items()],
            ),
            opset_imports=[helper.make_opsetid("", self.opset)],
            ir_version=8,
        )
