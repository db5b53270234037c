# %% [markdown]
# # Solutions to notebook 15: A compiler in 200 lines

# %%
import numpy as np
import pytest

import minires
from instructor.given import from_notebook
from minires import Tensor, models, no_grad

record, run, maker, replace, moody = from_notebook(
    "15", "record", "run", "maker", "replace", "moody"
)
rng = np.random.default_rng(0)

# %% [markdown]
# ## Exercise 1: fuse a bias
#
# An `add` of which one input is made by a `matmul` with one reader, and the other is a constant: the constant
# becomes the product's bias. `execute` adds a bias right after the operation, the same addition of the same
# numbers, so the bits are the same.


# %%
def join_bias(steps):
    for step in list(steps):
        if step.op.name != "add":
            continue
        for made, other in (step.inputs, step.inputs[::-1]):
            product = maker(steps, made, {"matmul"})
            if product and not isinstance(other, list) and product.bias is None:
                product.bias = other
                replace(steps, step, product)
                break


minires.manual_seed(0)
network = models.create("resnet8").eval()
images = rng.normal(size=(4, 32, 32, 3)).astype(np.float32)
steps = record(network, images)
before, expected = len(steps), run(steps, images)
join_bias(steps)
assert len(steps) == before - 1
assert np.array_equal(run(steps, images), expected)
print(f"{before} steps, then {len(steps)}; the last is {steps[-1].name()}")

# %% [markdown]
# ## Exercise 2: pool first
#
# ReLU never decreases: of two numbers the larger stays the larger (or both become 0). So the largest of the
# ReLUs is the ReLU of the largest, to the bit. The pooling has stride 2 in both directions, so ReLU works on a
# quarter of the numbers. (Padding is no exception: the pooling pads with $-\infty$, and every window
# has a pixel of the image.)


# %%
def pool_first(steps):
    for pool in list(steps):
        if pool.op.name != "max_pool2d":
            continue
        relu = maker(steps, pool.inputs[0], {"relu"})
        if relu:
            at = steps.index(relu)
            steps.remove(pool)
            steps.insert(at, pool)
            pool.inputs[0], relu.inputs[0] = relu.inputs[0], [relu.out]
            pool.out, relu.out = relu.out, pool.out


resnet18 = models.resnet18(num_classes=10).eval()
image = rng.normal(size=(1, 64, 64, 3)).astype(np.float32)
steps = record(resnet18, image)
expected = run(steps, image)
assert [step.op.name for step in steps[2:4]] == ["relu", "max_pool2d"]
pool_first(steps)
assert [step.op.name for step in steps[2:4]] == ["max_pool2d", "relu"]
assert np.array_equal(run(steps, image), expected)

# %% [markdown]
# ## Exercise 3: refuse
#
# Two lists are alike if they have the same operations, of the same inputs and constants, in the same
# order. One recording is compared with another that was made on other numbers.


# %%
def same(a, b):
    if isinstance(a, list) or isinstance(b, list):  # numbers of values
        return a == b
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and np.array_equal(a, b)
    return type(a) is type(b) and a == b


def careful_record(model, example, other):
    first, second = record(model, example), record(model, other)
    alike = len(first) == len(second) and all(
        s.op.name == t.op.name
        and same(s.constants, t.constants)
        and len(s.inputs) == len(t.inputs)
        and all(map(same, s.inputs, t.inputs))
        for s, t in zip(first, second, strict=True)
    )
    if not alike:
        raise ValueError("what the model does depends on its input's values")
    return first


happy, sad = (np.full((2, 2), value, np.float32) for value in (1.0, -1.0))
with pytest.raises(ValueError, match="depends on its input"):
    careful_record(moody, happy, sad)
careful_record(network, images, rng.normal(size=images.shape).astype(np.float32))

# %% [markdown]
# Two inputs on which a branch goes the same way cannot tell that there is one: with `moody` any two inputs of
# positive mean. Nor can any finite number of recordings rule out a branch that is taken rarely, such as one
# for images with an entry above a million. A result that is computed outside of the engine is seen only as a
# constant, and only where it differs for the two inputs.

# %%
careful_record(moody, happy, 2 * happy)  # slips through


def rare(x):
    return x * 2 if x.max().item() < 1e6 else x - 5


steps = careful_record(rare, happy, sad)
large = np.full((2, 2), 1e7, np.float32)
with no_grad():
    assert not np.array_equal(run(steps, large), rare(Tensor(large)).numpy())
