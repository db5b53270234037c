"""`python -m benchmarks.gpu.model`: how long a training step should take on a GPU, layer by layer.

A model, which nothing has been measured for: arithmetic on the launches of a step, as counted on
the emulated CuPy (`python tests/on_cupy/launches.py` records them), on the registers that NVRTC
gives the kernels, on datasheets, and on the assumptions that are named in `ASSUMED`. It shows which
layer to look at first, and what a real GPU's time must be compared with.
"""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from benchmarks import markdown
from benchmarks.gpu import registers

LAUNCHES = registers.RESULTS.with_name("gpu-launches.json")
NETWORKS = {"resnet20": (128, 32, 10), "resnet18": (64, 224, 1000), "resnet50": (32, 224, 1000)}
"""Images, their size, classes."""

Row = dict[str, Any]
"""A launch: layer, pass, kernel, blocks, threads, bytes, flop; of convolutions also tile and vector
of their macros, and what is multiplied in whole tiles."""


@dataclass(frozen=True)
class Gpu:
    """What a datasheet says.

    Attributes
    ----------
    name, architecture : str
    bandwidth : float
        Of its memory, bytes a second.
    peak : float
        float32 multiplications and additions a second, without tensor cores.
    processors : int
        Multiprocessors.
    shared : int
        Bytes of shared memory of each.
    source : str
    """

    name: str
    architecture: str
    bandwidth: float
    peak: float
    processors: int
    shared: int
    source: str


GPUS = (
    Gpu("A100", "sm_80", 2.039e12, 19.5e12, 108, 164 << 10, "NVIDIA A100 80GB SXM datasheet"),
    Gpu("H100", "sm_90", 3.35e12, 67e12, 132, 228 << 10, "NVIDIA H100 SXM datasheet"),
    Gpu("H200", "sm_90", 4.8e12, 67e12, 132, 228 << 10, "NVIDIA H200 SXM datasheet"),
)

REGISTERS, THREADS, BLOCKS = 65536, 2048, 32
"""Of a multiprocessor at most (CUDA C++ Programming Guide, compute capabilities 8.0 and 9.0)."""

STREAMING = 0.8
FLIGHT, LATENCY = 16, 600e-9
EFFICIENCY = {16: 0.3, 32: 0.3, 64: 0.45, 128: 0.6}
PRODUCTS = 0.5
GAP = 3e-6
CALLS = {"slow host": 72e-6, "fast host": 28e-6}

ASSUMED = (
    f"Memory gives {STREAMING:.0%} of the datasheet's bandwidth; nothing is found in the L2 cache. "
    "An array is read or written once for each argument that it is of a launch.",
    f"A thread has {FLIGHT} bytes on their way at a time, and they take {LATENCY * 1e9:.0f} ns: so "
    "few blocks cannot use all of the bandwidth.",
    f"A multiprocessor gets to {EFFICIENCY[128]:.0%} of its peak in a convolution with tiles of "
    f"128 columns, to {EFFICIENCY[64]:.0%} with 64 and to {EFFICIENCY[32]:.0%} with fewer; it "
    "computes whole tiles, also at the edges, and a launch takes as long as the multiprocessor "
    f"with the most blocks. cuBLAS gets to {PRODUCTS:.0%}.",
    f"Between two launches the GPU is idle for {GAP * 1e6:.0f} microseconds.",
    f"A launch takes Python {CALLS['fast host'] * 1e6:.0f} or {CALLS['slow host'] * 1e6:.0f} "
    "microseconds: on two machines inference with ResNet-20 took 10 and 26 ms, when it was 359 "
    "calls. GPU and Python work at the same time.",
)
"""In words; all but the last are guesses."""


# ---------------------------------------------------------------------- one launch


def resident(row: Row, gpu: Gpu) -> int:
    """Blocks of a launch that one multiprocessor has at a time."""
    threads = row["threads"]
    most = min(BLOCKS, THREADS // threads)
    key = row["kernel"], row.get("tile"), row.get("vector")
    found = _resources(gpu.architecture).get(key)
    if found is None:  # a kernel that CuPy wrote: small
        return most
    per_thread = -(-found["registers"] // 8) * 8  # they are given out in eights
    most = min(most, REGISTERS // (per_thread * threads))
    return max(1, min(most, gpu.shared // (found["shared"] + 1024)))  # 1 KB is the system's


_known: dict[str, dict[Any, Any]] = {}


def _resources(architecture: str) -> dict[Any, Any]:
    """What kernels take, by name, tile and whether four numbers are read at once."""
    if architecture not in _known:
        _known[architecture] = {
            (kernel, variant["macros"].get("BN"), variant["macros"].get("VEC")): found
            for variant in registers.recorded()["variants"]
            for kernel, found in variant["on"][architecture].items()
        }
    return _known[architecture]


def floor(row: Row, gpu: Gpu) -> float:
    """The seconds that a launch's bytes and FLOP take at the datasheet's speeds."""
    return max(row.get("bytes", 0) / gpu.bandwidth, row["flop"] / gpu.peak)


def predicted(row: Row, gpu: Gpu) -> float:
    """The seconds from one launch to the next."""
    return max(moving(row, gpu), computing(row, gpu)) + GAP


def moving(row: Row, gpu: Gpu) -> float:
    """What a launch's bytes take, with as much on its way as its blocks can have."""
    if not row.get("bytes"):
        return 0.0
    at_once = min(row["blocks"], resident(row, gpu) * gpu.processors)
    reached = at_once * row["threads"] * FLIGHT / LATENCY
    return row["bytes"] / min(STREAMING * gpu.bandwidth, reached)


def computing(row: Row, gpu: Gpu) -> float:
    """What a launch's multiplications and additions take on the processor with the most blocks."""
    if row["kernel"] == "cuBLAS":
        return row["flop"] / (gpu.peak * PRODUCTS)
    if not row["flop"]:
        return 0.0
    blocks = math.ceil(row["blocks"] / gpu.processors)
    speed = gpu.peak / gpu.processors * EFFICIENCY[row["tile"]]
    return blocks * row["multiplied"] / row["blocks"] / speed


# ---------------------------------------------------------------------- a step


@dataclass(frozen=True)
class Sums:
    """Launches together: how many, FLOP and bytes, and the seconds of floor and prediction."""

    launches: int
    flop: int
    bytes: int
    floor: float
    predicted: float

    @classmethod
    def of(cls, rows: Iterable[Row], gpu: Gpu) -> Sums:
        """Of some launches."""
        rows = list(rows)
        return cls(
            len(rows),
            sum(row["flop"] for row in rows),
            sum(row.get("bytes", 0) for row in rows),
            math.fsum(floor(row, gpu) for row in rows),
            math.fsum(predicted(row, gpu) for row in rows),
        )


def recorded() -> dict[str, list[Row]]:
    """Every launch of a step of each network."""
    found: dict[str, list[Row]] = json.loads(LAUNCHES.read_text(encoding="utf-8"))
    return found


def grouped(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    """Rows by a key, in the order of their first."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


KINDS = {
    "conv_forward": "convolution, forward",
    "conv_dx": "convolution, dx",
    "conv_dw": "convolution, dw",
    "add_shares": "convolution, dw",
    "norm_statistics": "batch norm",
    "norm_gradient_sums": "batch norm",
    "sgd": "update",
}


def kind(row: Row) -> str:
    """What sort of work a launch is, in words."""
    if row["kernel"] in KINDS:
        return KINDS[row["kernel"]]
    layer = row["layer"]
    if "bn" in layer or ".downsample." in layer:
        return "batch norm"
    if any(word in layer for word in ("relu", "add", "downsample", "sums of gradients")):
        return "ReLU and additions"
    return "pooling, last layer, loss"


def _cells(sums: Sums) -> Iterator[tuple[str, Any]]:
    yield "launches", sums.launches
    yield "GFLOP", f"{sums.flop / 1e9:.1f}"
    yield "GB", f"{sums.bytes / 1e9:.2f}"
    yield "floor, ms", f"{sums.floor * 1e3:.2f}"
    yield "predicted, ms", f"{sums.predicted * 1e3:.2f}"


def by_layer(rows: Iterable[Row], gpu: Gpu) -> str:
    """A row for each layer and pass, as Markdown."""
    groups = grouped(rows, lambda row: f"{row['layer']}, {row['pass']}")
    table = [{"layer": name, **dict(_cells(Sums.of(some, gpu)))} for name, some in groups.items()]
    return markdown.table(table)


def by_kind(steps: dict[str, list[Row]], gpu: Gpu) -> str:
    """A row for each network and kind of work, as Markdown."""
    table = []
    for name, rows in steps.items():
        groups = grouped(rows, kind)
        for words in dict.fromkeys([*KINDS.values(), *groups]):
            if words in groups:
                sums = Sums.of(groups[words], gpu)
                table.append({"network": name, "kind": words, **dict(_cells(sums))})
    return markdown.table(table)


def totals(steps: dict[str, list[Row]]) -> str:
    """A row for each network and GPU, as Markdown."""
    table = []
    for name, rows in steps.items():
        images, size, _ = NETWORKS[name]
        for gpu in GPUS:
            sums = Sums.of(rows, gpu)
            row = {"network": name, "images": f"{images} of {size}x{size}", "GPU": gpu.name}
            row |= dict(_cells(sums))
            for words, call in CALLS.items():
                row[f"Python, {words}, ms"] = f"{sums.launches * call * 1e3:.1f}"
            table.append(row)
    return markdown.table(table)


def pages() -> dict[str, Callable[[], str]]:
    """The parts of docs/cupy.md that are written from here."""
    steps = recorded()
    h100 = next(gpu for gpu in GPUS if gpu.name == "H100")
    sheets = [
        f"{gpu.name}: {gpu.bandwidth / 1e12:.2f} TB/s, {gpu.peak / 1e12:.1f} TFLOP/s in float32, "
        f"{gpu.processors} multiprocessors ({gpu.source})."
        for gpu in GPUS
    ]
    return {
        "model": lambda: totals(steps),
        "model by kind": lambda: by_kind(steps, h100),
        "assumptions": lambda: _listed([*ASSUMED, *sheets]),
    }


def _listed(sentences: Iterable[str]) -> str:
    lines = (textwrap.fill(s, 100, initial_indent="- ", subsequent_indent="  ") for s in sentences)
    return "\n".join(lines)


def main(
    network: Annotated[str, typer.Argument(help="resnet20, resnet18 or resnet50.")] = "",
    gpu: Annotated[str, typer.Option(help="A100, H100 or H200.")] = "H100",
    write: Annotated[bool, typer.Option("--write", help="Write docs/cupy.md's tables.")] = False,
) -> None:
    """Predicted milliseconds of a training step: of a network by layer, or of all together."""
    steps, gpus = recorded(), {g.name: g for g in GPUS}
    if gpu not in gpus or network not in ("", *steps):
        raise typer.BadParameter(f"networks are {', '.join(steps)}; GPUs are {', '.join(gpus)}")
    if write:
        markdown.write(registers.DOCS, pages())
    print("A model, not a measurement. It assumes:", _listed(ASSUMED), "", sep="\n")
    if network:
        print(by_layer(steps[network], gpus[gpu]))
        steps = {network: steps[network]}
    else:
        print(totals(steps))
    print(f"\nBy kind, {gpu}:\n", by_kind(steps, gpus[gpu]), sep="\n")


if __name__ == "__main__":
    typer.run(main)
