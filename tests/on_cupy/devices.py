"""What a test knows of the GPU it runs on, and how minires is given one."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minires import backend
from on_cupy.strict import stand_in

HERE = Path(__file__).parent


class Gpu:
    """What tests know of the device they run on.

    Attributes
    ----------
    kind : "strict", "emulated" or "real"
    cupy : module
    emulation : Emulation or None
    """

    def __init__(self, kind: str, cupy: Any, emulated: Any = None) -> None:
        self.kind, self.cupy, self.emulation = kind, cupy, emulated
        self._before: dict[str, int] = {}

    def start_counting(self) -> None:
        """Forget what was counted before."""
        self._before = self._counts()

    def counted(self) -> dict[str, int]:
        """Copies, synchronisations and, if emulated, launches and products since the start."""
        return {key: value - self._before[key] for key, value in self._counts().items()}

    def _counts(self) -> dict[str, int]:
        return dict(stand_in.counts) if self.kind == "strict" else self.emulation.counts()

    def array(self, values: Any, dtype: Any = None) -> Any:
        """An array on the device."""
        return self.cupy.asarray(np.asarray(values, dtype))


class cupy_is:
    """`with cupy_is(module):` minires finds this module as CuPy; None means that there is none."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __enter__(self) -> None:
        self.before = sys.modules.get("cupy"), backend._working_cupy, backend._default
        sys.modules["cupy"], backend._working_cupy = self.module, None

    def __exit__(self, *_: object) -> None:
        cupy, backend._working_cupy, backend._default = self.before
        if cupy is None:
            del sys.modules["cupy"]
        else:
            sys.modules["cupy"] = cupy


def asked_for(config: pytest.Config) -> bool:
    """Whether this run names this folder; then on CI nothing in it may be skipped."""
    paths = (Path(arg.partition("::")[0]).resolve() for arg in config.args)
    return any(path == HERE or HERE in path.parents for path in paths)


def skip_or_fail(config: pytest.Config, message: str) -> None:
    """Skip with a message; where CI asks for these tests, fail with it."""
    if asked_for(config) and os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
