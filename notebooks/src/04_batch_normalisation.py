# %% [markdown]
# # 04 · Batch normalisation
#
# After this notebook you will be able to
#
# * say what batch normalisation does to a deep network, with two plots as evidence;
# * derive its gradient, in which mistakes are common, as the sum of three paths;
# * say what happens to the loss and to the gradient if all weights of a layer are multiplied by ten;
# * recognise the bug that makes a prediction depend on the other images in the batch.
#
# About 20 minutes. (Ioffe and Szegedy, [*Batch Normalization*](https://arxiv.org/abs/1502.03167), 2015.)

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires
from minires import Tensor, nn, optim, viz
from minires.in_browser import sized
from minires.nn import functional as F

# %% [markdown]
# ## Thirty layers, and a factor of two
#
# Send handwritten digits through 30 layers, each a random matrix and a ReLU. The outputs of a layer are its
# *activations*. The standard deviation of the random weights is a choice: say $\sqrt{2/n}$ for $n$ inputs, as
# in notebook 01, or 0.7 times that, or 1.4 times. Does the choice matter?
#
# **Predict** how large the activations are after 30 layers, for each of the three. (Measure their size by the
# root of their mean square, RMS.)

# %%
digits, test = minires.data.digits(), minires.data.digits(train=False)
pixels = digits.images.reshape(-1, 64) / 255


def normalise(x):
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)


def sizes(factor, normalised, depth=30, width=64):
    """Root mean squares of the activations, layer by layer."""
    rng, x, found = np.random.default_rng(0), pixels, []
    for _ in range(depth):
        x = x @ (rng.normal(size=(x.shape[1], width)) * factor * (2 / x.shape[1]) ** 0.5)
        if normalised:
            x = normalise(x)
        x = np.maximum(x, 0)
        found.append(np.sqrt((x**2).mean()))
    return found


fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
for ax, normalised in zip(axes, (False, True), strict=True):
    for factor, colour in ((1.4, "#c2410c"), (1.0, "#1d4ed8"), (0.7, "#15803d")):
        ax.semilogy(range(1, 31), sizes(factor, normalised), "o-", ms=3, color=colour,
                    label=f"weights × {factor}")  # fmt: skip
    ax.set(xlabel="layer", title="normalised" if normalised else "plain")
axes[0].set_ylabel("size of the activations (RMS)")
axes[0].legend()
plt.show()

# %% [markdown]
# *What to see: on the left, a factor of 1.4 or 0.7 in the weights has become a factor of $1.4^{30} \approx
# 24{,}000$ or $0.7^{30} \approx 0.00002$ after 30 layers. On the right are the same weights with one extra
# line, `x = normalise(x)`: the three curves lie on top of each other.*
#
# ($\sqrt{2/n}$ itself keeps the size about the same: each output is a sum of $n$ products with weights of mean
# square $2/n$, which doubles the mean square, and the ReLU sets half of the outputs to 0, which halves it.)
#
# The extra line treats each feature (each *channel*) separately. It shifts and scales the values of all images
# in the batch to mean 0 and variance 1:
#
# $$\mu = \frac1m \sum_i x_i, \quad \sigma^2 = \frac1m \sum_i (x_i - \mu)^2, \quad
# \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \epsilon}}, \quad y_i = \gamma \hat x_i + \beta$$
#
# $\epsilon = 10^{-5}$ prevents a division by 0 in channels that are constant. ($\sigma^2$, the square of the
# standard deviation, is called the *variance*.) $\gamma$ and $\beta$, one of each per channel, are learned: a
# layer that needs another mean and variance than 0 and 1 can have them. This may sound as if it undid the
# normalisation, but it does not: now two numbers set the mean and the standard deviation of a channel, where
# before it was the interplay of all the weights in all the earlier layers.
#
# On images a channel has a value at every pixel, and *all of them* are normalised together: the mean is
# over the axes $(N, H, W)$, and $m = N H W$. With channels last that needs no special case.


# %%
def batch_norm(x, gamma, beta, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    mean, var = x.mean(axis=axes), x.var(axis=axes)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


rng = np.random.default_rng(0)
x = rng.normal(size=(6, 5, 4, 3)) * [1, 10, 100] + [5, 0, -5]
gamma, beta = np.array([1.5, 0.5, -2.0]), np.array([0.0, 1.0, 3.0])
ours = batch_norm(x, gamma, beta)
running = Tensor(np.zeros(3)), Tensor(np.ones(3))  # averages that it keeps: see the end
theirs = F.batch_norm(Tensor(x), *running, Tensor(gamma), Tensor(beta), training=True)
print("means", ours.mean(axis=(0, 1, 2)).round(6), "spreads", ours.std(axis=(0, 1, 2)).round(6))
print("largest difference from the library:", np.abs(ours - theirs.numpy()).max())

# %% [markdown]
# The means are $\beta$ and the standard deviations $|\gamma|$, whatever the input was.
#
# ## The backward pass: three paths
#
# Now the gradient. Change one input, $x_i$, a little. Its own output changes, of course. But the mean changes
# too, by $1/m$ of the change in $x_i$, and so does the variance, and *every* output depends on both. So there
# are three paths from $x_i$ to the loss, and their effects add up. With $g = \partial L / \partial \hat x$
# (which is $\gamma$ times the upstream gradient) and $s = \sqrt{\sigma^2 + \epsilon}$:
#
# 1. **direct**: $\;g_i / s$
# 2. **through the mean**: a change of $\mu$ changes every $\hat x_j$ by $-1/s$ times as much, and a change of
#    $x_i$ changes $\mu$ by $1/m$ times as much. Together: $\;-\frac{1}{s} \cdot \frac1m \sum_j g_j =
#    -\operatorname{mean}(g) / s$
# 3. **through the variance**: $\hat x_j = (x_j - \mu)\, s^{-1}$, so a change $ds$ changes it by $-\hat x_j\, ds
#    / s$. Since $s^2$ is the mean of the $(x_j - \mu)^2$, plus $\epsilon$, the derivative of $s$ with respect
#    to $x_i$ is $\frac{2 (x_i - \mu)}{m} \cdot \frac{1}{2 s} = \hat x_i / m$. Together: $\;-\hat x_i
#    \operatorname{mean}(g \hat x) / s$
#
# $$\frac{\partial L}{\partial x_i} = \frac1s \Big( g_i - \operatorname{mean}(g)
# - \hat x_i \operatorname{mean}(g\,\hat x) \Big)$$
#
# (Does a change of $\mu$ not change the variance too? The derivative of $\sigma^2$ with respect to $\mu$ is
# $-\frac2m \sum (x_j - \mu)$, and that sum is zero. So there is a fourth path, but it contributes nothing.)
#
# For $\gamma$ and $\beta$, which are broadcast over the batch, the rule of notebook 01 holds: sum over the axes
# that were broadcast.


# %%
def batch_norm_backward(dy, x, gamma, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    s = np.sqrt(x.var(axis=axes) + eps)
    normal = (x - x.mean(axis=axes)) / s
    g = dy * gamma
    dx = (g - g.mean(axis=axes) - normal * (g * normal).mean(axis=axes)) / s
    return dx, (dy * normal).sum(axis=axes), dy.sum(axis=axes)


dy = rng.normal(size=x.shape)
xt, gt, bt = (Tensor(a, requires_grad=True) for a in (x, gamma, beta))
F.batch_norm(xt, *running, gt, bt, training=True).backward(dy)
for name, our, their in zip(
    ("dx", "dgamma", "dbeta"), batch_norm_backward(dy, x, gamma), (xt, gt, bt), strict=True
):
    print(f"{name:7} largest difference {np.abs(our - their.grad.numpy()).max():.0e}")

# %% [markdown]
# Watch this with real values: one channel of a layer, for 40 digits. In the forward pass the histogram moves to
# mean 0 and standard deviation 1. In the backward pass each value has three arrows, one for each path, which
# add up to `dx`. **Predict**: which of the three paths has the same size for every value?

# %%
channel = pixels[:40] @ np.random.default_rng(5).normal(size=64)
viz.batch_norm(channel)

# %% [markdown]
# It is the path through the mean: every input changes the mean by the same $1/m$. The path through the variance
# is largest for values far from the mean, since they change the variance most.
#
# ## What changes no output
#
# Adding the same constant to all $x$ changes no output. Multiplying all $x$ by a positive number changes none
# either (but for $\epsilon$). So the gradient has no component in either direction. Its sum is zero: the sum is
# the rate at which the loss changes when the same amount is added to all $x$. The sum of its products with
# $\hat x$ is zero too: it is the rate at which the loss changes when all values move away from their mean in
# proportion. Both follow from the formula, and both can be checked in one line:

# %%
dx, _, _ = batch_norm_backward(dy, x, gamma)
print("sums:            ", dx.sum(axis=(0, 1, 2)))
print("sums of products:", (dx * (x - x.mean(axis=(0, 1, 2)))).sum(axis=(0, 1, 2)))

# %% [markdown]
# (The second is not exactly zero, because of $\epsilon$.)
#
# **Predict**: multiply all *weights* of a layer before a batch norm by 10. What happens to the loss? What
# happens to the *norm* of the weights' gradient (its length, the root of the sum of its squares)?


# %%
def loss_and_gradient(weights):
    w = Tensor(weights, requires_grad=True)
    hidden = Tensor(pixels[:100]) @ w
    scores = F.batch_norm(hidden, Tensor(np.zeros(10)), Tensor(np.ones(10)), training=True)
    loss = F.cross_entropy(scores, digits.labels[:100])  # the loss of notebook 01
    loss.backward()
    return loss.item(), np.linalg.norm(w.grad.numpy())


weights = rng.normal(size=(64, 10))
for factor in (1, 10, 100):
    loss, size = loss_and_gradient(factor * weights)
    print(f"weights × {factor:3}: loss {loss:.4f}, norm of the gradient {size:.5f}")

# %% [markdown]
# The loss stays the same, and the gradient is divided by 10. The step is a tenth as long and the weights are
# ten times as long, so the step changes their direction a hundred times less. Before a batch norm only the
# *direction* of the weights matters. Large weights have the effect of a smaller learning rate, and whatever
# shrinks the weights raises this effective learning rate again. (Remember this when notebook 07 comes to weight
# decay.)
#
# ## What it is good for
#
# From here on the layers are the library's: `nn.Linear` is `x @ w + b` with weights of its own, `nn.Sequential`
# puts layers one after the other, and `optim.SGD` (*stochastic gradient descent*) does `weight -= lr *
# gradient` for all of them in its `step`, as the loop in notebook 01 did. Here each step uses 128 images, drawn
# at random: that is cheaper than all 1,437, and the direction of the gradient is nearly as good.
#
# Six hidden layers on the digits, 100 steps, at learning rates from 0.001 to 10: without batch norm, with it,
# and without it but with carefully chosen initial weights. The weights of a new `nn.Linear` (like PyTorch's)
# have a standard deviation of $\sqrt{1/(3n)}$. That is 0.41 times the $\sqrt{2/n}$ that keeps the size of the
# activations. **Predict**: does that matter with only six layers?


# %%
def network(normalised, careful=False, depth=6, width=32):
    minires.manual_seed(0)
    layers = []
    for i in range(depth):
        layers.append(nn.Linear(64 if i == 0 else width, width))
        if careful:
            layers[-1].weight.data *= 6**0.5  # the spread becomes sqrt(2 / n)
        if normalised:
            layers.append(nn.BatchNorm1d(width))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers, nn.Linear(width, 10))


def train(net, lr, steps=100):
    optimiser = optim.SGD(net.parameters(), lr=lr)
    images, rng = pixels.astype(np.float32), np.random.default_rng(0)
    losses = []
    for _ in range(steps):
        batch = rng.choice(len(images), 128, replace=False)
        loss = F.cross_entropy(net(Tensor(images[batch])), digits.labels[batch])
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return np.mean(losses[-10:])


rates = 10.0 ** np.arange(-3, 1.1, sized(0.5, in_browser=1.0))
with np.errstate(all="ignore"):  # large rates overflow: that is part of the result
    plain = [train(network(False), lr) for lr in rates]
    careful = [train(network(False, careful=True), lr) for lr in rates]
    normal = [train(network(True), lr) for lr in rates]

fig, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
ax.plot(rates, np.minimum(plain, 4), "o-", color="#c2410c", label="plain")
ax.plot(rates, np.minimum(careful, 4), "^-", color="#a16207", label="plain, careful weights")
ax.plot(rates, np.minimum(normal, 4), "s-", color="#1d4ed8", label="with batch norm")
ax.axhline(np.log(10), color="#6b7280", linestyle="--", label="guessing: ln 10")
ax.set(xscale="log", xlabel="learning rate", ylabel="loss after 100 steps (nats)", ylim=(0, 4))
ax.legend()
plt.show()

# %% [markdown]
# *What to see: lower is better; missing points have diverged to infinity. The plain network learns almost
# nothing at any learning rate: six layers with a factor of 0.41 each leave half a percent of the signal. With
# careful weights it learns in a narrow range of learning rates, and diverges above it. With batch norm every
# learning rate from 0.03 to 3 works, the loss is far lower, and the initial weights need no care.*
#
# ## The batch is gone
#
# When a trained network is used, there may be only one image, and no batch over which to take a mean. So during
# training each batch norm keeps *running* averages of the means and variances of its batches,
#
# $$\text{running} \leftarrow 0.9 \cdot \text{running} + 0.1 \cdot \text{batch}$$
#
# and in evaluation mode it normalises with those. The two modes are chosen by `net.train()` and `net.eval()`;
# forgetting to switch is a common bug. **Predict**: a trained network gets test images sorted by class, 36 at a
# time, so that nearly every batch is mostly one digit. What is its accuracy if it was left in training mode?

# %%
net = network(True)
train(net, lr=0.3, steps=200)
by_class = np.argsort(test.labels, kind="stable")
images, labels = (
    test.images.reshape(-1, 64)[by_class].astype(np.float32) / 255,
    test.labels[by_class],
)
shuffled = np.random.default_rng(0).permutation(len(labels))


def accuracy(order):
    right = 0
    with minires.no_grad():  # nothing to remember: no gradients are wanted
        for batch in np.array_split(order, 10):
            right += (net(Tensor(images[batch])).numpy().argmax(axis=1) == labels[batch]).sum()
    return right / len(order)


net.eval()
print(f"evaluation mode, sorted:   {accuracy(np.arange(len(labels))):.1%}")
print(f"evaluation mode, shuffled: {accuracy(shuffled):.1%}")
net.train()
print(f"training mode,   sorted:   {accuracy(np.arange(len(labels))):.1%}")
print(f"training mode,   shuffled: {accuracy(shuffled):.1%}")

# %% [markdown]
# In evaluation mode the order cannot matter. In training mode it does: in a batch that has only sevens, what
# all of them have in common is in the mean, and batch norm subtracts it. With shuffled batches the bug is hard
# to notice, because the accuracy is only a few points lower. Test your networks on sorted data once; it costs
# nothing.
#
# ## Checking the library's version
#
# The library's version is checked like every other layer, second derivatives included (notebook 09 needs them),
# with $\gamma \ne 1$ and $\beta \ne 0$, since a forgotten $\gamma$ can be seen only then. In the report
# $\gamma$ is called `weight`, $\beta$ is `bias`, and the upstream gradient is the `cotangent`.

# %%
layer = nn.BatchNorm2d(3)
layer.weight.data[:], layer.bias.data[:] = gamma, beta
print(minires.gradcheck(layer, [x[:2]], order=2))

# %% [markdown]
# ## Exercises
#
# (Difficulty from 1, a few lines, to 3, an idea of your own; the minutes are without training times.)
#
# 1. **A batch of two.** *(difficulty 1, 15 min)* Normalise the two values $a$ and $b$ by hand, with $\epsilon =
#    0$. What is the output, for any $a \neq b$? What must the gradient be? Confirm it with
#    `batch_norm_backward`, and say why the layers before a batch norm cannot learn from batches of two. *You
#    are right if* every output is 1 or -1, and every gradient is 0 apart from rounding.
# 2. **Fold it away.** *(difficulty 2, 40 min)* In evaluation mode a batch norm multiplies each channel by a
#    constant and adds another. A linear layer can do the same. Fold each batch norm of `net` into the `Linear`
#    before it, so that the network has no batch norm left, and show that its predictions are unchanged to seven
#    digits. *You are right if* no batch norm is left and no logit changes by more than 1e-5 of the largest.
# 3. **Another axis.** *(difficulty 2, 60 min)* *Layer normalisation* takes the mean and the variance over the
#    features of one image, not over the batch. Change `normalise` accordingly, and draw the first figure again.
#    Derive the gradient (almost nothing changes). Train at the same learning rates. Does it need two modes, as
#    batch norm does? *You are right if* your gradient agrees with `numeric` from notebook 02 to 1e-7.
