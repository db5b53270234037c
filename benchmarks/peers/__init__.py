"""Other libraries that compute with NumPy, and JAX: a ResNet-20 step written in each one's own ops.

MyGrad and HIPS autograd have no networks, so that theirs are here; a step's update is plain NumPy.
Running statistics, which they lack, are not kept: a little less work than minires does.
"""

from __future__ import annotations

from importlib.util import find_spec

from minires.bench import Contestant

_KNOWN = {"mygrad": "MyGrad", "autograd": "HIPS autograd", "jax": "JAX"}


def installed() -> list[Contestant]:
    """Those of the peers that can be imported here."""
    return [
        Contestant(words, f"benchmarks.peers.with_{module}")
        for module, words in _KNOWN.items()
        if find_spec(module)
    ]
