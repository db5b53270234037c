# %% [markdown]
# # Solutions to notebook 11: The same code on a GPU
#
# In full (`MINIRES_SOLUTIONS=full`) the second half runs on CuPy, on a GPU or emulated as in the notebook.

# %%
import sys

import numpy as np

import minires
from instructor.given import SOURCES, from_notebook, sized
from minires import Tensor, optim
from minires.backend import xp_of
from minires.engine import op
from minires.nn import functional as F

rng = np.random.default_rng(0)
emulated = cupy = None
if sized(False, True):
    sys.path.insert(0, str(SOURCES.parent.parent / "tests"))
    from on_cupy import emulation

    if emulation.obstacle() is None:
        emulated = emulation.install()
    import cupy

# %% [markdown]
# ## Exercise 1: make it run
#
# `np.zeros(1)` is an array of the host, and CuPy does not mix its arrays with those of NumPy: a `TypeError`. And the
# function names `np`: `np.where` happens to hand over to CuPy, which not every function does, and an operation that
# names NumPy says where it runs. Ask for the module, and write the 0 as a number.


# %%
def standardize(x):
    xp = xp_of(x)
    return xp.where(x > 0, (x - x.mean()) / x.std(), 0)


x = np.arange(3.0)
expected = np.where(x > 0, (x - x.mean()) / x.std(), np.zeros(1))
assert np.array_equal(standardize(x), expected)
if cupy:
    there = cupy.arange(3.0)
    before = emulated.counts()["to_host"] if emulated else 0
    found = standardize(there)
    assert type(found) is cupy.ndarray
    assert not emulated or emulated.counts()["to_host"] == before
    assert np.allclose(found.get(), expected)

# %% [markdown]
# ## Exercise 2: deeper
#
# Forward and backward launch a fixed number of kernels for each layer, so the launches grow by the
# layers: 245 · 56 / 20 = 686 for ResNet-56 (the stem, the loss and the optimiser, which are there
# once, make it a little less). Arithmetic grows by the layers just as well, so the batch at which it takes over is
# nearly the same.

# %%
predicted = 245 * 56 / 20
work = {
    name: minires.models.create(name, 10, 3).summary((32, 32, 3)).multiply_adds
    for name in ("resnet20", "resnet56")
}
ratio = work["resnet56"] / work["resnet20"]
print(
    f"predicted {predicted:.0f} launches; {56 / 20:.2f} times the layers, {ratio:.2f} times the work"
)
assert 2.5 < ratio < 3.3
if emulated:
    (count_a_step,) = from_notebook("11", "count_a_step")
    count_a_step.__globals__["emulated"] = emulated
    launches = {
        name: sum(n["launches"] for n in count_a_step(name, batch=128).values()) for name in work
    }
    print(launches)
    assert abs(predicted / launches["resnet56"] - 1) < 0.05

# %% [markdown]
# ## Exercise 3: one launch a weight
#
# The kernel reads `g` and updates `w` and `v`, number by number. Here it is in Python too, as what must come out.
# The library's `sgd` kernel takes a table of addresses and sizes, up to 80 parameters, as one argument; each row of
# the grid works on one parameter, so one launch does for all of them.


# %%
def update(w, g, v, lr=0.1, momentum=0.9, decay=1e-3):
    v[...] = momentum * v + (g + decay * w)
    w[...] -= lr * v


gradients = rng.normal(size=(10, 4, 3)).astype(np.float32)
theirs = Tensor(np.ones((4, 3), np.float32), requires_grad=True)
optimizer = optim.SGD([theirs], lr=0.1, momentum=0.9, weight_decay=1e-3)
w, v = np.ones((4, 3), np.float32), np.zeros((4, 3), np.float32)
for g in gradients:
    update(w, g, v)
    theirs.grad = Tensor(g)
    optimizer.step()
assert np.abs(w - theirs.numpy()).max() < 1e-6
if cupy:
    kernel = cupy.ElementwiseKernel(
        "T g, T lr, T momentum, T decay",
        "T w, T v",
        "v = momentum * v + g + decay * w; w -= lr * v",
        "sgd_update",
    )
    w, v = cupy.ones((4, 3), "float32"), cupy.zeros((4, 3), "float32")
    for g in gradients:
        g = cupy.asarray(g)
        before = emulated.counts()["launches"] if emulated else 0
        kernel(g, np.float32(0.1), np.float32(0.9), np.float32(1e-3), w, v)
        assert not emulated or emulated.counts()["launches"] == before + 1
    assert np.abs(w.get() - theirs.numpy()).max() < 1e-6


@op
def add_relu(x, y):
    return xp_of(x).maximum(x + y, 0)


@add_relu.vjp
def add_relu_vjp(g, out):
    g = g * (out > 0)
    return g, g


x, y = (rng.normal(size=(2, 3, 3, 4)) for _ in "xy")
assert minires.gradcheck(add_relu, [x, y])
assert np.array_equal(add_relu(Tensor(x), Tensor(y)).numpy(), F.relu(Tensor(x) + Tensor(y)).numpy())
