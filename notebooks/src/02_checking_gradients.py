# %% [markdown]
# # 02 · Checking gradients
#
# After this notebook you will be able to
#
# * check any gradient rule in a dozen lines, and choose the step from the dtype instead of guessing;
# * recognise a kink (a corner in a function) when a right rule looks wrong at one;
# * judge which upstream gradient such a check needs;
# * read the report of `minires.gradcheck`, which says what is wrong and how.
#
# A wrong gradient is an error without symptoms: nothing crashes, and the network learns, only less well
# than it could. So every rule in this library is checked, and so should yours be. About 20 minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires
from minires import models
from minires.engine import op
from minires.nn import functional as F

# %% [markdown]
# ## How small is small?
#
# In notebook 01 we nudged by $h = 10^{-6}$ without a reason. Take $f(x) = e^x$, which is its own
# derivative, and compare
#
# $$\text{one-sided: } \frac{f(x+h) - f(x)}{h} \qquad\qquad \text{central: } \frac{f(x+h) - f(x-h)}{2h}$$
#
# with the truth, by the *relative error*: how far off it is, divided by what it should be.
#
# **Predict**: $h = 0.01$ is coarse. As $h$ shrinks to $10^{-15}$, what happens to the error?

# %%
points = np.linspace(0.5, 1.5, 101)
steps = 10.0 ** np.arange(-15, 0.1, 0.25)


def errors(dtype, central):
    """The mean relative error of the difference of exp over the points, for each step."""
    x = points.astype(dtype)
    found = []
    for h in steps.astype(dtype):
        back = h if central else dtype(0)
        up, down = x + h, x - back
        apart = np.where(up == down, 1, up - down)  # h as rounded; if nothing is left, 0 / 1
        slope = (np.exp(up) - np.exp(down)) / apart
        found.append(np.mean(np.abs(slope / np.exp(points) - 1)))
    return np.array(found)


fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
for ax, dtype in zip(axes, (np.float32, np.float64), strict=True):
    ax.loglog(steps, errors(dtype, False), color="#c2410c", label="one-sided")
    ax.loglog(steps, errors(dtype, True), color="#1d4ed8", label="central")
    best = np.finfo(dtype).eps ** (1 / 3)
    ax.axvline(best, color="#6b7280", linestyle="--", label=rf"$\varepsilon^{{1/3}}$ = {best:.0e}")
    ax.set(xlabel="step h", title=dtype.__name__, xlim=(1e-15, 1))
    ax.legend(loc="lower left")
axes[0].set_ylabel("mean relative error")
plt.show()

# %% [markdown]
# *What to see: each curve is a V. On its right the step is too long, on its left too short; an error of
# 1 means that no digit is right. Central differences in float64 get about eleven digits, at a step near
# $6 \cdot 10^{-6}$; in float32 they never get more than five.*
#
# There are two errors. One is what a step leaves out because it is not infinitely short. Close to $x$ a smooth
# function is nearly a polynomial in $h$, whose coefficients are its derivatives (Taylor's series):
#
# $$f(x \pm h) = f(x) \pm h f'(x) + \frac{h^2}{2} f''(x) \pm \frac{h^3}{6} f'''(x) + \dots$$
#
# Subtract the one with minus from the one with plus, and every second term cancels:
#
# $$\frac{f(x+h) - f(x-h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x) + \dots$$
#
# (One-sided, $\frac{h}{2} f''(x)$ would stay, and shrinks more slowly.) The other error is rounding: the
# computer keeps every $f$ to a relative precision $\varepsilon$ (the spacing of floating-point numbers at 1),
# and the division by $2h$ increases that to about $\varepsilon |f| / h$. As $h$ shrinks the first error falls
# and the second rises; they meet, if we leave out what does not depend on $h$, where
# $h^2 \approx \varepsilon / h$, at
#
# $$h \approx \varepsilon^{1/3}: \qquad 5 \cdot 10^{-3} \text{ in float32}, \qquad 6 \cdot 10^{-6} \text{ in float64.}$$
#
# **Check gradients in float64.** That is the first rule. A network may train in float32, but a check in
# float32 cannot tell a right rule from one that is off by a few parts in a hundred thousand.

# %%
for dtype in (np.float32, np.float64):
    central = errors(dtype, True)
    at = steps[central.argmin()]
    print(f"{dtype.__name__}: best step {at:.0e}, error there {central.min():.0e}")

# %% [markdown]
# ## From numbers to arrays
#
# A *layer* is one step of a network: it takes an array and gives an array. Its gradient rule gets $g$, the
# gradient of the loss with respect to the output, and returns that with respect to the input. To check it
# we play the rest of the network: we choose $g$ ourselves, any array of the output's shape, and take as loss
#
# $$L(x) = \sum_i g_i \, f_i(x),$$
#
# since then $L$ moves by $g_i$ when output $i$ moves. And then we nudge every entry of $x$.


# %%
def numeric(f, x, g, h=6e-6):
    """The gradient of sum(g * f(x)) by central differences, one entry of x at a time."""
    x, slope = x.copy(), np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        middle = x[i]
        x[i] = middle + h
        above = (g * f(x)).sum()
        x[i] = middle - h
        below = (g * f(x)).sum()
        x[i] = middle
        slope[i] = (above - below) / (2 * h)
    return slope


def error(f, rule, x, g):
    """How far a rule is from the differences; relative to the largest entry if that is above 1."""
    wanted = numeric(f, x, g)
    return np.abs(rule(g, x) - wanted).max() / max(np.abs(wanted).max(), 1)


# %% [markdown]
# A layer to check: it subtracts the mean $\mu$ of its input, and divides by the standard deviation $\sigma$
# (the root of the mean squared distance from $\mu$). The output has mean 0 and standard deviation 1. (Batch
# normalisation, in notebook 04, does this.)
#
# $$y = \frac{x - \mu}{\sigma}, \qquad
# \frac{\partial L}{\partial x} = \frac{1}{\sigma}\left(g - \operatorname{mean}(g)
# - y \, \operatorname{mean}(g\, y)\right)$$
#
# You need not trust this rule: that is the point. Its input here is real: how much ink there is in
# each of twelve handwritten digits.

# %%
digits = minires.data.digits()
ink = digits.images[:12].mean(axis=(1, 2, 3)) / 255
print(ink.round(3))


def normalise(x):
    return (x - x.mean()) / x.std()


def rule(g, x):
    y = normalise(x)
    return (g - g.mean() - y * (g * y).mean()) / x.std()


rng = np.random.default_rng(0)
print(f"error of the rule: {error(normalise, rule, ink, rng.normal(size=12)):.0e}")

# %% [markdown]
# ## Which upstream gradient?
#
# Where does $g$, the *upstream gradient*, come from? Many checks that people write sum the output and
# differentiates that, `f(x).sum()`, because then the loss is a number. It amounts to $g = (1, 1, \dots, 1)$.
#
# **Predict.** Here are six *wrong* rules for `normalise`, of which one always returns zero. (One forgets the
# *variance*, which is $\sigma^2$.) A rule passes if its error is below $10^{-6}$. How many pass with ones, and
# how many with random numbers?

# %%
wrong = {
    "always zero": lambda g, x: np.zeros(12),
    "seven times too large": lambda g, x: 7 * rule(g, x),
    "wrong sign": lambda g, x: -rule(g, x),
    "forgets the variance": lambda g, x: (g - g.mean()) / x.std(),
    "variance of n - 1": lambda g, x: rule(g, x) * x.std() / x.std(ddof=1),
    "forgets the mean": lambda g, x: (g - normalise(x) * (g * normalise(x)).mean()) / x.std(),
}
seeds = {"ones": np.ones(12), "random numbers": rng.normal(size=12)}
found = {kind: [error(normalise, w, ink, g) for w in wrong.values()] for kind, g in seeds.items()}

fig, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
for (kind, values), colour, marker in zip(found.items(), ("#c2410c", "#1d4ed8"), "os", strict=True):
    ax.plot(np.maximum(values, 1e-16), range(6), marker, color=colour, label=f"g = {kind}", ms=8)
ax.axvline(1e-6, color="#b91c1c", linestyle="--", label="tolerance 1e-6")
ax.set_yticks(range(6), wrong)
ax.set(xscale="log", xlabel="error of the rule", title="Six wrong rules")
ax.invert_yaxis()
ax.legend()
plt.show()
for kind, values in found.items():
    print(f"with {kind}: {sum(v < 1e-6 for v in values)} of 6 wrong rules pass")

# %% [markdown]
# *What to see: left of the dashed line a rule passes. With ones (circles) five wrong rules do, with
# random numbers (squares) none.*
#
# It has to be so. The normalised values sum to 0 whatever $x$ is, so $\sum y$ is constant and its true
# gradient is zero; and so is seven times zero. A check with ones cannot detect errors in the probabilities of notebook 01
# either, since they sum to 1. **Draw $g$ at random** is the second rule.
#
# ## Kinks
#
# ReLU keeps positive numbers and sets the others to 0. Its slope is 1 to the right of 0, 0 to the left,
# and the rule is one line. Check it on real pixels, ink from 0 to 1:

# %%
relu = lambda x: np.maximum(x, 0)
relu_rule = lambda g, x: g * (x > 0)
pixels = digits.images[0, :, :, 0] / 255
g = rng.normal(size=pixels.shape)
off = np.abs(relu_rule(g, pixels) - numeric(relu, pixels, g)) > 1e-6
print(f"{off.sum()} of {off.size} entries disagree")

# %% [markdown]
# **Predict** which ones, before you run the next cell.

# %%
print("disagreeing entries have the values", np.unique(pixels[off]))
print("difference / g there:", np.unique((numeric(relu, pixels, g) / g)[off].round(6)))

# %% [markdown]
# Nearly half of the image is white paper, exactly 0, and there ReLU has a *kink*: slope 0 to the left, 1 to the
# right, and the central difference answers 1/2, the mean of the two. The rule is right (0 is a fair
# choice) and so is the difference; there is simply no slope to agree on. It also happens *near* a kink,
# whenever the step reaches across:

# %%
h = 0.1
x = np.linspace(-0.3, 0.3, 601)

fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.axvspan(-h, h, color="#e5e7eb", label="within one step of the kink")
ax.plot(x, x > 0, color="#1d4ed8", label="the rule")
ax.plot(x, (relu(x + h) - relu(x - h)) / (2 * h), color="#c2410c", label="central difference")
ax.set(xlabel="x", ylabel="slope of ReLU", title=f"A kink, seen with h = {h}")
ax.legend(loc="upper left", fontsize=8)
plt.show()

# %% [markdown]
# *What to see: outside the grey band the two agree exactly. Inside, the difference is a mixture of both
# slopes. A shorter step makes the band narrower, never empty.*
#
# The lazy answer is to excuse every disagreement near a kink, and it would excuse every mistake in a
# network full of ReLUs. Better: shorten the step, which takes nearly every point out of the band; and
# check at a point where nothing sits exactly on the kink. The third rule: **choose the point.** Random
# numbers do, and pixels do not.

# %%
point = pixels + rng.normal(size=pixels.shape)
print(f"error at another point: {error(relu, relu_rule, point, g):.0e}")

# %% [markdown]
# ## What the library does
#
# `minires.gradcheck` follows these three rules and some more. To try it, give it a layer with a mistake
# that people make: averaging over the batch where a sum belongs. An operation in minires is two
# functions, marked as below: the forward (`@op`), and its rule (`.vjp`), which gets $g$ and asks by name for
# what it needs. (What a rule computes is called a *vector-Jacobian product*, hence the three letters;
# notebook 06 says why.)
#
# **Predict**: will the gradient of `x` be wrong, of `w`, or both? In one entry, at a border, everywhere?


# %%
@op
def my_linear(x, w):
    return x @ w


@my_linear.vjp
def my_linear_vjp(g, x, w):
    return g @ w.T, x.T @ g / len(x)


images = digits.images[:4].reshape(4, 64)[:, 18:24] / 255  # six pixels of four digits
weights = rng.normal(size=(6, 3))
report = minires.gradcheck(my_linear, [images, weights], raise_exception=False)
print(report)

# %% [markdown]
# *Analytic* is what the rule says, *numeric* what the differences say. *Full* means that every entry was
# nudged, *order 1* that first derivatives were checked (the library can check second ones, too), and the
# *seed* is where the random numbers start, so that you get the same ones. A notebook shows the report as a
# picture:

# %%
report

# %% [markdown]
# *What to see: each small map is a gradient, a square an entry, orange positive, blue negative. For `w`
# the analytic map has the pattern of the numeric one, only fainter: every entry is off by the same
# factor. The hint says which: 1/4, and 4 is the length of the batch. (The last row is empty because
# that pixel is white in all four images.) The gradient of `x` is right.*
#
# The same check finds nothing to say about the library's own layer, `F.linear` (`F` holds the library's
# layers as plain functions). Note the tolerance: errors are measured against the *largest* entry of
# each gradient. Measured against each entry by itself, small ones would fail although they are correct,
# since the rounding error does not depend on the entry's size.

# %%
print(minires.gradcheck(F.linear, [images, weights]))

# %% [markdown]
# ## A whole network in a few evaluations
#
# Here is a small residual network with 75,000 weights (notebook 06 builds one), with notebook 01's loss, which
# is called `cross_entropy`. Nudging each weight would take 150,000 evaluations. But let *all* weights move at
# once, each $w_i$ by $h$ times a random $u_i$. The effects of small moves add up, so the slope along this
# direction must be
#
# $$\frac{L(w + hu) - L(w - hu)}{2h} \approx \sum_i \frac{\partial L}{\partial w_i} u_i,$$
#
# and costs two evaluations. It detects most mistakes, but not all: errors times random $u_i$ may cancel, and an
# error in a few small entries may be below the tolerance of the sum, which is relative to its size.

# %%
minires.manual_seed(0)
net = models.resnet8(in_channels=1)
batch = digits.images[:8] / 255 + 0.01 * rng.normal(size=(8, 8, 8, 1))
report = minires.gradcheck(
    lambda x: F.cross_entropy(net(x), digits.labels[:8]), [batch], mode="directional"
)
print(report)

# %% [markdown]
# (`manual_seed` says where the network's random weights start. The noise on the pixels is the third rule.)
# The check found the network's 23 arrays of weights by itself (its *parameters*), converted everything to
# float64, moved all of it along a few directions, and put everything back afterwards.
#
# ## What no check can see
#
# * **A wrong forward.** If `my_linear` computed $2xw$, with the gradient of $2xw$, every check would
#   pass. Compare values with a definition.
# * **Conventions.** What ReLU's slope *is* at 0 is a decision, not a fact.
# * **What the point does not reach.** On square images height and width can be exchanged unnoticed, so
#   give every axis another length.
#
# **Predict**: the layer below multiplies by a number $\gamma$, and its rule forgets one. It is checked at
# two values of $\gamma$. Is it caught at both?


# %%
@op
def scaled(x, gamma):
    return x * gamma


@scaled.vjp
def scaled_vjp(g, x, gamma):
    return g, (g * x).sum()  # forgets gamma in the first


for gamma in (1.0, 1.7):
    report = minires.gradcheck(scaled, [images, np.array(gamma)], raise_exception=False)
    print(f"gamma = {gamma}:", "passed" if report else "FAILED")

# %% [markdown]
# A forgotten factor does not show where it is 1. Weights often *begin* as ones, so check with others.

# %% [markdown]
# ## Exercises
#
# (Difficulty from 1, a few lines, to 3, an idea of your own; the minutes are without training times.)
#
# 1. **The best step, measured.** *(difficulty 2, 30 min)* Draw the first figure again for $f(x) = \sin(100
#    x)$. Its third
#    derivative is a million times larger. Where is the bottom of the V now, and does
#    $h \approx (\varepsilon |f / f'''|)^{1/3}$ predict it?
#    (The argument $100 x$ is rounded as well, by up to $100 |x| \varepsilon$, and $f$ changes by as much: use
#    that in place of $\varepsilon |f|$.) You are right if both are near $2 \cdot 10^{-7}$ for $x$ near 1.
# 2. **Choose the tolerance.** *(difficulty 1, 20 min)* Multiply the right rule of `normalise` by $1 + \delta$
#    and find the
#    smallest $\delta$ that `error` still notices at a tolerance of $10^{-6}$. Do the same with all
#    arrays in float32 and $h = 5 \cdot 10^{-3}$. How large a mistake would a float32 check have to
#    forgive?
#    *You are right if* in float64 a $\delta$ of about $10^{-6}$ is noticed, and in float32 the right rule
#    itself is off by more than $10^{-6}$.
# 3. **Fool it.** *(difficulty 2, 20 min)* Write a layer whose rule is wrong and that nevertheless passes
#    `minires.gradcheck` at one point in full mode (no peeking at random states, no check of who is
#    calling). Then change the point so that it is caught. *Hint: branches, maxima, empty corners.*
#    *You are right if* the report passes at your first point and fails at your second.
