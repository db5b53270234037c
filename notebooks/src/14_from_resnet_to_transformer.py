# %% [markdown]
# # 14 · From ResNet to Transformer
#
# Two years after the residual network came the Transformer (Vaswani et al., [*Attention Is All You
# Need*](https://arxiv.org/abs/1706.03762), 2017), which today reads, writes and translates texts. It has no
# convolution and no batch norm, but it kept the `+`. After this notebook you will be able to
#
# * read a network as a *stream* to which every block adds something, and find the terms of this sum;
# * say why a Transformer normalises each position separately, and not over the batch;
# * write attention with its forward and backward pass, and check the gradient;
# * show what happens to twelve blocks without the shortcut, and compare two places for the normalisation;
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
# The network is to read a text and predict at each position which character comes next. The text is the first
# volume of Jane Austen's *Pride and Prejudice* (1813), which comes with the library. Each character gets a
# number.

# %%
text = minires.data.pride_and_prejudice()
alphabet = sorted(set(text))
codes = np.searchsorted(alphabet, list(text))
training, held_out = np.split(codes, [9 * len(codes) // 10])
print(f"{len(text):,} characters, {len(alphabet)} different ones")
print(text[10:127], "->", codes[10:20], "...")

# %% [markdown]
# The numbers are only names: that `b` comes between `a` and `c` has no meaning here. So the first layer is a
# table with a row of features for each character, and it only looks up rows. Such a table is called an
# *embedding*. Its rows are weights, and are learned. In the backward pass the gradient of each row is the sum
# of the gradients at all positions where the row was read, as in notebook 01.
#
# After that there are $N$ texts of $L$ positions with $E$ features: $(N, L, E)$ in place of $(N, H, W, C)$.

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
# Here are the residual block and the Transformer block of the library. **Predict**, before you look: how many
# additions of a shortcut and a branch does each have? (They are the boxes marked *Add*; the small ones add a
# bias or the mask of section 4.)

# %%
viz.graph(models.BasicBlock(16, 16), (8, 8, 16))

# %%
viz.graph(models.TransformerBlock(16, 2, causal=True), (32, 16))

# %% [markdown]
# *What to see: above one addition, below two. In the ResNet block a ReLU follows the addition; in the
# Transformer block nothing does, so there is a path from the input to the output that consists of additions
# only.*
#
# Put such blocks one after another. The output is the input plus what each branch has added:
#
# $$x_n = x_0 + F_1(x_0) + F_2(x_1) + \dots + F_n(x_{n-1})$$
#
# $x$ is called the *residual stream*: every branch reads all of it and adds to it, and can remove something
# only by adding its negative. The equation can be checked. A hook on the last layer of each branch records what
# the branch adds.

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
# ## 3. Layer norm: each position separately
#
# Batch norm (notebook 04) takes the mean of a feature over all images of the batch, so the output for one image
# depends on the others. For images that was acceptable. For texts it is worse. A position would get information
# about later positions, which it is to predict. In use there is a single text, to which one character is added
# at a time. And the values at one position differ greatly from text to text.
#
# *Layer norm* (Ba, Kiros and Hinton, 2016) takes the mean and the variance over the features of *one position*.
# The formula is the same with another axis. So is the gradient, with its three paths.


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
# **Predict.** Change the last position of the second text. At how many of the ten positions does the output of
# layer norm change, and that of batch norm in training mode?

# %%
other = x.copy()
other[1, 4] += 1 + np.arange(8)
for name, layer in (("layer norm", nn.LayerNorm(8)), ("batch norm", nn.BatchNorm1d(8))):
    before, after = (layer(Tensor(a.astype(np.float32))).numpy() for a in (x, other))
    print(f"{name}: {(before != after).any(axis=-1).sum()} of 10 positions change")

# %% [markdown]
# ## 4. Attention
#
# Layer norm and linear layers treat every position separately. Some layer must pass information between
# positions. A convolution does that with a window of fixed size and fixed weights. Attention lets each position
# choose what it reads. Each position has a *query* $q$, a *key* $k$ and a *value* $v$. Where a query and a key
# agree, which means that their inner product is large, the position of the query takes much of the value that
# belongs to the key. How much is given by the *attention weights* (`shares` in the code). They come from a
# softmax, so they are positive and add up to 1:
#
# $$S = \frac{Q K^\top}{\sqrt d}, \qquad A = \operatorname{softmax}(S) \text{ over each row}, \qquad Y = A\,V$$
#
# (The inner product of two vectors of $d$ random numbers with variance 1 has variance $d$; dividing by the root
# prevents a softmax that puts nearly all the weight on one position from the start.) A position must not use
# later positions, which it is to predict: there the score is set to $-\infty$, so that the weight is 0. This is
# called a *causal mask*.
#
# The backward pass starts from $g = \partial L / \partial Y$ and uses rules that you know: that of matrix
# products (notebook 01) and that of softmax. For softmax, take the gradient of each attention weight, subtract
# the mean of the gradients in its row (weighted by the attention weights), and multiply by the attention
# weight.
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
# Where do $Q$, $K$ and $V$ come from? Three linear layers compute them from the same stream: `x @ Wq` and so
# on. One choice for each position is not much, so the features are divided among several *heads* that work in
# parallel, each with its own queries, keys and values. A last linear layer combines their outputs. Here we
# build the library's layer from our short functions:

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
# *What to see: row $i$ is position $i$, and its attention weights (the mean of both heads) add up to 1. The
# first position can only use itself; above the diagonal there are zeros.*
#
# **A question before you go on.** What do these formulas know of the *order* of the positions? Almost nothing:
# in one layer, if the earlier positions are shuffled, the last one takes the same values with the same weights.
# So the model adds a second embedding, of the number of the position, to the first.
#
# ## 5. Twelve blocks, three variants
#
# Notebook 06 removed the shortcuts from a ResNet. We do the same here, and compare two places for the
# normalisation. Vaswani et al. normalised *after* the addition, where a ResNet has its ReLU. Today nearly all
# Transformers normalise at the start of the branch, so that nothing but additions changes the stream. (It is
# the same change as from the first to the second ResNet, in exercise 1 of notebook 06.)
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
# First without any training. Send one batch through, and record the stream after each block and the gradient of
# the loss with respect to it. Of the stream we measure the correlation of two *positions* of one text: it is 1
# if their features have the same pattern. Of the gradient we measure the size (the root of its mean square).
#
# **Predict**: attention takes weighted *means* over positions. What will the correlation be after 12 blocks
# without a shortcut?


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
# *What to see: on the left, without the shortcut, all positions are almost the same after six blocks, since
# every block takes means of the means of the block before. The last layer can no longer tell the positions
# apart, so its prediction of the next character cannot depend on the text. (Dong, Cordonnier and Loukas,
# [*Attention is not all you need*](https://arxiv.org/abs/2103.03404), 2021: the subtitle says how fast.) With a
# shortcut the positions stay different. On the right, no gradient vanishes and none explodes, thanks to layer
# norm. In the pre-norm network the gradient grows steadily in the backward pass (read the curve from right to
# left), since each block adds its own term to the gradient that comes through the shortcut unchanged.*
#
# As in notebook 06, the *size* of the gradients is not the problem of the network without shortcuts.
#
# ## 6. Do they learn?
#
# Sixty steps each, all with the same constant learning rate.
#
# To compare with, we take the loss of a model that knows only how frequent each character is: the *entropy* of
# the frequencies. **Predict** which networks stay above it.


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
# *What to see: without shortcuts the network learns how frequent each character is, and nothing more: for that
# it need not tell positions apart. The other two use the text. Pre-norm has a lower loss than post-norm; with
# three other seeds it was lower as well, by 0.17 or 0.18 each time.* With a learning rate that rises slowly
# from 0 (*warm-up*) the difference was smaller by 0.03 to 0.07. Vaswani et al. trained with warm-up. Xiong et
# al. ([2020](https://arxiv.org/abs/2002.04745)) explained why post-norm needs it, and showed that pre-norm does
# not.
#
# ## 7. A model that writes
#
# `models.CharTransformer` combines what you have seen: two embeddings, pre-norm blocks, a last norm, and a
# linear layer. It has two blocks of 64 features and sees up to 32 characters. We train it for 400 steps with 32
# texts each, which takes about a minute or less.
#
# **Predict** its loss, on text that it has not seen. Guessing with no knowledge costs $\ln 73 = 4.29$ nats per
# character, knowing the frequencies costs 3.06, and knowing how often each pair of adjacent characters occurs
# costs about 2.4.

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
# After a minute it writes short words and places the spaces well, but the text has no meaning. The logits are
# divided by the *temperature* before the softmax. A low temperature gives likely characters, and words such as
# *the* and *to*; a higher one gives more variety, and invented words. The loss on unseen text is below 2 nats
# (with four seeds from 1.96 to 1.98): since $e^{1.97} \approx 7$, the model is as uncertain as a guess among
# seven equally likely characters. With the pairs only, it would be a guess among eleven.
#
# ## 8. The attention weights
#
# For every text, each head has a matrix of attention weights, which we can draw. **Predict**: with two blocks
# of four heads, to which positions will at least one head of the first block give large weights?

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
# *What to see: the row is the position of the query, the column that of the key; dark cells are weights close
# to 1. In the first block most of the weight lies near the diagonal: on the character itself, or on one shortly
# before it. One head puts about half of its weight on the previous character. This resembles a convolution over
# two or three characters, which was learned and not built in. In the second block there are columns: many
# positions attend to the same one, a comma or a space, at the ends of words. This, too, was learned.*
#
# ## 9. From the Transformer back to convolutions
#
# In 2022 Liu et al. took a ResNet and changed it step by step towards a Transformer, without attention ([*A
# ConvNet for the 2020s*](https://arxiv.org/abs/2201.03545)): layer norm, GELU, one activation per block, and
# one large depthwise convolution (each channel by itself) in place of attention, followed by two linear layers.
# The result is called ConvNeXt. Here we train both on Fashion-MNIST, with images averaged to 14 × 14 pixels,
# about the same number of multiplications and the same optimiser, for 40 steps of 64 images.


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
# With four other seeds the accuracy of the ResNet was 64 to 73% (median 71), and that of the ConvNeXt 70 to 72%
# (median 71). After so few steps on such small images neither wins, and half a minute of training can show no
# more than that. Nor do equal numbers of multiplications mean equal times: a depthwise convolution does little
# arithmetic with each number that it reads, and the ConvNeXt took three times as long here.
#
# ## What each has kept of He et al.
#
# | | ResNet (2015) | Transformer, pre-norm (2017, 2020) | ConvNeXt (2022) |
# |---|---|---|---|
# | the `+` | yes | yes, twice per block | yes |
# | only additions in the stream | no: a ReLU after the `+` | yes | yes |
# | mixes positions by | 3 × 3 convolution | attention | 7 × 7 convolution, each channel by itself |
# | mixes features by | the same convolution | two linear layers | two linear layers |
# | normalises over | the batch | the features of one position | the features of one position |
# | activation | ReLU | GELU, once per block | GELU, once per block |
# | shapes change | between stages, by a projection | never | between stages, outside the blocks |
#
# Only the first row has a *yes* in all columns.
#
# ## Exercises
#
# (Difficulty from 1, a few lines, to 3, an idea of your own; the minutes are without training times.)
#
# 1. **Without positions.** *(difficulty 2, 30 min)* Set `model.positions.weight.data[:] = 0` in a new
#    `CharTransformer` and freeze it (`requires_grad_(False)`). Swap the first two characters of a text. Does
#    the output at the last position change with one block? Does it change with two, and why? *You are right if*
#    the difference is only rounding in one case, and clearly larger in the other.
# 2. **Scaled or not.** *(difficulty 2, 40 min)* Leave out the $\sqrt d$ in `attention`. With $d = 4, 64, 1024$
#    and random $Q$ and $K$: how large are, on average, the largest attention weight of a row and the gradient
#    with respect to $Q$? What does the gradient rule of softmax give where one weight is nearly 1? *You are
#    right if* with the root the largest weight hardly depends on $d$, and without it the weight is above 0.9
#    for $d = 1024$ and the gradient is more than ten times smaller.
# 3. **Write one character at a time.** *(difficulty 3, 45 min)* `generate` computes all 32 positions again for
#    each character, though the keys and values of earlier positions do not change. Write `attention` for one
#    new query that keeps $K$ and $V$ (a *cache*). *You are right if* its results are the rows of `attention(Q,
#    K, V)`. How many multiplications does the hundredth character cost, with the cache and without it? With
#    which of the two normalisations of section 3 would a cache give incorrect results?
