# %% [markdown]
# # Solutions to notebook 12: Where the time goes
#
# Times differ by machine and by what else runs, so nothing is asserted of them: they are printed.

# %%
import numpy as np

from instructor.given import from_notebook, sized
from minires import Tensor, kernels, nn

one_product, three_products, windows, median_time = from_notebook(
    "12", "one_product", "three_products", "windows", "median_time"
)
rng = np.random.default_rng(0)
SAME = kernels.ConvGeometry(padding=(1, 1))
N, H, W = 8, 28, 28
REPEATS = sized(1, 11)

# %% [markdown]
# ## Exercise 1: few channels
#
# im2col copies each pixel 9 times, rows 3 times. Copying grows with $C$, the arithmetic with $C \cdot O = C^2$: with few
# channels copying is a large part of the time, and rows save two thirds of it. With many channels the
# arithmetic, which is the same, hides it.

# %%
for channels in sized((4, 128), (4, 8, 16, 32, 64, 128)):
    x = rng.normal(size=(N, H, W, channels)).astype(np.float32)
    w = rng.normal(size=(3, 3, channels, channels)).astype(np.float32)
    assert np.allclose(one_product(x, w), three_products(x, w), atol=1e-3)
    slow = median_time(lambda: one_product(x, w), REPEATS)  # noqa: B023
    fast = median_time(lambda: three_products(x, w), REPEATS)  # noqa: B023
    print(f"{channels:4} channels: im2col / rows {slow / fast:.2f}")
last = None
for channels in range(4, 257, 4):
    choice = kernels.explain((N, H, W, channels), (3, 3, channels, channels), geometry=SAME)
    if choice["forward"].name != last:
        last = choice["forward"].name
        print(f"from {channels} channels on: {last}")

# %% [markdown]
# ## Exercise 2: block it
#
# The buffer of all eight images has $8 \cdot 28 \cdot 28 \cdot 9 \cdot 128$ floats, 28.9 MB; of one image an eighth
# of that. The products stay large enough to be fast until there are only a few rows: at one row each has 28 × 1152
# numbers, and calls cost as much as arithmetic. The library cuts blocks because each of its threads works through
# blocks of its own, whose buffers should stay in the caches.

# %%
C = sized(16, 128)
x = rng.normal(size=(N, H, W, C)).astype(np.float32)
w = (rng.normal(size=(3, 3, C, C)) / 34).astype(np.float32)
exact = one_product(x, w)


def blocked(rows):
    out = np.empty((N, H, W, C), np.float32)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for n in range(N):
        for top in range(0, H, rows):
            some = windows(padded[n : n + 1, top : top + rows + 2], 3, 3).reshape(-1, 9 * C)
            out[n, top : top + rows] = (some @ w.reshape(-1, C)).reshape(rows, W, C)
    return out


whole = median_time(lambda: one_product(x, w), REPEATS)
for rows in (28, 14, 7, 4, 2, 1):
    assert np.allclose(blocked(rows), exact, atol=1e-3)
    seconds = median_time(lambda: blocked(rows), REPEATS)  # noqa: B023
    memory = rows * W * 9 * C * 4 / 1e6
    print(f"{rows:3} rows at a time: {seconds / whole:.2f} of the whole's time, {memory:.2f} MB")
assert 8 * 28 * 28 * 9 * 128 * 4 / 1e6 == 28.901376

# %% [markdown]
# ## Exercise 3: the other gradient
#
# In the forward pass output row $i$ is $\sum_k$ `buffer[i + k]` @ `w[k]`. So
# $\partial L/\partial w_k = \sum_i$ `buffer[i + k]`ᵀ @ `g[i]`: the same slab, transposed, times the gradient with its
# rows first. One product for each of the three $k$.


# %%
def three_products_dw(x, g):
    n, h, width, c = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    buffer = windows(padded, 1, 3).transpose(1, 0, 2, 3, 4, 5).reshape(h + 2, n * width, 3 * c)
    rows_first = np.ascontiguousarray(g.transpose(1, 0, 2, 3)).reshape(h * n * width, -1)
    slabs = (buffer[k : k + h].reshape(-1, 3 * c) for k in range(3))
    return np.stack([slab.T @ rows_first for slab in slabs]).reshape(3, 3, c, -1)


g = (rng.normal(size=exact.shape) / 100).astype(np.float32)
ours = three_products_dw(x, g)
library = kernels.conv2d_dw(x, g, kernel_size=(3, 3), geometry=SAME)
assert np.abs(ours - library).max() < 1e-3
forward = median_time(lambda: three_products(x, w), REPEATS)
print(
    f"dw takes {median_time(lambda: three_products_dw(x, g), REPEATS) / forward:.2f} of the forward"
)

# %% [markdown]
# ## Exercise 4: batch norm over two ranks
#
# The mean of the whole batch is the mean of the means, weighted by the counts. The variance has two parts: the
# mean of the variances, weighted alike, and the variance of the means about the whole mean. The mean of the two
# variances leaves the second part out, so that it is too small wherever the two means differ, even for equal
# stretches.

# %%
network, batch, stretches = from_notebook("12", "network", "batch", "stretches")
conv = network(nn.Identity(), np.float64)[0]
maps = conv(Tensor(batch[0].astype(np.float64))).numpy()
axes = (0, 1, 2)
parts = [maps[stretch] for stretch in stretches]
counts = np.array([part[..., 0].size for part in parts])[:, None]
means = np.stack([part.mean(axes) for part in parts])
variances = np.stack([part.var(axes) for part in parts])
weights = counts / counts.sum()
mean = (weights * means).sum(0)
variance = (weights * (variances + (means - mean) ** 2)).sum(0)
assert np.allclose(mean, maps.mean(axes), rtol=1e-5)
assert np.allclose(variance, maps.var(axes), rtol=1e-5)
assert np.all((weights * variances).sum(0) <= variance)
