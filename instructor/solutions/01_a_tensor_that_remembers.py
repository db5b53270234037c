# %% [markdown]
# # Solutions to notebook 01: A tensor that remembers

# %%
import numpy as np

import minires
from instructor.given import from_notebook, sized

Tensor, nudged, summed_to = from_notebook("01", "Tensor", "nudged", "summed_to")

# %% [markdown]
# ## Exercise 1: a new operation
#
# With $y = \tanh x$ the slope is $1 - y^2$, so the rule needs the output only. ReLU's rule needs the sign
# of its input; both keep one array.


# %%
def tanh(self):
    out = np.tanh(self.data)
    return Tensor(out, (self,), lambda g: (g * (1 - out * out),))


Tensor.tanh = tanh
x = Tensor([-2.0, 0.0, 0.5])
x.tanh().sum().backward()
slopes = nudged(lambda *v: np.tanh(np.array(v)).sum(), x.data)
assert np.allclose(x.grad, slopes, atol=1e-8)

# %% [markdown]
# The network of the notebook with `tanh` in place of `relu`, all else equal: it learns about as well.

# %%
digits, test = minires.data.digits(), minires.data.digits(train=False)
pixels, wanted = digits.images.reshape(-1, 64) / 255, np.eye(10)[digits.labels]
rng = np.random.default_rng(0)
w1, b1 = Tensor(rng.normal(size=(64, 32)) * (2 / 64) ** 0.5), Tensor(np.zeros(32))
w2, b2 = Tensor(rng.normal(size=(32, 10)) * (2 / 32) ** 0.5), Tensor(np.zeros(10))


def scores(images):
    return (Tensor(images) @ w1 + b1).tanh() @ w2 + b2


losses = []
for _ in range(sized(60, 150)):
    s = scores(pixels)
    loss = -((s - s.exp().sum(axis=1).log()) * wanted).sum() * (1 / len(pixels))
    loss.backward()
    for weight in (w1, b1, w2, b2):
        weight.data -= 0.5 * weight.grad
        weight.grad = None
    losses.append(float(loss.data))
right = (scores(test.images.reshape(-1, 64) / 255).data.argmax(axis=1) == test.labels).mean()
print(f"loss {losses[0]:.2f} to {losses[-1]:.2f}, {right:.1%} of the test digits correct")
assert losses[-1] < losses[0] / 3
assert right > 0.8

# %% [markdown]
# ## Exercise 2: forget as you go
#
# Once a tensor's rule has been called, nothing needs it again. A tensor without a rule is taken for a leaf,
# so the rule is not removed but replaced by one that raises. If the rule is dropped *before* it is
# called, the first thing that breaks is the root itself: it looks like a leaf, so it keeps the gradient and
# no parent ever gets any.


# %%
def spent(g):
    raise RuntimeError("this graph has been used: compute the result again before backward()")


def backward(self):
    grads = {self: np.ones_like(self.data)}
    while grads:
        v = max(grads, key=lambda t: t.birth)
        g = grads.pop(v)
        if v.rule is None:
            v.grad = g if v.grad is None else v.grad + g
            continue
        pairs = list(zip(v.parents, v.rule(g), strict=True))
        v.rule, v.parents = spent, ()
        for parent, contribution in pairs:
            contribution = summed_to(contribution, parent.data.shape)
            grads[parent] = grads[parent] + contribution if parent in grads else contribution


class Forgetful(Tensor):
    pass


Forgetful.backward = backward
x = Forgetful([1.0, 2.0])
y = (x * x).sum()
backward(y)
assert np.array_equal(x.grad, [2.0, 4.0])
try:
    backward(y)
except RuntimeError as error:
    print(error)
else:
    raise AssertionError("the second backward pass went through")

# %% [markdown]
# ## Exercise 3: derivatives of derivatives
#
# If rules compute with Tensors, the gradient is the result of operations and has a graph of its own. Only
# `summed_to` works on arrays; for tensors its sums must be an operation, whose rule is a broadcast. For numbers
# (shape `()`) nothing is stretched, which is enough for $x^3$; for arrays, `Twice.sum_to` below does it.


# %%
class Twice:
    """Multiplication and addition whose rules give tensors."""

    def __init__(self, data, parents=(), rule=None):
        self.data, self.parents, self.rule = np.asarray(data, float), parents, rule

    def __mul__(self, other):
        return Twice(self.data * other.data, (self, other), lambda g: (g * other, g * self))

    def __add__(self, other):
        return Twice(self.data + other.data, (self, other), lambda g: (g, g))

    def sum_to(self, shape):
        out = summed_to(self.data, shape)
        return Twice(out, (self,), lambda g: (g.stretch(self.data.shape),))

    def stretch(self, shape):
        out = np.broadcast_to(self.data, shape)
        return Twice(out, (self,), lambda g: (g.sum_to(self.data.shape),))


def order(root):
    found, seen = [], set()

    def visit(t):
        if t not in seen:
            seen.add(t)
            for parent in t.parents:
                visit(parent)
            found.append(t)

    visit(root)
    return found[::-1]


def gradient(root, leaf):
    grads = {root: Twice(np.ones_like(root.data))}
    for t in order(root):
        if t.rule is not None and t in grads:
            for parent, g in zip(t.parents, t.rule(grads[t]), strict=True):
                if g.data.shape != parent.data.shape:
                    g = g.sum_to(parent.data.shape)
                grads[parent] = grads[parent] + g if parent in grads else g
    return grads[leaf]


x = Twice(2.0)
first = gradient(x * x * x, x)
second = gradient(first, x)
print(first.data, second.data)
assert (first.data, second.data) == (12.0, 12.0)  # 3 x^2 and 6 x at 2

row, matrix = Twice([1.0, 2.0, 3.0]), Twice(np.ones((2, 3)))  # broadcasting: stretched twice
y = matrix * row * row
second = gradient(gradient(y, row), row)
assert np.array_equal(second.data, [4.0, 4.0, 4.0])  # 2 for each of the two rows
