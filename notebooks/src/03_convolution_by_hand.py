# %% [markdown]
# # 03 · Convolution by hand
#
# After this notebook you will be able to
#
# * compute a convolution on paper, and say what size comes out before you run it;
# * write it as plain loops, and then as one matrix product, and say how much time that saves;
# * write both of its gradients by changing one line of the loops;
# * say what a stride does to the gradient, and see it happen.
#
# About 25 minutes.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

import minires
from minires import viz
from minires.nn import functional as F

# %% [markdown]
# ## Nine numbers that find edges
#
# Take a small grid of weights, lay it on an image, multiply each weight by the pixel under it, and add
# the products: one output number. Slide the grid by one pixel and do it again. That is all. (Mathematicians
# flip the grid first, and call the operation without the flip *correlation*. Deep learning does not flip.)
#
# Such a grid is called a *filter* or *kernel*. The output depends on its nine weights. Here are three
# filters and their outputs for a real image: an ankle boot from Fashion-MNIST, a collection of small grey
# photographs of clothes, of which 5,000 come with the package.

# %%
fashion = minires.data.fashion_mini()
boot = fashion.images[fashion.labels == 9][0, :, :, 0] / 255  # class 9: boots; 0 white, 1 black
kernels = {
    "vertical edges": np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]]),
    "horizontal edges": np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]]),
    "blur": np.full((3, 3), 1 / 9),
}


def slide(image, kernel):
    KH, KW = kernel.shape
    out = np.zeros((image.shape[0] - KH + 1, image.shape[1] - KW + 1))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = (image[i : i + KH, j : j + KW] * kernel).sum()
    return out


fig, axes = plt.subplots(1, 4, figsize=(9.5, 2.9), layout="constrained")
shown = {"image": boot} | {name: slide(boot, kernel) for name, kernel in kernels.items()}
for ax, (name, picture) in zip(axes, shown.items(), strict=True):
    edges = "edges" in name
    view = ax.imshow(picture, cmap="RdBu" if edges else "gray_r", vmin=-4 if edges else 0)
    view.set_clim(vmax=4 if edges else 1)
    ax.set_title(f"{name}, {picture.shape[0]} × {picture.shape[1]}", fontsize=10)
    ax.set(xlabel="column (pixel)")
    fig.colorbar(view, ax=ax, orientation="horizontal", shrink=0.8, label="value")
axes[0].set_ylabel("row (pixel)")
plt.show()

# %% [markdown]
# *What to see: the first filter responds where brightness changes from left to right, blue for one
# direction and red for the other; the second from top to bottom. Where the image is flat both give 0. The
# third replaces each pixel by the mean of nine. The outputs are 26 pixels wide, not 28: a 3 × 3 grid fits
# into 28 pixels at 26 places.*
#
# ## Size, stride, padding
#
# There are two settings. **Padding** $p$ puts a border of zeros around the image. **Stride** $s$ moves the grid by
# $s$ pixels at a time. Into an image of $H$ pixels a grid of $K$ then fits
#
# $$\text{output size} = \left\lfloor \frac{H + 2p - K}{s} \right\rfloor + 1$$
#
# times. The brackets round down: pixels that do not fill a last step are not read. (Height and width each follow
# the same formula.)
#
# **Predict** three sizes from $H = 28$: with $K=3, p=1, s=1$; with $K=3, p=1, s=2$; and with
# $K=7, p=3, s=2$.


# %%
def output_size(H, K, stride, padding):
    return (H + 2 * padding - K) // stride + 1


print([output_size(28, K, s, p) for K, p, s in [(3, 1, 1), (3, 1, 2), (7, 3, 2)]])

# %% [markdown]
# "3 × 3 with padding 1" keeps the size, and a stride of 2 halves it. ResNets are built of hardly
# anything else.
#
# Now do one by hand. The player has a 4 × 5 image, a 3 × 3 filter, padding 1 and stride 2, all integers.
# **Predict** the first output on paper: the top left window holds two rows and two columns of the image
# and zeros elsewhere. Then step forwards. (The second half goes backwards: we come to it below.)

# %%
image = np.array([[1, 2, 0, 1, 3], [0, 1, 4, 2, 0], [2, 0, 1, 0, 1], [1, 3, 0, 2, 1]])
kernel = np.array([[1, 0, -1], [2, 1, 0], [0, -1, 1]])
viz.convolution(image, kernel, stride=2, padding=1)

# %% [markdown]
# ## Seven loops
#
# A layer has more axes: $N$ images, $C$ channels in (1 for grey images, 3 for colours, and deeper down one
# for each filter of the layer before), $O$ filters, each of which reads all $C$ channels and makes one.
# minires keeps channels last: images are $(N, H, W, C)$, weights $(K_H, K_W, C, O)$. One formula says
# everything: output $(i, j)$ of filter $o$ is the sum, over all places $(k, l)$ of the filter and all channels
# $c$, of the pixel that lies under that place, times the weight there:
#
# $$y_{n,i,j,o} = \sum_{k,l,c} x_{n,\; si + k - p,\; sj + l - p,\; c} \; w_{k,l,c,o}$$
#
# Seven letters, seven loops. An index outside the image reads a zero, so we leave that product out. Here is
# the formula again, in Python. (`np.ndindex` runs through all values of seven indices.) A function that
# lists which entries meet will be useful twice more:


# %%
def meetings(x_shape, w_shape, stride, padding):
    """Every product in a convolution: the places of an output, of an input and of a weight."""
    (N, H, W, C), (KH, KW, _, O) = x_shape, w_shape
    Ho, Wo = output_size(H, KH, stride, padding), output_size(W, KW, stride, padding)
    for n, i, j, o, k, l, c in np.ndindex(N, Ho, Wo, O, KH, KW, C):
        row, column = stride * i + k - padding, stride * j + l - padding
        if 0 <= row < H and 0 <= column < W:
            yield (n, i, j, o), (n, row, column, c), (k, l, c, o)


def loops(x, w, stride=1, padding=0):
    (N, H, W, _), (KH, KW, _, O) = x.shape, w.shape
    y = np.zeros((N, output_size(H, KH, stride, padding), output_size(W, KW, stride, padding), O))
    for at_y, at_x, at_w in meetings(x.shape, w.shape, stride, padding):
        y[at_y] += x[at_x] * w[at_w]
    return y


rng = np.random.default_rng(0)
x, w = rng.normal(size=(2, 7, 6, 3)), rng.normal(size=(3, 2, 3, 4))
ours = loops(x, w, stride=2, padding=1)
theirs = F.conv2d(minires.Tensor(x), minires.Tensor(w), stride=2, padding=1)
print(ours.shape, "largest difference from the library:", np.abs(ours - theirs.numpy()).max())

# %% [markdown]
# Image and filter are not square there, on purpose: if they were, one might exchange height and width and
# never notice.
#
# ## One matrix product
#
# How long would the loops take for a layer of ResNet-18, 64 channels to 64, on one image of 56 × 56? It
# has $56^2 \cdot 64 \cdot 9 \cdot 64$ products: 116 million. **Predict**: a second, some minutes, an
# hour? And how much of that can NumPy save?
#
# Look at one window: its $K_H K_W C$ numbers meet a filter's $K_H K_W C$ weights, and the products are added
# up. A matrix product does just that with each row of one matrix and each column of another.
# So write every window as a *row* of a matrix $P$, every filter as a *column* of a matrix $W$, and the
# whole layer is one matrix product:
#
# $$Y = P\,W, \qquad P: (N H_o W_o,\; K_H K_W C), \quad W: (K_H K_W C,\; O)$$
#
# This is called *lowering*, or im2col. It is simple in this layout: the weights
# $(K_H, K_W, C, O)$ *are* the matrix $W$ after a `reshape`, and the result needs only a `reshape` too.


# %%
def windows(x, KH, KW, stride, padding):
    """All windows of padded images: (N, Ho, Wo, KH, KW, C). A view would do, but this is plainer."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    Ho, Wo = (x.shape[1] - KH) // stride + 1, (x.shape[2] - KW) // stride + 1
    out = np.empty((x.shape[0], Ho, Wo, KH, KW, x.shape[3]), x.dtype)
    for k in range(KH):
        for l in range(KW):
            rows, columns = slice(k, k + stride * Ho, stride), slice(l, l + stride * Wo, stride)
            out[:, :, :, k, l] = x[:, rows, columns]
    return out


def lowered(x, w, stride=1, padding=0):
    KH, KW, C, O = w.shape
    P = windows(x, KH, KW, stride, padding)
    return (P.reshape(-1, KH * KW * C) @ w.reshape(-1, O)).reshape(*P.shape[:3], O)


print("largest difference from the loops:", np.abs(lowered(x, w, 2, 1) - ours).max())

# %% [markdown]
# For a 2 × 2 filter on a 4 × 4 piece of the boot, the rows of $P$ look like this. Notice how often each
# pixel appears.

# %%
corner = (boot[12:16, 12:16] * 99).round()
print(corner)
print(windows(corner[None, ..., None], 2, 2, 1, 0).reshape(-1, 4))

# %% [markdown]
# An inner pixel appears four times, in a 3 × 3 convolution nine times: lowering needs more memory.
# Is it worth it?


# %%
def seconds(function, *arguments, repeat=7):
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - start)
    return min(times)


x_big = rng.normal(size=(1, 56, 56, 64)).astype(np.float32)
w_big = rng.normal(size=(3, 3, 64, 64)).astype(np.float32)
small = rng.normal(size=(1, 8, 8, 8)), rng.normal(size=(3, 3, 8, 8))
share = (8 * 8 * 8 * 9 * 8) / (56 * 56 * 64 * 9 * 64)  # of the big layer's products
library = lambda: F.conv2d(minires.Tensor(x_big), minires.Tensor(w_big), padding=1)
library()
took = {
    "seven loops\n(extrapolated)": seconds(loops, *small, 1, 1) / share,
    "one matrix\nproduct": seconds(lowered, x_big, w_big, 1, 1),
    "minires": seconds(library),
}

fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
bars = ax.bar(list(took), list(took.values()), color=["#c2410c", "#1d4ed8", "#15803d"], width=0.5)
ax.bar_label(bars, [f"{t:.0f} s" if t > 1 else f"{1000 * t:.1f} ms" for t in took.values()])
ax.set(yscale="log", ylabel="time (s)", title="3 × 3, 64 to 64 channels, 56 × 56 pixels")
ax.margins(y=0.15)
plt.show()

# %% [markdown]
# *What to see: the axis is logarithmic, each number on it ten times the one below. It is the
# same number of products, minutes against milliseconds: the loops spend nearly all their time in Python's
# interpreter. (We timed a small layer and scaled up.) The library is faster once more: it uses all cores, and
# ways to need fewer products (exercise 3; notebook 12 builds them).*
#
# ## Backwards: change one line
#
# Every product in a convolution has the form `y[...] += x[...] * w[...]`. A product has two factors,
# and the gradient of each is the other times the upstream gradient. With $g = \partial L/\partial y$:


# %%
def loops_dx(g, w, x_shape, stride=1, padding=0):
    dx = np.zeros(x_shape)
    for at_y, at_x, at_w in meetings(x_shape, w.shape, stride, padding):
        dx[at_x] += g[at_y] * w[at_w]
    return dx


def loops_dw(x, g, w_shape, stride=1, padding=0):
    dw = np.zeros(w_shape)
    for at_y, at_x, at_w in meetings(x.shape, w_shape, stride, padding):
        dw[at_w] += g[at_y] * x[at_x]
    return dw


# %% [markdown]
# That is the whole derivation. The same pairs of entries, another place to add to. Compare with the library's
# gradients (`backward(g)` begins with this upstream gradient, for a result that is not a single number), and,
# since notebook 02, with the function itself:

# %%
g = rng.normal(size=ours.shape)
xt, wt = minires.Tensor(x, requires_grad=True), minires.Tensor(w, requires_grad=True)
F.conv2d(xt, wt, stride=2, padding=1).backward(g)
dx, dw = loops_dx(g, w, x.shape, 2, 1), loops_dw(x, g, w.shape, 2, 1)
print("dx:", np.abs(dx - xt.grad.numpy()).max(), " dw:", np.abs(dw - wt.grad.numpy()).max())
print(minires.gradcheck(lambda x, w: F.conv2d(x, w, stride=2, padding=1), [x, w]))

# %% [markdown]
# Read the two functions again with the sliding window in mind:
#
# * `dx` is a **scatter**: each $g_{i,j}$ stamps the whole filter, times itself, onto the window it came
#   from. Where windows overlap, stamps add up.
# * `dw` is a **correlation**: weight $(k, l)$ met the pixel at offset $(k, l)$ of every window; multiply
#   all of those by the $g$ of their windows and add up.
#
# Go back to the player above and step through its second half: the stamps in `dx`, the sums in `dw`.
#
# ## The holes that a stride leaves
#
# **Predict**: a 1 × 1 filter with stride 2 on a 6 × 6 image. Which fraction of `dx` is exactly zero?

# %%
holes = loops_dx(np.ones((1, 3, 3, 1)), np.ones((1, 1, 1, 1)), (1, 6, 6, 1), stride=2)[0, :, :, 0]
print(holes)
print(f"{(holes == 0).mean():.0%} zeros")

# %% [markdown]
# Three quarters: a stride of 2 never reads those pixels, so they cannot matter. Many ResNets have exactly
# this layer (notebook 06). With a 3 × 3 filter all pixels are read, but not equally often. To count, let
# every output send back a 1, through weights of 1, and see how many land on each pixel. **Predict** the
# largest count for a stride of 1, and of 2.

# %%
counts = {s: loops_dx(np.ones((1, 12 // s, 12 // s, 1)), np.ones((3, 3, 1, 1)), (1, 12, 12, 1), s, 1)
          for s in (1, 2)}  # fmt: skip
fig, axes = plt.subplots(1, 2, figsize=(7, 3.1), layout="constrained")
for ax, (stride, count) in zip(axes, counts.items(), strict=True):
    view = ax.imshow(count[0, :, :, 0], cmap="Blues", vmin=0, vmax=9)
    ax.set(title=f"3 × 3, stride {stride}", xlabel="column (pixel)", ylabel="row (pixel)")
    ax.set(xticks=range(0, 12, 2), yticks=range(0, 12, 2))
fig.colorbar(view, ax=axes, label="windows that read the pixel (count)")
plt.show()

# %% [markdown]
# *What to see: with stride 1 every inner pixel is read by nine windows. With stride 2 it is one, two or
# four, in a chequered pattern. The gradient of a strided convolution carries this pattern on, to the layers
# before it.*
#
# ## The gradients of the matrix product
#
# With lowering there is nothing new to derive. From notebook 01, $Y = PW$ has $dW = P^\top G$ and
# $dP = G\,W^\top$ (where $dW$ is short for $\partial L / \partial W$). Then each row of $dP$ goes back to the
# window it was copied from, and where a pixel was copied several times, the contributions add up.


# %%
def lowered_backward(x, w, g, stride=1, padding=0):
    (N, H, W, C), (KH, KW, _, O) = x.shape, w.shape
    Ho, Wo = g.shape[1:3]
    P, G = windows(x, KH, KW, stride, padding).reshape(-1, KH * KW * C), g.reshape(-1, O)
    dw = (P.T @ G).reshape(w.shape)
    dP = (G @ w.reshape(-1, O).T).reshape(N, Ho, Wo, KH, KW, C)
    dx = np.zeros((N, H + 2 * padding, W + 2 * padding, C))
    for k in range(KH):
        for l in range(KW):
            dx[:, k : k + stride * Ho : stride, l : l + stride * Wo : stride] += dP[:, :, :, k, l]
    return dx[:, padding : padding + H, padding : padding + W], dw


fast_dx, fast_dw = lowered_backward(x, w, g, 2, 1)
print("dx:", np.abs(fast_dx - dx).max(), " dw:", np.abs(fast_dw - dw).max())

# %% [markdown]
# ## Can it learn a filter?
#
# 200 images of clothes were filtered with the vertical-edge filter, and the filter was lost. We have only
# the images before and after. Start from nine zeros, take as loss the mean squared difference from the
# images after, and let our own `dw` find the way, as in notebook 01.
#
# **Predict**: the images are of clothes, not random. Will all nine weights be found, or only some?

# %%
before = fashion.images[:200] / 255
secret = kernels["vertical edges"].reshape(3, 3, 1, 1)
after = lowered(before, secret)

P = windows(before, 3, 3, 1, 0).reshape(-1, 9)  # the images stay, so cut the windows once
guess, losses, snapshots = np.zeros((9, 1)), [], {}
for step in range(401):
    difference = P @ guess - after.reshape(-1, 1)
    losses.append((difference**2).mean())
    if step in (0, 3, 30, 400):
        snapshots[step] = guess.reshape(3, 3).copy()
    g = 2 * difference / difference.size  # the loss's slope by each output
    guess -= 0.3 * P.T @ g  # dw, as in lowered_backward

fig, axes = plt.subplots(
    1, 5, figsize=(10, 2.4), width_ratios=[1.7, 1, 1, 1, 1], layout="constrained"
)
axes[0].semilogy(losses, color="#1d4ed8")
axes[0].set(xlabel="step", ylabel="mean squared error")
for ax, (step, values) in zip(axes[1:], snapshots.items(), strict=True):
    ax.imshow(values, cmap="RdBu", vmin=-4, vmax=4)
    for (k, l), value in np.ndenumerate(values):
        ax.text(l, k, f"{value:.1f}", ha="center", va="center")
    ax.set(title=f"step {step}", xlabel="column of the filter", xticks=[], yticks=[])
plt.show()
print("largest error of a weight:", np.abs(snapshots[400] - secret[:, :, 0, 0]).max().round(3))

# %% [markdown]
# *What to see: left the error on a logarithmic axis, falling fast and then slowly; right the filter after
# 0, 3, 30 and 400 steps. The signs are right after three steps. The exact numbers (1, 2, 1 and their
# negatives) come late, and are not quite there after 400 steps, because neighbouring pixels of clothes
# are so alike that the data hardly tell neighbouring weights apart.*
#
# This is what a convolutional network does, with thousands of filters at once that
# are not known in advance.

# %% [markdown]
# ## Exercises
#
# (Difficulty from 1, a few lines, to 3, an idea of your own; the minutes are without training times.)
#
# 1. **Dilation.** *(difficulty 1, 20 min)* Let neighbouring weights of the filter lie $d$ pixels apart on the
#    image. Change one
#    line of `meetings`, and `output_size` (a filter of $K$ weights now covers $d(K-1)+1$ pixels). All
#    three loops then have it. Compare with `F.conv2d(..., dilation=2)`.
#    *You are right if* output and both gradients agree with the library's to 1e-12.
# 2. **Backwards as a layer.** *(difficulty 2, 30 min)* `loops_dx` takes a small array to a large one: used as
#    a layer it is
#    called a *transposed convolution*. It is linear in `g`. What is its gradient with respect to `g`,
#    and with respect to `w`? (You have both functions.) Check with `numeric` from notebook 02.
#    *You are right if* both gradients agree with `numeric` to 1e-8, and one of them is `loops`.
# 3. **Fewer products than there are.** *(difficulty 2, 30 min)* Two outputs of a 1-D filter $w$ of length 3 on inputs
#    $d_0 \dots d_3$ take six products, or four: with $m_1 = (d_0 - d_2) w_0$,
#    $m_2 = (d_1 + d_2)\frac{w_0 + w_1 + w_2}{2}$, $m_3 = (d_2 - d_1)\frac{w_0 - w_1 + w_2}{2}$ and
#    $m_4 = (d_1 - d_3) w_2$ they are $m_1 + m_2 + m_3$ and $m_2 - m_3 - m_4$. Verify it, extend it to a
#    long signal, and count. In two dimensions it saves a factor of 2.25; this is Winograd's trick, and
#    `minires/kernels/convolution/winograd.py` uses a larger version.
#    *You are right if* you get what `np.correlate` gives, with two thirds of the products.
