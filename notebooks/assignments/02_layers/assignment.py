# %% [markdown]
# # Layers I: linear, ReLU, softmax cross-entropy
#
# A layer is a pair of functions. The *forward* computes its output. The *backward* gets $g$, the
# gradient of the loss with respect to that output, and returns the gradients of the loss with respect
# to the layer's inputs. It never asks what comes after the layer: $g$ holds all of that. (It is
# called upstream gradient, or cotangent.)
#
# Inputs are rows: `x` is `(N, C)`, N examples of C numbers. Use NumPy only, and leave the arrays that
# you are given as they are.
#
# Each question says for which inputs your function must be right; hidden tests go no further. Arrays
# are of float64 (labels of int64), of any values that are finite: negative, zero, very large and very
# small. Functions are called any number of times, with other inputs each time.

# %% given="imports"
import numpy as np


# %% given="numerical_gradient"
def numerical_gradient(function, x, g, h=1e-6):
    """The gradient of sum(g * function(x)) with respect to x, from central differences."""
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
# ## 1. Linear, forward
#
# $y = xW + b$, with `w` of shape `(C, O)`: input first.
#
# **For which inputs:** any N, C and O from 1 on, which may also be equal.


# %% question="linear_forward"
def linear_forward(x, w, b):
    """Rows x (N, C) times w (C, O), plus b (O,): an array (N, O)."""
    ### BEGIN SOLUTION
    return x @ w + b
    ### END SOLUTION


# %% check="linear_forward"
out = linear_forward(
    np.array([[1.0, 2.0]]), np.array([[1.0, 0.0, 10.0], [0.0, 1.0, 10.0]]), np.ones(3)
)
print(out, "should be 2, 3, 31")
assert out.tolist() == [[2, 3, 31]]

# %% [markdown]
# ## 2. Linear, backward
#
# Think in shapes: `g` is `(N, O)`, and each gradient has the shape of what it belongs to. There is
# only one way to multiply that fits. `b` was added to every row, so what arrives at it is a sum.
#
# **For which inputs:** any N, C and O from 1 on, which may also be equal; then more than one way fits.


# %% question="linear_backward"
def linear_backward(g, x, w):
    """The gradients (dx, dw, db) of `linear_forward`."""
    ### BEGIN SOLUTION
    dx = g @ w.T
    dw = x.T @ g
    db = g.sum(axis=0)
    return dx, dw, db
    ### END SOLUTION


# %% check="linear_backward"
x, w = np.cos(np.arange(6.0)).reshape(2, 3), np.sin(np.arange(12.0)).reshape(3, 4)
g = np.cos(np.arange(8.0) ** 2).reshape(2, 4)
dx, dw, db = linear_backward(g, x, w)
print("shapes:", dx.shape, dw.shape, db.shape, "should be", x.shape, w.shape, (4,))
assert np.abs(dx - numerical_gradient(lambda x: x @ w, x.copy(), g)).max() < 1e-6
assert np.abs(dw - numerical_gradient(lambda w: x @ w, w.copy(), g)).max() < 1e-6

# %% [markdown]
# ## 3. ReLU, forward and backward
#
# $y = \max(x, 0)$. Its derivative is 1 where $x > 0$ and 0 where $x < 0$. At 0 it has none; by
# convention it is **0** there.
#
# A test with a single $g$ of ones cannot tell this from many wrong ones. What would
# `return g` get past?
#
# **For which inputs:** `x` and `g` of one shape, of one axis or more; `x` with zeros anywhere.


# %% question="relu_backward"
def relu_backward(g, x):
    """The gradient of max(x, 0) with respect to x, for arrays of any shape."""
    ### BEGIN SOLUTION
    return g * (x > 0)
    ### END SOLUTION


# %% check="relu_backward"
x, g = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]), np.array([1.0, -1.0, 5.0, -10.0, 10.0])
print(relu_backward(g, x), "should be 0 0 0 -10 10")
assert relu_backward(g, x).tolist() == [0, 0, 0, -10, 10]

# %% [markdown]
# ## 4. A ReLU that others can trust
#
# Memory is short, so one may want ReLU to overwrite its input. That is a trap: somebody else may
# still need it. Here `y = x * x` was computed before, and its backward needs `x`. Write ReLU so that
# it returns a **new** array.
#
# **For which inputs:** any of one axis or more, also where nothing has to change because nothing is
# negative. What was returned stays as it is when the function is called again.


# %% question="relu_forward"
def relu_forward(x):
    """max(x, 0) as a new array; x stays as it is."""
    ### BEGIN SOLUTION
    return np.maximum(x, 0)
    ### END SOLUTION


# %% check="relu_forward"
x = np.array([-3.0, 2.0])
y = relu_forward(x)
print("relu:", y, "the gradient of x * x:", 2 * x, "should be -6 and 4")
assert x.tolist() == [-3, 2], "x was changed, so the gradient of x * x would be wrong"

# %% [markdown]
# ## 5. Softmax cross-entropy, forward
#
# Scores (logits) $z$ of shape `(N, C)` become probabilities, and the loss is the mean of the negative
# logarithms of those of the right classes:
#
# $$p_{n,c} = \frac{e^{z_{n,c}}}{\sum_k e^{z_{n,k}}}, \qquad
# L = -\frac1N \sum_n \log p_{n,\,y_n}.$$
#
# $e^{1000}$ is infinite in floating point. Subtract each row's maximum from it first, which changes no
# probability, and take the logarithm on paper: $\log p_c = z_c - \log \sum_k e^{z_k}$.
#
# **For which inputs:** any N and C from 1 on, also equal ones and more than 1000 classes. Labels may
# repeat, logits may be equal, beyond 10,000 and below -10,000, and lie far apart within a
# row or from row to row; the loss is finite always.


# %% question="cross_entropy_forward"
def cross_entropy_forward(z, y):
    """The mean loss, a number, of logits z (N, C) for whole-number labels y (N,)."""
    ### BEGIN SOLUTION
    z = z - z.max(axis=1, keepdims=True)
    logs = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -logs[np.arange(len(y)), y].mean()
    ### END SOLUTION


# %% check="cross_entropy_forward"
y = np.array([0, 1])
print(
    "no idea, 4 classes:", cross_entropy_forward(np.zeros((2, 4)), y), "should be log 4", np.log(4)
)
assert abs(cross_entropy_forward(np.zeros((2, 4)), y) - np.log(4)) < 1e-12
large = cross_entropy_forward(np.array([[1000.0, 0.0], [0.0, 1000.0]]), y)
print("sure and right:", large)
assert large == 0, "large logits must give neither NaN nor infinity"

# %% [markdown]
# ## 6. Softmax cross-entropy, backward
#
# Derive it once on paper; the answer is short. `g` is a number here, the gradient of whatever is made
# of the loss: 1 for `L` itself, 3 for `3 * L`.
#
# **For which inputs:** the same logits and labels as above, and any number `g`, also a negative one.


# %% question="cross_entropy_backward"
def cross_entropy_backward(g, z, y):
    """The gradient of the mean loss with respect to z (N, C), times the number g."""
    ### BEGIN SOLUTION
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    return g * p / len(y)
    ### END SOLUTION


# %% [markdown]
# Each row of the gradient sums to 0 (why?), and only the right class has a negative entry.

# %% check="cross_entropy_backward"
z, y = np.cos(np.arange(12.0)).reshape(3, 4), np.array([2, 0, 3])
dz = cross_entropy_backward(3.0, z, y)
print(dz, "rows sum to", dz.sum(axis=1))
assert np.abs(dz.sum(axis=1)).max() < 1e-12


def loss(z):
    return np.log(np.exp(z).sum(axis=1)).mean() - z[np.arange(3), y].mean()


assert np.abs(dz - numerical_gradient(loss, z.copy(), 3.0)).max() < 1e-6
