# %% [markdown]
# # 15 · A compiler in 200 lines
#
# A residual network in evaluation mode does the same operations for every image, in the same order, with the
# same weights. So the operations can be recorded once as a list, and the list can be shortened before it runs a
# thousand times. This is what compilers for neural networks do. Here you build one.
#
# After this notebook you will be able to
#
# * record what a model does as a list of operations, and say which models cannot be recorded;
# * fold a batch norm into the weights before it, and check that the results are the same up to rounding;
# * fuse bias, residual add and ReLU with a convolution, so that all of them are applied to a number while it is
#   in the cache;
# * transform weights once, in advance, and let values reuse memory;
# * read `minires.compile`, which does the same with more checks.
#
# About 25 minutes. You need notebooks 03 (convolution), 04 (batch norm) and 06 (the residual add); 12 (where
# the time goes) helps. Times are measured on the machine that runs the notebook.

# %%
import time
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np

import minires
from minires import Tensor, models, no_grad, viz
from minires.kernels import ConvGeometry, conv2d
from minires.kernels.convolution import winograd, winograd_1d
from minires.kernels.machinery.epilogue import BiasResidualReLU, no_epilogue
from minires.observers import observe

rng = np.random.default_rng(0)
minires.manual_seed(0)
network = models.create("resnet8")
images = rng.normal(size=(16, 32, 32, 3)).astype(np.float32)
with no_grad():
    network(Tensor(images))  # in training mode: the running statistics see a batch
network.eval()
with no_grad():
    expected = network(Tensor(images)).data


def compare_times(*functions, rounds=15):
    """Milliseconds of each function, taking turns: the medians."""
    times = [[] for _ in functions]
    for _ in range(rounds + 1):  # the first round does not count
        for function, own in zip(functions, times, strict=True):
            began = time.perf_counter()
            function()
            own.append(1e3 * (time.perf_counter() - began))
    return [float(np.median(own[1:])) for own in times]


# %% [markdown]
# ## 1. Record
#
# Every operation of minires goes through one function, the engine's `Op.__call__`, and can be observed there:
# `observe(f)` calls `f(op, arrays, constants, result)` after the forward pass of every operation. So to record
# a model, run it once and note every call. A *step* of our list holds the operation, its inputs and its output.
# Values are numbered. An array that no step produced, such as a weight, is a constant.
#
# **Predict** how many steps ResNet-8 has: 7 convolutions, each with a batch norm, 3 residual blocks, one
# linear layer. (Guess between 10 and 50.)


# %%
class Step:
    """One operation: `inputs` are numbers of values (wrapped in a list) or constants."""

    def __init__(self, op, inputs, constants, out):
        self.op, self.inputs, self.constants, self.out = op, inputs, constants, out
        self.bias = self.residual = None
        self.relu = False

    def name(self):
        extras = [("bias", self.bias is not None), ("add", self.residual), ("relu", self.relu)]
        return " + ".join([self.op.name, *(word for word, there in extras if there)])


def record(model, example):
    """The steps that depend on the example, and the number of the last value."""
    numbers = {id(example): [0]}
    steps, alive = [], [example]  # an id is an array's own as long as that lives

    def note(op, arrays, constants, result):
        alive.extend([*arrays, result.data])
        if any(id(a) in numbers for a in arrays):
            inputs = [numbers.get(id(a), a) for a in arrays]
            number = numbers[id(result.data)] = [len(steps) + 1]
            steps.append(Step(op, inputs, constants, number[0]))

    with no_grad(), observe(note):
        model(Tensor(example))
    return steps


steps = record(network, images)
print(len(steps), "steps:", dict(Counter(step.name() for step in steps)))

# %% [markdown]
# The list does not contain what does not depend on the images. In evaluation mode the scale and the shift of a
# batch norm depend only on its weights and running statistics, so they were computed during recording. They are
# constants of `scale_shift`, the only operation that remains of a batch norm.
#
# Running the list needs no Module, no Tensor and no graph:


# %%
def run(steps, x):
    """Do the steps on arrays, one after another."""
    values = {0: x}
    for step in steps:
        inputs = [values[i[0]] if isinstance(i, list) else i for i in step.inputs]
        out = execute(step, inputs, values)
        values[step.out] = out
    return values[steps[-1].out]


def execute(step, inputs, values):
    """One step: the operation's forward, and what has been joined to it."""
    out = step.op.forward(*inputs, **step.constants)
    if step.bias is not None:
        out = out + step.bias
    if step.residual is not None:
        out = out + values[step.residual]
    return np.maximum(out, 0) if step.relu else out


assert np.array_equal(run(steps, images), expected)
print("the list gives the model's result, to the bit")

# %% [markdown]
# What *cannot* be recorded? Anything that Python does with the numbers outside of the operations. This model
# has a branch:


# %%
def moody(x):
    return x * 2 if x.mean().item() > 0 else x - 5


happy, sad = (np.full((2, 2), value, np.float32) for value in (1.0, -1.0))
wrong = run(record(moody, happy), sad)
print("recorded on happy, run on sad:", wrong[0], "- the model says", moody(Tensor(sad)).data[0])

# %% [markdown]
# The list has only the branch that was taken. Our recorder does not notice this. A careful one refuses the
# model, and names the line:

# %%
try:
    minires.compile(moody, happy)
except ValueError as error:
    print(str(error).rpartition("/")[2])

# %% [markdown]
# ## 2. Fold
#
# A batch norm in evaluation multiplies channel $o$ by $s_o$ and adds $t_o$. A convolution is linear in its
# weights. So the weights can include the scale:
#
# $$ s_o \sum_p x_p\, w_{p,o} + t_o \;=\; \sum_p x_p\, (w_{p,o}\, s_o) + t_o $$
#
# This saves one pass over all numbers, and the shift becomes a bias. The rewrite looks for a pattern: a
# `scale_shift` whose input is the output of a convolution, and which is the only step that reads this output.


# %%
def readers(steps):
    """How many steps read each value."""
    found = Counter(i[0] for step in steps for i in step.inputs if isinstance(i, list))
    found.update(step.residual for step in steps if step.residual is not None)
    return found


def maker(steps, value, kinds):
    """The step that makes a value, if it is of one of these kinds and has one reader."""
    if not isinstance(value, list) or readers(steps)[value[0]] != 1:
        return None
    return next((s for s in steps if s.out == value[0] and s.op.name in kinds), None)


def replace(steps, step, by):
    """`by` makes what `step` made, in its place."""
    steps.remove(by)
    steps[steps.index(step)] = by
    by.out = step.out


def fold_batch_norms(steps):
    for step in list(steps):
        if step.op.name == "scale_shift" and (conv := maker(steps, step.inputs[0], {"conv2d"})):
            scale, shift = (a.astype(np.float64) for a in step.inputs[1:])
            conv.inputs[1] = (conv.inputs[1] * scale).astype(np.float32)
            conv.bias = shift.astype(np.float32)
            replace(steps, step, conv)


recorded = len(steps)
fold_batch_norms(steps)
error = np.abs(run(steps, images) - expected).max() / np.abs(expected).max()
print(f"{recorded} steps became {len(steps)}; the results differ by {error:.0e} of the largest")
assert error < 1e-5

# %% [markdown]
# The results are not the same bit for bit, because rounding happens in other places. But they are no less
# accurate.
#
# ## 3. Fuse
#
# Next we fuse the residual add and the ReLU with the convolution before them (the code calls this *join*). It
# changes no number. It only makes them a part of that step, so that the code which computes the step can apply
# all three to a block of the output at once. The fused step takes the place of the add. **Predict**: why can it
# not stay in the earlier place of the convolution?


# %%
def join(steps):
    for step in list(steps):
        if step not in steps:
            continue
        if step.op.name == "add" and all(isinstance(i, list) for i in step.inputs):
            for made, other in (step.inputs, step.inputs[::-1]):
                conv = maker(steps, made, {"conv2d"})
                if conv and conv.residual is None and not conv.relu:
                    conv.residual = other[0]
                    replace(steps, step, conv)
                    break
        elif step.op.name == "relu":
            conv = maker(steps, step.inputs[0], {"conv2d"})
            if conv and not conv.relu:
                conv.relu = True
                replace(steps, step, conv)


join(steps)
assert np.abs(run(steps, images) - expected).max() < 1e-5 * np.abs(expected).max()
for step in steps:
    print(step.name())

# %% [markdown]
# The add needs the output of the other branch when the blocks of the convolution are finished, and that branch
# may be computed after the original place of the convolution.
#
# `viz.rewrites` shows what the library's compiler does to the same network. Step through it.

# %%
plan = minires.compile(network, images[:1])
viz.rewrites(plan)

# %% [markdown]
# ## 4. Finish in the cache
#
# So far a fused step still makes several passes over memory. But a convolution works in blocks that fit into
# the cache. If bias, add and ReLU are applied to a block just after it has been written, its numbers are still
# in the cache. The library's algorithms call an *epilogue* for each range of positions that has been written:

# %%
x = rng.normal(size=(16, 32, 32, 16)).astype(np.float32)
w = rng.normal(size=(3, 3, 16, 16)).astype(np.float32) / 12
bias, residual = np.ones(16, np.float32), rng.normal(size=x.shape).astype(np.float32)
same = ConvGeometry(padding=(1, 1))
out = np.empty_like(x)


def apart():
    winograd_1d.correlate(x, w, out, same, no_epilogue)
    return np.maximum(out + bias + residual, 0)


def together():
    winograd_1d.correlate(x, w, out, same, BiasResidualReLU(out, bias, residual, True))
    return out


assert np.array_equal(apart(), together())
separate, joined = compare_times(apart, together)
print(f"three passes after it {separate:.2f} ms, in its blocks {joined:.2f} ms")

# %% [markdown]
# How much this saves depends on the machine, and it may be little.
#
# ## 5. Prepare
#
# Winograd's algorithm (notebook 12) transforms the weights before it multiplies. In training they change at
# every step; here they never do. So they can be transformed once, when the list is made:

# %%
w = rng.normal(size=(3, 3, 256, 256)).astype(np.float32) / 48
x = rng.normal(size=(1, 14, 14, 256)).astype(np.float32)
target = np.empty_like(x)
prepared = winograd.prepare(w, 2)


def each_time():
    winograd.correlate(x, w, target, same, no_epilogue, 2)


def once():
    winograd.correlate_prepared(x, prepared, target, same, no_epilogue, 2)


anew, constant = compare_times(each_time, once)
print(f"transforming the weights each time {anew:.2f} ms, once {constant:.2f} ms")
assert np.allclose(target, conv2d(x, w, geometry=same), atol=1e-3)

# %% [markdown]
# ## 6. Plan memory
#
# Every step writes a new array. But a value is no longer needed once the last step that reads it has run, and
# its memory can then hold another value. So go through the list, find for each value the step that reads it
# last, and reuse the buffers that become free:


# %%
def read_by(step):
    """The numbers of the values that a step reads."""
    numbers = [i[0] for i in step.inputs if isinstance(i, list)]
    return numbers if step.residual is None else [*numbers, step.residual]


def last_reads(steps):
    """For each value, in which step it is read for the last time."""
    last = {}
    for now, step in enumerate(steps):
        last |= dict.fromkeys([step.out, *read_by(step)], now)
    last[steps[-1].out] = len(steps)  # the result is read after them all
    return last


def plan_memory(steps, sizes):
    """For each value the number of its buffer, and the buffers' sizes."""
    last, buffers, free, place = last_reads(steps), [], [], {}
    for now, step in enumerate(steps):
        fitting = [b for b in free if buffers[b] >= sizes[step.out]]
        if fitting:
            place[step.out] = min(fitting, key=buffers.__getitem__)
            free.remove(place[step.out])
        else:
            place[step.out] = len(buffers)
            buffers.append(sizes[step.out])
        free += [place[value] for value in place if last[value] == now]
    return place, buffers


sizes, values = {}, {0: images}
for step in steps:
    inputs = [values[i[0]] if isinstance(i, list) else i for i in step.inputs]
    values[step.out] = execute(step, inputs, values)
    sizes[step.out] = values[step.out].nbytes
place, buffers = plan_memory(steps, sizes)
print(f"{len(sizes)} values of {sum(sizes.values()) / 1e6:.1f} MB in all")
print(f"lie in {len(buffers)} buffers of {sum(buffers) / 1e6:.1f} MB")

# %%
fig, ax = plt.subplots(figsize=(8, 3))
last = last_reads(steps)
for start, step in enumerate(steps):
    length = min(last[step.out], len(steps) - 1) - start + 0.9
    ax.barh(place[step.out], length, left=start, height=0.8)
    ax.text(start + 0.1, place[step.out], str(step.out), va="center", fontsize=8)
ax.set(xlabel="step", ylabel="buffer", yticks=range(len(buffers)))
ax.set_title("Which value lies in which buffer, from when it is made until it is read last")
plt.show()

# %% [markdown]
# ## 7. The whole compiler
#
# `minires.compile` uses these ideas and adds what we left out. It refuses models that a list cannot repeat, and
# compares the results of every plan with those of its model. It chooses an algorithm for each convolution,
# knowing that the weights are constant. On each thread it sends a part of the images through the whole list. It
# notices when weights have changed. `print(plan)` shows what it decided, and why:

# %%
print(plan)

# %%
plan = minires.compile(network, images)


def eager():
    with no_grad():
        network(Tensor(images))


plain, listed, compiled = compare_times(eager, lambda: run(steps, images), lambda: plan(images))
print(f"eager {plain:.1f} ms, our list {listed:.1f} ms, minires.compile {compiled:.1f} ms")
error = np.abs(plan(images).data - expected).max() / np.abs(expected).max()
assert error < 1e-5

# %% [markdown]
# ## What to keep
#
# * A model whose Python code does not depend on the numbers is a list of operations.
# * What depends on weights alone is computed once: a batch norm's scale goes into the weights.
# * Process numbers while they are in the cache.
# * The memory of a value is free when the last step that reads it has run.
# * A compiler may change the rounding and nothing else, and this must be checked.
#
# ## Exercises
#
# (Difficulty from 1, a few lines, to 3, an idea of your own; the minutes are without training times.)
#
# 1. **Fuse a bias.** *(difficulty 2, 30 min)* `network.fc` is a `matmul` and an `add` of a constant vector.
#    Write a rewrite that makes the vector the `bias` of the product. *You are right if* the list is one step
#    shorter and the results are the same bit for bit.
# 2. **Pool first.** *(difficulty 2, 30 min)* ResNet-18 begins with a convolution, a ReLU and a max pooling. Why
#    may the ReLU come after the pooling instead, and by what factor does this reduce the count of numbers that
#    it processes? Write the rewrite. *You are right if* `run` gives the same bits for
#    `models.resnet18(num_classes=10)` in evaluation, on one image of 64 × 64.
# 3. **Refuse.** *(difficulty 2, 30 min)* Make `record` notice the branch in `moody`, without changing the
#    engine: record twice, on two inputs, and compare the lists. *You are right if* `moody` raises an error and
#    `network` does not. Which models with a branch does this not detect?
