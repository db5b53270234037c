# %% [markdown]
# # 05 · ReLU, pooling, softmax and cross-entropy
#
# After this notebook you will be able to
#
# * say what a network without ReLU is worth, and how a ReLU dies;
# * send a gradient back through a pooling layer, ties included;
# * compute softmax and its logarithm for scores that break the textbook formula;
# * derive the most useful gradient in deep learning, $p - y$, in two lines, and say what squared errors
#   make of a confident mistake.
#
# These are the small layers. They have few lines and many traps. About 20 minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires
from minires import Tensor, nn, optim, viz
from minires.nn import functional as F

digits, test = minires.data.digits(), minires.data.digits(train=False)
pixels, test_pixels = digits.images.reshape(-1, 64) / 255, test.images.reshape(-1, 64) / 255
rng = np.random.default_rng(0)

# %% [markdown]
# ## A hundred layers
#
# Stack a hundred linear layers, $x W_1 W_2 \cdots W_{100}$. **Predict**: how many are needed to compute
# the same? (The matrices are random orthogonal matrices, which keep all lengths.)

# %%
layers = [np.linalg.qr(rng.normal(size=(64, 64)))[0] for _ in range(100)]
deep = pixels
for w in layers:
    deep = deep @ w
single = np.linalg.multi_dot(layers)  # the product of all hundred: 64 × 64
print("one layer differs from a hundred by", np.abs(deep - pixels @ single).max())

# %% [markdown]
# One, since a product of matrices is a matrix. Depth is useless without a nonlinearity in between, and
# the cheapest nonlinearity is
#
# $$\operatorname{relu}(x) = \max(x, 0), \qquad
# \frac{\partial L}{\partial x} = \begin{cases} g & x > 0 \\ 0 & x \le 0 \end{cases}$$
#
# At $x = 0$ there is no slope; PyTorch and minires take 0 (JAX's `maximum` takes 1/2). The gradient passes or it does not: ReLU is a gate, and
# the forward pass sets it.


# %%
def relu(x):
    return np.maximum(x, 0)


def relu_backward(g, x):
    return g * (x > 0)


x, g = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
xt = Tensor(x, requires_grad=True)
F.relu(xt).backward(g)
print("equal to the library's:", np.array_equal(relu_backward(g, x), xt.grad.numpy()))

# %% [markdown]
# ## How a ReLU dies
#
# A gate that is shut passes no gradient, so the weights that lead to it do not move, so it stays shut. For
# one image that is fine. If it is shut for *all* images, the *unit* (one of a layer's values, and its
# weights) is dead: only a change in the layers before it could still wake it.
#
# One step that is too large can do it. **Predict**: two hidden layers of 64 units, 20 steps on the
# digits. At which learning rate do units begin to die: 0.1, 1, 10?


# %%
def dead_units(lr, activation, steps=20):
    minires.manual_seed(0)
    hidden = nn.Sequential(nn.Linear(64, 64), activation, nn.Linear(64, 64), activation)
    net = nn.Sequential(hidden, nn.Linear(64, 10))
    optimiser = optim.SGD(net.parameters(), lr=lr)
    for _ in range(steps):
        optimiser.zero_grad()
        F.cross_entropy(net(Tensor(pixels.astype(np.float32))), digits.labels).backward()
        optimiser.step()
    values = hidden(Tensor(pixels.astype(np.float32))).numpy()
    loss = F.cross_entropy(net(Tensor(pixels.astype(np.float32))), digits.labels).item()
    return (values <= 0).all(axis=0).mean(), loss


rates = [0.1, 0.3, 1, 3, 10]
dead, losses = zip(*(dead_units(lr, nn.ReLU()) for lr in rates), strict=True)

fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
bars = ax.bar(range(5), [100 * share for share in dead], color="#c2410c", width=0.5)
ax.bar_label(bars, [f"loss {loss:.2g}" for loss in losses])
ax.set_xticks(range(5), rates)
ax.set(
    xlabel="learning rate", ylabel="dead units of the second layer (%)", title="After 20 steps",
    ylim=(0, 115),
)  # fmt: skip
plt.show()

# %% [markdown]
# *What to see: the fraction of units that are 0 for all 1,437 images, with the loss above each bar. Some are
# dead from the start, by chance. Guessing has a loss of $\ln 10 = 2.3$ (notebook 01), and 20 small steps of
# 0.1 have hardly begun to leave it. Where most units are dead the loss is back there or above: what is left
# can no longer distinguish the digits. Where all are dead no gradient gets to any weight before them, ever
# again.*
#
# Remedies: smaller steps at first (warm-up, notebook 07), batch norm (which recentres every unit, so that
# about half of its values are positive while its learnt shift is near 0, notebook 04), or a small slope on the left side instead of 0
# (`leaky_relu`), through which a little gradient always gets.
#
# ## Pooling: the winner takes the gradient
#
# *Max pooling* keeps the largest value of each window, *average pooling* the mean. Networks use them to
# make images smaller. Forwards they are easy; backwards one question decides everything: how much does
# the output move when an input moves?
#
# * average: by $1/m$ of that, for each of the $m$ inputs;
# * maximum: by all of it if that input is the largest, else not at all.


# %%
def pool(x, size):
    """Windows of size × size, side by side: (H, W) gives (H/size, W/size, size·size)."""
    H, W = x.shape
    tiles = x.reshape(H // size, size, W // size, size).transpose(0, 2, 1, 3)
    return tiles.reshape(H // size, W // size, size * size)


def unpool(tiles, size):
    """The way back: (H/size, W/size, size·size) gives (H, W)."""
    h, w, _ = tiles.shape
    back = tiles.reshape(h, w, size, size).transpose(0, 2, 1, 3)
    return back.reshape(h * size, w * size)


def max_pool_backward(g, x, size):
    tiles = pool(x, size)
    wins = np.arange(size * size) == tiles.argmax(axis=-1)[..., None]  # the first, if several tie
    return unpool(g[..., None] * wins, size)


def avg_pool_backward(g, x, size):
    return unpool(np.repeat(g[..., None] / size**2, size**2, axis=-1), size)


fashion = minires.data.fashion_mini()
boot = fashion.images[fashion.labels == 9][0, :, :, 0] / 255
small = {"max": pool(boot, 4).max(axis=-1), "average": pool(boot, 4).mean(axis=-1)}
back = {
    "max": max_pool_backward(np.ones((7, 7)), boot, 4),
    "average": avg_pool_backward(np.ones((7, 7)), boot, 4),
}

fig, axes = plt.subplots(1, 5, figsize=(11, 2.9), layout="constrained")
axes[0].imshow(boot, cmap="gray_r")
axes[0].set(title="image", ylabel="row (pixel)")
for i, kind in enumerate(small):
    axes[1 + i].imshow(small[kind], cmap="gray_r", vmin=0, vmax=1)
    axes[1 + i].set(title=f"{kind} of 4 × 4")
    view = axes[3 + i].imshow(back[kind], cmap="Blues", vmin=0, vmax=1)
    axes[3 + i].set(title=f"gradient, {kind}")
for ax in axes:
    ax.set(xlabel="column (pixel)")
fig.colorbar(view, ax=axes[3:], label="gradient", shrink=0.8)
plt.show()

for kind, function in (("max", F.max_pool2d), ("average", F.avg_pool2d)):
    xt = Tensor(boot[None, ..., None], requires_grad=True)
    function(xt, 4).backward(np.ones((1, 7, 7, 1)))
    print(f"{kind:8} equal to the library's:", np.allclose(xt.grad.numpy()[0, :, :, 0], back[kind]))

# %% [markdown]
# *What to see: with a gradient of 1 for each of the 7 × 7 outputs, max pooling sends it to one pixel of
# each window (dark dots), average pooling spreads it evenly (a pale sheet). Both sum to 49.*
#
# Look at the first dots in the top row of the max map, each at the top left of its window. There the image is
# white, all 16 pixels of a window are 0, and the *first* of them is declared the winner. **Predict**: in how
# many of the 2 × 2 windows of all the digits is the maximum shared?

# %%
tiles = np.concatenate([pool(image, 2).reshape(-1, 4) for image in digits.images[..., 0]])
shared = (tiles == tiles.max(axis=1, keepdims=True)).sum(axis=1) > 1
print(
    f"{shared.mean():.0%} of {len(tiles):,} windows; {(tiles.max(axis=1) == 0).mean():.0%} are all white"
)

# %% [markdown]
# Ties are not a rare accident: after a ReLU, whole windows of zeros are common. To give all to the first,
# all to the last, or a part to each can all be defended; but a code that gives *each* tied pixel the whole
# gradient, as `g * (x == maximum)` does, makes gradient out of nothing. minires takes the first, as
# PyTorch's max pooling does.
#
# A ResNet ends with one large average pooling, over the whole image: each channel becomes one number.
#
# ## From scores to probabilities
#
# The last layer gives a score $s_k$ for each class. *Softmax* makes probabilities of them: positive, with
# sum 1.
#
# $$p_k = \frac{e^{s_k}}{\sum_j e^{s_j}}$$
#
# **Predict** what the textbook formula makes of the scores 1000, 1001 and 1002.


# %%
def textbook(s):
    return np.exp(s) / np.exp(s).sum()


def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


s = np.array([1000.0, 1001.0, 1002.0])
with np.errstate(all="ignore"):
    print("textbook:", textbook(s))
print("shifted: ", softmax(s))

# %% [markdown]
# $e^{1000}$ overflows, and infinity over infinity is not a number. But only *differences* of scores
# matter: subtracting the same number from all of them multiplies numerator and denominator by the same
# factor. So subtract the largest, and no exponential is above 1.
#
# That repairs softmax, and not yet its logarithm. If a score is 800 below the largest, its $p$ underflows to 0, and
# $\log 0 = -\infty$ although the answer is about $-800$. So take the logarithm on paper first:
#
# $$\log p_k = s_k - \log \sum_j e^{s_j} = s_k - m - \log \sum_j e^{s_j - m}, \qquad m = \max_j s_j$$


# %%
def log_softmax(s):
    shifted = s - s.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


s = np.array([0.0, 800.0])
with np.errstate(divide="ignore"):
    print("log of softmax:", np.log(softmax(s)))
print("log_softmax:   ", log_softmax(s), "library:", F.log_softmax(Tensor(s)).numpy())

# %% [markdown]
# ## The loss, and its gradient in two lines
#
# *Cross-entropy* is $L = -\log p_y$ for the right class $y$: 0 if the network was certain and right,
# large if it was certain and wrong. Write $[k = y]$ for 1 if $k$ is $y$, else 0. By the formula above, and
# since $\log u$ has slope $1/u$ and $e^s$ slope $e^s$,
#
# $$L = \log \sum_j e^{s_j} - s_y, \qquad
# \frac{\partial L}{\partial s_k} = \frac{e^{s_k}}{\sum_j e^{s_j}} - [k = y] = p_k - [k = y]$$
#
# **What you believed, minus what is true.** Exponentials and logarithms are gone. It lies between -1 and
# 1 whatever the scores are, and it sums to zero: what the right class gains, the others lose.
#
# Step through it for three scores, built from small operations. Going backwards, the boxes
# collapse to $p - y$: compare the last step with what is printed.

# %%
scores = Tensor(np.array([1.0, 3.0, 2.0]), requires_grad=True)
loss = scores.exp().sum().log() - scores[0]
print("p - y =", softmax(scores.numpy()) - [1, 0, 0])
viz.step_through(loss)

# %% [markdown]
# For a batch, as functions on arrays, and against the library:


# %%
def cross_entropy(s, labels):
    return -log_softmax(s)[np.arange(len(s)), labels].mean()


def cross_entropy_backward(s, labels):
    g = softmax(s)
    g[np.arange(len(s)), labels] -= 1
    return g / len(s)  # the mean over the batch


s, labels = rng.normal(size=(6, 4)) * 3, rng.integers(0, 4, 6)
st = Tensor(s, requires_grad=True)
loss = F.cross_entropy(st, labels)
loss.backward()
print("loss:    ", np.abs(cross_entropy(s, labels) - loss.item()))
print("gradient:", np.abs(cross_entropy_backward(s, labels) - st.grad.numpy()).max())

# %% [markdown]
# ## Why not squared errors?
#
# $\sum_k (p_k - [k=y])^2$ is also zero for a perfect answer. Take two classes, of which the right one has
# probability $p$, and a score that is behind by $d$: the further behind, the worse the mistake. Cross-entropy
# pulls the right score up by $1 - p$. The squared error is $(p - 1)^2 + (1 - p)^2 = 2 (1-p)^2$, of slope
# $-4(1-p)$ by $p$; and the slope of $p$ by its score is $p(1-p)$, since that of $\log p$ is $1 - p$.
# **Predict**: which loss pulls harder at $d = 10$, and how much?

# %%
behind = np.linspace(-10, 10, 201)
p = softmax(np.stack([np.zeros(201), behind], axis=-1))[:, 0]  # of the right class
pull_cross = 1 - p  # minus the gradient by the right class's score
pull_square = 4 * (1 - p) * p * (1 - p)

fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
ax.plot(behind, pull_cross, color="#1d4ed8", label="cross-entropy")
ax.plot(behind, pull_square, color="#c2410c", label="squared error of probabilities")
ax.axvline(0, color="#6b7280", lw=0.8)
ax.set(
    xlabel="how far the right class is behind (difference of scores)",
    ylabel="pull on its score (−∂L/∂s)",
)
ax.annotate("right and sure", (-9.5, 0.1), color="#6b7280")
ax.annotate("wrong and sure", (5.5, 0.42), color="#6b7280")
ax.legend(loc="upper left")
plt.show()
print(f"at d = 10: cross-entropy {pull_cross[-1]:.4f}, squared error {pull_square[-1]:.4f}")

# %% [markdown]
# *What to see: on the left both pull less and less, as they should. On the right, where the network is
# wrong and sure of it, cross-entropy pulls with full strength and the squared error hardly at all: there
# $p$ is nearly 0, and the slope of the softmax, $p(1-p)$, multiplies everything that comes from above.*
#
# ## Two checks before every training
#
# 1. An untrained network knows nothing, so for each of $K$ classes it should say $1/K$, and its loss should be
#    $\ln K$: 2.30 for ten classes. Much more means that the scores are too large.
# 2. It must be able to memorise ten images (*overfit one batch*). If it cannot, something is broken, and no amount of
#    data will help.

# %%
minires.manual_seed(0)
net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
images, ten = Tensor(pixels[:10].astype(np.float32)), digits.labels[:10]
print(f"untrained: {F.cross_entropy(net(images), ten).item():.3f}, ln 10 = {np.log(10):.3f}")
optimiser = optim.SGD(net.parameters(), lr=0.5)
for _ in range(200):
    optimiser.zero_grad()
    loss = F.cross_entropy(net(images), ten)
    loss.backward()
    optimiser.step()
print(f"ten images, 200 steps: {loss.item():.4f}")

# %% [markdown]
# ## The most confident mistakes
#
# Train on all the digits, and look where the loss on the test images is largest: there the network was
# sure, and wrong.

# %%
for _ in range(200):  # on from the ten images, now with all 1,437
    optimiser.zero_grad()
    F.cross_entropy(net(Tensor(pixels.astype(np.float32))), digits.labels).backward()
    optimiser.step()
p = softmax(net(Tensor(test_pixels.astype(np.float32))).numpy())
losses = -np.log(p[np.arange(len(p)), test.labels])

fig, axes = plt.subplots(1, 6, figsize=(9, 2.1), layout="constrained")
for ax, i in zip(axes, np.argsort(-losses), strict=False):
    ax.imshow(test.images[i, ..., 0], cmap="gray_r")
    ax.set_title(f"it is {test.labels[i]}; {p[i].max():.0%} for {p[i].argmax()}", fontsize=9)
    ax.set_xlabel(f"loss {losses[i]:.1f} nats", fontsize=9)
    ax.set(xticks=[], yticks=[])
plt.show()
print(
    f"{(p.argmax(axis=1) == test.labels).mean():.1%} right; mean loss {losses.mean():.2f}, median {np.median(losses):.3f}"
)

# %% [markdown]
# *What to see: six test images of 8 × 8 pixels, worst first, with the true and the predicted class. The mean loss is far above the median (half of the images have less): a few confident mistakes make
# up most of it. Looking at them is a quick way to find wrong labels.*

# %% [markdown]
# ## Exercises
#
# (Difficulty from 1, a few lines, to 3, an idea of your own; the minutes are without training times.)
#
# 1. **Label smoothing.** *(difficulty 1, 15 min)* Instead of 1 for the right class and 0 for the others, ask
#    for $1 - \alpha$ plus
#    $\alpha / K$, and $\alpha / K$. What is the gradient with respect to the scores now? (Change one line.) Compare with
#    `F.cross_entropy(..., label_smoothing=0.1)`.
#    *You are right if* loss and gradient agree with the library's to 1e-12.
# 2. **How sure is sure?** *(difficulty 1, 30 min)* Divide the test scores of `net` by a temperature $T$ before
#    the softmax, and draw
#    the mean loss against $T$. The accuracy cannot change; why does the loss? What does a best $T$ above 1
#    say about the network?
#    *You are right if* the loss has its minimum inside the range of $T$ that you drew, and no prediction
#    changes.
# 3. **Convexity.** *(difficulty 3, 45 min)* Show that the matrix of second derivatives of cross-entropy with
#    respect to the scores is
#    $\operatorname{diag}(p) - p\,p^\top$, and compare with `minires.grad(..., create_graph=True)`. Prove that
#    the loss curves upwards in every direction $u$ of the scores:
#    $u^\top (\operatorname{diag}(p) - p\,p^\top) u$ is the variance of $u$ under $p$,
#    $\sum_k p_k u_k^2 - (\sum_k p_k u_k)^2$. Such a loss is *convex* and has no valley but the lowest. Why is
#    the loss all the same not convex in the network's weights?
#    *You are right if* your matrix agrees with the library's to 1e-12 and $u^\top H u$ is never below 0 but
#    for rounding.
