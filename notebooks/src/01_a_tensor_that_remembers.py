# %% [markdown]
# # 01 · A tensor that remembers
#
# After this notebook you will be able to
#
# * write, from nothing but NumPy, an engine that differentiates any expression you type, in 60 lines;
# * say why the order of the backward pass matters, with two swapped letters that break it;
# * explain why gradients are *added*, never set, and what that has to do with broadcasting;
# * train a classifier of handwritten digits with your own engine.
#
# You need Python, a little NumPy, and what school says about slopes. About 25 minutes.

# %%
import itertools

import matplotlib.pyplot as plt
import numpy as np

import minires
from minires import viz

# %% [markdown]
# ## Nudge it and see
#
# Here is a function of three numbers. Which way, and how strongly, does each of them move the result?


# %%
def f(x, w, b):
    return (x * w + b) * w


print(f(2.0, 3.0, -1.0))

# %% [markdown]
# One way to find out needs no theory. Nudge one number by a tiny $h$, look how far the result moves,
# divide:
#
# $$\frac{\partial f}{\partial x} \approx \frac{f(x + h) - f(x - h)}{2h}$$
#
# That is a *slope*: the result moves this many times as far as $x$ did. The curly $\partial$ is the $d$ of
# $df/dx$ from school, and says that there are other inputs as well, which are held fixed. Each number is
# nudged up and down, so $n$ numbers cost $2n$ evaluations.


# %%
def nudged(function, values, h=1e-6):
    slopes = []
    for i in range(len(values)):
        up, down = list(values), list(values)
        up[i] += h
        down[i] -= h
        slopes.append((function(*up) - function(*down)) / (2 * h))
    return np.array(slopes)


print(nudged(f, [2.0, 3.0, -1.0]))

# %% [markdown]
# The slopes are 9, 11 and 3. For three numbers that is fine. But a neural network is a function like this
# one, with very many numbers in it, its *weights*. *Training* it means: find the slope of the result with respect to each
# weight, move all weights a little in the direction that makes the result better, and repeat. ResNet-50,
# which says what is on a photograph, has 25 million weights and took some 500,000 such steps: 50 million
# evaluations *for each of them*. The method that you are about to build, *backpropagation*, gets all 25
# million slopes for about the price of two more evaluations. It only has to remember.
#
# ## A number that remembers
#
# Python computes `(x * w + b) * w` one operation at a time and forgets how. Let us keep, with every
# result, the numbers that it came from (its *parents*) and the slope of the result with respect to each of them.
# For the two operations we need, the slopes are
#
# $$v = a + b:\quad \frac{\partial v}{\partial a} = 1,\; \frac{\partial v}{\partial b} = 1
# \qquad\qquad
# v = a \cdot b:\quad \frac{\partial v}{\partial a} = b,\; \frac{\partial v}{\partial b} = a$$


# %%
class Number:
    def __init__(self, value, parents=(), slopes=()):
        self.value = value
        self.parents = parents  # what it was computed from
        self.slopes = slopes  # how it moves when each of those moves
        self.grad = 0.0  # how the final result moves when this moves: to be found

    def __add__(self, other):
        return Number(self.value + other.value, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        return Number(self.value * other.value, (self, other), (other.value, self.value))


x, w, b = Number(2.0), Number(3.0), Number(-1.0)
result = f(x, w, b)  # the same f: it never asked what x, w and b are
print(result.value, [parent.value for parent in result.parents])

# %% [markdown]
# `result` holds its parents, they hold theirs: a *graph*, recorded by ordinary Python code, down to its
# *leaves*, which were given and not computed. What we want for each value is its *gradient*: how much the
# final result $L$ moves when this value moves. Start at the end, where the gradient of the result with respect to itself
# is 1, and go backwards: the *backward pass*. If $a$ moves $v$ by 2 for each unit of its own, and $v$ moves $L$ by 5, then $a$ moves
# $L$ by 10: slopes along a chain multiply. This *chain rule* says what a value passes on to its parents:
#
# $$\underbrace{\frac{\partial L}{\partial a}}_{\text{for the parent}} \mathrel{+}=
# \underbrace{\frac{\partial L}{\partial v}}_{\text{upstream}} \cdot
# \underbrace{\frac{\partial v}{\partial a}}_{\text{local slope}}$$
#
# It is `+=` because a value may be used twice, as `w` is here: then it moves the result in two ways,
# and the effects add up. A first backward pass, which visits values in the order of a queue:


# %%
def first_backward(root):
    root.grad = 1.0
    queue, seen = [root], {root}
    while queue:
        v = queue.pop(0)
        for parent, slope in zip(v.parents, v.slopes, strict=True):
            parent.grad += v.grad * slope
            if parent not in seen:
                seen.add(parent)
                queue.append(parent)


first_backward(result)
print(x.grad, w.grad, b.grad)

# %% [markdown]
# 9, 11, 3, exactly, and `f` ran once instead of six times. Are we done?
#
# ## Two letters that break it
#
# **Predict first.** The next cell computes $d = b \cdot c$ with $b = 3a$ and $c = b + a$, at $a = 2$,
# so $d = 3a \cdot 4a = 12a^2$ and $\partial d / \partial a = 24a = 48$. Then it computes
# $c \cdot b$ instead. Multiplication commutes; this backward pass does not. Which of the two gradients comes out wrong,
# and what is it?

# %%
for swapped in (False, True):
    a = Number(2.0)
    b = a * Number(3.0)
    c = b + a
    d = c * b if swapped else b * c
    first_backward(d)
    print("c * b" if swapped else "b * c", "gives", d.value, "with gradient", a.grad)

# %% [markdown]
# The value is right both times, the gradient only once. Nothing crashed and nothing warned. A network
# trained with this would learn, badly, and you would look for the reason everywhere else.
#
# What went wrong with `b * c`: the queue came to `b` first and passed on what `b` had got *so far*, the
# contribution of `d`. The contribution through `c` arrived afterwards, and was never passed on to `a`. So **a value
# may pass its gradient on only once all its *consumers* have been visited**, the values that were computed
# from it. An order with this property is called *topological*.
#
# Here is the correct backward pass through the same expression, in the library, which is told with
# `requires_grad=True` whose gradient we want. Step through it (buttons, or click and use the arrow keys) and
# watch which box waits for which: `b` gets its second contribution, with a visible `+=`, before it gives anything
# to `a`. (If you see a still picture of the last step only: run the first cell and this one.)

# %%
a = minires.Tensor(2.0, requires_grad=True)
b = a * 3
c = b + a
d = b * c
viz.step_through(d)

# %% [markdown]
# ## Right, and hopeless
#
# One tempting repair: drop the bookkeeping, and send every contribution to the leaves on its own.


# %%
def every_path(v, contribution=1.0):
    """Pass one contribution on to all parents; returns how many visits that took."""
    v.grad += contribution
    pairs = zip(v.parents, v.slopes, strict=True)
    return 1 + sum(every_path(parent, contribution * slope) for parent, slope in pairs)


a = Number(2.0)
b = a * Number(3.0)
d = b * (b + a)
every_path(d)
print(a.grad)

# %% [markdown]
# 48: correct. **Predict**: a chain adds a value to itself, again and again, `y = y + y`. How many
# visits does `every_path` need for 20 such steps?

# %%
steps = np.arange(1, 17)
visits = []
for n in steps:
    y = Number(1.0)
    for _ in range(n):
        y = y + y
    visits.append(every_path(y))

assert visits == [2 ** (n + 1) - 1 for n in steps]

fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.semilogy(steps, visits, "o-", color="#c2410c", label="every path on its own")
ax.semilogy(steps, steps + 1, "s-", color="#1d4ed8", label="every value once")
ax.set(xlabel="additions y = y + y", ylabel="visits (count)", title="What a backward pass costs")
ax.legend()
plt.show()
print(f"20 additions: {2**21 - 1:,} visits")

# %% [markdown]
# *What to see: on a logarithmic axis the visits on every path are a straight line: with every addition
# the paths double, and the visits with them. The networks of notebook 06 have such an addition in each
# of their blocks, so 50 blocks have $2^{50}$ paths, some $10^{15}$. Visiting every value once is what
# makes backpropagation cheap; the topological order is what makes visiting once correct.*
#
# Getting such an order is easy: a value is always made after its parents. So give each one a number
# when it is made, and visit them from the highest number to the lowest.
#
# ## From numbers to arrays
#
# A network works on arrays, which this field calls *tensors*, and so should the engine. The final result $L$
# stays one number. The gradient of an array has the array's shape: for each entry, how much $L$ moves when
# that entry moves. Sums and products carry over entry by entry, and two things are new.
#
# **Matrix products.** If $V = AB$ and $G = \partial L / \partial V$ is the upstream gradient, then
#
# $$\frac{\partial L}{\partial A} = G B^\top, \qquad \frac{\partial L}{\partial B} = A^\top G$$
#
# Why? In $V_{ij} = \sum_k A_{ik} B_{kj}$ the entry $A_{ik}$ moves $V_{ij}$ by $B_{kj}$, for every $j$,
# and $V_{ij}$ moves $L$ by $G_{ij}$. The contributions add up to $\sum_j G_{ij} B_{kj}$, which is row $i$ of $G$
# times column $k$ of $B^\top$. You need not remember which is transposed. $A$ is $(n, k)$, $B$ is
# $(k, m)$, $G$ is $(n, m)$: only one product of $G$ and $B$ has the shape of $A$.
#
# **Broadcasting.** Add three numbers, a *bias*, to a *batch*: several inputs that are computed together, one
# a row.

# %%
batch, bias = np.zeros((2, 3)), np.array([1.0, 2.0, 3.0])
print(batch + bias)

# %% [markdown]
# **Predict**: let the upstream gradient be $G$ below, of shape (2, 3). What is the gradient of
# the bias, which has shape (3,)? Nudging finds it:

# %%
G = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
print(nudged(lambda *entries: (G * (batch + np.array(entries))).sum(), bias).round(6))

# %% [markdown]
# Each entry of the bias was used once per row. Used several times: the contributions add up. So the answer is a
# *sum over the axis that was stretched*, and that one sentence covers every case of broadcasting.


# %%
def summed_to(g, shape):
    """Undo broadcasting: add up over the axes that were stretched to get from `shape` to g's."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    return g.sum(axis=stretched, keepdims=True)


print(summed_to(G, (3,)))
print(summed_to(G, (2, 1)))

# %% [markdown]
# ## The engine
#
# Everything so far, put together. Instead of a slope each result keeps a *rule*: a function that takes the
# upstream gradient and returns one gradient for each parent. The slopes of `exp` and `log` are those
# from school; an entry of a sum moves it by exactly as much as it moves itself; and `relu`, which sets
# negative numbers to 0, has slope 1 or 0. (A sum along an axis keeps that axis, with length 1, so that it
# can be broadcast against what it was summed from. The rules return gradients of the result's shape:
# `backward` itself calls `summed_to`.)


# %%
class Tensor:
    """An array that remembers how it was made."""

    births = itertools.count()

    def __init__(self, data, parents=(), rule=None):
        self.data = np.asarray(data, dtype=np.float64)
        self.parents, self.rule = parents, rule
        self.birth = next(Tensor.births)  # parents are older than their children
        self.grad = None

    def __add__(self, other):
        other = tensor(other)
        return Tensor(self.data + other.data, (self, other), lambda g: (g, g))

    def __mul__(self, other):
        other = tensor(other)
        rule = lambda g: (g * other.data, g * self.data)
        return Tensor(self.data * other.data, (self, other), rule)

    def __matmul__(self, other):
        rule = lambda g: (g @ other.data.T, self.data.T @ g)
        return Tensor(self.data @ other.data, (self, other), rule)

    def exp(self):
        out = np.exp(self.data)
        return Tensor(out, (self,), lambda g: (g * out,))

    def log(self):
        return Tensor(np.log(self.data), (self,), lambda g: (g / self.data,))

    def relu(self):
        return Tensor(np.maximum(self.data, 0), (self,), lambda g: (g * (self.data > 0),))

    def sum(self, axis=None):
        out = self.data.sum(axis=axis, keepdims=axis is not None)
        return Tensor(out, (self,), lambda g: (np.broadcast_to(g, self.data.shape),))

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -tensor(other)

    __radd__, __rmul__ = __add__, __mul__

    def backward(self):
        grads = {self: np.ones_like(self.data)}
        while grads:
            v = max(grads, key=lambda t: t.birth)  # the youngest: all its consumers are done
            g = grads.pop(v)
            if v.rule is None:  # a leaf: here the gradient stays
                v.grad = g if v.grad is None else v.grad + g
                continue
            for parent, contribution in zip(v.parents, v.rule(g), strict=True):
                contribution = summed_to(contribution, parent.data.shape)
                grads[parent] = grads[parent] + contribution if parent in grads else contribution


def tensor(value):
    return value if isinstance(value, Tensor) else Tensor(value)


# %% [markdown]
# With `summed_to` these are about 60 lines. The test that broke the first backward pass:

# %%
for swapped in (False, True):
    a = Tensor(2.0)
    b = a * 3
    c = b + a
    d = c * b if swapped else b * c
    d.backward()
    print("c * b" if swapped else "b * c", "gives", d.data, "with gradient", a.grad)

# %% [markdown]
# ## Gradients pile up
#
# **Predict**: what does the second line print?

# %%
x = Tensor([1.0, 2.0, 3.0])
(x * x).sum().backward()
print(x.grad)
(x * x).sum().backward()
print(x.grad)

# %% [markdown]
# Twice as much. `backward` *adds* to what is in `grad`. That is the same rule once more: `x` was used in
# two expressions, and nothing says that they belong to different problems. It is useful (the gradients of two
# batches add up to that of both together) and a common mistake of beginners: without clearing
# the gradients between steps, each step uses the sum of all gradients since the beginning. PyTorch, the library
# that most of this field uses, and minires behave the same way: hence the `zero_grad()` in their training
# loops, which clears them.
#
# ## Is it right? Ask the library, and ask the function itself
#
# A random expression, with matrix products, broadcasting along both axes, and a value used three
# times. Our 60 lines, the library (`.numpy()` is the array in one of its tensors), and nudging every entry
# must agree.

# %%
rng = np.random.default_rng(0)
arrays = [rng.normal(size=shape) for shape in [(4, 3), (3, 5), (5,), (4, 1)]]
names = ["x", "w", "bias", "scale"]


def expression(x, w, bias, scale):
    hidden = (x @ w + bias).relu() * scale
    return (hidden * hidden + (hidden * 0.1).exp()).sum()


ours = [Tensor(a) for a in arrays]
expression(*ours).backward()

theirs = [minires.Tensor(a, requires_grad=True) for a in arrays]
expression(*theirs).backward()

# Every entry of every array, nudged: `flat` goes back into arrays before the expression is computed.
sizes = np.cumsum([a.size for a in arrays])[:-1]


def of_flat(*flat):
    parts = np.split(np.array(flat), sizes)
    shaped = [Tensor(p.reshape(a.shape)) for p, a in zip(parts, arrays, strict=True)]
    return expression(*shaped).data


slopes = np.split(nudged(of_flat, np.concatenate([a.ravel() for a in arrays])), sizes)

for name, our, their, slope in zip(names, ours, theirs, slopes, strict=True):
    np.testing.assert_allclose(our.grad, their.grad.numpy(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(our.grad.ravel(), slope, rtol=1e-6, atol=1e-6)
    print(f"{name:6} {our.grad.shape!s:7} agrees with the library and with {slope.size:2} nudges")

# %% [markdown]
# The library's engine is the same idea made fast and fit for long graphs: `minires/engine.py` records,
# `minires/backward.py` has the backward pass. Both are short, and you now know what they do.
#
# ## Sixty lines read handwriting
#
# 1,437 images of handwritten digits come with the package, as an array of shape (1437, 8, 8, 1): image, row,
# column, and one number per pixel. (Colours would have three.)

# %%
digits, test = minires.data.digits(train=True), minires.data.digits(train=False)

fig, axes = plt.subplots(2, 8, figsize=(7, 2.2), layout="constrained")
for ax, image, label in zip(axes.flat, digits.images, digits.labels, strict=False):
    ax.imshow(image[..., 0], cmap="gray_r")
    ax.set_title(str(label), fontsize=9)
    ax.axis("off")
fig.supxlabel("8 × 8 pixels each, ink from 0 (white) to 255 (black)", fontsize=9)
plt.show()

# %% [markdown]
# *What to see: the first 16 images with their labels. Some are hard even for you.*
#
# The network makes 32 *hidden* values of the 64 pixels $x$ of an image, and of those a score for each of the
# ten digits:
#
# $$s = \operatorname{relu}(x\, W_1 + b_1)\, W_2 + b_2$$
#
# Scores become probabilities by $p_k = e^{s_k} / \sum_j e^{s_j}$, and what we want to be small, the *loss*, is
# $-\log p_\text{right}$, averaged over the images: 0 if the network is certain and right, the larger the
# less it believes in the right answer. Its unit is the *nat*, since the logarithm is the natural one.
# (Notebook 05 takes this loss apart.) The weights begin as random numbers, of a size that notebook 04
# explains. Each step moves every weight against its gradient, by 0.5 times as much: that factor is called
# the *learning rate*.

# %%
pixels = digits.images.reshape(-1, 64) / 255
wanted = np.eye(10)[digits.labels]  # one row an image: a 1 for the right digit, else 0
rng = np.random.default_rng(0)
w1, b1 = Tensor(rng.normal(size=(64, 32)) * (2 / 64) ** 0.5), Tensor(np.zeros(32))
w2, b2 = Tensor(rng.normal(size=(32, 10)) * (2 / 32) ** 0.5), Tensor(np.zeros(10))
weights = [w1, b1, w2, b2]


def scores(images):
    return (Tensor(images) @ w1 + b1).relu() @ w2 + b2


def loss_of(images, wanted):
    s = scores(images)
    log_p = s - s.exp().sum(axis=1).log()  # the logarithm of the formula for p
    return -(log_p * wanted).sum() * (1 / len(images))


losses = []
for _ in range(150):
    loss = loss_of(pixels, wanted)
    loss.backward()
    for weight in weights:
        weight.data -= 0.5 * weight.grad  # downhill
        weight.grad = None  # or they pile up
    losses.append(float(loss.data))

# %% [markdown]
# It is tested on 360 other images, which it has never seen. **Predict**: guessing gets 10% of them right, and
# gives every digit the probability 1/10. What is the loss of a network that guesses, and what fraction will ours
# get right?

# %%
guess = scores(test.images.reshape(-1, 64) / 255).data.argmax(axis=1)
accuracy = (guess == test.labels).mean()

fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.plot(losses, color="#1d4ed8", label="our network")
ax.axhline(np.log(10), color="#6b7280", linestyle="--", label="guessing: ln 10 = 2.30")
ax.set(
    xlabel="step",
    ylabel="loss (nats per image)",
    title="A network trained by our engine",
    ylim=(0, None),
)
ax.legend()
plt.show()
print(f"{accuracy:.1%} of the {len(test)} test digits are right")

# %% [markdown]
# *What to see: the loss starts near $\ln 10$, where guessing is, falls fast at first and ever more
# slowly after; the curve is smooth because every step uses all the images.*
#
# Every one of those gradients was computed by code that you can now write down from memory.

# %% [markdown]
# ## Exercises
#
# (Difficulty from 1, a few lines, to 3, an idea of your own; the minutes are without training times.)
#
# 1. **A new operation.** *(difficulty 1, 20 min)* Give `Tensor` a method `tanh`. Its slope is $1 - \tanh^2 x$;
#    keep the output,
#    as `exp` does, so that nothing is computed twice. Check it with `nudged`. Then replace `relu` in
#    the network: does it still learn?
#    *You are right if* `nudged` agrees to 7 digits and the network still reaches four fifths of the test
#    digits.
# 2. **Forget as you go.** *(difficulty 2, 30 min)* Every rule keeps the arrays it needs alive until the graph
#    is gone. Change
#    `backward` so that each tensor drops its rule and its parents once it has been used, and let a
#    second `backward` through the same graph fail with a clear sentence (beware: without a rule it
#    looks like a leaf). What is the first thing that breaks if you drop the rule *before* calling it?
#    *You are right if* the first backward pass gives the same gradients as before and the second raises.
# 3. **Derivatives of derivatives.** *(difficulty 3, 60 min)* Let the rules compute with Tensors instead of arrays
#    (`lambda g: (g * other, g * self)`). Then a gradient is itself a tensor that remembers, and can be
#    differentiated again. Show that the second derivative of $x^3$ at 2 is 12. `summed_to` needs
#    thought. (`minires.grad(y, x, create_graph=True)` does it this way.)
#    *You are right if* the second derivative of $x^3$ at 2 is 12 to the last digit.
