# %% [markdown]
# # Solutions to notebook 03: Convolution by hand

# %%
import numpy as np

import minires
from instructor.given import from_notebook
from minires.nn import functional as F

loops, loops_dx, loops_dw = from_notebook("03", "loops", "loops_dx", "loops_dw")
(numeric,) = from_notebook("02", "numeric")
rng = np.random.default_rng(0)

# %% [markdown]
# ## Exercise 1: dilation
#
# Weight $(k, l)$ now meets the pixel $d k$ rows and $d l$ columns on: `stride * i + d * k - padding`.
# That is the one line. All three loops take their places from `meetings`, so the output and both gradients
# follow. (In the notebook you change the line; here the changed function is written once more.)


# %%
def output_size(H, K, stride, padding, d=1):
    return (H + 2 * padding - (d * (K - 1) + 1)) // stride + 1


def meetings(x_shape, w_shape, stride, padding, d):
    (N, H, W, C), (KH, KW, _, O) = x_shape, w_shape
    Ho, Wo = (output_size(*hk, stride, padding, d) for hk in ((H, KH), (W, KW)))
    for n, i, j, o, k, l, c in np.ndindex(N, Ho, Wo, O, KH, KW, C):
        row, column = stride * i + d * k - padding, stride * j + d * l - padding
        if 0 <= row < H and 0 <= column < W:
            yield (n, i, j, o), (n, row, column, c), (k, l, c, o)


x, w = rng.normal(size=(1, 8, 7, 2)), rng.normal(size=(3, 2, 2, 3))
xt, wt = minires.Tensor(x, requires_grad=True), minires.Tensor(w, requires_grad=True)
theirs = F.conv2d(xt, wt, padding=1, dilation=2)
g = rng.normal(size=theirs.shape)
theirs.backward(g)
y, dx, dw = np.zeros(theirs.shape), np.zeros(x.shape), np.zeros(w.shape)
assert y.shape[1:3] == (output_size(8, 3, 1, 1, 2), output_size(7, 2, 1, 1, 2))
for at_y, at_x, at_w in meetings(x.shape, w.shape, 1, 1, 2):
    y[at_y] += x[at_x] * w[at_w]
    dx[at_x] += g[at_y] * w[at_w]
    dw[at_w] += g[at_y] * x[at_x]
for ours, library in ((y, theirs), (dx, xt.grad), (dw, wt.grad)):
    assert np.allclose(ours, library.numpy(), atol=1e-12)

# %% [markdown]
# ## Exercise 2: backwards as a layer
#
# Call the layer $T(g, w)$ = `loops_dx(g, w)`: each triple adds $g w$ to its place in $x$. Given an
# upstream gradient $u$ of the shape of $x$, the same triples give $\partial / \partial g = \sum u\,w$, which is
# the plain convolution `loops(u, w)`, and $\partial / \partial w = \sum u\,g$, which is `loops_dw(u, g)`. The
# gradient of a transposed convolution is a convolution.

# %%
g, w = rng.normal(size=(1, 2, 2, 2)), rng.normal(size=(3, 3, 1, 2))
shape = (1, 5, 5, 1)
u = rng.normal(size=shape)
dg = loops(u, w, stride=2)
dw = loops_dw(u, g, w.shape, stride=2)
assert np.allclose(dg, numeric(lambda g: loops_dx(g, w, shape, 2), g, u), atol=1e-8)
assert np.allclose(dw, numeric(lambda w: loops_dx(g, w, shape, 2), w, u), atol=1e-8)

# %% [markdown]
# ## Exercise 3: fewer products than there are
#
# $m_2 + m_3$ contains $d_1 w_1 + d_2 (w_0 + w_2)$ after the halves cancel, and $m_1$ adds $(d_0 - d_2) w_0$:
# what is left is $d_0 w_0 + d_1 w_1 + d_2 w_2$. In the same way
# $m_2 - m_3 - m_4 = d_1 w_0 + d_2 w_1 + d_3 w_2$. The sums of weights are computed once for the whole
# signal. For $n$ outputs that is $4 \cdot n/2 = 2n$ products in place of $3n$: a factor of 1.5, and
# $1.5^2 = 2.25$ in two dimensions.


# %%
def winograd(d, w):
    assert (len(d) - 2) % 2 == 0, "an even number of outputs"
    weights = w[0], (w[0] + w[1] + w[2]) / 2, (w[0] - w[1] + w[2]) / 2, w[2]
    out, products = np.empty(len(d) - 2), 0
    for i in range(0, len(out), 2):
        a, b, c, e = d[i : i + 4]
        factors = (a - c, b + c, c - b, b - e)
        m = [left * right for left, right in zip(factors, weights, strict=True)]
        products += 4
        out[i], out[i + 1] = m[0] + m[1] + m[2], m[1] - m[2] - m[3]
    return out, products


d, w = rng.normal(size=102), rng.normal(size=3)
ours, products = winograd(d, w)
assert np.allclose(ours, np.correlate(d, w))
print(f"{products} products in place of {3 * len(ours)}")
assert products / (3 * len(ours)) == 2 / 3
