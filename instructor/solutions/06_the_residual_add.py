# %% [markdown]
# # Solutions to notebook 06: The residual add
#
# In tests the networks have 14 layers and train for a few steps; in full 44 layers and 160 steps.

# %%
from math import comb

import numpy as np

import minires
from instructor.given import from_notebook, sized
from minires import Tensor, nn
from minires.nn import functional as F

Block, network, train, images, digits = from_notebook(
    "06", "Block", "network", "train", "images", "digits"
)
DEPTH, STEPS = sized(14, 44), sized(30, 160)

# %% [markdown]
# ## Exercise 1: where does the ReLU go?
#
# Batch norm and ReLU move before each convolution, and nothing comes after the addition: the shortcut is then
# a clean copy from the first block to the last. The sum that leaves the last block has not been normalised or
# passed a ReLU, and it grows with the depth; so a batch norm and a ReLU are added before the classifier.
# The first block's ReLU can no longer come from the stem, which only convolves.


# %%
class PreActivation(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x):
        out = self.conv1(F.relu(self.bn1(x)))
        return x + self.conv2(F.relu(self.bn2(out)))


def pre_activation(depth, channels=8):
    minires.manual_seed(0)
    blocks = [PreActivation(channels) for _ in range((depth - 2) // 2)]
    stem = nn.Conv2d(1, channels, 3, stride=2, padding=1, bias=False)
    end = [nn.BatchNorm2d(channels), nn.ReLU()]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))
    net = nn.Sequential(stem, nn.Sequential(*blocks), *end, head)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net


net = pre_activation(DEPTH)
batch = Tensor(images[:64].astype(np.float32))
inside = [net[0](batch)]
for block in net[1]:
    inside.append(block(inside[-1]))
spread = [float(h.numpy().var()) for h in inside]
print("variance of the sum, block by block:", " ".join(f"{v:.1f}" for v in spread))
assert spread[-1] > 2 * spread[0]
assert (inside[-1].numpy() < 0).any()  # nothing keeps it above 0
losses = train(net, steps=STEPS)
print(f"{DEPTH} layers, pre-activation: loss {losses[0]:.2f} to {np.mean(losses[-4:]):.2f}")
assert np.mean(losses[-4:]) < losses[0] - 0.05

# %% [markdown]
# ## Exercise 2: start as the identity
#
# With $\gamma = 0$ in the last batch norm (its $\beta$ starts at 0), each branch adds 0. A block computes
# relu($x$), and $x$ has passed a ReLU already: the identity. The network is the stem and the head. At this step
# $\gamma$ and $\beta$ of each last batch norm have a gradient. Everything before it in the branch (both
# convolutions, the first batch norm) has the gradient 0, since it is multiplied by $\gamma = 0$. From the second
# step on $\gamma \ne 0$, and they learn.

# %%
net = network(DEPTH, residual=True, channels=8)
for block in net[1]:
    block.bn2.weight.data[:] = 0
assert np.array_equal(net(batch).numpy(), net[2](net[0](batch)).numpy())
F.cross_entropy(net(batch), digits.labels[:64]).backward()
for block in net[1]:
    for name, p in block.named_parameters():
        assert (np.abs(p.grad.numpy()).max() > 0) == name.startswith("bn2"), name
net.zero_grad()
losses = train(net, steps=STEPS)
print(f"{DEPTH} layers, zero gamma: loss {losses[0]:.2f} to {np.mean(losses[-4:]):.2f}")
assert all(np.abs(block.bn2.weight.numpy()).max() > 0 for block in net[1])
assert np.mean(losses[-4:]) < losses[0] - sized(0.02, 0.5)

# %% [markdown]
# ## Exercise 3: count the paths
#
# $\binom{n}{k}$: choose which $k$ of the $n$ blocks' layers the path goes through. Half of all
# $2^n$ paths have about $n/2$ or more. With each branch's *gradient* multiplied by $a$ and values unchanged, the
# gradient that arrives is the polynomial $\sum_k a^k G_k$, where $G_k$ is the sum over all paths of
# length $k$. Its value at $n+1$ points gives every $G_k$; in practice a few values of $a$ tell enough. For
# $a < 1$, long paths lose most. If the gradient's norm hardly changed between $a = 1$ and $0.5$,
# short paths would carry it all; if paths of length $k$ carried it all, the norm would fall by $2^{-k}$.

# %%
n = (DEPTH - 2) // 2
assert sum(comb(n, k) for k in range(n + 1)) == 2**n
net = network(DEPTH, residual=True, channels=8)
train(net, steps=STEPS)
net.eval()


class Weighted(nn.Module):
    """A block whose branch has the same values and `a` times the gradient."""

    def __init__(self, block, a):
        super().__init__()
        self.block, self.a = block, a

    def forward(self, x):
        b = self.block
        out = b.bn2(b.conv2(F.relu(b.bn1(b.conv1(x)))))
        out = self.a * out + (1 - self.a) * out.detach()
        return F.relu(out + x)


def arriving(a):
    """The gradient with respect to what the stem gives."""
    x = Tensor(net[0](batch).numpy().astype(np.float64), requires_grad=True)
    h = x
    for block in net[1]:
        h = Weighted(block, a)(h)
    F.cross_entropy(net[2](h), digits.labels[:64]).backward()
    return x.grad.numpy()


net.to(dtype=np.float64)
norms = {a: np.linalg.norm(arriving(a)) for a in (0.5, 1.0, 2.0)}
for low, high in ((0.5, 1.0), (1.0, 2.0)):
    k = np.log2(norms[high] / norms[low])
    print(f"between a = {low} and {high} the norm grows as a^{k:.1f}, of paths up to {n} long")
points = 1 + np.cos(np.pi * (np.arange(n + 1) + 0.5) / (n + 1))  # Chebyshev's
if n <= 8:  # beyond, this system of equations is too ill-conditioned
    values = np.stack([arriving(a).ravel() for a in points])
    G = np.linalg.solve(np.vander(points, increasing=True), values)
    assert np.allclose(G.sum(axis=0), arriving(1.0).ravel(), atol=1e-9 * norms[1.0] + 1e-12)
    for k, size in enumerate(np.linalg.norm(G, axis=1)):
        print(f"{comb(n, k):3} paths through {k} blocks: norm of their sum {size:.2e}")
typical = np.log2(norms[1.0] / norms[0.5])
assert typical < n / 2  # shorter than the mean path

# %% [markdown]
# The paths that carry the gradient are short: the exponent is far below $n/2$, the length of the mean path
# (Veit et al., 2016, found this for networks of 110 layers).
