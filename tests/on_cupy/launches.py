"""Every launch of a training step, by layer: what benchmarks.gpu.model makes its prediction of.

python tests/on_cupy/launches.py    # where the CuPy wheel and g++ are; no GPU; some minutes, 16 GB
"""

import gc
import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import minires.backward
from benchmarks.gpu import model
from minires import Tensor, models, observers, optim
from minires.files import atomic_write
from minires.kernels import cuda
from minires.nn import functional as F

Row = dict[str, Any]
FLOAT = 4  # bytes
CONVOLUTIONS = "conv_forward", "conv_dx", "conv_dw"  # the third argument is what they fill


class Recorder:
    """Whose launches come now, and what those of our own kernels move and compute."""

    def __init__(self, emulated: Any) -> None:
        self._emulated = emulated
        self._now = "loss", "forward"
        self._marks: list[tuple[int, int, tuple[str, str]]] = []
        self._kernels: dict[int, Row] = {}  # by the number of the launch
        self._nodes: dict[Any, str] = {}
        self.became(*self._now)

    def became(self, layer: str, phase: str) -> None:
        """From here on launches are a layer's."""
        counts = self._emulated.counts()
        self._now = layer, phase
        self._marks.append((counts["launches"], counts["products"], self._now))

    @contextmanager
    def inside(self, layer: str, phase: str) -> Iterator[None]:
        """Launches in the `with` block are a layer's."""
        before = self._now
        self.became(layer, phase)
        try:
            yield
        finally:
            self.became(*before)

    @contextmanager
    def watching(self, network: Any) -> Iterator[None]:
        """Follow a network's layers, the rules of what they computed, and our own kernels."""
        hooks = []
        for name, layer in network.named_modules():
            if not list(layer.children()):
                pre, post = partial(self._enter, name), lambda *_: self.became("loss", "forward")
                hooks += [layer.register_forward_pre_hook(pre), layer.register_forward_hook(post)]
        rule, compiled = minires.backward.run_rule, cuda.compiled_cuda

        def run_rule(node: Any, *args: Any) -> Any:
            with self.inside(self._nodes.pop(node, "loss"), "backward"):
                return rule(node, *args)

        def noted(source: str, macros: Any, name: str) -> Callable[..., None]:
            return partial(self._launch, compiled(source, macros, name), dict(macros), name)

        minires.backward.run_rule, cuda.compiled_cuda = run_rule, noted
        try:
            with observers.observe(forward=self._computed):
                yield
        finally:
            minires.backward.run_rule, cuda.compiled_cuda = rule, compiled
            for hook in hooks:
                hook.remove()

    def _enter(self, name: str, *_: Any) -> None:
        self.became(name, "forward")

    def _computed(self, op: Any, arrays: Any, constants: Any, result: Any) -> None:
        if result.node is not None:
            self._nodes[result.node] = self._now[0]

    def _launch(
        self, kernel: Any, macros: Any, name: str, grid: Any, block: Any, args: Any
    ) -> None:
        number = self._emulated.counts()["launches"]
        self._kernels[number] = {"tile": macros.get("BN"), "vector": macros.get("VEC")}
        self._kernels[number] |= {"bytes": moved(args), "flop": computed(name, args)}
        if name in CONVOLUTIONS:  # of which as many are multiplied as tiles have room for
            room = math.prod(grid) * macros["BM"] * macros["BN"] / args[2].size
            self._kernels[number]["multiplied"] = round(computed(name, args) * room)
        kernel(grid, block, args)

    def rows(self, launches: Any, first: int, products: list[int]) -> list[Row]:
        """A row for each launch, and for each product of cuBLAS; `products` says of what FLOP."""
        found: list[Row] = []
        ends = [
            *self._marks[1:],
            (first + len(launches), self._emulated.counts()["products"], None),
        ]
        for (start, before, (layer, phase)), (end, after, _) in zip(self._marks, ends, strict=True):
            where = {"layer": layer, "pass": phase}
            for number in range(start, end):
                launch = launches[number - first]
                row = {"kernel": launch.kernel, "blocks": launch.blocks, "threads": launch.threads}
                row |= {"bytes": launch.moved, "flop": 0} | self._kernels.get(number, {})
                found.append(where | {k: v for k, v in row.items() if v is not None})
            found += [
                where | {"kernel": "cuBLAS", "flop": products.pop()} for _ in range(before, after)
            ]
        return found


def moved(args: Any) -> int:
    """The bytes of a kernel's arrays; of a table of parameters those of all in it."""
    total = sum(a.nbytes for a in args if hasattr(a, "__cuda_array_interface__"))
    for table in args:
        if isinstance(table, np.void) and table.dtype.names == ("of",):
            of = table["of"]
            passes = 3 + 2 * sum(
                (of[name] != 0).astype(int) for name in ("first", "second", "third")
            )
            total += FLOAT * int((of["size"] * passes).sum())
    return total


def computed(name: str, args: Any) -> int:
    """Multiplications and additions of a convolution; of other kernels they do not count."""
    if name not in CONVOLUTIONS:
        return 0
    p = next(a for a in args if isinstance(a, np.void))
    return 2 * math.prod(int(p[f]) for f in ("N", "Ho", "Wo", "KH", "KW", "C", "O", "groups"))


def record(emulated: Any, name: str, images: int, size: int, classes: int) -> list[Row]:
    """The launches of the second step of a network."""
    network = models.create(name, classes, 3).to("cuda")
    parameters = list(network.parameters())
    optimizer = optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    x = Tensor(np.zeros((images, size, size, 3), np.float32)).to("cuda")
    labels = np.zeros(images, np.int64)
    with emulated.counting_only():
        for _ in range(2):
            optimizer.zero_grad()
            recorder, first = Recorder(emulated), emulated.counts()["launches"]
            with emulated.logging() as launches, recorder.watching(network):
                loss = F.cross_entropy(network(x), labels)
                recorder.became("sums of gradients", "backward")
                loss.backward()
                recorder.became("optimiser", "update")
                optimizer.step()
            features = next(p.shape[0] for p in parameters if p.ndim == 2)
            rows = recorder.rows(launches, first, [2 * images * features * classes] * 3)
            del loss
            gc.collect()
    return rows


def main() -> None:
    """Record every network."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from on_cupy import emulation

    emulated = emulation.install()
    found = {name: record(emulated, name, *sizes) for name, sizes in model.NETWORKS.items()}
    with atomic_write(model.LAUNCHES) as file:
        lines = ",\n".join(
            f' "{name}": [\n  ' + ",\n  ".join(map(json.dumps, rows)) + "\n ]"
            for name, rows in found.items()
        )
        file.write(f"{{\n{lines}\n}}\n".encode())
    for name, rows in found.items():
        print(name, len(rows))


if __name__ == "__main__":
    main()
