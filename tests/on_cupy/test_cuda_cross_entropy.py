"""Cross-entropy in CUDA C++ against float64, and mutants of it."""

import numpy as np
import pytest

from minires import Tensor, ops
from on_cupy.cuda_shapes import changed, error

SHAPES = [(rows, C) for rows in (1, 3, 4, 5, 9) for C in (1, 2, 10, 31, 32, 33, 65, 100)]
SHAPES += [(7,), (2, 3, 5), (2, 1, 40)]


def given(shape):
    """Logits, among them -inf, and probabilities."""
    rng = np.random.default_rng(shape)
    logits, target = 5 * rng.normal(size=shape), rng.random(shape) + 1e-3
    if shape[-1] > 2:
        ruled_out = rng.random(shape) < 0.2
        ruled_out[..., 0] = False
        logits[ruled_out], target[ruled_out] = -np.inf, 0
    return logits.astype(np.float32), (target / target.sum(-1, keepdims=True)).astype(np.float32)


def worst(shapes):
    """The largest error of losses and gradients."""
    errors = []
    for shape in shapes:
        logits, target = given(shape)
        results = []
        for device, dtype in (("cpu", np.float64), ("cuda", np.float32)):
            z = Tensor(logits.astype(dtype), requires_grad=True, device=device)
            t = Tensor(target.astype(dtype), device=device).array
            loss = ops.cross_entropy(z, target=t)
            loss.backward(
                Tensor(
                    np.arange(1.0, loss.size + 1).reshape(loss.shape).astype(dtype), device=device
                )
            )
            results.append((loss.array, z.grad.array))
        errors += [error(got, wanted) for wanted, got in zip(*results, strict=True)]
    return max(errors)


def test_float64_agrees_for_every_shape(emulated):
    before = emulated.emulation.overruns()
    assert worst(SHAPES) < 1e-6
    assert emulated.emulation.overruns() == before


def test_one_launch_each_way(emulated):
    z = Tensor(np.zeros((4, 10), np.float32), requires_grad=True, device="cuda")
    t = Tensor(np.full((4, 10), 0.1, np.float32), device="cuda").array
    g = Tensor(np.ones(4, np.float32), device="cuda")
    emulated.start_counting()
    loss = ops.cross_entropy(z, target=t)
    assert emulated.counted()["launches"] == 1
    loss.backward(g)
    assert emulated.counted()["launches"] <= 3  # and the leaf's copy


MUTANTS = {  # what is wrong: text, and what stands there instead
    "the last row left out": ("if (row >= rows) return;", "if (row >= rows - 1) return;"),
    "half a warp": ("step = 16; step; step /= 2) mine", "step = 8; step; step /= 2) mine"),
    "the largest of half a warp": (
        "int step = 16; step; step /= 2) {",
        "int step = 8; step; step /= 2) {",
    ),
    "the last class left out": ("c < classes; c += 32) {", "c < classes - 1; c += 32) {"),
    "a class too many": ("c < classes; c += 32) {", "c <= classes; c += 32) {"),
    "nothing for what is ruled out": ("if (t[c] != 0) dot", "dot"),
    "the upstream gradient left out": (" * upstream", ""),
    "another row's upstream gradient": ("g[row]", "g[0]"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_seen(emulated, name):
    before = emulated.emulation.overruns()
    with changed("cross_entropy.cu", *MUTANTS[name]):
        assert worst([(5, 33), (3, 70)]) > 1e-6 or emulated.emulation.overruns() > before
