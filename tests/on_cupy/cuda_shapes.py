"""Shapes for the kernels in CUDA C++, and changes to their text that tests must notice."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from minires import backend
from minires import kernels as package

FOLDER = Path(package.__file__).parent / "cuda"


def error(got: Any, wanted: np.ndarray) -> float:
    """The largest difference, as a share of the largest number; NaN and infinity count as 1."""
    off = np.abs(got.get().astype(np.float64) - wanted)
    return float(np.nan_to_num(off / (np.abs(wanted).max() + 1e-30), nan=1, posinf=1).max())


@contextmanager
def changed(source: str, before: str, after: str) -> Iterator[None]:
    """While a kernel's file has another text: a mutant."""
    text = (FOLDER / source).read_text(encoding="utf-8")
    assert before in text, f"{source} has no {before!r} any more"
    compiled = backend._cuda_module

    @cache
    def module(name: str, definitions: Sequence[tuple[str, int]]) -> Any:
        import cupy

        code, options = backend.cuda_source(name, definitions)
        code = code.replace(before, after) if name == source else code
        return cupy.RawModule(code=code, options=options)

    backend._cuda_module = module
    backend.compiled_cuda.cache_clear()
    try:
        yield
    finally:
        backend._cuda_module = compiled
        backend.compiled_cuda.cache_clear()
