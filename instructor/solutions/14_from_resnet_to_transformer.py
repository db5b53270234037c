# %% [markdown]
# # Solutions to notebook 14: From ResNet to Transformer

# %%
import numpy as np

import minires
from instructor.given import from_notebook, sized
from minires import models

attention, alphabet, codes = from_notebook("14", "attention", "alphabet", "codes")
rng = np.random.default_rng(0)

# %% [markdown]
# ## Exercise 1: without positions
#
# Without positions the last position's attention is a weighted mean over a *set*: exchanging two earlier
# characters exchanges their keys and values together, and the sum is the same. So with one block nothing but
# the order of additions changes. With two blocks the mask tells the order: after block 1, position 0 has seen only
# itself and position 1 both. For "ab" the set holds ("a" alone) and ("b" having seen a and b); for "ba" it holds
# ("b" alone) and ("a" having seen both). These are other sets, and block 2 sees the difference. A causal
# Transformer therefore learns something of the order even without positions.


# %%
def change_at_the_end(depth):
    minires.manual_seed(0)
    model = models.CharTransformer(
        len(alphabet), context=32, embed_dim=32, num_heads=4, depth=depth
    )
    model.positions.weight.requires_grad_(False)
    model.positions.weight.data[:] = 0
    text = codes[10:42].copy()
    assert text[0] != text[1]
    swapped = text.copy()
    swapped[[0, 1]] = text[[1, 0]]
    with minires.no_grad():
        a, b = (model(t[None]).numpy()[0, -1] for t in (text, swapped))
    return np.abs(a - b).max() / np.abs(a).max()


one, two = change_at_the_end(1), change_at_the_end(2)
print(f"relative change at the last position: one block {one:.0e}, two {two:.0e}")
assert one < 1e-5
assert two > 1e-3

# %% [markdown]
# ## Exercise 2: scaled or not
#
# A dot product of two random vectors of length $d$ has the variance $d$. Without the $\sqrt d$ the scores
# spread with $d$, softmax goes to its largest entry, and its rule
# $a_j (g_j - \sum_k a_k g_k)$ tends to 0: for the entry with $a_j \approx 1$ the bracket vanishes,
# for all others $a_j$ does.


# %%
def softmax(S):
    E = np.exp(S - S.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


shown = {}
for d in (4, 64, 1024):
    for scaled in (True, False):
        largest, at_scores, at_query = [], [], []
        for _ in range(sized(4, 20)):
            Q, K, V, g = (rng.normal(size=(32, d)) for _ in range(4))
            factor = 1 / np.sqrt(d) if scaled else 1.0
            A, G = softmax(Q @ K.T * factor), g @ V.T / np.sqrt(d)  # G of one size for every d
            dS = A * (G - (A * G).sum(axis=1, keepdims=True))
            largest.append(A.max(axis=1).mean())
            at_scores.append(np.median(np.linalg.norm(dS, axis=1)))
            at_query.append(np.median(np.linalg.norm(dS @ K * factor, axis=1)))
        shown[d, scaled] = [np.mean(v) for v in (largest, at_scores, at_query)]
        print(f"d = {d:4}, {'scaled' if scaled else 'not':6}: largest share {shown[d, scaled][0]:.2f}, "
              f"gradient of the scores {shown[d, scaled][1]:.1e}, of Q {shown[d, scaled][2]:.1e}")  # fmt: skip
assert shown[1024, False][0] > 0.9
assert abs(shown[1024, True][0] - shown[4, True][0]) < 0.1
assert shown[1024, False][1] < 1e-3 < shown[1024, True][1]
assert shown[1024, False][2] < shown[1024, True][2] / 10

# %% [markdown]
# ## Exercise 3: write one character at a time
#
# Keep the keys and values of all earlier positions; a new character adds one row to each, and needs one row of
# scores. With the mask, no earlier row changes.


# %%
class Cache:
    def __init__(self, d):
        self.K, self.V = np.zeros((0, d)), np.zeros((0, d))

    def attend(self, q, k, v):
        self.K, self.V = np.vstack([self.K, k]), np.vstack([self.V, v])
        return (softmax(q[None] @ self.K.T / np.sqrt(len(q))) @ self.V)[0]


Q, K, V = (rng.normal(size=(20, 8)) for _ in range(3))
cache = Cache(8)
rows = np.stack([cache.attend(*qkv) for qkv in zip(Q, K, V, strict=True)])
assert np.allclose(rows, attention(Q, K, V), atol=1e-14)

# %% [markdown]
# For the hundredth character and one head of $d$ features, scores and weighted sum take $2 \cdot 100\,d$
# multiplications with the cache. Computed anew they take $2 \cdot 100^2 d$, a hundred times as many. The linear
# layers ($4E^2$ for attention's projections, $8E^2$ after) are computed for one position in place of 100, so
# they save the same factor.
#
# Layer norm uses the features of one position, so what is cached stays right. Batch norm in training mode takes
# its statistics over all positions: each new one changes all earlier rows, and the cache is wrong. (In
# evaluation mode its constants are fixed, and it would do.)

# %%
d, n = 64, 100
assert (2 * n * n * d) / (2 * n * d) == 100
