"""What is measured on a GPU, part by part: each gives names with their figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np

from benchmarks.gpu import model
from minires import Tensor, kernels, models, no_grad, optim
from minires.kernels import ConvGeometry
from minires.nn import functional as F

Figures = Iterator[tuple[str, Any]]

CASES = [  # images, size, channels, filters, kernel, stride, padding: each a layer of the networks
    (64, 56, 64, 64, 3, 1, 1),
    (64, 28, 128, 128, 3, 1, 1),
    (64, 14, 256, 256, 3, 1, 1),
    (64, 7, 512, 512, 3, 1, 1),
    (64, 56, 64, 128, 3, 2, 1),
    (32, 56, 256, 64, 1, 1, 0),
    (32, 56, 64, 256, 1, 1, 0),
    (64, 224, 3, 64, 7, 2, 3),
    (128, 32, 16, 16, 3, 1, 1),
    (128, 16, 32, 32, 3, 1, 1),
    (128, 8, 64, 64, 3, 1, 1),
]
SMALL = [(2, 9, 3, 16, 3, 1, 1), (2, 8, 16, 32, 3, 2, 1), (1, 7, 64, 130, 1, 1, 0)]
RESERVE = 30
"""Seconds before the end when nothing more is begun."""


def find_torch() -> tuple[Any, str | None]:
    """PyTorch, if it is there and has a GPU; otherwise why not."""
    try:
        import torch

        found = torch.cuda.is_available()
    except (ImportError, AttributeError) as error:
        return None, str(error)
    return (torch, None) if found else (None, "it finds no GPU")


class Bench:
    """The parts.

    Parameters
    ----------
    cupy : module
    torch : module or None
    tiny : bool
        At a size that shows only whether it runs.
    left : callable
        The seconds that are left.
    """

    def __init__(self, cupy: Any, torch: Any, tiny: bool, left: Callable[[], float]) -> None:
        self.cupy, self.torch, self.tiny, self._left = cupy, torch, tiny, left
        self._rng = np.random.default_rng(0)

    def late(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._left() < (0 if self.tiny else RESERVE)

    def all(self) -> list[Callable[[], Figures]]:
        """In the order of what they decide."""
        return [self.ceilings, self.right, self.steps, self.launch, self.layers]

    def about(self) -> dict[str, Any]:
        """What it is measured on."""
        found = self.cupy.cuda.runtime.getDeviceProperties(0)
        name, processors = found["name"].decode(), found["multiProcessorCount"]
        return {"GPU": name, "multiprocessors": processors, "CuPy": self.cupy.__version__}

    def clock(
        self, work: Callable[[], Any], torch: bool = False, times: int = 11
    ) -> dict[str, float]:
        """Medians of milliseconds: between events on the GPU, and of Python's part."""
        cuda = self.torch.cuda if torch else self.cupy.cuda
        wait = cuda.synchronize if torch else cuda.Device().synchronize
        on_gpu, on_host = [], []
        for _ in range(1 if self.tiny else 3):
            work()
        wait()
        for _ in range(1 if self.tiny else times):
            first, last = (
                (cuda.Event(enable_timing=True) if torch else cuda.Event()) for _ in range(2)
            )
            first.record()
            began = time.perf_counter()
            work()
            on_host.append((time.perf_counter() - began) * 1e3)
            last.record()
            wait()
            between = first.elapsed_time(last) if torch else cuda.get_elapsed_time(first, last)
            on_gpu.append(between)
        return {"ms": median(on_gpu), "host ms": median(on_host), "least ms": min(on_gpu)}

    def normal(self, *shape: int) -> Any:
        """Random numbers; large arrays repeat them."""
        some = self.cupy.asarray(self._rng.standard_normal(1 << 14).astype(np.float32))
        return self.cupy.resize(some, shape)

    # ------------------------------------------------------------------ the parts

    def ceilings(self) -> Figures:
        """What the memory and cuBLAS give at best."""
        x = self.cupy.ones(1 << (10 if self.tiny else 28), np.float32)
        y = self.cupy.empty_like(x)
        found = self.clock(lambda: self.cupy.copyto(y, x))
        yield "copy", found | {"GB/s": 2 * x.nbytes / found["ms"] / 1e6}
        side = 16 if self.tiny else 8192
        a, b = self.normal(side, side), self.normal(side, side)
        found = self.clock(lambda: a @ b)
        yield "product", found | {"TFLOP/s": 2 * side**3 / found["ms"] / 1e9}

    def right(self) -> Figures:
        """Each kernel's largest error against float64, and whether it gives the same again."""
        for case in SMALL:
            if self.late():
                return
            x, w, g, calls = self._convolution(case)
            wide = [a.get().astype(np.float64) for a in (x, w, g)]
            wanted = self._calls(*wide, case)
            found = {}
            for name, call in calls.items():
                got, again = call().get(), call().get()
                exact = wanted[name]()
                off = float(abs(got - exact).max() / abs(exact).max())
                found[name] = {"error": off, "same again": bool((got == again).all())}
            yield str(case), found

    def steps(self) -> Figures:
        """Whole training steps, and inference, beside PyTorch's in channels_last."""
        sizes = {"resnet20": (2, 8, 10)} if self.tiny else model.NETWORKS
        for name, (images, size, classes) in sizes.items():
            if self.late():
                return
            yield name, self._step(name, images, size, classes)
            self.cupy.get_default_memory_pool().free_all_blocks()
            if self.torch and name != "resnet20":
                for tf32 in (False, True):
                    if not self.late():
                        yield (
                            f"{name}, PyTorch, TF32 {tf32}",
                            self._torch_step(name, images, size, tf32),
                        )

    def _step(self, name: str, images: int, size: int, classes: int) -> dict[str, Any]:
        network = models.create(name, classes, 3).to("cuda")
        optimizer = optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
        x, labels = Tensor(self.normal(images, size, size, 3)), np.zeros(images, np.int64)

        def step() -> None:
            optimizer.zero_grad()
            F.cross_entropy(network(x), labels).backward()
            optimizer.step()

        found = {"step": self.clock(step)}
        network.eval()
        with no_grad():
            found["inference"] = self.clock(lambda: network(x))
        return found

    def _torch_step(self, name: str, images: int, size: int, tf32: bool) -> dict[str, Any]:
        import torchvision

        torch = self.torch
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
        last = torch.channels_last
        network = getattr(torchvision.models, name)().cuda().to(memory_format=last)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
        x = torch.randn(images, 3, size, size, device="cuda").to(memory_format=last)
        labels = torch.zeros(images, dtype=torch.long, device="cuda")

        def step() -> None:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(x), labels).backward()
            optimizer.step()

        found = {"step": self.clock(step, torch=True)}
        network.eval()
        with torch.no_grad():
            found["inference"] = self.clock(lambda: network(x), torch=True)
        return found

    def launch(self) -> Figures:
        """What one call of a small array costs: microseconds, of many in a row."""
        x, count = self.normal(4, 4), 5 if self.tiny else 500
        calls = {"x + x": lambda: x + x, "x @ x": lambda: x @ x, "sum": lambda: x.sum()}
        for name, call in calls.items():
            found = self.clock(lambda call=call: [call() for _ in range(count)], times=3)
            yield name, {key.replace("ms", "us"): ms * 1e3 / count for key, ms in found.items()}

    def layers(self) -> Figures:
        """Each convolution in TFLOP/s and GB/s."""
        for case in SMALL[:1] if self.tiny else CASES:
            if self.late():
                return
            x, w, g, calls = self._convolution(case)
            flop, size = 2 * g.size * w.size / w.shape[3], x.nbytes + w.nbytes + g.nbytes
            found = {}
            for name, call in calls.items():
                took = self.clock(call)
                rates = {"TFLOP/s": flop / took["ms"] / 1e9, "GB/s": size / took["ms"] / 1e6}
                found[name] = took | rates
            yield str(case), found

    def _convolution(
        self, case: tuple[int, ...]
    ) -> tuple[Any, Any, Any, dict[str, Callable[[], Any]]]:
        images, size, C, O, K, stride, padding = case
        out = (size + 2 * padding - K) // stride + 1
        x, w = self.normal(images, size, size, C), self.normal(K, K, C, O)
        g = self.normal(images, out, out, O)
        return x, w, g, self._calls(x, w, g, case)

    def _calls(self, x: Any, w: Any, g: Any, case: tuple[int, ...]) -> dict[str, Callable[[], Any]]:
        _, size, _, _, K, stride, padding = case
        walk = ConvGeometry((stride, stride), (padding, padding))
        return {
            "forward": lambda: kernels.conv2d(x, w, geometry=walk),
            "dx": lambda: kernels.conv2d_dx(g, w, input_size=(size, size), geometry=walk),
            "dw": lambda: kernels.conv2d_dw(x, g, kernel_size=(K, K), geometry=walk),
        }
