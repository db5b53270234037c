# %% [markdown]
# # The residual block and SGD
#
# Two small things made networks of a hundred layers trainable: a *sum* (He et al. 2015), and plain
# stochastic gradient descent with the right three extras. You write both.
#
# Images are `(N, H, W, C)`, channels last. A 1x1 convolution is then `x @ w`, with `w` of shape
# `(C in, C out)`. Use NumPy only, and do not change the arrays that you are given.
#
# Arrays are float64. Every axis may have any length from 1 on, and several the same; numbers may be
# of either sign, 0, large or tiny.

# %% given="imports"
import numpy as np


# %% given="numerical_gradient"
def numerical_gradient(function, x, g, h=1e-6):
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


# %% given="Parameter"
class Parameter:
    """An array that is trained: its values `data`; the loss's gradient `grad`, None at first."""

    def __init__(self, data):
        self.data = data
        self.grad = None


# %% [markdown]
# ## 1. The sum, forward
#
# A block computes $y = \mathrm{ReLU}(x + f)$, where $f = F(x)$ comes from its branch, a few layers.
# The ReLU stands **after** the sum: $f$ must be able to be negative, or the block could only ever
# add. Arrays may have any number of axes here, images or not.


# %% question="add_forward"
def add_forward(x, f):
    """The block's output, from its input x and its branch's output f, of one shape."""
    ### BEGIN SOLUTION
    return np.maximum(x + f, 0)
    ### END SOLUTION


# %% check="add_forward"
x, f = np.array([1.0, 1.0, -1.0]), np.array([2.0, -3.0, 2.0])
print("x + f ", x + f)
print("output", add_forward(x, f))
assert add_forward(x, f)[1] == 0, "1 - 3 is negative: ReLU makes it 0"
assert add_forward(x, f)[2] == 1, "-1 + 2 is positive, though x is not"

# %% [markdown]
# ## 2. The sum, backward
#
# Given $g = \partial L / \partial y$, what arrives at $x$ along the shortcut, and what at $f$? A
# sum hands the same gradient to both. That is the whole trick: however small the branch's
# derivatives are, $\partial L/\partial x$ keeps the term that came along the shortcut.
#
# ReLU's derivative at 0 is 0, exactly there and nowhere else. Return **two arrays**, new ones in
# each call: if both were one and the same, or one that you were given, whoever adds to the one
# later would change the other. Arrays may have any number of axes again.


# %% question="add_backward"
def add_backward(g, x, f):
    """What arrives at x along the shortcut, and at f."""
    ### BEGIN SOLUTION
    dx = g * (x + f > 0)
    return dx, dx.copy()
    ### END SOLUTION


# %% check="add_backward"
g = np.array([10.0, 10.0, 10.0])
dx, df = add_backward(g, np.array([1.0, 1.0, -1.0]), np.array([2.0, -3.0, 2.0]))
print("to the shortcut:", dx, "to the branch:", df)
dx += 1000
assert df.max() == 10, "adding to dx changed df: they are one array"

# %% [markdown]
# ## 3. A whole block, backward
#
# Now the branch is there too, two 1x1 convolutions with a ReLU between them:
#
# $$y = \mathrm{ReLU}\bigl(x + \mathrm{ReLU}(x\,W_1)\,W_2\bigr).$$
#
# $x$ is used **twice**, so its gradient is a sum of two. $W_1$ and $W_2$ are used at every place of
# every image, so theirs are sums over N, H and W. The branch may be narrower than $x$ or wider, and
# either ReLU may get values that are exactly 0: its derivative there is 0.


# %% question="block_backward"
def block_backward(g, x, w1, w2):
    """The gradients (dx, dw1, dw2) of a block, for images g and x (N, H, W, C)."""
    ### BEGIN SOLUTION
    hidden = np.maximum(x @ w1, 0)
    g = g * (x + hidden @ w2 > 0)
    dhidden = (g @ w2.T) * (hidden > 0)
    dw2 = np.einsum("nhwi,nhwo->io", hidden, g)
    dw1 = np.einsum("nhwi,nhwo->io", x, dhidden)
    dx = g + dhidden @ w1.T
    return dx, dw1, dw2
    ### END SOLUTION


# %% check="block_backward"
def block(x, w1, w2):
    return np.maximum(x + np.maximum(x @ w1, 0) @ w2, 0)


x = np.cos(np.arange(8.0)).reshape(1, 2, 2, 2)
w1, w2 = np.array([[0.5, -1.0, 0.2], [0.3, 0.7, -0.4]]), np.cos(np.arange(6.0)).reshape(3, 2)
g = np.sin(np.arange(8.0) + 1).reshape(x.shape)
for name, got, expected in zip(
    ["dx", "dw1", "dw2"],
    block_backward(g, x, w1, w2),
    [
        numerical_gradient(lambda x: block(x, w1, w2), x.copy(), g),
        numerical_gradient(lambda w: block(x, w, w2), w1.copy(), g),
        numerical_gradient(lambda w: block(x, w1, w), w2.copy(), g),
    ],
    strict=True,
):
    print(
        f"{name}: largest difference to the numerical gradient {np.abs(got - expected).max():.1e}"
    )
    assert np.abs(got - expected).max() < 1e-6

# %% [markdown]
# ## 4. A shortcut that changes shape
#
# Where a stage halves the image and widens the channels, $x$ and $f$ have different shapes. The
# shortcut without parameters (option A of the paper) takes every second row and column, beginning
# with the first, and fills the new channels with zeros, *behind* the old ones. Height and width may
# be odd, or 1; there may be no new channels, one, or many.


# %% question="shortcut"
def shortcut(x, channels):
    """Images (N, H, W, C) as (N, ceil(H / 2), ceil(W / 2), channels), with channels >= C."""
    ### BEGIN SOLUTION
    small = x[:, ::2, ::2]
    return np.pad(small, ((0, 0), (0, 0), (0, 0), (0, channels - x.shape[3])))
    ### END SOLUTION


# %% check="shortcut"
x = np.arange(1.0, 16.0).reshape(1, 3, 5, 1)
out = shortcut(x, 3)
print(out.shape, "should be (1, 2, 3, 3)")
print("first channel:", out[..., 0], "should be 1 3 5, 11 13 15", sep="\n")
assert out[0, :, :, 0].tolist() == [[1, 3, 5], [11, 13, 15]]

# %% [markdown]
# ## 5. SGD
#
# For each parameter $w$ with gradient $g$, velocity $v$ (0 at first), learning rate $\eta$,
# momentum $\mu$ and weight decay $\lambda$, one step is, in this order,
#
# $$g \leftarrow g + \lambda w, \qquad v \leftarrow \mu v + g, \qquad
# w \leftarrow w - \eta \cdot \begin{cases} g + \mu v & \text{with Nesterov} \\ v & \text{without}
# \end{cases}$$
#
# This is PyTorch's form. The learning rate stands outside of the velocity, so that a change of it
# acts at once; `lr` may be set anew between steps, also to 0. Learning rate, momentum and weight
# decay are never negative, and momentum is below 1.
#
# - Each parameter has a velocity of its own, kept from step to step: `zero_grad()` leaves it.
# - Change `parameter.data` **in place**: others hold the same array.
# - Leave `parameter.grad` as it is, and keep a copy of what you need later: the next gradient may be
#   written into the same array.
# - A parameter whose `grad` is None is left alone, its velocity too. A `grad` of zeros is a gradient
#   as any other.
# - `zero_grad()` sets every parameter's `grad` to None.
# - Between steps, others may put another array of the same shape into `parameter.data`.
# - There may be several optimisers, each with its own parameters and options; one made anew for the
#   same parameters, after which the old one is not used any more, begins with velocities of 0.


# %% question="SGD"
class SGD:
    """Stochastic gradient descent for a list of `Parameter`."""

    def __init__(self, parameters, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
        self.parameters = parameters
        self.lr, self.momentum = lr, momentum
        self.weight_decay, self.nesterov = weight_decay, nesterov
        ### BEGIN SOLUTION
        self.velocities = [np.zeros_like(p.data) for p in parameters]

    def step(self):
        for i, p in enumerate(self.parameters):
            if p.grad is None:
                continue
            g = p.grad + self.weight_decay * p.data
            v = self.velocities[i]
            v[...] = self.momentum * v + g
            p.data -= self.lr * (g + self.momentum * v if self.nesterov else v)

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None
        ### END SOLUTION


# %% [markdown]
# A long narrow valley, $L = (w_0^2 + 50\,w_1^2)/2$: momentum must get along it faster.


# %% check="SGD"
def valley(steps, **options):
    p = Parameter(np.array([10.0, 1.0]))
    data, optimiser = p.data, SGD([p], lr=0.03, **options)
    for _ in range(steps):
        optimiser.zero_grad()
        p.grad = p.data * [1.0, 50.0]
        optimiser.step()
    assert p.data is data, "change data in place"
    return p.data


for options in ({}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"weight_decay": 1.0}):
    print(options, "after 40 steps:", valley(40, **options))
assert np.abs(valley(1) - [9.7, -0.5]).max() < 1e-12, "one plain step: w - lr * g"
assert abs(valley(40)[0]) > 2 > abs(valley(40, momentum=0.9)[0])
