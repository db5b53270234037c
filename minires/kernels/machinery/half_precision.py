"""Half precision: numbers are kept as float16 and computed with as float32.

float16 has 11 significant bits and ends at 65,504: 2048 + 1 is 2048, and the sum of a few thousand
activations may be infinite. So sums are float32, and a result is rounded to float16 once, at its
end (Micikevicius et al. 2018, "Mixed precision training", section 3.3). A GPU's matrix products do
so by themselves; NumPy has no fast product of float16 at all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, TypeVar, cast

import numpy as np

from minires.backend import Array, xp_of

Kernel = TypeVar("Kernel", bound=Callable[..., Array])


def computed_in_float32(on: Literal["cpu", "cpu and gpu"]) -> Callable[[Kernel], Kernel]:
    """A decorator: where a kernel's first array is float16, compute in float32 and round once.

    Parameters
    ----------
    on : {"cpu", "cpu and gpu"}
        "cpu" leaves float16 arrays on a GPU as they are, for a kernel that is one matrix product.
    """

    def decorate(kernel: Kernel) -> Kernel:
        @wraps(kernel)
        def run(first: Array, *others: Array, **settings: Any) -> Array:
            if first.dtype != np.float16 or (on == "cpu" and xp_of(first, *others) is not np):
                return kernel(first, *others, **settings)
            wide = (a.astype(np.float32) if a.dtype == np.float16 else a for a in (first, *others))
            return kernel(*wide, **settings).astype(np.float16)

        return cast(Kernel, run)

    return decorate
