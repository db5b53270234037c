# %% [markdown]
# # Solutions to notebook 05: ReLU, pooling, softmax and cross-entropy

# %%
import numpy as np

import minires
from instructor.given import from_notebook, sized
from minires import Tensor, nn, optim
from minires.nn import functional as F

softmax, log_softmax = from_notebook("05", "softmax", "log_softmax")
rng = np.random.default_rng(0)

# %% [markdown]
# ## Exercise 1: label smoothing
#
# The loss is $-\sum_k t_k \log p_k$ with targets $t$ that sum to 1. Its gradient is
# $p \sum_k t_k - t = p - t$, as with a one-hot target. In code: subtract $t$ instead of 1 at the label.


# %%
def targets(labels, classes, alpha):
    return (1 - alpha) * np.eye(classes)[labels] + alpha / classes


s, labels = rng.normal(size=(6, 4)) * 3, rng.integers(0, 4, 6)
t = targets(labels, 4, 0.1)
st = Tensor(s, requires_grad=True)
loss = F.cross_entropy(st, labels, label_smoothing=0.1)
loss.backward()
assert np.isclose(-(t * log_softmax(s)).sum(axis=1).mean(), loss.item(), rtol=1e-12)
assert np.allclose((softmax(s) - t) / len(s), st.grad.numpy(), atol=1e-14)

# %% [markdown]
# ## Exercise 2: how sure is sure?
#
# Dividing by $T > 0$ keeps the order of the scores, so the largest stays the largest and no prediction changes.
# The loss depends on the probabilities, and these change: a large $T$ makes them more equal. A best
# $T > 1$ says that the network is too sure (over-confident): its scores are too far apart for how often it
# is right on images that it has not seen. To choose $T$ and to report the loss, use different images.

# %%
digits, test = minires.data.digits(), minires.data.digits(train=False)
x, y = (digits.images.reshape(-1, 64) / 255).astype(np.float32)[:300], digits.labels[:300]
minires.manual_seed(0)
net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimiser = optim.SGD(net.parameters(), lr=0.5)
for _ in range(sized(400, 2000)):
    optimiser.zero_grad()
    F.cross_entropy(net(Tensor(x)), y).backward()
    optimiser.step()
scores = net(Tensor((test.images.reshape(-1, 64) / 255).astype(np.float32))).numpy()
scores = scores.astype(np.float64)
temperatures = np.geomspace(0.3, 5, 40)
losses = []
for T in temperatures:
    losses.append(-log_softmax(scores / T)[np.arange(len(scores)), test.labels].mean())
    assert np.array_equal((scores / T).argmax(axis=1), scores.argmax(axis=1))
best = temperatures[np.argmin(losses)]
print(
    f"best T = {best:.2f}: loss {min(losses):.3f}, at T = 1 {np.interp(1, temperatures, losses):.3f}"
)
assert best > 1
assert losses[0] > min(losses) < losses[-1]

# %% [markdown]
# ## Exercise 3: convexity
#
# The first derivative is $p_i - y_i$, and $\partial p_i / \partial s_j = p_i(\delta_{ij} - p_j)$. So
# $H = \operatorname{diag}(p) - pp^\top$. For any $u$,
# $u^\top H u = \sum_k p_k u_k^2 - (\sum_k p_k u_k)^2 = \sum_k p_k (u_k - \bar u)^2 \ge 0$ with
# $\bar u = \sum_k p_k u_k$: a variance. It is 0 for $u$ with all entries equal: adding one number to all scores
# changes nothing. In the weights the loss is not convex, because the scores are not linear in them. One sees
# it without computing: exchange two hidden units (and their weights), and the loss is the same; were it convex,
# the mean of the two, in which both units are equal, would be at least as good as either.

# %%
s = Tensor(rng.normal(size=5), requires_grad=True)
loss = s.exp().sum().log() - s[2]
first = minires.grad(loss, s, create_graph=True)
H = np.stack([minires.grad(first[i], s, retain_graph=True).numpy() for i in range(5)])
p = softmax(s.numpy())
assert np.allclose(H, np.diag(p) - np.outer(p, p), atol=1e-14)
for u in rng.normal(size=(100, 5)):
    assert np.isclose(u @ H @ u, (p * (u - p @ u) ** 2).sum(), atol=1e-12)
assert np.abs(H @ np.ones(5)).max() < 1e-14


def loss_of(weights):  # the trained network above, weights given
    hidden = np.maximum(x @ weights[0] + weights[1], 0)
    return -log_softmax(hidden @ weights[2] + weights[3])[np.arange(len(x)), y].mean()


weights = [p.numpy().astype(np.float64) for p in net.parameters()]
swap = np.roll(np.arange(32), 1)  # the hidden units in another order
other = [weights[0][:, swap], weights[1][swap], weights[2][swap], weights[3]]
middle = [(a + b) / 2 for a, b in zip(weights, other, strict=True)]
print(f"ends {loss_of(weights):.3f} and {loss_of(other):.3f}, the middle {loss_of(middle):.3f}")
assert np.isclose(loss_of(weights), loss_of(other))
assert loss_of(middle) > loss_of(weights) + 0.1  # on a convex function, never above
