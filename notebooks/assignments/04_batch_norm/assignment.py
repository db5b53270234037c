# %% [markdown]
# # Batch normalisation
#
# A batch norm layer takes each channel of its input, shifts it to mean 0 and scales it to
# variance 1, over the batch, and then gives it a mean $\beta$ and a deviation $\gamma$ that are
# learnt (Ioffe and Szegedy 2015). Residual networks have one after every convolution.
#
# You write it by hand: the forward pass in training, the running statistics, the forward pass in
# evaluation, and the backward passes of both. The last but one is the hardest derivative of this
# course, and the one that most people get wrong in the same few ways.
#
# Arrays have their channels last: `x` is `(M, C)`, M values of each of C channels. An image batch
# `(N, H, W, C)` is used as `(N * H * W, C)`, as in question 5. Use NumPy only, and leave the arrays that
# you are given as they are.
#
# **What must work:** every size from 1 on, equal or not; only the running statistics need two values of
# each channel. $\gamma$ and $\beta$ may be negative or 0, all values of a channel may be equal, and
# values may go into the thousands. $\varepsilon$ is above 0, and may be 8 or $10^{-10}$. Each call
# stands alone. An entry may be off by a ten-thousandth of the largest in its array, so computing in
# float32 is fine, also inside the layer of question 6.

# %% given="imports"
import numpy as np


# %% given="numerical_gradient"
def numerical_gradient(function, x, g, h=1e-5):
    """The gradient of sum(g * function(x)) by x, from central differences."""
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        old = x[i]
        x[i] = old + h
        above = function(x)
        x[i] = old - h
        below = function(x)
        x[i] = old
        gradient[i] = np.sum(g * (above - below)) / (2 * h)
    return gradient


# %% [markdown]
# ## 1. Forward, in training
#
# For each channel, with sums over the M rows,
#
# $$\mu = \frac1M \sum_i x_i, \qquad \sigma^2 = \frac1M \sum_i (x_i - \mu)^2, \qquad
# \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}}, \qquad
# y_i = \gamma \hat x_i + \beta .$$
#
# The variance is the *biased* one, divided by M. The small $\varepsilon$ stands inside the root: it
# keeps a channel whose values are all equal from dividing by zero. With a single row, `y` is $\beta$.
#
# Return `y`, of the shape of `x`.


# %% question="batch_norm_train"
def batch_norm_train(x, gamma, beta, eps):
    """Batch norm over axis 0 of an (M, C) array; gamma and beta are (C,)."""
    ### BEGIN SOLUTION
    mean = x.mean(axis=0)
    var = x.var(axis=0)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta
    ### END SOLUTION


# %% [markdown]
# Whatever goes in, each channel must come out with mean $\beta$ and deviation $|\gamma|$, nearly:

# %% check="batch_norm_train"
x = np.array([[1.0, 20.0], [2.0, 20.0], [3.0, 26.0], [6.0, 30.0]])
y = batch_norm_train(x, gamma=np.array([2.0, 0.5]), beta=np.array([10.0, -1.0]), eps=1e-5)
print("means     ", y.mean(axis=0), "should be 10 and -1")
print("deviations", y.std(axis=0), "should be nearly 2 and 0.5")
assert y.shape == x.shape, f"y has shape {y.shape}, x has {x.shape}"
assert np.abs(y.mean(axis=0) - [10, -1]).max() < 1e-9
assert np.abs(y.std(axis=0) - [2, 0.5]).max() < 1e-4

# %% [markdown]
# ## 2. Running statistics
#
# In evaluation there may be a single image, so the statistics of the batch will not do. Training
# therefore keeps running averages, with momentum $m$ (0.1 as a rule, the weight of what is *new*):
#
# $$\text{running mean} \leftarrow (1 - m) \cdot \text{running mean} + m \cdot \mu,$$
# $$\text{running var} \leftarrow (1 - m) \cdot \text{running var}
# + m \cdot \frac{M}{M - 1}\,\sigma^2 .$$
#
# The factor $M / (M - 1)$ makes the variance *unbiased*: on average it is then that of all data.
# Normalising uses the biased one, the running average the unbiased one.
#
# Return the new running mean and variance, and leave the old arrays as they were. There are two rows
# or more; the momentum is a number from 0 to 1, both included.


# %% question="update_statistics"
def update_statistics(running_mean, running_var, x, momentum):
    """The running statistics, each (C,), after a batch x of shape (M, C)."""
    ### BEGIN SOLUTION
    mean = x.mean(axis=0)
    var = x.var(axis=0, ddof=1)
    running_mean = (1 - momentum) * running_mean + momentum * mean
    running_var = (1 - momentum) * running_var + momentum * var
    return running_mean, running_var
    ### END SOLUTION


# %% [markdown]
# With momentum 0 nothing changes; with momentum 1 the old values are forgotten:

# %% check="update_statistics"
x = np.array([[1.0], [2.0], [3.0], [6.0]])
old_mean, old_var = np.array([5.0]), np.array([1.0])
for momentum in (0.0, 0.1, 1.0):
    print(momentum, *update_statistics(old_mean, old_var, x, momentum))
assert update_statistics(old_mean, old_var, x, 0.0) == (5.0, 1.0)
assert update_statistics(old_mean, old_var, x, 1.0)[0] == 3.0

# %% [markdown]
# ## 3. Forward, in evaluation
#
# The same formula, with the running statistics in the place of the batch's. They are constants now:
# a row's output no longer depends on the other rows, and there may be only one. A running variance may
# be 0.


# %% question="batch_norm_eval"
def batch_norm_eval(x, gamma, beta, running_mean, running_var, eps):
    """Batch norm with given statistics; x is (M, C), all others are (C,)."""
    ### BEGIN SOLUTION
    return gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta
    ### END SOLUTION


# %% check="batch_norm_eval"
x = np.array([[1.0, 20.0], [2.0, 20.0], [3.0, 26.0]])
rest = np.array([2.0, 0.5]), np.array([10.0, -1.0]), np.array([1.0, 21.0]), np.array([4.0, 9.0])
alone = batch_norm_eval(x[:1], *rest, 1e-5)
together = batch_norm_eval(x, *rest, 1e-5)
print("first row alone   ", alone[0])
print("first row of three", together[0])
assert np.array_equal(alone[0], together[0]), "a row must not depend on the others"

# %% [markdown]
# ## 4. Backward, in training
#
# Given $g_i = \partial L / \partial y_i$, you want $\partial L / \partial x$,
# $\partial L / \partial\gamma$ and $\partial L / \partial \beta$. For the last two,
# $y_i = \gamma \hat x_i + \beta$ is all you need: $\gamma$ and $\beta$ are used in every row, so
# sum over the rows.
#
# For $x$ there are **three paths**: $x_i$ stands in the numerator of its own $\hat x_i$, and it is
# in $\mu$ and in $\sigma^2$, which every row uses. With
# $h_i = \gamma g_i = \partial L/\partial \hat x_i$ and the derivative of $\hat x_i$ by $x_j$,
#
# $$\frac{\partial \hat x_i}{\partial x_j} = \frac1{\sqrt{\sigma^2 + \varepsilon}} \left( [i = j] -
# \frac1M - \frac{\hat x_i \hat x_j}{M} \right),$$
#
# derive $\partial L / \partial x_j = \sum_i h_i \, \partial \hat x_i / \partial x_j$ on paper
# first. You should find a line with two means in it. It holds for one row or two as well, and for a
# channel whose values are all equal.


# %% question="batch_norm_train_backward"
def batch_norm_train_backward(g, x, gamma, eps):
    """The gradients (dx, dgamma, dbeta) of batch norm in training; g and x are (M, C)."""
    ### BEGIN SOLUTION
    inverse = 1 / np.sqrt(x.var(axis=0) + eps)
    normal = (x - x.mean(axis=0)) * inverse
    dgamma = (g * normal).sum(axis=0)
    dbeta = g.sum(axis=0)
    h = g * gamma
    dx = inverse * (h - h.mean(axis=0) - normal * (h * normal).mean(axis=0))
    return dx, dgamma, dbeta
    ### END SOLUTION


# %% [markdown]
# The numerical gradient knows no formula. Look at what you get with `g` all ones too: adding the
# same to every row changes nothing, so `dx` must be zero. A test with that `g` would also pass for
# a `dx` that is wrong: which?


# %% check="batch_norm_train_backward"
def by_reference(x, gamma, eps):
    return gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)


rows = np.arange(4.0)[:, None]
x = np.hstack([np.sin(rows), 3 * np.cos(2 * rows)])
g, gamma = np.hstack([np.cos(3 * rows), rows - 1]), np.array([2.0, -0.5])
dx, dgamma, dbeta = batch_norm_train_backward(g, x, gamma, 1e-5)
expected = numerical_gradient(lambda x: by_reference(x, gamma, 1e-5), x.copy(), g)
print("your dx:", dx, "numerical dx:", expected, sep="\n")
print("largest difference:", np.abs(dx - expected).max())
assert np.abs(dx - expected).max() < 1e-6

# %% [markdown]
# ## 5. Backward, in evaluation, for images
#
# The statistics are constants, so two of the three paths are gone. Here `g` and `x` are images
# `(N, H, W, C)`: `dgamma` and `dbeta` sum over all axes but the last. Each of the four sizes may be 1.


# %% question="batch_norm_eval_backward"
def batch_norm_eval_backward(g, x, gamma, running_mean, running_var, eps):
    """The gradients (dx, dgamma, dbeta) of batch norm in evaluation; g and x are (N, H, W, C)."""
    ### BEGIN SOLUTION
    inverse = 1 / np.sqrt(running_var + eps)
    normal = (x - running_mean) * inverse
    return g * gamma * inverse, (g * normal).sum(axis=(0, 1, 2)), g.sum(axis=(0, 1, 2))
    ### END SOLUTION


# %% check="batch_norm_eval_backward"
x = np.arange(16.0).reshape(1, 4, 2, 2)
g = np.cos(x)
gamma, mean, var = np.array([2.0, -0.5]), np.array([5.0, 6.0]), np.array([4.0, 9.0])
dx, dgamma, dbeta = batch_norm_eval_backward(g, x, gamma, mean, var, 1e-5)
print("shapes:", dx.shape, dgamma.shape, dbeta.shape)
expected = numerical_gradient(lambda x: gamma * (x - mean) / np.sqrt(var + 1e-5), x.copy(), g)
print("largest difference:", np.abs(dx - expected).max())
assert dgamma.shape == dbeta.shape == (2,)
assert np.abs(dx - expected).max() < 1e-6

# %% [markdown]
# ## 6. The layer
#
# Put it together: a layer for images `(N, H, W, C)` that normalises each channel over all of the
# batch's places, `(N * H * W, C)`, keeps its statistics while it is training, and uses them when it
# is not. When this question is graded, your first three functions are replaced by right ones, so
# call them freely.
#
# `training` may be switched at any time: a layer may be evaluated before it is trained, and trained on
# after it was evaluated. Batches may differ in size and come twice, $\gamma$ and $\beta$ may be set anew,
# and several layers do not know of each other.


# %% question="BatchNorm"
class BatchNorm:
    """Batch norm for images; at first gamma 1, beta 0, running mean 0, running variance 1."""

    def __init__(self, channels, eps=1e-5, momentum=0.1):
        self.gamma, self.beta = np.ones(channels), np.zeros(channels)
        self.running_mean, self.running_var = np.zeros(channels), np.ones(channels)
        self.eps, self.momentum = eps, momentum
        self.training = True

    def forward(self, x):
        """The output for images x, of x's shape; while training, the statistics move on too."""
        ### BEGIN SOLUTION
        rows = x.reshape(-1, x.shape[-1])
        if self.training:
            out = batch_norm_train(rows, self.gamma, self.beta, self.eps)
            self.running_mean, self.running_var = update_statistics(
                self.running_mean, self.running_var, rows, self.momentum
            )
        else:
            statistics = self.running_mean, self.running_var
            out = batch_norm_eval(rows, self.gamma, self.beta, *statistics, self.eps)
        return out.reshape(x.shape)
        ### END SOLUTION


# %% [markdown]
# After many batches of the same kind, evaluation should do nearly what training does. Before the
# first, it does nearly nothing. Watch it get there:

# %% check="BatchNorm"
generator = np.random.default_rng(0)
layer = BatchNorm(2)
for step in range(61):
    images = generator.normal(5.0, 2.0, (4, 3, 3, 2))
    layer.training = True
    layer.forward(images)
    layer.training = False
    out = layer.forward(images)
    if step % 20 == 0:
        print(f"after {step:2} steps: mean {out.mean():6.3f}, deviation {out.std():6.3f}")
assert out.shape == images.shape
assert abs(out.mean()) < 0.3
assert abs(out.std() - 1) < 0.2
before = layer.running_mean.copy()
layer.forward(images)
assert np.array_equal(before, layer.running_mean), "evaluation must not move the statistics"

# %% [markdown]
# ## Look at it
#
# In training, a row that is shifted far out changes what the *others* become. In evaluation it does
# not. Change the 50 and see.

# %%
x = np.array([[0.0], [1.0], [2.0], [50.0]])
one, zero = np.ones(1), np.zeros(1)
print("training  ", batch_norm_train(x, one, zero, 1e-5).ravel())
print("evaluation", batch_norm_eval(x, one, zero, zero, one, 1e-5).ravel())
