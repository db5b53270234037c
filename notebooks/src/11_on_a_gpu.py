# %% [markdown]
# # 11 · The same code on a GPU
#
# The other notebooks do not mention a GPU, and yet their code runs on one. How is that possible, and what
# does it cost? After this notebook you will be able to
#
# * write an operation once, for NumPy and CuPy, and name the lines that would break it;
# * count what a training step asks of a GPU: launches, products, copies, synchronisations;
# * say from these counts, **without a GPU**, when a larger batch is free and when it is not;
# * write a CUDA kernel in one line, and know what it saves.
#
# About 20 minutes. You need notebooks 01 (operations and their rules) and 08 (the loop).
#
# ## 1. Which GPU?
#
# If there is an NVIDIA GPU here and CuPy is installed, this notebook uses them. If there is none,
# it uses a tool from the tests of minires: the *real* CuPy, on an emulated
# device. CuPy writes CUDA C++ for every operation as always, but g++ compiles it, the processor
# runs it, and a counter notes every launch and copy. It shows everything but speed
# ([docs/cupy.md](../docs/cupy.md) explains it; `pip install -e '.[cupy-on-cpu]'` in a clone gets
# it).

# %%
import ctypes
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minires
from minires import Tensor, data, models, optim
from minires.backend import DeviceError, xp_of
from minires.engine import op
from minires.nn import functional as F


def a_real_gpu():
    """Whether a CUDA driver is here and finds a device; asked without CuPy."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int()
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 < count.value


emulated = None
kind, why = None, "no CUDA driver finds a GPU"
if a_real_gpu():
    kind = "real"
else:
    sys.path.insert(0, str(Path(minires.__file__).parents[1] / "tests"))
    try:
        from on_cupy import emulation

        obstacle = emulation.obstacle()
    except ImportError:
        obstacle = "the emulated one is in the tests of a clone of minires, and this is none"
    if obstacle is None:
        emulated, kind = emulation.install(), "emulated"
    else:
        why = f"{why}, and {obstacle}"


def gpu_here(otherwise):
    """Whether there is a GPU of either kind; if not, say what the cell would show."""
    if kind is None:
        print(f"(no GPU, so this cell does nothing. It would show {otherwise})")
    return kind is not None


print(f"GPU: {kind}" if kind else f"GPU: none ({why})")
if kind:
    import cupy

    print(f"CuPy {cupy.__version__}, " + ("on the processor" if emulated else "on the device"))

# %% [markdown]
# ## 2. The array backend
#
# CuPy is NumPy with its arrays in the GPU's memory: the same functions under the same names. So an
# operation does not need to know where it runs. It only must not write `np`:


# %%
@op
def sigmoid(x):
    xp = xp_of(x)  # the module that x belongs to: numpy or cupy
    return 1 / (1 + xp.exp(-x))


@sigmoid.vjp
def sigmoid_vjp(g, out):
    return (g * out * (1 - out),)


values = np.array([-2.0, -0.5, 0.5, 3.0])
x = Tensor(values, requires_grad=True)
print(minires.gradcheck(sigmoid, [x]))
gradient = minires.grad(sigmoid(x).sum(), x)
print("on", gradient.device, gradient.numpy())

if gpu_here("the same four gradients, computed by CuPy"):
    x = Tensor(values, requires_grad=True).to("cuda")
    there = minires.grad(sigmoid(x).sum(), x)
    print("on", there.device, there.numpy())
    assert np.allclose(there.numpy(), gradient.numpy(), rtol=1e-12)

# %% [markdown]
# One function, `xp_of`, selects the library. There is no `if` for the device; `x.to("cuda")` moved the
# data, and from then on every operation runs where its inputs are.
#
# **Predict.** `x` is on the GPU. Which of these lines fail? Which is the most dangerous?
#
# 1. `np.ones(3) + x`
# 2. `np.exp(x)`
# 3. `x[np.array([0, 7])]` (`x` has three elements)
# 4. a minires tensor on the CPU plus one on the GPU

# %%
if gpu_here("what each of the four lines does"):
    x = cupy.asarray([1.0, 2.0, 3.0])
    try:
        np.ones(3) + x
    except TypeError as error:
        print("1.", type(error).__name__, "-", error)
    print("2.", type(np.exp(x)), "- works: NumPy hands over to CuPy")
    print("3.", x[cupy.array([0, 7])], "- no error: 7 wrapped around to 1")
    try:
        Tensor(np.ones(3)) + Tensor(x)
    except DeviceError as error:
        print("4.", type(error).__name__, "-", error)

# %% [markdown]
# The third is the dangerous one. A kernel cannot raise, so CuPy wraps an index that is out of
# range, and a wrong label becomes another wrong label. That is why minires checks labels on the
# host.
#
# ## 3. The same network, the same numbers?
#
# **Predict:** ResNet-8 with the same weights on both, six steps of SGD. Are the losses equal to
# the bit? If not, to how many digits, and do they drift apart?

# %%
images = data.fashion_mini().images[:8, ::2, ::2]  # 14 x 14 pixels: an emulated GPU is slow
labels = data.fashion_mini().labels[:8]


def train(device, dtype, steps=6):
    """The losses of a few steps."""
    minires.manual_seed(0)
    pixels = Tensor((images / 255).astype(dtype)).to(device)
    model = models.resnet8(num_classes=10, in_channels=1).to(dtype=dtype).to(device)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(pixels), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


here = {dtype: train("cpu", dtype) for dtype in ("float32", "float64")}
print("losses on the CPU:", here["float32"])
if gpu_here("how far the losses on the two devices are apart"):
    for dtype in here:
        there = train("cuda", dtype)
        apart = ", ".join(f"{d:.0e}" for d in np.abs(there - here[dtype]))
        print(f"{dtype}: the two devices' losses are apart by {apart}")
    assert np.allclose(there, here["float64"], rtol=1e-9)

# %% [markdown]
# Not to the bit: sums are taken in another order, and in floating point $(a + b) + c \ne a + (b +
# c)$. (The weights *began* equal to the bit, since minires draws all random numbers on the host.)
# In float32 the first losses agree to about seven digits, and soon perhaps to three only. No sum is so
# inexact. But sooner or later one of 100,000 ReLUs' inputs is within $10^{-7}$ of zero, and its gradient
# passes on one device and not on the other: a kink (notebook 02), and both are right. From then on the two
# train slightly different networks. In float64 inputs so close to zero are rarer by far.
#
# > When two runs disagree, repeat them in float64 before you look for a bug. The effect of a bug remains.
# > That of rounding disappears.
#
# ## 4. What does a step cost?
#
# The processor tells the GPU what to do, one **kernel launch** at a time, and does not wait. A
# launch costs some 5 µs however small its array. Now count, for ResNet-20 and 128 small images.
# **Predict** how many launches a step takes: twenty layers, forward and backward, and an optimiser.

# %%
PHASES = ("forward", "backward", "optimiser", "loss.item()")


def count_a_step(name, batch, size=32):
    """What each phase of the second step asks of the emulated device, computing nothing."""
    model = models.create(name, 10, 3).to("cuda")
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    x = Tensor(np.zeros((batch, size, size, 3), np.float32)).to("cuda")
    y = np.zeros(batch, np.int64)
    table = {}
    with emulated.counting_only():
        for _ in range(2):  # the first also uploads constants
            optimizer.zero_grad()
            before = [emulated.counts()]
            loss = F.cross_entropy(model(x), y)
            before.append(emulated.counts())
            loss.backward()
            before.append(emulated.counts())
            optimizer.step()
            before.append(emulated.counts())
            loss.item()
            before.append(emulated.counts())
            for phase, start, end in zip(PHASES, before, before[1:], strict=False):
                table[phase] = {key: end[key] - start[key] for key in end}
    return table


launches, products = 245, 3  # what the emulated device counts, where there is none
if emulated:
    table = count_a_step("resnet20", batch=128)
    print(f"{'':12} launches  products  uploads  downloads  synchronisations")
    for phase, n in table.items():
        row = (n["launches"], n["products"], n["to_device"], n["to_host"], n["synchronisations"])
        print(f"{phase:12} {row[0]:8}  {row[1]:8}  {row[2]:7}  {row[3]:9}  {row[4]:16}")
    launches = sum(n["launches"] for n in table.values())
    products = sum(n["products"] for n in table.values())
elif gpu_here("launches and copies by phase; docs/cupy.md has the table"):
    print("a real GPU does not count for us: docs/cupy.md has the table")
print(f"in all {launches} launches, {products} matrix products")

# %% [markdown]
# Some 250. With one of CuPy's kernels for each array operation it would be over a thousand, most of them copies,
# sums and masks; here each convolution, batch norm and the loss are kernels of their own, and the optimiser updates
# all parameters in one launch (`minires/kernels/cuda`).
#
# Now a model of the time. The launches cost about $250 \times 5\,$µs $= 1.2$ ms, for **any** batch. From Python
# each call costs more, since the host has to prepare it: when a step was 1,280 calls it took 47 ms and 77 ms on
# two machines ([docs/cupy.md](../docs/cupy.md)), 37 and 60 µs a call. The
# arithmetic grows with the batch: ResNet-20 does 41 million multiply-adds per image, three times
# that with the backward pass. Take a GPU that does $10^{13}$ operations a second, a modest one.
# **Predict:** up to which batch size is a larger batch free?

# %%
summary = models.create("resnet20", 10, 3).summary((32, 32, 3))
per_image = 3 * 2 * summary.multiply_adds
batches = 2 ** np.arange(0, 13)
launching = np.full(len(batches), (launches + products) * 5e-6)
computing = batches * per_image / 1e13

figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
axes.loglog(batches, launching * 1e3, label="launches: 5 µs each")
axes.loglog(batches, 10 * launching * 1e3, ":", label="calls from Python: 50 µs each")
axes.loglog(batches, computing * 1e3, label=r"arithmetic: $10^{13}$ operations a second")
axes.loglog(batches, np.maximum(launching, computing) * 1e3, "k--", label="the step, at best")
if kind == "real":
    measured = []
    for batch in batches[:11]:
        model = models.create("resnet20", 10, 3).to("cuda")
        x = Tensor(np.zeros((batch, 32, 32, 3), np.float32)).to("cuda")
        times = []
        for _ in range(5):
            began = time.perf_counter()
            F.cross_entropy(model(x), np.zeros(batch, np.int64)).backward()
            cupy.cuda.Device().synchronize()
            times.append(time.perf_counter() - began)
        measured.append(np.median(times))
    axes.loglog(batches[:11], np.array(measured) * 1e3, "o", label="measured here")
axes.set(xlabel="batch size (images)", ylabel="time of a step (ms)")
axes.legend(fontsize=8)
plt.show()
crossing = launching[0] / (per_image / 1e13)
print(
    f"{per_image / 1e6:.0f} million operations per image; the arithmetic takes longer than the "
    f"launches from {crossing:.0f} images on, and than calls at 50 µs from {10 * crossing:.0f} on"
)

# %% [markdown]
# **What to see.** Left of the crossing the GPU idles between launches, and twice the batch costs
# nothing. Right of it, the arithmetic counts and twice the batch takes twice the time. A small
# network on a large GPU lives on the left: there *fewer launches* make it faster, not faster
# arithmetic. (A model, not a measurement: it leaves out memory, which is slower than arithmetic.)
#
# ## 5. Synchronise rarely
#
# One more column of the table matters: **synchronisations**. `loss.item()` copies four bytes to the host, and
# to do so the host must wait until the GPU has done *everything* that it was told. As long as the
# host runs ahead, launches cost the GPU nothing; a wait after every line puts an end to that.
#
# **Predict** the synchronisations in ten steps of two loops: one adds up `loss.item()`, the other adds up
# `loss.data`, a number that stays on the GPU, and asks once at the end.


# %%
def ten_steps(ask_every_time):
    minires.manual_seed(0)
    weight = Tensor(np.ones((4, 3), np.float32), requires_grad=True).to("cuda")
    inputs = Tensor(np.ones((5, 4), np.float32)).to("cuda")
    total = 0
    for _ in range(10):
        loss = F.cross_entropy(inputs @ weight, np.zeros(5, np.int64))
        total = total + (loss.item() if ask_every_time else loss.data)
    return float(total)


if emulated:
    for ask in (True, False):
        before = emulated.counts()["synchronisations"]
        total = ten_steps(ask)
        waits = emulated.counts()["synchronisations"] - before
        print(
            f"{'loss.item()' if ask else 'loss.data  '}: sum {total:.4f}, {waits} synchronisations"
        )
elif gpu_here("how often each of the two synchronises"):
    for ask in (True, False):
        ten_steps(ask)  # the first time compiles kernels
        began = time.perf_counter()
        ten_steps(ask)
        print(f"{'loss.item()' if ask else 'loss.data  '}: {time.perf_counter() - began:.4f} s")

# %% [markdown]
# `print(loss)`, `float(loss)`, `if loss > 3` and `x[mask]` all wait, too.
#
# ## 6. A kernel of your own
#
# The end of every residual block is $\max(x + y, 0)$. **Predict** how many launches that takes as
# two operations of minires. Then write it as one kernel: CuPy compiles this line of C++ for the
# GPU, and lays it over arrays of any shape.

# %%
if gpu_here("the launches of both"):
    add_relu = cupy.ElementwiseKernel("T x, T y", "T z", "z = x + y > 0 ? x + y : T(0)", "add_relu")
    rng = np.random.default_rng(0)
    x, y = (Tensor(rng.normal(size=(2, 8, 8, 16)).astype(np.float32)).to("cuda") for _ in "xy")

    def two_operations():
        return F.relu(x + y).data

    def one_kernel():
        return add_relu(x.data, y.data)

    assert np.array_equal(two_operations().get(), one_kernel().get())
    for function in (two_operations, one_kernel):
        if emulated:
            before = emulated.counts()["launches"]
            function()
            print(f"{function.__name__}: {emulated.counts()['launches'] - before} launches")
        else:
            began = time.perf_counter()
            for _ in range(1000):
                function()
            cupy.cuda.Device().synchronize()
            print(f"{function.__name__}: {(time.perf_counter() - began) * 1e3:.1f} µs")

# %% [markdown]
# Such a *fused* kernel also reads and writes memory once instead of twice, and memory is
# what limits most operations on a GPU. This is a main idea of "compiling" a network: fewer, larger kernels.
# The price is that they cannot be combined freely: this kernel has no gradient until you write one (exercise 3).
#
# ## What to keep
#
# * One function, `xp_of`, and no `np.` in an operation: that is what runs on both.
# * Kernels cannot raise. Check indices on the host.
# * Launches set a lower bound for the time of a step. Below it, a larger batch is free.
# * Never ask the GPU for a number that you do not need now.
#
# ## Exercises
#
# (Difficulty from 1, a few lines, to 3, an idea of your own; the minutes are without training times.)
#
# 1. **Make it run.** *(difficulty 1, 15 min)* `def standardize(x): return np.where(x > 0, (x - x.mean()) / x.std(),
#    np.zeros(1))` works on NumPy. Name the line's two mistakes, correct them, and run it on both. *You are
#    right if* `type(standardize(cupy.arange(3.0)))` is CuPy's and nothing was copied to the host.
# 2. **Deeper.** *(difficulty 1, 20 min)* Predict from the table of section 4 the launches of a ResNet-56 step,
#    and check
#    with `count_a_step`. *You are right if* you are within 5%. At which batch does arithmetic take
#    over now, and why is that nearly the same number?
# 3. **One launch a weight.** *(difficulty 3, 60 min)* Write SGD with momentum and weight decay as *one*
#    `ElementwiseKernel`
#    on `w`, `g` and `v` (an argument named in the second string may be written to), and train with
#    it. *You are right if* ten steps equal `optim.SGD`'s to 1e-6 and your
#    optimiser launches one kernel for each parameter. The library's launches one for all of them: how
#    (`minires/kernels/cuda/update.cu`)? Then give `add_relu` a gradient rule with `@op`.
