# %% [markdown]
# # 09 · Looking inside
#
# A trained network is 75,002 numbers, all of which you can read and none of which says anything.
# This notebook asks better questions: what does a filter detect, where does the network look, and what
# does the loss surface around it look like? After it you will be able to
#
# * compute a feature map by hand, and find the images that excite a channel most;
# * write Grad-CAM in five lines, **and test whether it tells the truth**;
# * take second derivatives through a whole ResNet, find the direction of highest curvature, and
#   predict from it the learning rate at which training breaks.
#
# About 25 minutes. You need notebooks 03 (convolution), 07 (the $2/\lambda$ rule) and 08.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires
from minires import Tensor, data, models, optim, viz
from minires.nn import functional as F

# %% [markdown]
# First something to look into: a ResNet-8 that has seen Fashion-MNIST three times.

# %%
train, test = data.fashion_mini(), data.fashion_mini(train=False)
names = train.classes
normalize = data.Normalize(*data.dataset_statistics(train.images))

minires.manual_seed(0)
model = models.resnet8(num_classes=10, in_channels=1)
optimizer = optim.SGD(model.parameters(), lr=0.2, momentum=0.9, nesterov=True, weight_decay=1e-3)
minires.fit(
    model, train, None, epochs=3, optimizer=optimizer, transform=normalize, progress=False,
    schedule=optim.OneCycleLR(optimizer, max_lr=0.2, total_steps=3 * 78),
)  # fmt: skip
model.eval()
images = Tensor(normalize(test.images))
print(f"test accuracy {minires.training.evaluate(model, test, transform=normalize).accuracy:.1%}")

# %% [markdown]
# ## 1. Filters and feature maps
#
# The first layer's weights are the only ones that live in pixel space, so they can be looked at.
# **Predict:** what will a 3 × 3 filter be that nobody designed?

# %%
viz.filters(model)

# %% [markdown]
# **What to see.** Mostly two kinds: blurs, of one sign throughout, which pass the image on, and
# edges, positive on one side and negative on the other, in various directions. Some still look like
# the random numbers that they were. Edge detectors used to be designed by hand; here gradient
# descent found some while it learnt to distinguish clothes.
#
# A channel's *feature map* is the image seen through its filter. By hand it is nine shifted copies
# of the image, each times one weight (notebook 03). The library's comes from a *forward hook*, a
# function that a layer calls with its output.

# %%
boot = images[0:1]
padded = np.pad(boot.numpy()[0, :, :, 0], 1)
w = model.conv1.weight.numpy()  # (3, 3, 1, 16)
by_hand = sum(padded[k : k + 28, l : l + 28, None] * w[k, l, 0] for k in range(3) for l in range(3))

picture = viz.feature_maps(model, boot, "conv1")
assert np.allclose(picture.values["maps"], by_hand, atol=1e-5)
picture

# %%
viz.feature_maps(model, boot, "layer3.0")

# %% [markdown]
# **What to see.** The first layer's maps are the boot, sixteen times: some its body, some its
# outline or the sole alone. Two stages later a map is 7 × 7 and no boot is left; most channels are
# blank, and those that are not say *where* something is.
#
# *What* that something is, the images themselves show: for a channel, which of the 1,000 test
# images excite it most? Take for four classes the channel with the largest weight in `fc`. **Predict:** will all eight images of a row be of
# the class?

# %%
seen = {}
remove = model.layer3.register_forward_hook(lambda layer, args, out: seen.update(maps=out))
with minires.no_grad():
    logits = model(images).numpy()
remove()
excitement = seen["maps"].numpy().mean(axis=(1, 2))  # (1000, 64): what the classifier is given
assert np.allclose(excitement @ model.fc.weight.numpy() + model.fc.bias.numpy(), logits, atol=1e-3)

figure, panels = plt.subplots(4, 8, figsize=(8, 4.4), layout="constrained")
for row, name in zip(panels, ("trouser", "bag", "shirt", "sandal"), strict=True):
    channel = model.fc.weight.numpy()[:, names.index(name)].argmax()
    top = np.argsort(-excitement[:, channel])[:8]
    for axes, i in zip(row, top, strict=True):
        axes.imshow(test.images[i, :, :, 0], cmap="gray_r")
        axes.set_title(names[test.labels[i]], fontsize=7)
        axes.set(xticks=[], yticks=[])
    row[0].set_ylabel(f"channel {channel}\n“{name}”", fontsize=8)
plt.show()

# %% [markdown]
# **What to see.** A row is the eight test images (28 × 28 pixels) that excite one channel most, the
# strongest first. Some channels hold one class. The one with the largest weight for “shirt” responds to
# bags and T-shirts as well: to a *shape*, whatever its label. A channel is not a class. It is a
# feature, and classes are sums of features.
#
# ## 2. Grad-CAM: where does it look?
#
# Let $A_c$ be channel $c$ of the last maps, 7 × 7 places, and $s$ the score of a class. How much
# does the score depend on a channel? The gradient says, averaged over the places. Weight the
# channels by it, add them up, keep what is evidence *for* the class (Selvaraju et al., 2017):
#
# $$ \alpha_c = \frac{1}{49}\sum_{i,j} \frac{\partial s}{\partial A_{c,ij}}, \qquad
#    \mathrm{CAM} = \operatorname{ReLU}\Big(\sum_c \alpha_c A_c\Big). $$
#
# `minires.grad` takes the gradient with respect to any tensor in the graph, not only by weights. Images do not
# interact in evaluation mode, so one backward does all of them.


# %%
def grad_cam(x, target):
    """Maps (N, 7, 7) for images x and one class each."""
    kept = {}
    remove = model.layer3.register_forward_hook(lambda layer, args, out: kept.update(maps=out))
    scores = model(x)[np.arange(len(x)), target].sum()
    remove()
    maps = kept["maps"]
    alpha = minires.grad(scores, maps).numpy().mean(axis=(1, 2), keepdims=True)
    return np.maximum((alpha * maps.numpy()).sum(axis=-1), 0)


predicted = logits.argmax(axis=1)
boot_class = int(predicted[0])
picture = viz.grad_cam(model, boot, layer="layer3")
assert np.allclose(picture.values["map"], grad_cam(boot, [boot_class])[0], rtol=1e-3, atol=1e-5)
picture

# %% [markdown]
# **What to see.** Left the boot, in the middle the 49 places, right both, one over the other. Bright is
# what counts as evidence for "ankle boot": the middle of the shoe, its instep.
#
# Pictures persuade easily. **Is it true?** If the network really looks at the bright
# places, then covering them must hurt it, and covering dark ones must not. Cover a patch of 8 × 8
# pixels with the background, once around the brightest of the 49 places, once around the darkest,
# once at random, on 300 test images. **Predict** the three drops of the right class's probability.

# %%
rng = np.random.default_rng(0)
subject, answer = test.images[:300], test.labels[:300]
cams = grad_cam(images[:300], answer).reshape(300, 49)


def probability(pictures):
    with minires.no_grad():
        scores = F.softmax(model(Tensor(normalize(pictures)))).numpy()
    return scores[np.arange(len(pictures)), answer]


def covered(places):
    pictures = subject.copy()
    for picture, place in zip(pictures, places, strict=True):
        row, column = place // 7 * 4 + 2, place % 7 * 4 + 2  # the middle of its 4 x 4 pixels
        picture[max(row - 4, 0) : row + 4, max(column - 4, 0) : column + 4] = 0
    return pictures


before = probability(subject).mean()
print(f"probability of the right class, nothing covered: {before:.3f}")
for name, places in {
    "brightest": cams.argmax(axis=1),
    "random": rng.integers(49, size=300),
    "darkest": cams.argmin(axis=1),
}.items():
    after = probability(covered(places)).mean()
    print(f"{name:>9} place covered: {after:.3f}, a drop of {before - after:+.3f}")

# %% [markdown]
# It passes: covering what is bright costs most, what is dark least. Such a test takes a
# minute and belongs beside every such picture; several popular methods fail simpler ones (Adebayo
# et al., 2018: some maps barely change when the weights are replaced by random numbers; exercise 2
# tries it).
#
# ## 3. A loss landscape
#
# The loss is a function of 75,002 weights. Cut it with a plane: through the trained weights, along
# two random directions, each filter scaled to its own length (Li et al., 2018).

# %%
batch = images[:96], test.labels[:96]
viz.loss_landscape(model, batch, points=11, span=0.5)

# %% [markdown]
# **What to see.** A bowl, smooth and wide. It looks as if the loss changed little in any direction for a
# long way. **Do not trust it.** Two directions out of 75,002, drawn at random, miss the ones that
# matter. To find those we need second derivatives.
#
# ## 4. Second derivatives, through the whole network
#
# The curvature in a direction $v$ (of length 1) is $v^\top H v$, with $H$ the *Hessian*, the matrix of
# all second derivatives: here 75,002 × 75,002 numbers, 45 GB in float64. Nobody builds it. But its
# product with a vector is the gradient of a *number* ($\nabla_w$ is the gradient with respect to the weights):
#
# $$ H v \;=\; \nabla_w\, \big( \nabla_w L \cdot v \big). $$
#
# `create_graph=True` records a graph of the gradient, so it can be differentiated again. Every rule you met in these notebooks takes part, batch norm's included.

# %%
parameters = list(model.parameters())
x, y = Tensor(normalize(train.images[:128])), train.labels[:128]


def loss():
    return F.cross_entropy(model(x), y)


def dot(a, b):
    return sum(float((p * q).sum(dtype=np.float64)) for p, q in zip(a, b, strict=True))


def gradient():
    return [g.numpy() for g in minires.grad(loss(), parameters)]


def hessian_times(v):
    first = minires.grad(loss(), parameters, create_graph=True)
    along = sum((g * Tensor(d)).sum() for g, d in zip(first, v, strict=True))
    return [h.numpy() for h in minires.grad(along, parameters)]


def move(v, step):
    for p, d in zip(parameters, v, strict=True):
        p.data += float(step) * d


def random_direction():
    v = [rng.normal(size=p.shape).astype(np.float32) for p in parameters]
    return [d / np.float32(np.sqrt(dot(v, v))) for d in v]


# %% [markdown]
# The check, as in notebook 02: the gradient a little ahead minus the gradient a little behind, in
# float64 on eight images. **Predict** which of the two steps $h$ agrees better, and why the other
# one is so bad.

# %%
kept = x, y
x, y = Tensor(normalize(train.images[:8]).astype(np.float64)), train.labels[:8]
model.to(dtype=np.float64)
v = gradient()
v = [d / np.sqrt(dot(v, v)) for d in v]
exact = hessian_times(v)
for h in (1e-2, 1e-7):
    move(v, h)
    ahead = gradient()
    move(v, -2 * h)
    behind = gradient()
    move(v, h)
    numeric = [(a - b) / (2 * h) for a, b in zip(ahead, behind, strict=True)]
    wrong = [a - b for a, b in zip(exact, numeric, strict=True)]
    error = np.sqrt(dot(wrong, wrong) / dot(exact, exact))
    print(f"h = {h:.0e}: |Hv - differences| / |Hv| = {error:.0e}")
assert error < 1e-3
model.to(dtype=np.float32)
x, y = kept

# %% [markdown]
# The kinks again. These eight images pass 450,000 ReLUs, and a step of 0.01 flips some of them;
# each makes the gradient jump. Only when $h$ is so small that none flips do the two agree, and then
# to nine digits.
#
# Now the curvature of 128 images' loss, in two directions. **Predict** which is the sharper one.

# %%
v = gradient()
v = [d / np.float32(np.sqrt(dot(v, v))) for d in v]
random = random_direction()
print(f"along a random direction: {dot(random, hessian_times(random)):9.4f}")
print(f"along the gradient:       {dot(v, hessian_times(v)):9.4f}")

# %% [markdown]
# Along the gradient the curvature is thousands of times as large. And the sharpest direction of
# all? There are directions that $H$ only stretches, $Hv = \lambda v$ (its *eigenvectors*), each by its
# own curvature $\lambda$ (the *eigenvalue*), and every vector is a sum of them. Multiply by $H$ again
# and again: the part along the sharpest grows fastest and soon is all that is left. The gradient is a
# good place to begin, since it already lies among the sharp ones. **Predict** how many products it
# takes to find one direction among 75,002.

# %%
for step in range(8):
    product = hessian_times(v)
    sharpness = dot(v, product)
    print(f"product {step + 1}: curvature {sharpness:9.4f}")
    v = [p / np.float32(np.sqrt(dot(product, product))) for p in product]
sharpest = v

# %% [markdown]
# A handful, since the largest eigenvalues stand far above the rest. It is typical of trained
# classifiers: a few sharp directions, about as many as there are classes, and tens of thousands
# that are nearly flat (Sagun et al., 2017; Papyan, 2019).
#
# Compute the loss along both directions. The dashed line is not fitted; it is
# $L + t\, g\cdot v + \tfrac12 t^2\, v^\top H v$, from derivatives at $t = 0$ alone.

# %%
steps = np.linspace(-0.2, 0.2, 17)
slope, height = dot(gradient(), sharpest), loss().item()
curves = {"the sharpest direction": sharpest, "a random direction": random}
figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
for name, direction in curves.items():
    losses, at = [], 0.0
    for t in steps:
        move(direction, t - at)
        at = t
        with minires.no_grad():
            losses.append(loss().item())
    move(direction, -at)
    axes.plot(steps, losses, "o-", ms=3, label=name)
parabola = height + steps * slope + 0.5 * steps**2 * sharpness
axes.plot(steps, parabola, "k--", lw=1, label="predicted from derivatives")
size = np.sqrt(dot([p.numpy() for p in parameters], [p.numpy() for p in parameters]))
axes.set(xlabel=f"distance walked (all weights together are {size:.0f} long)")
axes.set(ylabel="cross-entropy (nats)")
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# **What to see.** The random direction is a horizontal line. The sharpest is a steep, narrow valley: a step of
# 0.2, less than a hundredth of the weights' length, ruins the network. Derivatives at one point
# predict it well on one side and for a quarter of the way on the other, where ReLUs flip and the loss
# rises faster. The landscape of
# section 3 showed none of this.
#
# ## 5. How long a step may be
#
# Notebook 07's rule: descent with a learning rate above $2/\lambda_{\max}$ diverges along the sharpest
# direction; below, it shrinks by $|1 - \eta\lambda|$ a step. You now know $\lambda_{\max}$ of a
# real network, in evaluation mode: batch norm uses its running statistics, and these are fixed. (In training
# mode the loss is another function of the weights, with another curvature: see the end of this section.)
# **Predict:** we set the weights 0.02 aside along the sharpest direction, take plain
# gradient steps with $\eta = 0.5$, 1.5 and 2.3 times $1/\lambda_{\max}$, and measure how far each
# step goes along that direction.

# %%
kept = [p.numpy().copy() for p in parameters]
figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
for factor, colour in ((0.5, "tab:blue"), (1.5, "tab:orange"), (2.3, "tab:red")):
    lr, lengths = factor / sharpness, []
    move(sharpest, 0.02)
    for _ in range(9):
        g = gradient()
        lengths.append(abs(lr * dot(g, sharpest)))
        move(g, -lr)
    for p, value in zip(parameters, kept, strict=True):
        p.data[...] = value
    axes.semilogy(lengths, "o-", color=colour, label=f"{factor} / λ  (rate {lr:.4f})")
    rule = lengths[0] * abs(1 - factor) ** np.arange(9)
    axes.semilogy(rule, ":", color=colour)
axes.set(xlabel="step", ylabel="length along the sharpest direction", ylim=(1e-5, 1))
axes.legend(title="learning rate (dotted: the rule)", fontsize=8)
plt.show()

# %% [markdown]
# **What to see.** A parabola's rule (dotted), found on paper in notebook 07, holds for a whole
# network, for the first steps at least: below 2 the steps shrink, above they grow. After
# that the loss is no parabola any more: below 2 what is left in the end is the slow change along
# all other directions, and above it the growth lasts only until the curvature changes.
#
# Gradient descent with a large learning rate therefore *cannot* stay where the curvature is above $2/\eta$,
# and full-batch gradient descent has been seen to settle just about there (Cohen et al., 2021, "the edge of
# stability"); with batches the curvature stays lower. All this is about the function that is descended. This
# network was trained in training mode, in which batch norm divides by the batch's own standard deviation and
# the curvature is far lower: at these weights it bears learning rates that break the function above. Exercise 3
# measures that too.
#
# ## What to keep
#
# * A channel is a feature; the images that excite it most say which.
# * A picture of attention is a claim. Cover what it shows, and measure.
# * $Hv$ is one backward through a backward: second derivatives cost a few gradients.
# * Random directions are flat. The few sharp ones limit the learning rate.
#
# ## Exercises
#
# (Difficulty from 1, a few lines, to 3, an idea of your own; the minutes are without training times.)
#
# 1. **Quiet channels.** *(difficulty 1, 30 min)* With a hook on each of the network's blocks (their outputs
#    have passed a ReLU),
#    find for each channel on what fraction of the 1,000 test images it is zero everywhere. *You are right
#    if* no channel of the first block is zero on all images. In which block are channels quiet most often, and
#    why would a classifier want that?
# 2. **A sanity check.** *(difficulty 2, 30 min)* Draw `viz.grad_cam` for the boot with `fc.weight` replaced by random
#    numbers of the same standard deviation, then with the weights of `layer3` as well, and put the originals
#    back. *You are right if* the map changes. For a method where it did not, what would the map be
#    showing?
# 3. **The second sharpest.** *(difficulty 3, 60 min)* Repeat the power iteration, but take out of `v` its part along
#    `sharpest` after every product. Then the third. *You are right if* every pair of directions has
#    a dot product below 0.01. How many eigenvalues stand apart from the rest: fewer than the ten
#    classes, or more? Then measure the largest one with `model.train()`: by what factor does it
#    differ?
