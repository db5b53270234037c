# %% [markdown]
# # Solutions to notebook 07: The step

# %%
import numpy as np

import minires
from instructor.given import from_notebook, sized
from minires import Tensor, data, models, optim
from minires.nn import functional as F

(sgd_step,) = from_notebook("07", "sgd_step")
rng = np.random.default_rng(0)

# %% [markdown]
# ## Exercise 1: momentum stretches the limit
#
# With $v' = \mu v + \lambda w$ and $w' = w - \eta v'$, the pair $(w, v)$ is multiplied by one matrix a step. The
# product of its eigenvalues (the determinant) is $\mu$, their sum (the trace) is $1 + \mu - \eta\lambda$. They leave the
# unit circle first at $-1$, where $(-1) + (-\mu) = 1 + \mu - \eta\lambda$, so at $\eta\lambda = 2(1+\mu)$. At that
# limit the weight jumps from side to side; the velocity still holds the last gradients, which point
# the other way, and they cancel part of the new step.


# %%
def converges(lr, momentum, curvature=10.0, steps=20_000):
    w, v = np.ones(1), np.zeros(1)
    for _ in range(steps):
        sgd_step([w], [curvature * w], [v], lr, momentum)
        if abs(w[0]) > 1e6:
            return False
        if abs(w[0]) + lr * abs(v[0]) < 1e-3:  # both small: a pass through 0 is not enough
            return True
    return False


low, high = 0.0, 1.0
while high - low > 1e-4:
    middle = (low + high) / 2
    low, high = (middle, high) if converges(middle, 0.9) else (low, middle)
print(f"largest learning rate: {low:.4f}, 2 (1 + mu) / lambda = {2 * 1.9 / 10:.4f}")
assert abs(low - 0.38) < 5e-4

# %% [markdown]
# ## Exercise 2: RMSprop


# %%
def rmsprop_step(w, g, v, lr, alpha=0.99, eps=1e-8):
    v += (1 - alpha) * (g * g - v)
    w -= lr * g / (np.sqrt(v) + eps)


gradients = rng.normal(size=(200, 3, 5))
ours, v = np.ones((3, 5)), np.zeros((3, 5))
theirs = Tensor(np.ones((3, 5)), requires_grad=True)
optimizer = optim.RMSprop([theirs], lr=0.05)
for g in gradients:
    rmsprop_step(ours, g, v, lr=0.05)
    theirs.grad = Tensor(g)
    optimizer.step()
assert np.abs(ours - theirs.numpy()).max() < 1e-13

# %% [markdown]
# Without the correction $v$ starts at 0 and is too small at first, so the first step is
# $\eta / \sqrt{0.01} = 10\,\eta$ long: ten times Adam's.

# %%
w, v = np.zeros(1), np.zeros(1)
rmsprop_step(w, np.ones(1), v, lr=0.05)
assert np.isclose(-w[0], 0.5)

# %% [markdown]
# ## Exercise 3: the effective rate
#
# With momentum a gradient acts on all later steps, with $1 + \mu + \mu^2 + \dots = 1/(1-\mu)$ in all. For
# small $\eta\lambda$ the weights hardly move in that time, so it is as if the whole came at once.
# The exact floor of plain SGD with effective rate $\eta_e$ is $\eta_e/(2(2 - \eta_e\lambda))$.


# %%
def floor(lr, momentum, average=500):
    steps = sized(1500, 6000)
    w, v, losses = np.zeros(2000), np.zeros(2000), []
    for t in range(steps):
        sgd_step([w], [w + rng.normal(size=2000)], [v], lr, momentum)
        if t >= steps - average:
            losses.append(0.5 * np.mean(w**2))
    return np.mean(losses)


for lr in (0.001, 0.005):
    fast, plain = floor(lr, 0.9), floor(lr / (1 - 0.9), 0.0)
    print(f"momentum 0.9, rate {lr}: {fast:.5f}; plain, rate {lr / 0.1:.3f}: {plain:.5f}")
    assert abs(fast / plain - 1) < 0.15

# %% [markdown]
# `conv1.weight` is followed by batch norm, so its gradient is at right angles to it (section 4). By
# Pythagoras a plain step makes it longer: $\lVert w - \eta g\rVert^2 = \lVert w \rVert^2 + \eta^2 \lVert g \rVert^2$.
# Without weight decay the norm never falls. With it, each step first shortens $w$ by the factor $1 - \eta\,d$,
# and the norm settles where the two are equal.

# %%
train = data.digits()
normalize = data.Normalize(*data.dataset_statistics(train.images))


def norms(weight_decay):
    steps = sized(40, 130)
    minires.manual_seed(0)
    model = models.resnet8(num_classes=10, in_channels=1)
    optimizer = optim.SGD(model.parameters(), lr=0.1, weight_decay=weight_decay)
    found = [np.linalg.norm(model.conv1.weight.numpy().astype(np.float64))]
    loader = data.DataLoader(train, 64, shuffle=True, transform=normalize, drop_last=True)
    while len(found) <= steps:
        for images, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(Tensor(images)), labels).backward()
            optimizer.step()
            found.append(np.linalg.norm(model.conv1.weight.numpy().astype(np.float64)))
    return np.array(found[: steps + 1])


free, decayed = norms(0.0), norms(0.05)
print(f"norm, first and last: without decay {free[0]:.3f} {free[-1]:.3f}, with {decayed[-1]:.3f}")
assert (np.diff(free) > -1e-5 * free[0]).all()
assert free[-1] > free[0]
assert decayed[-1] < decayed[0]
