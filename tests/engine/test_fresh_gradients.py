"""Gradients that a rule makes anew become a leaf's own without a copy, and are nobody else's."""

import itertools

import numpy as np
import pytest

import minires
from minires import Tensor, ops
from minires.engine import registry
from minires.kernels import ConvGeometry

rng = np.random.default_rng(0)


def leaf(*shape):
    return Tensor(rng.normal(size=shape), requires_grad=True)


USES = {  # of two leaves or three, some of them used twice
    "conv2d": (
        lambda x, w: ops.conv2d(x, w, geometry=ConvGeometry()),
        [(2, 5, 5, 3), (3, 3, 3, 4)],
    ),
    "batch_norm": (ops.batch_norm, [(2, 5, 5, 3), (3,), (3,)]),
    "matmul": (ops.matmul, [(4, 4), (4, 4)]),
    "a product with itself": (lambda x, y: ops.matmul(x, x) + y, [(4, 4), (4, 4)]),
    "used again, before": (lambda x, y: x * 2 + ops.matmul(x, y), [(4, 4), (4, 4)]),
    "used again, after": (lambda x, y: ops.matmul(x, y) + x * 2, [(4, 4), (4, 4)]),
    "one array, two leaves": (lambda x, y: ops.matmul(x + y, y), [(4, 4), (4, 4)]),
    "stretched": (ops.matmul, [(3, 4, 4), (1, 4, 4)]),
}


def test_these_rules_say_so():
    said = {op.name for op in registry.values() if op.fresh}
    assert said == {"conv2d", "batch_norm", "matmul"}


@pytest.mark.parametrize("name", USES)
def test_no_two_leaves_share_memory_and_a_second_pass_adds(name):
    function, shapes = USES[name]
    leaves = [leaf(*shape) for shape in shapes]
    out = function(*leaves)
    g = Tensor(rng.normal(size=out.shape))
    before = g.numpy().copy()
    wanted = minires.grad(out, leaves, g, retain_graph=True)
    out.backward(g, retain_graph=True)
    grads = [x.grad.numpy() for x in leaves]
    for one, other in itertools.combinations([*grads, g.numpy(), *(x.numpy() for x in leaves)], 2):
        assert not np.shares_memory(one, other)
    out.backward(g)
    for x, once in zip(leaves, wanted, strict=True):
        np.testing.assert_allclose(x.grad.numpy(), 2 * once.numpy(), rtol=1e-12)
    np.testing.assert_array_equal(g.numpy(), before)


@pytest.mark.parametrize("name", ["conv2d", "matmul"])
def test_what_a_hook_or_a_result_keeps_stays(name):
    function, shapes = USES[name]
    x, w = (leaf(*shape) for shape in shapes)
    seen = []
    between = x * 1
    between.register_hook(seen.append)
    between.retain_grad()
    out = function(between, w) + function(between, w) * 2
    out.backward(Tensor(np.ones(out.shape)))
    kept = seen[0].numpy().copy()
    x.grad.array[...] = 0
    np.testing.assert_array_equal(seen[0].numpy(), kept)
    np.testing.assert_array_equal(between.grad.numpy(), kept)
