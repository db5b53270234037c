# %% [markdown]
# # 14 · From ResNet to Transformer
#
# Two years after the residual network came the Transformer (Vaswani et al., [*Attention Is All You
# Need*](https://arxiv.org/abs/1706.03762), 2017), which today reads, writes and translates. It has no
# convolution and no batch norm. What it kept is the `+`.
# When you are through, you will be able to
#
# * read a network as a *stream* that every block adds something to, and take the sum apart again;
# * say why a Transformer normalises each position by itself, and not over the batch;
# * write attention, forwards and backwards, and check the gradient;
# * show what becomes of twelve blocks without the shortcut, and where the normalisation has to stand;
# * train a small Transformer on a novel until it writes words.
#
# About 20 minutes. You need notebooks 04 (batch norm), 05 (softmax) and 06 (the residual add).

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires
from minires import Tensor, models, nn, optim, viz
from minires.nn import functional as F

rng = np.random.default_rng(0)
minires.manual_seed(0)

# %% [markdown]
# ## 1. A text instead of an image
#
# The network shall read a text and say at each place what comes next. The text is the first volume of
# Jane Austen's *Pride and Prejudice* (1813), which comes with the library. Each character gets a number.

# %%
text = minires.data.pride_and_prejudice()
alphabet = sorted(set(text))
codes = np.searchsorted(alphabet, list(text))
training, held_out = np.split(codes, [9 * len(codes) // 10])
print(f"{len(text):,} characters, {len(alphabet)} different ones")
print(text[10:127], "->", codes[10:20], "...")

# %% [markdown]
# A number is only a name: `b` is not between `a` and `c` in any way that matters. So the first layer is a
# table with a row of features for each character, and looking a row up is all that it does. Such a table is
# called an *embedding*; its rows are weights and are learnt. Backwards, the gradient of each row is the
# sum of the gradients at all places where the row was read: notebook 01, once more.
#
# From then on there are $N$ texts of $L$ positions with $E$ features: $(N, L, E)$ in place of $(N, H, W, C)$.

# %%
batch = training[: 4 * 33].reshape(
    4, 33
)  # 4 texts: 32 characters, and for each the one that follows
table = nn.Embedding(len(alphabet), 16)
h = table(batch[:, :-1])
h.sum().backward()
print("features:", h.shape)
times_read = np.bincount(batch[:, :-1].ravel(), minlength=len(alphabet))
print(
    "gradient of a row = times it was read:",
    np.allclose(table.weight.grad.numpy()[:, 0], times_read),
)

# %% [markdown]
# ## 2. The stream
#
# Here are both blocks, as the library has them. **Predict**, before you look: how many additions has each, of a
# shortcut and a branch? (They are the boxes marked *Add*; the small ones add a bias or the mask of section 4.)

# %%
viz.graph(models.BasicBlock(16, 16), (8, 8, 16))

# %%
viz.graph(models.TransformerBlock(16, 2, causal=True), (32, 16))

# %% [markdown]
# *What to see: above one addition, below two. In the ResNet block a ReLU follows the addition; in the
# Transformer block nothing does, so that from the input to the output there is a way through additions only.*
#
# Take such blocks one after another. What comes out at the end is what went in, and what each branch has
# added:
#
# $$x_n = x_0 + F_1(x_0) + F_2(x_1) + \dots + F_n(x_{n-1})$$
#
# One calls $x$ the *residual stream*: every branch reads all of it and adds to it, and none can take anything
# away but by adding the opposite. That is an equation, so it can be checked. A hook on each branch's last
# layer notes what it adds.

# %%
minires.manual_seed(0)
blocks = nn.Sequential(*(models.TransformerBlock(16, 2, causal=True) for _ in range(6)))
added = []
for block in blocks:
    for last in (block.attention.out_proj, block.linear2):
        last.register_forward_hook(lambda module, inputs, out: added.append(out.numpy()))

x = Tensor(rng.normal(size=(4, 32, 16)))
out = blocks(x).numpy()
print("branches:", len(added))
print("input + all that was added = output:", np.allclose(x.numpy() + sum(added), out, atol=1e-5))

# %% [markdown]
# ## 3. Normalised, each for itself
#
# Batch norm (notebook 04) takes a feature's mean over all images of the batch, so what comes out for one
# depends on its company. For images that was bearable. Texts make it worse: a position would be told about
# later positions, which it is to predict; in use there is one text and one more character at a time; and
# what stands at a place differs wildly from text to text.
#
# *Layer norm* (Ba, Kiros and Hinton, 2016) takes mean and variance over the features of *one position*. It
# is the same formula with another axis. So is the gradient, three paths and all.


# %%
def layer_norm(x, gamma, beta, eps=1e-5):
    mean, var = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


def layer_norm_backward(dy, x, gamma, eps=1e-5):
    s = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    normal = (x - x.mean(axis=-1, keepdims=True)) / s
    g = dy * gamma
    means = g.mean(axis=-1, keepdims=True), (g * normal).mean(axis=-1, keepdims=True)
    return (g - means[0] - normal * means[1]) / s


x, dy = rng.normal(size=(2, 5, 8)) * 3 + 1, rng.normal(size=(2, 5, 8))
gamma, beta = rng.normal(size=8), rng.normal(size=8)
xt = Tensor(x, requires_grad=True)
theirs = F.layer_norm(xt, 8, Tensor(gamma), Tensor(beta))
theirs.backward(dy)
print(
    f"output:   largest difference {np.abs(layer_norm(x, gamma, beta) - theirs.numpy()).max():.0e}"
)
ours = layer_norm_backward(dy, x, gamma)
print(f"gradient: largest difference {np.abs(ours - xt.grad.numpy()).max():.0e}")

# %% [markdown]
# **Predict.** Change the last position of the second text. At how many of the ten positions does the output
# change: behind layer norm, and behind batch norm in training?

# %%
other = x.copy()
other[1, 4] += 1 + np.arange(8)
for name, layer in (("layer norm", nn.LayerNorm(8)), ("batch norm", nn.BatchNorm1d(8))):
    before, after = (layer(Tensor(a.astype(np.float32))).numpy() for a in (x, other))
    print(f"{name}: {(before != after).any(axis=-1).sum()} of 10 positions change")

# %% [markdown]
# ## 4. Attention
#
# Layer norm and linear layers treat every position by itself. Somewhere positions must hear of each other. A
# convolution does that with a window of fixed size and fixed weights. Attention lets each position choose:
# it asks a question $q$ (a *query*), every position holds up a *key* $k$, and where the two agree, their inner
# product being large, it takes much of that position's *value* $v$. The shares come from a softmax, so they
# are positive and add up to 1:
#
# $$S = \frac{Q K^\top}{\sqrt d}, \qquad A = \operatorname{softmax}(S) \text{ by rows}, \qquad Y = A\,V$$
#
# (The inner product of two vectors of $d$ random numbers with variance 1 has variance $d$; the root keeps the
# softmax from starting out as a hard choice.) A position may not look at what follows, which it is to predict:
# there the score becomes $-\infty$, and the share 0. That is called a *causal mask*.
#
# Backwards, from $g = \partial L / \partial Y$, all are rules you know: matrix products (notebook 01), and
# softmax, whose rule is one subtraction: each share's gradient, less the mean of all gradients of that row,
# weighted by the shares.
#
# $$\frac{\partial L}{\partial V} = A^\top g, \qquad G = g V^\top, \qquad
# \frac{\partial L}{\partial S_{ij}} = A_{ij} \Big( G_{ij} - \sum_k A_{ik} G_{ik} \Big), \qquad
# \frac{\partial L}{\partial Q} = \frac{1}{\sqrt d} \frac{\partial L}{\partial S} K, \qquad
# \frac{\partial L}{\partial K} = \frac{1}{\sqrt d} \frac{\partial L}{\partial S}^{\!\top} Q$$


# %%
def shares(Q, K):
    S = Q @ K.T / np.sqrt(Q.shape[1])
    S[np.triu_indices(len(S), k=1)] = -np.inf  # row i must not see columns after i
    E = np.exp(S - S.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


def attention(Q, K, V):
    return shares(Q, K) @ V


def attention_backward(g, Q, K, V):
    A, root = shares(Q, K), np.sqrt(Q.shape[1])
    G = g @ V.T
    dS = A * (G - (A * G).sum(axis=1, keepdims=True))
    return dS @ K / root, dS.T @ Q / root, A.T @ g


def slope(f, x, eps=1e-6):
    """The gradient of the number f() by every entry of x, by central differences (notebook 02)."""
    found = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + eps
        up = f()
        x[i] = kept - eps
        found[i] = (up - f()) / (2 * eps)
        x[i] = kept
    return found


Q, K, V, g = (rng.normal(size=(6, 4)) for _ in range(4))
for name, ours, x in zip("QKV", attention_backward(g, Q, K, V), (Q, K, V), strict=True):
    differences = slope(lambda: (attention(Q, K, V) * g).sum(), x)
    print(
        f"gradient of {name}: differs from central differences by {np.abs(ours - differences).max():.0e}"
    )
theirs = F.scaled_dot_product_attention(*map(Tensor, (Q, K, V)), is_causal=True).numpy()
print(f"output: differs from the library's by {np.abs(attention(Q, K, V) - theirs).max():.0e}")

# %% [markdown]
# Where do $Q$, $K$ and $V$ come from? From the same stream, by three linear layers: `x @ Wq` and so on. And
# one choice per position is little, so the features are split among several *heads*, each with queries, keys
# and values of its own, side by side; a last linear layer mixes what they have found. From our function of
# six lines, the library's layer:

# %%
layer = nn.MultiheadAttention(8, num_heads=2)
x = rng.normal(size=(6, 8)).astype(np.float32)
queries, keys, values = np.split(x @ layer.in_proj_weight.numpy(), 3, axis=1)
heads = [attention(queries[:, s], keys[:, s], values[:, s]) for s in (slice(0, 4), slice(4, 8))]
ours = np.concatenate(heads, axis=1) @ layer.out_proj.weight.numpy()  # the biases are 0 at first
xt = Tensor(x[None])
theirs, weights = layer(xt, xt, xt, is_causal=True)
print(f"largest difference {np.abs(ours - theirs.numpy()[0]).max():.0e}")
print(weights.numpy()[0].round(2))

# %% [markdown]
# *What to see: row $i$ is position $i$, and its shares (the mean of both heads) add up to 1. The first
# position can only look at itself; above the diagonal there are zeros.*
#
# **A question before you go on.** Nothing in these formulas knows the *order* of the positions: shuffle the
# earlier ones, and the last takes the same shares of the same values. So the model adds a second embedding,
# of the position's number, to the first.
#
# ## 5. Twelve blocks, three ways
#
# Notebook 06 took the shortcut away from a ResNet. Do the same here, and a third thing besides. Vaswani
# et al. normalised *after* the addition, as ResNets do with their ReLU; nearly everybody now normalises at
# the start of the branch, so that the stream stays clean. (The same change as from the first to the second
# ResNet, in exercise 1 of notebook 06.)
#
# | | |
# |---|---|
# | no shortcut | `x = F(norm(x))` |
# | post-norm | `x = norm(x + F(x))` |
# | pre-norm | `x = x + F(norm(x))` |


# %%
class Block(nn.Module):
    """Attention, then two linear layers, each with its way of adding and normalising."""

    def __init__(self, features, kind):
        super().__init__()
        self.kind = kind
        self.norms = nn.ModuleList([nn.LayerNorm(features), nn.LayerNorm(features)])
        self.attention = nn.MultiheadAttention(features, num_heads=4)
        self.linear1, self.linear2 = (
            nn.Linear(features, 4 * features),
            nn.Linear(4 * features, features),
        )
        for linear in (self.linear1, self.linear2):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def look_around(self, x):
        return self.attention(x, x, x, need_weights=False, is_causal=True)[0]

    def think(self, x):
        return self.linear2(F.gelu(self.linear1(x)))

    def forward(self, x):
        for branch, norm in zip((self.look_around, self.think), self.norms, strict=True):
            if self.kind == "no shortcut":
                x = branch(norm(x))
            elif self.kind == "post-norm":
                x = norm(x + branch(x))
            else:
                x = x + branch(norm(x))
        return x


KINDS = {"no shortcut": "#c2410c", "post-norm": "#a16207", "pre-norm": "#1d4ed8"}


def stack(kind, depth=12, features=32):
    """Characters to features, blocks, a last norm, and scores for every character."""
    minires.manual_seed(0)
    blocks = (Block(features, kind) for _ in range(depth))
    ends = nn.LayerNorm(features), nn.Linear(features, len(alphabet))
    return nn.Sequential(nn.Embedding(len(alphabet), features), *blocks, *ends)


def random_texts(count, length):
    starts = rng.integers(0, len(training) - length, size=count)
    return training[starts[:, None] + np.arange(length + 1)]


# %% [markdown]
# First without any training. Send one batch through, and keep what is in the stream after each block, and
# the gradient of the loss there. Of the first we take how much two *positions* of one text resemble each
# other, as a correlation: 1 if they say the same. Of the second the size (the root of its mean square).
#
# **Predict**: attention takes weighted *means* over positions. Do it 12 times, with nothing added. What will
# the correlation be?


# %%
def resemblance(h):
    """The mean correlation of two different positions of one text; h is (N, L, E)."""
    matrices = np.array([np.corrcoef(one) for one in h])
    L = matrices.shape[1]
    return (matrices.sum(axis=(1, 2)) - L).mean() / (L * (L - 1))


batch = random_texts(8, 32)
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for kind, colour in KINDS.items():
    net = stack(kind)
    stream = [net[0](batch[:, :-1])]
    for module in net[1:]:
        stream.append(module(stream[-1]))
    loss = F.cross_entropy(stream[-1], batch[:, 1:])
    gradients = minires.grad(loss, stream[:13])
    sizes = [np.sqrt((gradient.numpy() ** 2).mean()) for gradient in gradients]
    axes[0].plot([resemblance(h.numpy()) for h in stream[:13]], "o-", color=colour, label=kind)
    axes[1].plot(sizes, "o-", color=colour, label=kind)
axes[0].set(
    title="How alike two positions are", xlabel="after block", ylabel="correlation", ylim=(0, 1.05)
)
axes[1].set(
    title="Size of the gradient", xlabel="after block", ylabel="root mean square", yscale="log"
)
axes[0].legend(loc=(0.3, 0.5))
plt.show()

# %% [markdown]
# *What to see: left, without the shortcut, the positions are all the same after six blocks: a mean of means
# of means. The last layer cannot tell them apart any more, so what it says of the next character cannot
# depend on the text. (Dong, Cordonnier and Loukas, [*Attention is not all you
# need*](https://arxiv.org/abs/2103.03404), 2021: the subtitle says how fast.) With a shortcut each position
# keeps what it was. Right, nothing vanishes and nothing explodes: layer norm sees to that. In the pre-norm
# network the gradient grows steadily on its way back (read the curve from right to left), since each block
# adds its share to the one that comes down the stream, untouched.*
#
# As in notebook 06: what is wrong with the network without shortcuts is not the *size* of its gradients.
#
# ## 6. Do they learn?
#
# Sixty steps each, all with the same rate from the first step to the last.
#
# As a measure, the loss of someone who knows only how frequent each character is: the *entropy* of the
# frequencies. **Predict** who stays above it.


# %%
def train(net, steps, peak, count, length, cycle=True):
    """AdamW; the learning rate rises to its peak and falls again, or stays (notebook 07)."""
    optimiser = optim.AdamW(net.parameters(), lr=peak)
    schedule = optim.OneCycleLR(optimiser, max_lr=peak, total_steps=steps) if cycle else None
    losses = []
    for _ in range(steps):
        batch = random_texts(count, length)
        loss = F.cross_entropy(net(batch[:, :-1]), batch[:, 1:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if schedule:
            schedule.step()
        losses.append(loss.item())
    return losses


def entropy(counts):
    p = counts[counts > 0] / counts.sum()
    return -(p * np.log(p)).sum()


def smooth(losses, over=8):
    return np.convolve(losses, np.ones(over) / over, mode="valid")


by_frequency = entropy(np.bincount(training))
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for kind, colour in KINDS.items():
    losses = train(stack(kind), 60, peak=4e-3, count=8, length=32, cycle=False)
    ax.plot(smooth(losses), color=colour, label=f"{kind}: {np.mean(losses[-8:]):.2f}")
ax.axhline(by_frequency, color="#6b7280", linestyle="--", label=f"frequencies: {by_frequency:.2f}")
ax.set(xlabel="step", ylabel="loss (nats), mean of 8 steps", title="Twelve blocks")
ax.legend()
plt.show()

# %% [markdown]
# *What to see: without shortcuts the network learns how frequent each character is, and nothing more: for
# that it need not know where it is. Both others use the text. Pre-norm is ahead of post-norm; with three
# other seeds it was as well, by 0.17 or 0.18 each time.* With a rate that rises slowly from 0 (*warm-up*)
# post-norm came 0.03 to 0.07 closer. So Vaswani et al. trained it; Xiong et al.
# ([2020](https://arxiv.org/abs/2002.04745)) found out why, and that pre-norm can do without.
#
# ## 7. A model that writes
#
# `models.CharTransformer` is what you have seen, put together: two embeddings, pre-norm blocks, a last
# norm, a linear layer. Two blocks of 64 features, looking back on 32 characters, 400 steps of 32 texts; in
# a minute or less.
#
# **Predict** its loss, on text that it has not seen. Guessing blindly costs $\ln 73 = 4.29$ nats a
# character, knowing the frequencies 3.06, and knowing which character follows which about 2.4.

# %%
minires.manual_seed(0)
model = models.CharTransformer(len(alphabet), context=32, embed_dim=64, num_heads=4, depth=2)
before = model.generate(codes[10:20], 60)
losses = train(model, 400, peak=4e-3, count=32, length=32)

pairs = np.zeros((len(alphabet), len(alphabet)))
np.add.at(pairs, (training[:-1], training[1:]), 1)
by_pairs = entropy(pairs) - entropy(pairs.sum(axis=1))
windows = held_out[: len(held_out) // 33 * 33].reshape(-1, 33)
with minires.no_grad():
    unseen = F.cross_entropy(model(windows[:, :-1]), windows[:, 1:]).item()
assert unseen < 2.1

fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.plot(
    smooth(losses), color="#1d4ed8", label=f"training; at the end, on unseen text: {unseen:.2f}"
)
for value, name in (
    (np.log(len(alphabet)), "blindly"),
    (by_frequency, "frequencies"),
    (by_pairs, "pairs"),
):
    ax.axhline(value, color="#6b7280", linestyle="--", lw=1)
    ax.text(393, value + 0.03, f"{name}: {value:.2f}", ha="right", color="#6b7280")
ax.set(xlabel="step", ylabel="loss (nats), mean of 8 steps", ylim=(1.6, 4.6))
ax.legend(loc="upper right", bbox_to_anchor=(1, 0.88))
plt.show()


# %%
def written(numbers):
    return "".join(alphabet[number] for number in numbers)


print("untrained:", repr(written(before)))
for temperature in (0.3, 0.8):
    print(f"\ntemperature {temperature}:")
    print(written(model.generate(codes[10:20], 250, temperature)))

# %% [markdown]
# After a minute it writes the shortest words, puts the spaces where they belong, and means nothing. A low
# *temperature* (logits are divided by it, before the softmax) takes what is likely, *the* and *of* above
# all; a higher one dares more, and invents. The loss on unseen text is below 2 nats (with four seeds from
# 1.96 to 1.98): since $e^{1.97} \approx 7$, the model is as unsure as someone who guesses among seven
# characters. Who knows only pairs guesses among eleven.
#
# ## 8. Where it looks
#
# Each head has its shares, a matrix for every text. They can be drawn. **Predict**: with two blocks of four
# heads, what will at least one head of the first block have found out?

# %%
sentence = "a good fortune, must be in want "
numbers = np.searchsorted(alphabet, list(sentence))[None]
maps = []
for block in model.blocks:
    block.norm1.register_forward_hook(
        lambda module, inputs, out, block=block: maps.append(
            block.attention(out, out, out, average_attn_weights=False, is_causal=True)[1].numpy()[0]
        )
    )
with minires.no_grad():
    model(numbers)

fig, axes = plt.subplots(2, 4, figsize=(10, 5.6), layout="constrained")
letters = [character.replace(" ", "·") for character in sentence]
for number, (row, heads) in enumerate(zip(axes, maps, strict=True), 1):
    for head, ax in enumerate(row):
        ax.imshow(heads[head], cmap="Blues", vmin=0, vmax=1)
        ax.set_xticks(range(32), letters, fontsize=5.5)
        ax.set_yticks(range(32), letters, fontsize=5.5)
        ax.tick_params(length=0)
        ax.set_title(f"block {number}, head {head + 1}", fontsize=9)
plt.show()

for number, heads in enumerate(maps, 1):
    for back in (0, 1, 2):
        shown = [f"{np.diagonal(one, -back).mean():.2f}" for one in heads]
        print(f"block {number}, mean share of {back} back, by head: {'  '.join(shown)}")

# %% [markdown]
# *What to see: row is who looks, column is what is looked at; a dark cell is a share near 1. In the first
# block nearly all is close to the diagonal: the character itself, or one before it; one head takes about
# half of its shares from the one before. That is a convolution over two or three characters, found and not
# built in. In the second block there are columns: many positions look at the same place, at a comma or a
# space, the ends of words. Nobody told them to.*
#
# ## 9. And the way back
#
# In 2022 Liu et al. took a ResNet and changed it step by step towards a Transformer, without attention
# ([*A ConvNet for the 2020s*](https://arxiv.org/abs/2201.03545)): layer norm, GELU, one activation a block, one
# large convolution by channels in place of attention and then two linear layers. The result is called ConvNeXt.
# Here both on Fashion-MNIST, the images averaged to 14 × 14 pixels, with about equally many multiplications and
# the same optimiser, for 40 steps of 64 images.


# %%
def clothes(train):
    part = minires.data.fashion_mini(train)
    small = part.images.reshape(-1, 14, 2, 14, 2, 1).mean(axis=(2, 4), dtype=np.float32)
    return (small / 255 - 0.286) / 0.353, part.labels


images, labels = clothes(True)
test_images, test_labels = clothes(False)
for name, options in (("resnet8", {}), ("convnext_micro", {"layer_scale": 1.0})):
    minires.manual_seed(0)
    net = models.create(name, num_classes=10, in_channels=1, **options)
    counted = nn.summary(net, (14, 14, 1))
    optimiser = optim.AdamW(net.parameters(), lr=5e-3, weight_decay=0.05)
    schedule = optim.OneCycleLR(optimiser, max_lr=5e-3, total_steps=40)
    order = np.random.default_rng(0)
    for _ in range(40):
        chosen = order.choice(len(images), 64, replace=False)
        optimiser.zero_grad()
        F.cross_entropy(net(Tensor(images[chosen])), labels[chosen]).backward()
        optimiser.step()
        schedule.step()
    net.eval()
    with minires.no_grad():
        right = (net(Tensor(test_images)).numpy().argmax(axis=1) == test_labels).mean()
    print(
        f"{name}: {counted.multiply_adds:,} multiplications, {counted.parameters:,} parameters, {right:.1%} right"
    )

# %% [markdown]
# With four other seeds the ResNet had 64 to 73% right (in the middle 71), the ConvNeXt 70 to 72% (71):
# after so few steps on so small images neither wins, and that is all that can be said in half a minute.
# Equal numbers of multiplications are not equal times, either: a convolution of each channel by itself does
# little with each number that it reads, and the ConvNeXt took three times as long here.
#
# ## What each kept of He et al.
#
# | | ResNet (2015) | Transformer, pre-norm (2017, 2020) | ConvNeXt (2022) |
# |---|---|---|---|
# | the `+` | yes | yes, twice a block | yes |
# | a clean stream | no: a ReLU after the `+` | yes | yes |
# | mixes places by | 3 × 3 convolution | attention | 7 × 7 convolution, each channel by itself |
# | mixes features by | the same convolution | two linear layers | two linear layers |
# | normalises over | the batch | the features of one position | the features of one position |
# | between the layers | ReLU | GELU, once a block | GELU, once a block |
# | shapes change | between stages, by a projection | never | between stages, outside the blocks |
#
# One line is the same in all columns.
#
# ## Exercises
#
# (Difficulty from 1, a few lines, to 3, an idea of your own; the minutes are without training times.)
#
# 1. **Without positions.** *(difficulty 2, 30 min)* Set `model.positions.weight.data[:] = 0` in a fresh
#    `CharTransformer` and keep
#    its gradient out (`requires_grad_(False)`). Swap the first two characters of a text. What happens to
#    the output at the last position, with one block, and why not with two? *You are right if* the
#    difference is nothing but rounding in one case, and visible in the other.
# 2. **Scaled or not.** *(difficulty 2, 40 min)* Leave out the $\sqrt d$ in `attention`. With $d = 4, 64, 1024$
#    and random $Q$ and
#    $K$: how large is the largest share of a row, in the mean, and how large the gradient of $Q$? What
#    does the rule of softmax give where one share is nearly 1?
#    *You are right if* the largest share hardly depends on $d$ with the root and is above 0.9 for $d =
#    1024$ without, where the gradient is more than ten times smaller.
# 3. **Write one character at a time.** *(difficulty 3, 45 min)* `generate` computes all 32 positions anew for
#    each character, though
#    the keys and values of earlier positions do not change. Write `attention` for one new query that keeps
#    $K$ and $V$ (a *cache*). *You are right if* its results are the rows of `attention(Q, K, V)`. How many
#    multiplications does the hundredth character cost, with and without? Which of the two normalisations of
#    section 3 would spoil it?
