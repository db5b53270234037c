"""`python -m benchmarks.gpu.registers`: what each kernel in CUDA C++ takes of a GPU, without one.

NVRTC compiles every kernel of `minires/kernels/cuda`, with every set of macros, as `backend.py` has
CuPy compile it, for three generations of GPUs. The findings go to a file beside the other results
and to the table in docs/cupy.md. It takes about a minute.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks import markdown
from benchmarks.gpu import nvrtc
from minires import backend
from minires.files import atomic_write
from minires.kernels.cuda import convolution

FOLDER = Path(convolution.__file__).parent
CHECKOUT = Path(__file__).resolve().parents[2]
RESULTS = CHECKOUT / "benchmarks" / "results" / "gpu-registers.json"
DOCS = CHECKOUT / "docs" / "cupy.md"

ARCHITECTURES = {"sm_80": "A100", "sm_90": "H100, H200", "sm_100": "B200"}
"""And whose they are."""

MOST = 255
"""Registers that a thread can have."""


def variants() -> Iterator[tuple[str, dict[str, int]]]:
    """Each source file with each set of macros."""
    for path in sorted(FOLDER.glob("*.cu")):
        every = convolution.variants() if path.name == convolution.SOURCE else [{}]
        for macros in every:
            yield path.name, macros


def digest(source: str) -> str:
    """Of a file's text but its comments and spaces: when it changes, compile anew."""
    text, options = backend.cuda_source(source, ())
    code = re.sub(r"\s+", " ", re.sub(r"//[^\n]*", "", text))
    return hashlib.sha256("\0".join((code, *options, *nvrtc.OPTIONS)).encode()).hexdigest()[:16]


def measure(source: str, macros: dict[str, int], architecture: str) -> dict[str, Any]:
    """What each kernel of a variant takes: registers, shared and local memory, spills.

    Raises
    ------
    NoCompiler, CompileError
        As `nvrtc.compiled`.
    """
    text, options = backend.cuda_source(source, tuple(sorted(macros.items())))
    found = nvrtc.compiled(text, architecture, options)
    return {kernel: resources._asdict() for kernel, resources in sorted(found.items())}


def measure_all() -> dict[str, Any]:
    """The whole file of results."""
    everything = list(variants())
    found: dict[str, Any] = {"nvrtc": nvrtc.version()}
    found["digests"] = {source: digest(source) for source, _ in everything}
    found["variants"] = []
    for source, macros in tqdm(everything, leave=False, disable=None):
        by_architecture = {name: measure(source, macros, name) for name in ARCHITECTURES}
        found["variants"].append({"source": source, "macros": macros, "on": by_architecture})
    return found


def recorded() -> dict[str, Any]:
    """What the file of results has."""
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return results


def slow(results: dict[str, Any]) -> list[str]:
    """The kernels for which registers do not suffice, in words; best none."""
    return [
        f"{kernel} {_tile(variant['macros'])} on {name}: {found['local']} bytes of local memory, "
        f"{found['spills']} spilled"
        for variant in results["variants"]
        for name, kernels in variant["on"].items()
        for kernel, found in kernels.items()
        if found["local"] or found["spills"]
    ]


def table(results: dict[str, Any]) -> str:
    """Registers of a thread for each architecture, as Markdown."""
    rows: dict[str, dict[str, Any]] = {}  # by their text: a kernel without tiles is shown once
    for variant in results["variants"]:
        for kernel in next(iter(variant["on"].values())):
            on = {name: kernels[kernel] for name, kernels in variant["on"].items()}
            tiled = any(found["shared"] for found in on.values())
            row = {"kernel": f"`{kernel}`", "tile": _tile(variant["macros"]) if tiled else "—"}
            row |= {f"registers, {name}": found["registers"] for name, found in on.items()}
            row["shared memory"] = max(found["shared"] for found in on.values())
            row["local memory"] = max(found["local"] for found in on.values())
            row["spills"] = max(found["spills"] for found in on.values())
            rows[str(row)] = row
    return markdown.table(list(rows.values()))


def _tile(macros: dict[str, int]) -> str:
    if not macros:
        return "—"
    reads = "4 numbers" if macros["VEC"] else "1 number"
    return f"{macros['BM']}x{macros['BN']}, {reads} a read"


def main() -> None:
    """Compile everything, keep and show what was found."""
    try:
        results = measure_all()
    except (nvrtc.NoCompiler, nvrtc.CompileError) as error:
        raise SystemExit(f"benchmarks.gpu.registers: {error}") from None
    with atomic_write(RESULTS) as file:
        file.write((json.dumps(results, indent=1) + "\n").encode())
    markdown.write(DOCS, {"registers": lambda: table(results)})
    print(table(results))
    print("\n".join(slow(results)) or "No kernel spills or uses local memory.")


if __name__ == "__main__":
    main()
