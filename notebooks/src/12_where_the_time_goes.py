# %% [markdown]
# # 12 · Where the time goes
#
# One convolution, computed in ten ways: by seven loops, by four versions that we write here, and by five
# algorithms of the library. Little changes except the order of the work, and the fastest is tens of thousands
# of times as fast as the loops.
#
# After this notebook you will be able to
#
# * measure honestly, and say how fast your machine *could* be;
# * write a convolution as loops, as nine products, as one product (im2col), as three products of rows, and by
#   Winograd's algorithm, which needs fewer multiplications;
# * say what each costs in memory and accuracy, and under which conditions it can be used;
# * find out where a whole training step spends its time, and how much can be gained;
# * divide a batch among several machines, and say which layer gives different results then.
#
# About 25 minutes. You need notebook 03 (convolution by hand). Every time is measured on the machine that runs
# the notebook. Yours will differ from those shown, but the order should be much the same.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import as_strided

import minires
from minires import Tensor, data, kernels, models, nn, optim
from minires.kernels import reference
from minires.kernels.convolution.choose import ALGORITHMS
from minires.nn import functional as F

rng = np.random.default_rng(0)


def median_time(function, repeats=11):
    """Seconds of the median of several calls, after one that does not count."""
    function()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


# %% [markdown]
# We take the **median**, because other programs slow some runs down and speed none up; the mean would measure
# those programs as well. The **first call does not count**: it allocates memory and starts threads.
#
# ## 1. How fast could it be?
#
# Most of the work of a convolution is multiplications and additions. How many of them can this machine do per
# second? (A billion per second is 1 Gop/s.) A large matrix product does little else, so its speed is close to
# the limit.

# %%
a, b = (rng.normal(size=(1024, 1024)).astype(np.float32) for _ in "ab")
limit = 2 * 1024**3 / median_time(lambda: a @ b)
print(
    f"matrix product: {limit / 1e9:.0f} billion operations a second, {kernels.get_num_threads()} threads"
)

# the layer of this notebook, from ResNet-18: 3 x 3, 128 channels to 128, 8 images of 28 x 28
N, H, W, C, O = 8, 28, 28, 128, 128
x = rng.normal(size=(N, H, W, C)).astype(np.float32)
w = (rng.normal(size=(3, 3, C, O)) / 34).astype(np.float32)
work = 2 * N * H * W * 9 * C * O
print(
    f"the layer: {work / 1e9:.2f} billion operations, so {work / limit * 1e3:.1f} ms at the least"
)
exact = kernels.conv2d(
    x.astype(np.float64),
    w.astype(np.float64),
    geometry=kernels.ConvGeometry(stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1),
)
speeds, errors = {}, {}


def measure(name, function, repeats=11):
    """Check a version against float64, time it, and note both."""
    error = np.abs(function() - exact).max()
    assert error < 1e-3
    seconds = median_time(function, repeats)
    speeds[name], errors[name] = work / seconds, error
    print(f"{name:34} {seconds * 1e3:8.2f} ms {work / seconds / 1e9:9.2f} Gop/s")


# %% [markdown]
# ## 2. Seven loops
#
# The definition, over image, row, column, filter, and for each the window's rows, columns and
# channels:
#
# $$ y_{n,i,j,o} = \sum_{k,l,c} x_{n,\,i+k-1,\,j+l-1,\,c}\; w_{k,l,c,o} $$
#
# `kernels.reference` computes it in this way. **Predict** how many minutes Python takes for our layer. (We run
# a small part of it, one image of 6 × 6 with 8 channels, and scale up.)

# %%
corner, small = x[:1, :6, :6, :8], w[:, :, :8, :8]
seconds = median_time(lambda: reference.conv2d(corner, small, padding=(1, 1)), repeats=3)
speeds["seven loops"] = 2 * 6 * 6 * 9 * 8 * 8 / seconds
print(f"{speeds['seven loops'] / 1e6:.1f} million operations a second,")
print(f"so the whole layer would take {work / speeds['seven loops'] / 60:.1f} minutes")

# %% [markdown]
# Each of those operations takes some hundreds of nanoseconds, of which the multiplication itself takes a
# quarter of *one*. In the rest of the time Python finds out, again and again, what `*` means for these two
# objects.
#
# ## 3. Nine products
#
# So give NumPy more work per call. Reverse the order of the loops: for each of the nine positions $(k, l)$ of
# the window, multiply *every* pixel by the same (128, 128) matrix. That is a matrix product.


# %%
def nine_products(x, w):
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    out = np.zeros((*x.shape[:3], w.shape[3]), x.dtype)
    for k in range(3):
        for l in range(3):
            out += padded[:, k : k + x.shape[1], l : l + x.shape[2]] @ w[k, l]
    return out


measure("nine products", lambda: nine_products(x, w))

# %% [markdown]
# Six lines, and more than ten thousand times as fast. What is still slow? `out += …` reads and writes the
# output nine times, and NumPy computes each of the nine products as many small ones, one for each image row.
#
# ## 4. One product: im2col
#
# Write every window as one row of 1152 numbers. Then the whole layer is a single product of a (6272, 1152) and
# a (1152, 128) matrix. `as_strided` makes the windows *without copying*, as a view in which overlapping windows
# use the same memory. The copy is made by `reshape`, and is **nine times** as large as the input.


# %%
def windows(x, height, width):
    """Every height x width window of x, as a view: (N, Ho, Wo, height, width, C)."""
    n, h, w_, c = x.shape
    sn, sh, sw, sc = x.strides
    shape = (n, h - height + 1, w_ - width + 1, height, width, c)
    return as_strided(x, shape, (sn, sh, sw, sh, sw, sc), writeable=False)


def one_product(x, w):
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows = windows(padded, 3, 3).reshape(-1, 9 * w.shape[2])
    return (rows @ w.reshape(-1, w.shape[3])).reshape(*x.shape[:3], -1)


measure("one product (im2col)", lambda: one_product(x, w))
padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
copying = median_time(lambda: windows(padded, 3, 3).reshape(-1, 9 * C))
print(f"  of which copying {copying * 1e3:.2f} ms, {windows(padded, 3, 3).nbytes / 1e6:.0f} MB")

# %% [markdown]
# The machine does nothing faster than one large product, so even nine times the memory can be worth it: with
# 128 output channels each copied number is used 128 times. With 8 channels it would be used 8 times, and most
# of the time would go into the copy.
#
# ## 5. Three products: rows
#
# In (N, H, W, C) the three pixels of a window's row lie **side by side in memory**: 384 numbers. So copy along
# the width only, which is three times the data instead of nine, and use three products for the height: rows
# $i-1$, $i$ and $i+1$ are three overlapping pieces of *one* buffer. **Predict:** is this faster or slower than
# im2col?


# %%
def three_products(x, w):
    n, h, width, c = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    by_row = windows(padded, 1, 3).transpose(1, 0, 2, 3, 4, 5)  # rows first: a slab is one matrix
    buffer = by_row.reshape(h + 2, n * width, 3 * c)
    out = 0
    for k in range(3):
        slab = buffer[k : k + h].reshape(-1, 3 * c)  # no copy
        out = out + slab @ w[k].reshape(3 * c, -1)
    return out.reshape(h, n, width, -1).transpose(1, 0, 2, 3)


measure("three products (rows)", lambda: three_products(x, w))

# %% [markdown]
# It copies a third as much, and makes two more passes over the output. Here the two are about equally fast.
# With few channels, where copying takes most of the time, the rows are faster (exercise 1). There is no best
# algorithm, only a best one **for a given shape**. Section 8 returns to this.
#
# ## 6. Fewer multiplications: Winograd
#
# All versions so far do the same multiplications. Can we do with fewer? Take one dimension, a filter of 3, and
# two neighbouring outputs:
#
# $$ y_0 = d_0 g_0 + d_1 g_1 + d_2 g_2, \qquad y_1 = d_1 g_0 + d_2 g_1 + d_3 g_2 . $$
#
# These are six multiplications. Shmuel Winograd's algorithm needs four:
#
# $$ m_1 = (d_0 - d_2)\, g_0, \quad m_2 = (d_1 + d_2)\tfrac{g_0+g_1+g_2}{2}, \quad
#    m_3 = (d_2 - d_1)\tfrac{g_0-g_1+g_2}{2}, \quad m_4 = (d_1 - d_3)\, g_2, $$
#
# $$ y_0 = m_1 + m_2 + m_3, \qquad y_1 = m_2 - m_3 - m_4 . $$
#
# The factors with $g$ belong to the filter and are computed once for all pixels. As matrices: $y =
# A^\top\big[(G g) \odot (B^\top d)\big]$. In two dimensions each matrix is applied on both sides, and a 2 × 2
# tile of outputs takes $4 \times 4 = 16$ multiplications instead of 36.

# %%
BT = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], np.float32)
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)
AT = np.array([[1, 1, 1, 0], [0, 1, -1, -1]], np.float32)

d, g = np.array([3.0, 1, 4, 1]), np.array([2.0, 7, 1])
print("directly:", np.correlate(d, g), "  Winograd:", AT @ ((G @ g) * (BT @ d)))


def winograd(x, w):
    n, h, width, c = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    tiles = windows(padded, 4, 4)[:, ::2, ::2]  # (N, H/2, W/2, 4, 4, C)
    tiles = tiles.transpose(3, 4, 0, 1, 2, 5).reshape(16, -1)
    data = (np.kron(BT, BT) @ tiles).reshape(16, -1, c)  # B^T d B, for all tiles at once
    filters = (np.kron(G, G) @ w.reshape(9, -1)).reshape(16, c, -1)  # G g G^T
    products = data @ filters  # 16 products in place of 36
    out = (np.kron(AT, AT) @ products.reshape(16, -1)).reshape(2, 2, n, h // 2, width // 2, -1)
    return out.transpose(2, 3, 0, 4, 1, 5).reshape(n, h, width, -1)


measure("Winograd 2 x 2", lambda: winograd(x, w))

# %% [markdown]
# The result is correct, and about as fast as the best so far, although every step copies all the data: the
# multiplications that it saves make up for the copies.
#
# ## 7. What the library adds
#
# No new mathematics. **Blocks**: it processes a few rows at a time, so that the copies stay in the *cache* (the
# small and fast memory in the processor) and need no main memory. **Threads**: NumPy releases Python's global
# lock inside a product, so ordinary threads can process the blocks in parallel. **Larger tiles** for Winograd:
# 4 × 4 outputs take 36 multiplications instead of 144. `winograd1d` computes four outputs along the height
# only. For the same outputs that takes 72 multiplications, but needs no copies into tiles.
#
# `kernels.use_algorithm` forces the use of one of them. **Predict:** can any of them exceed the limit of
# section 1?


# %%
def library():
    return kernels.conv2d(
        x,
        w,
        geometry=kernels.ConvGeometry(stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1),
    )


threads = kernels.get_num_threads()
for name in ALGORITHMS:
    try:
        with kernels.use_algorithm(name):
            library()
            measure(f"library: {name}", library)
            kernels.set_num_threads(1)
            alone = median_time(library)
            kernels.set_num_threads(threads)
            print(f"{'':10}on one thread {alone * 1e3:.2f} ms")
    except ValueError:
        print(f"library: {name}: not for this shape")

# %%
figure, axes = plt.subplots(figsize=(7.5, 4), layout="constrained")
names = list(speeds)
axes.barh(names, [speeds[name] / 1e9 for name in names], color="tab:blue")
axes.axvline(limit / 1e9, color="tab:red", lw=1, label="a large matrix product")
for i, name in enumerate(names):
    times = f" {speeds[name] / speeds['seven loops']:,.0f} × "
    side, colour = ("right", "white") if i else ("left", "black")
    axes.text(speeds[name] / 1e9, i, times, ha=side, va="center", color=colour, fontsize=8)
axes.invert_yaxis()
axes.set(xscale="log", xlabel="billion operations of the definition a second (log scale)")
axes.set_xlim(right=limit / 1e9 * 4)
axes.legend(fontsize=8, loc="upper center")
plt.show()

# %% [markdown]
# **What to see.** The speeds span almost five powers of ten; the numbers in the bars are multiples of the speed
# of the loops. Most of this comes from NumPy, and the rest from moving less data and from threads. Winograd
# with 4 × 4 tiles is to the right of the red line (on most machines), as if it were faster than the machine can
# multiply. The reason is that the speed is computed from the number of operations in the definition, and
# Winograd does a quarter of these multiplications.
#
# Its price is **accuracy**: the transforms produce large numbers and subtract them from each other.

# %%
for name in ("one product (im2col)", *(f"library: winograd{kind}" for kind in ("1d", 2, 4))):
    print(f"{name:24} largest error {errors[name]:.1e}")

# %% [markdown]
# With the largest tiles that is more than half of a decimal digit, out of seven. For training this does not
# matter, compared with the noise of a batch. For a gradient check it does, so in float64 the library never
# chooses Winograd.
#
# ## 8. The best one for a shape
#
# The library chooses by shape alone, from measurements made in advance. It never chooses by timing at run time,
# because then two runs of the same program could differ in their last bits. **Predict** what it chooses for a 1
# × 1 kernel, for a 7 × 7 kernel with stride 2, and for a 3 × 3 kernel on 16 channels.

# %%
layers = {
    "ResNet-50, 1 x 1, 256 to 64": ((8, 56, 56, 256), (1, 1, 256, 64), 1, 0),
    "ResNet-18, 7 x 7, stride 2": ((8, 224, 224, 3), (7, 7, 3, 64), 2, 3),
    "ResNet-18, 3 x 3, 64": ((8, 56, 56, 64), (3, 3, 64, 64), 1, 1),
    "ResNet-18, 3 x 3, 512": ((8, 7, 7, 512), (3, 3, 512, 512), 1, 1),
    "ResNet-20, 3 x 3, 16": ((128, 32, 32, 16), (3, 3, 16, 16), 1, 1),
}
for name, (x_shape, w_shape, stride, padding) in layers.items():
    choice = kernels.explain(
        x_shape,
        w_shape,
        geometry=kernels.ConvGeometry(stride=(stride,) * 2, padding=(padding,) * 2),
    )
    print(f"{name:28} {choice['forward'].name:11} {choice['forward'].reason}")

# %% [markdown]
# ## 9. A whole step
#
# Most of the arithmetic is in the convolutions. Is most of the *time* spent there, too? `minires.profile()`
# measures the time of every operation. **Predict** what fraction of a training step of ResNet-20 is spent in
# convolutions.

# %%
model = models.resnet20()
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
images = Tensor(rng.normal(size=(64, 32, 32, 3)).astype(np.float32))
labels = rng.integers(10, size=64)


def step():
    optimizer.zero_grad()
    F.cross_entropy(model(images), labels).backward()
    optimizer.step()


step()
with minires.profile() as profile:
    for _ in range(5):
        step()
profile

# %%
seconds = {name: passes.seconds for name, passes in profile.operations.items()}
convolution = sum(value for name, value in seconds.items() if name.startswith("conv"))
share = convolution / profile.seconds
gflops = 5 * 64 * 3 * 2 * model.summary((32, 32, 3)).multiply_adds / convolution / 1e9
print(f"convolutions: {share:.0%} of the time, at {gflops:.0f} Gop/s")
print(f"if they took no time at all, a step would be {1 / (1 - share):.1f} times as fast")

# %% [markdown]
# That last line is **Amdahl's law**: speeding up one part can save no more than the fraction of time that this
# part takes. The other parts, batch norm, ReLU and the residual add, do hardly any arithmetic. But each reads
# and writes every number of a feature map, and memory has a speed limit of its own:

# %%
activations = rng.normal(size=(64, 32, 32, 16)).astype(np.float32)
target = np.empty_like(activations)
seconds = median_time(lambda: np.add(activations, 1, out=target), repeats=31)
print(f"one pass, read and write: {2 * activations.nbytes / seconds / 1e9:.1f} GB/s")
print(
    f"that is {activations.size / seconds / limit:.2%} of the arithmetic that the machine could do"
)

# %% [markdown]
# During a pass over memory the machine does only a few percent of the arithmetic that it could do; the
# arithmetic units wait for data. This gives the rule that `minires.kernels` and every framework follow: **count
# passes over memory, not operations.** When `minires.compile` fuses batch norm and ReLU with the convolution
# before them (notebook 15), the mathematics stays the same. There is one pass instead of three.

# %% [markdown]
# ## 10. Two machines
#
# When one machine cannot be made faster, use several. In *data parallelism* each machine, called a **rank**,
# has the whole network and processes a part of every batch, and the ranks send each other gradients. We can
# imitate two ranks in one process, as long as neither uses the other's images.
#
# The loss of a batch is a mean over its $N$ images. Let $L_r$ be the mean over the $n_r$ images of rank $r$.
# Then
#
# $$ L = \sum_r \frac{n_r}{N} L_r, \qquad\text{so}\qquad
#    \nabla L = \sum_r \frac{n_r}{N} \nabla L_r, $$
#
# since the gradient of a sum is the sum of the gradients. **Predict**, for 12 and 20 of 32 images: is the sum
# of the two weighted gradients bit for bit equal to the gradient of the whole batch? And what happens if both
# get the same weight, as one might do at first?

# %%
digits = data.digits()
batch = (digits.images[:32] / 255).astype(np.float32), digits.labels[:32]
stretches = slice(0, 12), slice(12, 32)  # of rank 0 and of rank 1


def network(normalisation, dtype):
    """Small, and the same weights each time."""
    minires.manual_seed(0)
    layers = nn.Conv2d(1, 8, 3, padding=1, bias=False), normalisation, nn.ReLU(), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(8 * 8 * 8, 10)).to(dtype)


def gradients(model, images, labels, weight=1.0):
    """Of the mean loss over these images, times a weight."""
    model.zero_grad()
    images = Tensor(images.astype(next(model.parameters()).dtype))
    (F.cross_entropy(model(images), labels) * weight).backward()
    return [p.grad.numpy().copy() for p in model.parameters()]


def compare(name, normalisation, dtype, weights):
    """Two ranks' gradients, added in rank order, with one process's for the whole batch."""
    model, (images, labels) = network(normalisation, dtype), batch
    whole = gradients(model, images, labels)
    pairs = zip(stretches, weights, strict=True)
    ranks = [gradients(model, images[s], labels[s], weight) for s, weight in pairs]
    added = [first + second for first, second in zip(*ranks, strict=True)]
    both = [*zip(added, whole, strict=True)]
    worst = max(np.abs(a - w).max() / np.abs(w).max() for a, w in both)
    equal = np.mean(np.concatenate([(a == w).ravel() for a, w in both]))
    print(f"{name:34} largest difference {worst:.0e}, {equal:.0%} equal to the bit")


shares = 12 / 32, 20 / 32
compare("weighted by shares, float32", nn.Identity(), np.float32, shares)
compare("weighted by shares, float64", nn.Identity(), np.float64, shares)
compare("half each, float64", nn.Identity(), np.float64, (1 / 2, 1 / 2))

# %% [markdown]
# They are equal up to rounding, but not bit for bit: in mathematics it does not matter where a sum is split, in
# floating point it does. Float64 shows that the cause is rounding, since the difference shrinks with the
# precision. (About half of the numbers are equal all the same. Among them are zeros, from pixels that are blank
# in every digit and units that no image activates.) With half the weight each, the result is a different
# gradient: an image of the shorter part counts for more than one of the longer part.
#
# This equality requires only that the loss of an image depends on no other image. **Predict** which layer of a
# ResNet breaks this, and how large the difference is: rounding, one percent, or more?

# %%
compare("batch norm, float64", nn.BatchNorm2d(8), np.float64, shares)
compare("group norm, float64", nn.GroupNorm(2, 8), np.float64, shares)

# %% [markdown]
# **Batch norm** normalises with the mean and the variance of the images that it is given. So the loss of each
# image depends on its whole batch, and the statistics of 12 images differ from those of 32. A difference of
# several percent of the largest number in an array is not rounding, and float64 does not reduce it. Group norm
# uses one image at a time, and its gradients stay equal up to rounding. With batch norm the sum is still a
# useful gradient: that of batch norm with smaller batches. To get the gradient of the whole batch, the ranks
# must exchange counts, means and variances in each batch norm (exercise 4).
#
# With real processes the command is `mpirun -n 2 minires train --distributed`, and `--sync-batch-norm` does
# what exercise 4 does. How much a step gains follows Amdahl's law once more: the gradients have to be sent, and
# more machines do not make this part shorter. ([Many machines](../docs/distributed.md).)
#
# ## What to keep
#
# * Report medians, do not count the first call, and compare with a limit.
# * A call in Python costs as much as a thousand multiplications. Give it large pieces of work.
# * Lowering (im2col) makes copies in order to have large products; blocks keep the copies in the cache.
# * Winograd replaces multiplications by additions, and loses some accuracy.
# * The time of a layer is its passes over memory or its products, whichever is longer.
# * The gradients of the parts of a batch, weighted by their fractions of the images, add up to the gradient of
#   the whole batch, up to rounding. This does not hold with batch norm, which uses the statistics of each part.
#
# ## Exercises
#
# (Difficulty from 1, a few lines, to 3, an idea of your own; the minutes are without training times.)
#
# 1. **Few channels.** *(difficulty 1, 30 min)* Time `one_product` against `three_products` for 4, 8, 16, 32, 64
#    and 128 channels ($C = O$) and plot the ratio against the number of channels. *You are right if* rows gain
#    most at a few dozen channels or less and little at 128. Above that, the choice of `kernels.explain`
#    changes: at which number of channels, and from what to what?
# 2. **Block it.** *(difficulty 2, 40 min)* Let `one_product` process one image at a time, then 14, 7, 4, 2 and
#    1 rows at a time, and write the results into one `out` array. *You are right if* one image at a time takes
#    about the same time with an eighth of the memory, and one row at a time takes about twice as long. Why does
#    the library use blocks nevertheless? (Think of its threads.)
# 3. **The other gradient.** *(difficulty 3, 45 min)* Write $\partial L / \partial w$ of a 3 × 3 convolution
#    with the rows of section 5: make `buffer` once, then compute three products with the gradient. *You are
#    right if* it equals `kernels.conv2d_dw` to 1e-3 and takes less than twice the time of `three_products`.
# 4. **Batch norm over two ranks.** *(difficulty 2, 25 min)* Use only the count, and the means and variances per
#    channel, of each part. From them compute the mean and the variance of the whole batch (of `batch[0]` after
#    the first convolution of `network`). *You are right if* both agree with those of all 32 images to a
#    relative error of 1e-5. Why is the mean of the two variances incorrect, even for parts of equal size?
