# %% [markdown]
# # 06 · The residual add
#
# After this notebook you will be able to
#
# * write a residual block, with its forward and its backward pass; it is one `+`;
# * show that a deeper plain network has a larger *training* error, and that the `+` corrects this;
# * read a network's gradients layer by layer, and say what the shortcut does to them;
# * remove a layer from a trained network and predict what happens.
#
# About 25 minutes. (He, Zhang, Ren and Sun, [*Deep Residual Learning for Image
# Recognition*](https://arxiv.org/abs/1512.03385), 2015: one of the most cited papers of all sciences.)

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires
from minires import Tensor, models, nn, optim, viz
from minires.in_browser import sized
from minires.models.blocks import BasicBlock
from minires.nn import functional as F

# %% [markdown]
# ## A puzzle
#
# Take a network that works, and add layers. The larger network can do everything that the small one can: its
# new layers need only copy their input. So with more layers the error on the training images, the *training
# error*, should fall or stay the same. It should never rise.
#
# But it does rise. If only the *test error* rose, on images that the network has not seen, we would say that it
# memorises its training images (*overfitting*). But it is the training error. Vanishing gradients are hardly
# the cause either, since at the start of training batch norm (notebook 04) keeps the gradients from vanishing.
# He et al. suspect that copying is hard to learn for a stack of convolutions, batch norms and ReLUs, and harder
# the more of them there are.
#
# Their solution is to make copying the starting point. Let the layers compute what is to be *added*:
#
# $$y = F(x) + x$$
#
# If nothing is to be added, $F$ has to become zero, which is easy. The path of $x$ around the layers is called
# the *shortcut*. The layers and the shortcut together are a residual *block*.
#
# We write it as a layer of our own: a class whose `forward` says what to compute. `nn.Module` keeps track of
# the layers and weights inside, and `state_dict` returns all of them by name. Below, the library's block is
# given the same weights, so it must give the same result. (The convolutions have `bias=False`, since batch norm
# would subtract a bias again.)


# %%
class Block(nn.Module):
    """Two convolutions, with a shortcut or without."""

    def __init__(self, channels, residual):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.residual = residual

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.residual:
            out = out + x
        return F.relu(out)


ours, theirs = Block(16, residual=True), BasicBlock(16, 16)
theirs.load_state_dict(ours.state_dict())
x = Tensor(np.random.default_rng(0).normal(size=(2, 8, 8, 16)))
print("equal to the library's:", np.array_equal(ours(x).numpy(), theirs(x).numpy()))
print(minires.gradcheck(Block(3, residual=True), [x.numpy()[:, :3, :4, :3]]).summary)

# %% [markdown]
# ## The backward pass: a copy
#
# Addition has the simplest gradient rule: both summands get the upstream gradient $g$ unchanged. The backward
# pass through the layers can be written as one product, too. Collect the derivatives of all outputs of $F$ with
# respect to all its inputs in a matrix, its *Jacobian* $J_F$, with $\partial F_i / \partial x_j$ in row $i$ and
# column $j$. Then input $j$ gets $\sum_i g_i \, \partial F_i / \partial x_j$, which is entry $j$ of $J_F^\top
# g$. (Every gradient rule computes such a vector-Jacobian product, nearly always without forming the matrix.)
# So
#
# $$\frac{\partial L}{\partial x} = g + J_F^\top g,$$
#
# where the first term comes through the shortcut, unchanged, and the second through the layers. In code it is a
# `+=`, the one from notebook 01, because `x` was used twice.
#
# **Predict** the gradient of `x` below, where $F(x) = 0.1\,x$, before you step to the end. What would it be
# without the shortcut?

# %%
x = Tensor(np.array(2.0), requires_grad=True)
w = Tensor(np.array(0.1), requires_grad=True)
branch = w * x
y = branch + x
loss = y * y
viz.step_through(loss)

# %% [markdown]
# $2y \cdot (1 + 0.1) = 4.84$; without the shortcut it would be $2 \cdot 0.2 \cdot 0.1 = 0.04$.
#
# ## Products and sums
#
# Through $n$ plain layers the gradient is multiplied by $n$ matrices; through $n$ blocks, by $n$ matrices of
# the form $I + J_i$ (where the identity matrix $I$ leaves a vector unchanged):
#
# $$\text{plain: } J_1^\top J_2^\top \cdots J_n^\top g \qquad\qquad
# \text{residual: } (I + J_1^\top)(I + J_2^\top) \cdots (I + J_n^\top)\, g$$
#
# Expand the product on the right: it has $2^n$ terms, one for each choice of shortcut or layers at every block.
# Each term is a path. One of them, the identity, brings $g$ to the first layer unchanged. (This is the graph of
# notebook 01, on which visiting every path was impossible, and visiting every value once was enough.)
#
# What effect does this have on a gradient? Take two images that are nearly the same, and compare the gradients
# of the loss with respect to their pixels. If a gradient is to be useful, the two should be nearly the same as
# well. As a measure take the *correlation*: 1 if the two have the same pattern, 0 if they are unrelated. The
# networks have random weights with standard deviation $\sqrt{2/n}$ (notebook 04; `kaiming_normal_` makes them)
# and batch norm, and are not trained. **Predict**: what is the correlation of the two gradients for 50 plain
# layers?

# %%
digits = minires.data.digits()
images = (digits.images / 255 - 0.3) / 0.37  # about mean 0 and deviation 1, float64


def network(depth, residual, channels=16):
    """A convolution, (depth - 2) / 2 blocks, the mean over the image, a linear layer."""
    minires.manual_seed(0)
    blocks = [Block(channels, residual) for _ in range((depth - 2) // 2)]
    first = nn.Conv2d(1, channels, 3, stride=2, padding=1, bias=False)
    stem = nn.Sequential(first, nn.BatchNorm2d(channels), nn.ReLU())
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))
    net = nn.Sequential(stem, nn.Sequential(*blocks), head)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net


def image_gradient(net, batch):
    x = Tensor(batch.astype(np.float32), requires_grad=True)
    F.cross_entropy(net(x), digits.labels[: len(batch)]).backward()
    return x.grad.numpy()


def alikeness(depth, residual):
    """The correlation of gradients by 64 images, and by the same with a little noise added."""
    net, noise = network(depth, residual), np.random.default_rng(1).normal(size=(64, 8, 8, 1))
    pairs = zip(
        image_gradient(net, images[:64]),
        image_gradient(net, images[:64] + 0.05 * noise),
        strict=True,
    )
    return np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs])


depths = [2, 6, 10, 20, 34, 50]
fig, ax = plt.subplots(figsize=(6.5, 3.3), layout="constrained")
for residual, colour, name in ((False, "#c2410c", "plain"), (True, "#1d4ed8", "residual")):
    ax.plot(depths, [alikeness(d, residual) for d in depths], "o-", color=colour, label=name)
ax.set(
    xlabel="layers with weights",
    ylabel="correlation of two gradients",
    title="Gradients by an image, and by the same with 5% noise",
    ylim=(-0.05, 1.02),
)
ax.legend()
plt.show()

# %% [markdown]
# *What to see: 1 means that both gradients point in the same direction. With many plain layers, a hardly
# visible change of the image gives a gradient that is almost unrelated to the first: it is noise, and little
# use for learning, however large it may be. With shortcuts the correlation stays far higher.* (Balduzzi et al.,
# [*The Shattered Gradients Problem*](https://arxiv.org/abs/1702.08591), 2017.)
#
# Now the sizes of the gradients. The player shows two networks of the library, `plain20` and `resnet20`, layer
# by layer: the activations in the forward pass, the gradients in the backward pass (RMS, as in notebook 04),
# and at the end the channels that are dead (notebook 05). A network of 20 layers has three *stages*. Where one
# ends and the next begins, the height and width of the image are halved and the number of channels is doubled.
# **Predict**: in which of the two does the gradient *grow* in the backward pass?

# %%
minires.manual_seed(0)
pair = {
    "plain": models.create("plain20", num_classes=10, in_channels=1),
    "residual": models.create("resnet20", num_classes=10, in_channels=1),
}
viz.gradient_flow(pair, (images[:64].astype(np.float32), digits.labels[:64]))

# %% [markdown]
# *What to see, at the last step, in the second row, from right to left (the first convolution and the last
# layer, which gives the scores, stand apart): in the plain network the gradient grows by some 15% from layer to
# layer, a straight line on the logarithmic axis, with a jump at each boundary between stages. Nothing vanishes,
# thanks to batch norm; but $1.15^{100}$ is about a million, and one learning rate cannot suit both the first
# and the last of 100 layers. In the residual network there is hardly a slope, only a zigzag between the inside
# and the end of each block. In the first row, from layer 4 on, every second activation of the residual network
# is larger. It belongs to the first convolution of a block, whose input is the sum at the end of the previous
# block. The third row is empty: no channel is dead.*
#
# ## Figure 6, small-scale
#
# Figure 6 of the paper shows the training of plain and residual networks on CIFAR-10 (50,000 small training
# photographs of ten classes), from 20 to 110 layers, for 64,000 steps. We do the same on a small scale:
# handwritten digits, 8 to 44 layers of 8 channels, 160 steps (60 in a browser, which is slower). (The momentum
# and the weight decay are those of the paper, which also lowers the learning rate during training. Notebook 07
# explains all three.) At the end we count how many of the training images each network still misclassifies.
#
# **Predict** the fraction of images that 8 plain layers, 44 plain layers and 44 residual layers misclassify.


# %%
STEPS = sized(160, in_browser=60)


def train(net, steps=STEPS, batch=64):
    optimiser = optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    schedule = optim.CosineAnnealingLR(optimiser, T_max=steps)  # from 0.1 to 0
    rng, losses = np.random.default_rng(0), []
    for _ in range(steps):
        chosen = rng.choice(len(images), batch, replace=False)
        out = net(Tensor(images[chosen].astype(np.float32)))
        loss = F.cross_entropy(out, digits.labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def accuracy(net, pixels, labels):
    net.eval()
    with minires.no_grad():
        guesses = net(Tensor(pixels.astype(np.float32))).numpy().argmax(axis=1)
    return (guesses == labels).mean()


trained, curves = {}, {}
for depth in (8, 20, 44):
    trained[depth, False] = network(depth, residual=False, channels=8)
    curves[depth, False] = train(trained[depth, False])

# %% [markdown]
# Those were the plain networks. Now the same with shortcuts, and the curves of both.

# %%
for depth in (8, 20, 44):
    trained[depth, True] = network(depth, residual=True, channels=8)
    curves[depth, True] = train(trained[depth, True])

fig, axes = plt.subplots(1, 2, figsize=(9, 3.5), sharey=True, layout="constrained")
for ax, residual in zip(axes, (False, True), strict=True):
    for depth, colour in ((8, "#15803d"), (20, "#1d4ed8"), (44, "#c2410c")):
        smooth = np.convolve(curves[depth, residual], np.ones(16) / 16, mode="valid")
        wrong = 1 - accuracy(trained[depth, residual], images, digits.labels)
        label = f"{depth} layers: {wrong:.1%} wrong"
        ax.plot(np.arange(16, STEPS + 1), smooth, color=colour, label=label)
    ax.set(title="residual" if residual else "plain", xlabel="step", ylim=(0, 2.4))
    place = "upper right" if residual else "lower left"
    ax.legend(title="training images, at the end", loc=place, fontsize=8, title_fontsize=8)
axes[0].set_ylabel("training loss (nats), mean of 16 steps")
plt.show()

# %% [markdown]
# *What to see: on the left, the order is the reverse of what one would expect: 44 plain layers are worse than
# 20, and 20 are worse than 8, on the very images on which they are trained. On the right are the same layers
# with the `+`: all three learn most of the images (nearly all in 160 steps), and depth no longer does harm.*
# Does depth help? Not here: digits are easy, and the steps are few. Which of the three on the right ends lowest
# is chance, and changes with the seed. (With the 64,000 steps of the paper, on CIFAR-10, the deeper networks
# win: the test error is 8.75% with 20 layers and 6.43% with 110.)
#
# The two networks of the same depth have the same number of weights with the same initial values. The shortcut
# has no parameters and costs one addition.

# %%
for depth in (8, 20, 44):
    counts = [sum(p.size for p in trained[depth, r].parameters()) for r in (False, True)]
    print(f"{depth} layers: {counts[0]:,} parameters plain, {counts[1]:,} residual")

# %% [markdown]
# ## Remove a block
#
# One last experiment. Take the trained residual network of 20 layers, remove one of its blocks (pass its input
# on unchanged), and test the network. Then put the block back and remove the next one. Do the same with the
# plain network.
#
# Removing takes one line: a *hook* is a function that a block calls with its inputs and its output, and
# whatever the hook returns replaces the output.
#
# **Predict** the accuracy of each network after removing one of its nine blocks.

# %%
test = minires.data.digits(train=False)
test_images = (test.images / 255 - 0.3) / 0.37


def without_each_block(net):
    found = []
    for block in net[1]:
        put_back = block.register_forward_hook(lambda module, inputs, out: inputs[0])
        found.append(accuracy(net, test_images, test.labels))
        put_back()
    return found


kinds = {"plain": trained[20, False], "residual": trained[20, True]}
fig, ax = plt.subplots(figsize=(7, 3.3), layout="constrained")
for i, (name, colour) in enumerate((("plain", "#c2410c"), ("residual", "#1d4ed8"))):
    whole, removed = (
        accuracy(kinds[name], test_images, test.labels),
        without_each_block(kinds[name]),
    )
    ax.bar(np.arange(1, 10) + 0.4 * i - 0.2, removed, 0.38, color=colour, label=name)
    ax.axhline(whole, color=colour, linestyle="--", lw=1)
ax.axhline(0.1, color="#6b7280", linestyle=":", label="guessing")
ax.set(xlabel="block that was removed", ylabel="share of test images right", xticks=range(1, 10))
ax.set(ylim=(0, 1.2), yticks=np.linspace(0, 1, 6))
ax.legend(loc="upper center", ncols=3)
plt.show()

# %% [markdown]
# *What to see: the dashed lines are the accuracy of the complete networks, the bars the accuracy without one
# block. Whichever block is removed, the plain network falls to about the level of guessing, since every layer
# depends on the output of exactly the layer before it. The residual network needs its first blocks most: the
# loss of accuracy shrinks from block to block. It loses almost nothing without one of its last four. Removing a
# block removes half of the $2^9$ paths, and the others still carry information about the image.* (Veit, Wilber
# and Belongie, [*Residual Networks Behave Like Ensembles of Relatively Shallow
# Networks*](https://arxiv.org/abs/1605.06431), 2016.)
#
# ## Where the shapes change
#
# $F(x) + x$ needs both to have the same shape. Between its stages a ResNet halves the height and width of the
# image and doubles the number of channels, so the shortcut must do the same. He et al. tried three ways:
#
# * **A**: take every second pixel, and fill the new channels with zeros. No parameters.
# * **B**: a 1 × 1 convolution with stride 2, where shapes change. (Its gradient has the holes that notebook 03
#   shows for a stride.)
# * **C**: a 1 × 1 convolution on every shortcut.
#
# B and C are slightly better than A. C costs most and gains little over B, so libraries use B. For CIFAR the
# paper uses A, so that plain and residual networks have the same number of weights, like ours above.

# %%
for option in ("A", "B", "C"):
    net = models.create("resnet20", num_classes=10, in_channels=3, shortcut=option)
    print(f"ResNet-20, option {option}: {sum(p.size for p in net.parameters()):,} parameters")

# %%
viz.graph(BasicBlock(16, 32, stride=2, shortcut="B"), (28, 28, 16))

# %% [markdown]
# *What to see: one block between two stages, with option B. The input takes two paths, one through two
# convolutions and one through a 1 × 1 convolution (`downsample`); both halve the image and double the channels,
# as the shapes beside the arrows say, and `add` joins them.*
#
# You have now built every part of a ResNet: the engine, the convolution, batch norm, ReLU, pooling, the loss,
# and the residual add. What is missing is a good way to minimise the loss: notebook 07.

# %% [markdown]
# ## Exercises
#
# (Difficulty from 1, a few lines, to 3, an idea of your own; the minutes are without training times.)
#
# 1. **Where does the ReLU go?** *(difficulty 2, 60 min)* In `Block` it comes after the addition, so the
#    shortcut is not a clean copy.
#    Move it: batch norm and ReLU *before* each convolution, nothing after the `+` (He et al., 2016, call it
#    pre-activation). Train 44 layers of it. What must be added after the last block, and why?
#    *You are right if* the sum that leaves the last block has negative entries and a variance well above
#    the stem's.
# 2. **Start as the identity.** *(difficulty 2, 40 min)* Set the weight $\gamma$ of each block's last batch norm
#    to 0 before training. What does the network compute at the first step? Which parameters get a gradient
#    other than zero at that step, and which do not? Train 44 layers from this start. *You are right if* at the
#    first step the logits equal those of stem and head alone, and inside the branches only the last batch norms
#    have a gradient other than 0.
# 3. **Count the paths.** *(difficulty 3, 60 min)* How many paths go through the layers of exactly $k$ of $n$
#    blocks? Let the gradient of each block's branch be multiplied by $a$ (write $F$ as `a * out + (1 - a) *
#    out.detach()`; `detach` gives the same values with no graph attached). The gradient along a path of length
#    $k$ is then multiplied by $a^k$. From the norm of the gradient at $a = 0.5, 1, 2$ find which path lengths
#    carry most of it in `trained[44, True]`. Are these paths long? *You are right if* the growth of the norm
#    between two values of $a$ fits paths shorter than half the blocks.
