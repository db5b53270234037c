# %% [markdown]
# # 13 · Four scripts that do not work
#
# Four articles on residual networks, four scripts, and none runs as printed. (`docs/articles.md` has
# the whole list, `docs/examples` the corrected scripts.) An undefined name is found in a second. This
# notebook is about the other kind: mistakes that run, train, and give wrong results. After it
# you will be able to
#
# * say what a forgotten `eval()` does to a test accuracy, and show it;
# * find out with one line **whether a residual block adds anything**, and whether it adds it once;
# * write down the backward pass of a residual block, with the term that one of the articles lost;
# * make a network prove that it has the depth in its name.
#
# About 15 minutes. You need notebooks 01 (gradients) and 04 (batch norm).

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires
from minires import Tensor, data, models, nn, no_grad, optim
from minires.nn import functional as F

rng = np.random.default_rng(0)
minires.manual_seed(0)

# %% [markdown]
# ## 1. The test that learns
#
# The first article trains a ResNet-18 and then measures it under `no_grad`, but never calls
# `model.eval()`. `no_grad` stops gradients. It does not tell batch norm that the test has begun.
#
# A ResNet-8 on digits, trained in a few seconds:

# %%
train, test = data.digits(), data.digits(train=False)
normalize = data.Normalize([0.3], [0.4])
model = models.resnet8(in_channels=1)
optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
history = minires.fit(
    model,
    train,
    None,
    epochs=5,
    batch_size=32,
    optimizer=optimizer,
    schedule=optim.OneCycleLR(optimizer, 0.05, total_steps=5 * 44),
    transform=normalize,
    progress=False,
)
print(f"{history[-1].train_accuracy:.1%} of the training images right")

# %% [markdown]
# **Predict.** We test it in batches, once after `eval()` and once without. The images come either
# mixed, or sorted by class, as a folder would give them. Where does the accuracy suffer?


# %%
def accuracy(evaluating, order, batch):
    """The test accuracy in percent; the model is put back as it was."""
    before = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    model.train(not evaluating)
    right = 0
    with no_grad():
        for first in range(0, len(order), batch):
            some = order[first : first + batch]
            images, labels = test.take(some)
            logits = model(Tensor(normalize(images))).numpy()
            right += int((logits.argmax(axis=1) == labels).sum())
    model.load_state_dict(before)
    return 100 * right / len(order)


mixed = rng.permutation(len(test))
by_class = np.argsort(test.labels, kind="stable")
batches = (2, 8, 32, 128)
figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
for name, evaluating, order, style in (
    ("eval(), mixed", True, mixed, "-o"),
    ("eval(), sorted by class", True, by_class, "--s"),
    ("no eval(), mixed", False, mixed, "-o"),
    ("no eval(), sorted by class", False, by_class, "--s"),
):
    values = [accuracy(evaluating, order, batch) for batch in batches]
    print(f"{name:28}", "  ".join(f"{value:5.1f}%" for value in values))
    axes.plot(batches, values, style, label=name)
axes.set(xscale="log", xlabel="images in a test batch", ylabel="test accuracy (%)")
axes.set_xticks(batches, [str(b) for b in batches])
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# **What to see.** With `eval()` the accuracy is the same for all batches: a prediction depends on the
# image only. Without it, it also depends on the other images of the batch. Mixed and in large batches the
# difference is small enough to be overlooked, and that is the danger; sorted by class, batch norm
# subtracts what the images of the class have in common.
#
# And the model is not the same afterwards: its running statistics have moved towards the test images.

# %%
norm = model.bn1
before = norm.running_mean.numpy().copy()
model.train()
with no_grad():
    model(Tensor(normalize(test.images[:128])))
moved = np.abs(norm.running_mean.numpy() - before).max()
print(f"running mean moved by {moved:.4f}, without a single gradient")
assert moved > 0

# %% [markdown]
# ## 2. Is anything added?
#
# The second article stacks convolution, batch norm, ReLU, convolution, batch norm, ReLU in one
# `Sequential` and puts the projection of the shortcut *after* them. It looks like a residual network
# and has the parameters of one. Nothing is ever added.
#
# There is a simple test: **set the last batch norm's weight to 0.** Then
# the residual branch gives 0, and the output is the shortcut alone.
#
# **Predict** what the two blocks below give for a positive input.


# %%
def branch(channels):
    return [
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
    ]


stacked = nn.Sequential(*branch(4), nn.ReLU())  # as in the article
residual = models.BasicBlock(4, 4)
stacked[4].weight.data.fill(0)
residual.bn2.weight.data.fill(0)

x = Tensor(rng.uniform(0.5, 1.5, size=(2, 6, 6, 4)).astype(np.float32), requires_grad=True)
for name, block in (("stacked", stacked), ("residual", residual)):
    y = block(x)
    g = minires.grad(y.sum(), x).numpy()
    print(
        f"{name:9} output / input: {y.numpy().mean() / x.numpy().mean():.1f}   "
        f"gradient that arrives at the input: {np.abs(g).mean():.1f}"
    )
assert np.array_equal(residual(x).numpy(), x.numpy())

# %% [markdown]
# The stacked one is dead: it passes no values and no gradient. The residual one is the identity,
# in the forward and in the backward pass. (`models.create(..., zero_gamma=True)` starts a network like that on purpose.)
#
# ## 3. Added once?
#
# The third article adds the input twice. The same test counts: with a dead branch, $x + x$ gives $2x$.
# **Predict** what 20 such blocks in a row make of an input of 1.

# %%
once = twice = Tensor(np.ones((1, 4, 4, 4), np.float32))
for _ in range(20):
    dead = Tensor(np.zeros((1, 4, 4, 4), np.float32))
    once = F.relu(dead + once)
    twice = F.relu((dead + twice) + twice)
print(f"added once: {once.numpy().max():.0f}, added twice: {twice.numpy().max():,.0f}")
assert twice.numpy().max() == 2**20

# %% [markdown]
# Batch norm inside the branches would hide that for a while. The same article adds 64 channels to
# 3; this library refuses, and says what is missing.

# %% tags=["raises-exception"]
nn.Add()(Tensor(np.zeros((1, 4, 4, 64))), Tensor(np.zeros((1, 4, 4, 3))))

# %% [markdown]
# ## 4. The backward pass, with the term that was lost
#
# For $H' = H + F(H)$ that article gives the gradient as an element-wise product,
# $\partial L/\partial H' \odot \partial H'/\partial H$. In truth, with the gradient as a row,
#
# $$ \frac{\partial L}{\partial H} = \frac{\partial L}{\partial H'}
#    \left( I + \frac{\partial F}{\partial H} \right) . $$
#
# $\partial F/\partial H$ is a matrix, and $I$ is what residual networks are about. **Predict:** $F$ is a
# chain of 30 layers, each of which shrinks to a tenth. How large is the gradient at its start, with
# $I$ and without?

# %%
W = rng.normal(size=(5, 5)) * 0.3
h = Tensor(rng.normal(size=(1, 5)), requires_grad=True)
g = Tensor(rng.normal(size=(1, 5)))  # the gradient that comes from above
out = h + F.tanh(h @ Tensor(W))
from_the_engine = minires.grad((out * g).sum(), h).numpy()
slope = 1 - np.tanh(h.numpy() @ W) ** 2  # (1, 5)
jacobian = slope * W  # dF/dH, (5, 5): row i is input i
by_the_formula = g.numpy() @ (np.eye(5) + jacobian.T)
element_wise = g.numpy() * np.diag(np.eye(5) + jacobian)
print("engine       ", from_the_engine.round(4))
print("the formula  ", by_the_formula.round(4))
print("element-wise ", element_wise.round(4))
assert np.allclose(from_the_engine, by_the_formula)
assert not np.allclose(from_the_engine, element_wise)

for name, shortcut in (("without shortcuts", 0.0), ("with shortcuts", 1.0)):
    start = Tensor(np.ones(1), requires_grad=True)
    y = start
    for _ in range(30):
        y = shortcut * y + 0.1 * y
    print(f"{name:18} gradient at the start: {minires.grad(y.sum(), start).item():.1e}")

# %% [markdown]
# Without: a tenth, thirty times. With: $1.1^{30}$, about 17. That is growth, and in a network without
# normalisation it goes on: with branches as large as their shortcuts the variance doubles with each block. Batch
# norm, a last weight of zero in each branch (`zero_gamma`) or smaller initial weights (Fixup, Zhang et al.,
# 2019) keep it in bounds. The articles say that vanishing gradients are why plain deep networks fail. With batch
# norm or a suitable initialisation gradients do not vanish at the start, and plain networks are still worse
# (`docs/paper.md` measures both).
#
# ## 5. Does it have fifty layers?
#
# The fourth article asks for `ResNet(num_layers=50)` and builds something else; the 50 is never used for the
# depth. The depth can be checked: the number counts the convolutions and linear layers on the
# longest way through, so without the projections on the shortcuts.

# %%
for name in ("resnet18", "resnet34", "resnet50", "resnet20", "resnet56"):
    network = models.create(name, num_classes=10)
    layers = [
        layer_name
        for layer_name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and "downsample" not in layer_name
    ]
    print(f"{name}: {len(layers)} layers, {sum(p.size for p in network.parameters()):,} parameters")
    assert f"resnet{len(layers)}" == name

# %% [markdown]
# ## 6. One that was no mistake
#
# The first article's text has a softmax at test time, its code takes the largest logit. **Predict:** how many
# of a thousand predictions change?

# %%
logits = rng.normal(size=(1000, 10)) * 5
softmax = F.softmax(Tensor(logits)).numpy()
changed = (softmax.argmax(axis=1) != logits.argmax(axis=1)).sum()
print(f"{changed} answers of 1,000 differ")
assert changed == 0

# %% [markdown]
# None: the softmax keeps the order. It turns logits into probabilities, which the loss does by itself.
#
# ## Exercises
#
# (Difficulty from 1, a few lines, to 3, an idea of your own; the minutes are without training times.)
#
# 1. *(difficulty 1, 20 min)* Write a block with the ReLU *before* the sum, as in the second article's formula.
#    Which outputs can it
#    never give, and what does that do to the map after 20 such blocks? *You are right if* no output is below
#    its shortcut, and the map's mean only grows.
# 2. *(difficulty 2, 40 min)* Do section 1 with a network of two convolutions and batch norms, and maps of 8 x 8 to the end,
#    once with a linear layer that reads all numbers of the maps, once with one that reads each channel's mean. Is the loss
#    of accuracy larger or smaller than ResNet-8's, and why? (Over how many numbers does each batch norm average, and what
#    does it take away?) *You are right if* one of the two loses less than ResNet-8 and the other more.
# 3. *(difficulty 2, 25 min)* Take a projection shortcut with a stride of 1 where the block has 2. What error
#    do you get? For which sizes of the map
#    would a library that broadcasts have added the two without an error? *You are right if* you find only one.
