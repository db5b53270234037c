# %% [markdown]
# # Solutions to notebook 02: Checking gradients

# %%
import numpy as np

import minires
from instructor.given import from_notebook
from minires.engine import op

rule, normalise, error, numeric = from_notebook("02", "rule", "normalise", "error", "numeric")
rng = np.random.default_rng(0)

# %% [markdown]
# ## Exercise 1: the best step, measured
#
# The difference's error has two parts: $h^2 |f'''| / 6$ from the Taylor series, and about
# $\delta / h$ from rounding, where $\delta$ is the error of a value of $f$. Their sum is least at
# $h = (3\delta / |f'''|)^{1/3}$, so up to a constant factor at $(\delta/|f'''|)^{1/3}$. For $\sin(100x)$ near $x = 1$,
# rounding the argument $100x$ by up to $100\varepsilon$ gives $\delta \approx 100\varepsilon$ (slope at most 1 with respect
# to the argument), and $|f'''|$ is up to $10^6$: $h \approx (10^{-4}\varepsilon)^{1/3} = 2.8 \cdot 10^{-7}$.

# %%
x = np.linspace(0.5, 1.5, 101)
steps = 10.0 ** np.arange(-12, -2, 0.125)
errors = []
for h in steps:
    up, down = x + h, x - h
    slope = (np.sin(100 * up) - np.sin(100 * down)) / (up - down)
    errors.append(np.mean(np.abs(slope - 100 * np.cos(100 * x))))
best = steps[np.argmin(errors)]
predicted = (100 * np.finfo(float).eps / 1e6) ** (1 / 3)
print(f"measured {best:.1e}, predicted {predicted:.1e}")
assert 1e-7 < best < 6e-7
assert 1e-7 < predicted < 6e-7

# %% [markdown]
# ## Exercise 2: choose the tolerance
#
# `error` is relative to the largest entry where that is above 1, and absolute otherwise. A factor $1 + \delta$
# makes an error of $\delta \max|w|/\max(\max|w|, 1)$. In float64 this is seen down to about the tolerance.
# In float32 the difference itself is wrong by some $10^{-5}$ to $10^{-4}$, so the tolerance must
# be above that, and mistakes as small pass.


# %%
def smallest_noticed(dtype, h, tolerance):
    x, g = rng.normal(size=12).astype(dtype), rng.normal(size=12).astype(dtype)
    wanted = numeric(normalise, x, g, dtype(h))
    largest = max(np.abs(wanted).max(), 1)
    found = None
    for delta in 10.0 ** np.arange(0, -12, -0.25):
        wrong = np.abs(rule(g, x) * dtype(1 + delta) - wanted).max() / largest
        if wrong <= tolerance:
            break
        found = delta
    return found, np.abs(rule(g, x) - wanted).max() / largest


double, error64 = smallest_noticed(np.float64, 6e-6, 1e-6)
_, error32 = smallest_noticed(np.float32, 5e-3, 1e-6)
print(f"float64: {double:.0e} is noticed at 1e-6; the correct rule has {error64:.0e}")
print(f"float32: the correct rule itself has {error32:.0e}")
assert double < 1e-5
assert error64 < 1e-8
assert 1e-6 < error32 < 1e-2

# %% [markdown]
# A float32 check has to forgive what the correct rule shows, up to $10^{-4}$: a rule wrong by a factor of
# 1.00005 passes. That is why gradients are checked in float64.
#
# ## Exercise 3: fool it
#
# A rule is only seen where it is tried. `max(x, 0)` with the rule of the identity is correct wherever all
# inputs are positive, in full mode and to the last digit; one negative entry finds it.


# %%
@op
def half_right(x):
    return np.maximum(x, 0)


@half_right.vjp
def half_right_vjp(g):
    return (g,)


positive = rng.uniform(0.5, 1.5, size=(3, 4))
assert minires.gradcheck(half_right, [positive], raise_exception=False)
positive[1, 2] = -0.7
assert not minires.gradcheck(half_right, [positive], raise_exception=False)
