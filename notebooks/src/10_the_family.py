# %% [markdown]
# # 10 · The family
#
# ResNet-18, 34, 50, 101, 152; ResNet-20 to 1202: one idea in many sizes. And most people do
# not train the large ones: they start from pretrained weights.
#
# After this notebook you will be able to
#
# * count a ResNet's parameters and multiply-adds on the back of an envelope, exactly;
# * say why ResNet-50 costs hardly more than ResNet-34, and what is meant by "a large network";
# * bring weights from PyTorch into this library by hand, and recognise five ways in which they can
#   be loaded wrongly **without an error**;
# * reuse a trained network for classes that it has never seen, and know when that pays.
#
# About 20 minutes. You need notebooks 06 (the residual block) and 08 (training).

# %%
import importlib.util

import matplotlib.pyplot as plt
import numpy as np

import minires
from minires import Tensor, data, interop, models, nn, optim, viz
from minires.nn import functional as F

# %% [markdown]
# ## 1. Five networks from one table
#
# He et al.'s table 1 is short. A stem (7 × 7 convolution, stride 2, 64 channels; max pooling) makes
# 56 × 56 maps of a 224 × 224 image. Four stages follow, of widths 64, 128, 256, 512; each but the
# first halves the image. Then the mean over the image, and a linear classifier. The networks differ
# in two things: how many blocks a stage has, and which block.
#
# * the **basic** block: two 3 × 3 convolutions of the stage's width $w$;
# * the **bottleneck**: 1 × 1 down to $w$, 3 × 3, 1 × 1 up to $4w$.
#
# A convolution has $k^2 \cdot C \cdot O$ weights, and does that many multiply-adds *per pixel* of
# its output. Batch norm has $2 \cdot O$ parameters. That is all one needs to count.

# %%
TABLE = {
    18: ((2, 2, 2, 2), "basic"),
    34: ((3, 4, 6, 3), "basic"),
    50: ((3, 4, 6, 3), "bottleneck"),
    101: ((3, 4, 23, 3), "bottleneck"),
    152: ((3, 8, 36, 3), "bottleneck"),
}


def count(depth):
    """Parameters and multiply-adds (224 x 224) of stem, the four stages and classifier."""
    stages, kind = TABLE[depth]
    parameters, multiply_adds = [7 * 7 * 3 * 64 + 2 * 64], [7 * 7 * 3 * 64 * 112**2]
    channels, size = 64, 56
    for stage, blocks in enumerate(stages):
        width, total, work = 64 * 2**stage, 0, 0
        out = width if kind == "basic" else 4 * width
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            before, size = size**2, size // stride
            if kind == "basic":
                kernels = [(3, channels, width, size**2), (3, width, width, size**2)]
            else:  # the stride is in the 3 x 3, as in torchvision
                kernels = [(1, channels, width, before), (3, width, width, size**2)]
                kernels.append((1, width, out, size**2))
            if channels != out:
                kernels.append((1, channels, out, size**2))  # the shortcut's projection
            total += sum(k * k * c * o + 2 * o for k, c, o, _ in kernels)
            work += sum(k * k * c * o * pixels for k, c, o, pixels in kernels)
            channels = out
        parameters.append(total)
        multiply_adds.append(work)
    return [*parameters, channels * 1000 + 1000], [*multiply_adds, channels * 1000]


print("          parameters  multiply-adds")
for depth in TABLE:
    parameters, multiply_adds = map(sum, count(depth))
    print(f"ResNet-{depth:<3} {parameters:10,}  {multiply_adds / 1e9:6.2f} billion")

# %% [markdown]
# The check: build two of them and count what is really there. (The others are in exercise 1; a
# ResNet-152 takes a while to fill with random numbers.)

# %%
for depth in (18, 50):
    summary = models.create(f"resnet{depth}").summary((224, 224, 3))
    assert summary.parameters == sum(count(depth)[0])
    assert summary.multiply_adds == sum(count(depth)[1])
    print(f"ResNet-{depth}: {summary.parameters:,} parameters, as counted")

# %% [markdown]
# **Predict.** A stage has four times the weights of the one before. Which stage of ResNet-18 does
# most of the *work*?

# %%
figure, panels = plt.subplots(1, 2, figsize=(8, 3), layout="constrained", sharey=True)
parts = ["stem", "stage 1", "stage 2", "stage 3", "stage 4", "classifier"]
for axes, depth in zip(panels, (18, 50), strict=True):
    for numbers, label, shift in zip(
        count(depth), ("parameters", "multiply-adds"), (-0.2, 0.2), strict=True
    ):
        axes.bar(np.arange(6) + shift, np.array(numbers) / sum(numbers), 0.4, label=label)
    axes.set_xticks(range(6), parts, rotation=30, fontsize=8)
    axes.set_title(f"ResNet-{depth}", fontsize=10)
panels[0].set(ylabel="share of the network")
panels[0].legend(fontsize=8)
plt.show()

# %% [markdown]
# **What to see.** In ResNet-18 the weights quadruple from stage to stage (blue) and the work stays
# the same (orange): half the height, half the width, a quarter of the pixels, four times the
# weights for each. (In ResNet-50 stage 3 does most: it has six blocks.) It is a design rule,
# section 3.3 of the paper, and it has a consequence: the *late* stages hold most of the weights, but not
# most of the work. Cutting off the last stage saves three quarters of the memory and a quarter of the time.
#
# ResNet-50 has 16 layers more than ResNet-34 and only 12% more work. How?
# **Predict:** how many weights does a pair of 3 × 3 convolutions on 256 channels have, and how many
# a bottleneck on 256 channels with $w = 64$?

# %%
pair = 2 * (3 * 3 * 256 * 256)
bottleneck = 256 * 64 + 3 * 3 * 64 * 64 + 64 * 256
print(f"two 3 x 3: {pair:,}    bottleneck: {bottleneck:,}    ratio {pair / bottleneck:.0f}")
viz.graph(models.blocks.Bottleneck(256, 64, 1), (56, 56, 256))

# %% [markdown]
# Seventeen times fewer, for three layers instead of two. A 3 × 3 convolution is expensive,
# so it is applied to few channels; the 1 × 1s, which are plain matrix products, go down and up
# again. (The picture is one such block: reduce, convolve, expand, add.)
#
# ## 2. The small family
#
# For images of 32 × 32 the paper has another: a 3 × 3 stem, three stages of 16, 32 and 64 channels,
# $n$ basic blocks each. That makes $6n + 2$ layers. **Predict:** which is larger, ResNet-110 or
# ResNet-18?

# %%
print("depth   n    parameters   the paper's table 6")
for depth, paper in {20: "0.27M", 32: "0.46M", 44: "0.66M", 56: "0.85M", 110: "1.7M"}.items():
    network = models.create(f"resnet{depth}")
    parameters = sum(p.size for p in network.parameters())
    print(f"{depth:5}  {(depth - 2) // 6:2}  {parameters:12,}   {paper}")
print(f"ResNet-18: {sum(count(18)[0]):,}")

# %% [markdown]
# ResNet-110 has 110 layers and a seventh of ResNet-18's parameters. "Deep", "large" and "slow" are
# three different things: layers, parameters, multiply-adds.
#
# ## 3. Weights from elsewhere
#
# A trained network is a *state dict*: names, and an array for each. If two libraries use the same
# names (these are torchvision's), all that is left is the **layout**. First a network to send
# around; it learns five of Fashion-MNIST's ten classes. The other five are kept for section 4.

# %%
KNOWN, NEW = np.array([0, 1, 4, 5, 8]), np.array([2, 3, 6, 7, 9])


def only(dataset, classes):
    """The images of some classes, numbered from 0."""
    chosen = np.flatnonzero(np.isin(dataset.labels, classes))
    labels = np.searchsorted(classes, dataset.labels[chosen])
    names = [dataset.classes[c] for c in classes]
    return data.ImageDataset(dataset.images[chosen], labels, names)


train, test = data.fashion_mini(), data.fashion_mini(train=False)
known, known_test = only(train, KNOWN), only(test, KNOWN)
mean, std = data.dataset_statistics(train.images)
normalize = data.Normalize(mean, std)

minires.manual_seed(0)
model = models.resnet8(num_classes=5, in_channels=1)
optimizer = optim.SGD(model.parameters(), lr=0.2, momentum=0.9, nesterov=True, weight_decay=1e-3)
minires.fit(
    model, known, None, epochs=3, optimizer=optimizer, transform=normalize, progress=False,
    schedule=optim.OneCycleLR(optimizer, max_lr=0.2, total_steps=3 * 39),
)  # fmt: skip
accuracy = minires.training.evaluate(model, known_test, transform=normalize).accuracy
print(f"{', '.join(known.classes)}: {accuracy:.1%}")

# %% [markdown]
# PyTorch stores a convolution's weights as (O, C, KH, KW) and a linear layer's as (out, in); here
# they are (KH, KW, C, O) and (in, out), so that a 1 × 1 convolution is `x @ w`. Everything else is
# the same. So this is what a PyTorch user would send you, and how to read it:


# %%
def to_pytorch(name, array):
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T


def from_pytorch(name, array):
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


theirs = {name: to_pytorch(name, value.numpy()) for name, value in model.state_dict().items()}
for name in ("conv1.weight", "layer2.0.conv1.weight", "fc.weight", "bn1.running_mean"):
    print(f"{name:22} here {model.state_dict()[name].shape!s:16} there {theirs[name].shape}")

received = models.resnet8(num_classes=5, in_channels=1)
received.load_state_dict({name: from_pytorch(name, array) for name, array in theirs.items()})
x = Tensor(normalize(known_test.images[:64]))
with minires.no_grad():
    assert np.array_equal(received.eval()(x).numpy(), model.eval()(x).numpy())
print("the same logits, to the bit")

# %% [markdown]
# The library does it for files: PyTorch's own, which it reads without PyTorch and without running
# the program that such a file contains (a `.pth` is a pickle, and a pickle can do anything), and
# safetensors. A file knows more than its name says: the number of classes, the channels and the
# kind of shortcut are read off the shapes.

# %%
if importlib.util.find_spec("safetensors"):
    interop.save_torch_compatible(model, "clothes.safetensors")  # torchvision's ResNets load it
    loaded = interop.load_weights("clothes.safetensors", "resnet8")
    print(loaded.architecture)
    with minires.no_grad():
        assert np.array_equal(loaded(x).numpy(), model(x).numpy())
else:
    print("pip install safetensors shows this; everything else here goes without")

# %% [markdown]
# With a file from the PyTorch world it reads
# `minires.interop.load_weights("resnet18-f37072fd.pth", "resnet18")`.
#
# ### Five silent mistakes
#
# These five raise no error: every name and shape fits.
#
# 1. the images are scaled to [0, 1], but not normalised;
# 2. the running statistics are left out (`strict=False`), so batch norm assumes mean 0, standard
#    deviation 1;
# 3. the kernels come with height and width exchanged: 3 × 3 fits either way;
# 4. the kernels come flipped, as true convolution has them;
# 5. the classes are numbered in alphabetical order, as most folders of images are.
#
# **Predict** the accuracy of each (guessing gives 20%). Which is the hardest to notice?

# %%
state = {name: value.numpy() for name, value in model.state_dict().items()}
kernels = [name for name, value in state.items() if value.ndim == 4]


def accuracy_with(state, transform=normalize, relabel=None):
    network = models.resnet8(num_classes=5, in_channels=1)
    network.load_state_dict(state, strict=False)
    found = minires.training.evaluate(network, known_test, transform=transform).predictions
    return ((found if relabel is None else relabel[found]) == known_test.labels).mean()


results = {
    "as it should be": accuracy_with(state),
    "1. not normalised": accuracy_with(state, transform=data.Normalize([0.0], [1.0])),
    "2. no running statistics": accuracy_with(
        {name: value for name, value in state.items() if "running" not in name}
    ),
    "3. height and width exchanged": accuracy_with(
        state | {name: state[name].transpose(1, 0, 2, 3) for name in kernels}
    ),
    "4. kernels flipped": accuracy_with(
        state | {name: state[name][::-1, ::-1] for name in kernels}
    ),
    "5. classes in another order": accuracy_with(state, relabel=np.argsort(known.classes)),
}
for what, accuracy in results.items():
    print(f"{what:30} {accuracy:6.1%}")

# %% [markdown]
# The dangerous ones are those that do *not* fall to 20%. Such a network looks like one that
# is a little worse than it should be. So never load weights without measuring a number that you know
# beforehand.
#
# ## 4. Transfer: classes that it has never seen
#
# Take off the classifier. What is left turns an image into 64 numbers, its *features*. Freeze that,
# and train a new linear classifier on the features of the five **other** classes, with only a few
# labelled images of each. Two rivals: the same linear classifier on the 784 pixels, and on the
# features of a network of the same shape that was *never trained*.
#
# **Predict:** with two images per class, in which order do the three come? And with fifty?

# %%
new, new_test = only(train, NEW), only(test, NEW)


def features(network, images):
    """The mean of the last maps: (N, 64)."""
    with minires.no_grad():
        parts = [network.features(Tensor(normalize(images[i : i + 250]))).mean(axis=(1, 2)).numpy()
                 for i in range(0, len(images), 250)]  # fmt: skip
    return np.concatenate(parts)


untrained = models.resnet8(num_classes=5, in_channels=1)
with minires.no_grad():  # its batch norms need to have seen some images
    for i in range(20):
        untrained(Tensor(normalize(new.images[i * 50 : (i + 1) * 50])))
untrained.eval()

inputs = {
    "features of a net trained on other clothes": [
        features(model, d.images) for d in (new, new_test)
    ],
    "pixels": [normalize(d.images).reshape(len(d), -1) for d in (new, new_test)],
    "features of an untrained net": [features(untrained, d.images) for d in (new, new_test)],
}


# %%
def linear_accuracy(x, labels, x_test):
    """Train a linear classifier on these few images; its accuracy on the test images."""
    centre, scale = x.mean(axis=0), x.std(axis=0) + 1e-3
    minires.manual_seed(0)
    head = nn.Linear(x.shape[1], 5)
    optimizer = optim.SGD(head.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
    batch = Tensor((x - centre) / scale)
    for _ in range(80):
        optimizer.zero_grad()
        F.cross_entropy(head(batch), labels).backward()
        optimizer.step()
    with minires.no_grad():
        found = head(Tensor((x_test - centre) / scale)).numpy().argmax(axis=1)
    return (found == new_test.labels).mean()


rng = np.random.default_rng(0)
amounts = [1, 2, 5, 10, 20, 50, 100]
accuracies = {name: [] for name in inputs}
for amount in amounts:
    draws = [
        np.concatenate(
            [rng.choice(np.flatnonzero(new.labels == c), amount, replace=False) for c in range(5)]
        )
        for _ in range(8)
    ]
    for name, (x, x_test) in inputs.items():
        runs = [linear_accuracy(x[chosen], new.labels[chosen], x_test) for chosen in draws]
        accuracies[name].append((np.mean(runs), np.std(runs)))

figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
for name, values in accuracies.items():
    middle, spread = np.transpose(values)
    axes.plot(amounts, middle, "o-", ms=4, label=name)
    axes.fill_between(amounts, middle - spread, middle + spread, alpha=0.15)
axes.set(
    xscale="log", xlabel="labelled images of each new class", ylabel="accuracy on 500 test images"
)
axes.set_xticks(amounts, amounts)
axes.axhline(0.2, color="gray", lw=0.8, ls=":")
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# **What to see** (bands: one standard deviation over eight draws; dotted: guessing). With one or two labels
# the network that has seen *other* clothes is far ahead: edges, soles and sleeves need not be
# learnt again. From five labels on the plain pixels win, since 784 numbers hold more than 64 that
# were made for other questions; at a hundred the borrowed features are no better than those of a
# network that was never trained. So here **frozen features help most when
# labels are few.** This is a network of 64 features after three epochs on 2,500 images; features of large
# networks that were trained on millions of images transfer far better (Kornblith et al., 2019). With more labels, train
# all layers (exercise 3). And do not overlook the green curve: an architecture with random weights already is
# a good deal of knowledge about images.
#
# The library has these steps as `models.feature_extractor`, `models.replace_head` and
# `models.freeze_backbone`, and on the command line as `minires train --weights FILE --replace-head
# --freeze backbone`.
#
# ## What to keep
#
# * Stages: four times the weights, the same work. Bottlenecks: more depth for the same work.
# * Depth, parameters and work are three numbers.
# * Weights are names, shapes and conventions. Only the first two raise errors.
# * Frozen features pay while labels are few.
#
# ## Exercises
#
# (Difficulty from 1, a few lines, to 3, an idea of your own; the minutes are without training times.)
#
# 1. **Wide and grouped.** *(difficulty 2, 30 min)* Extend `count` to `wide_resnet50_2` (the 3 × 3s twice as
#    wide) and to
#    `resnext50_32x4d` (32 groups: a kernel sees $C/32$ channels), and check against
#    `models.create(name)`. *You are right if* you get 68,883,240 and 25,028,904. And ResNet-152?
# 2. **A sixth way.** *(difficulty 1, 20 min)* Find another change of the state dict, or of the images, that
#    raises no error
#    and costs less than 10 points. *You are right if* a colleague does not find it within five
#    minutes.
# 3. **Unfreeze it.** *(difficulty 3, 60 min)* Replace `model.fc` by a new `nn.Linear` and train *all* layers
#    on the few images
#    for 60 steps, with a learning rate ten times smaller for the old layers (`param_groups`). Draw it into
#    the figure. *You are right if* at 2 images of each class it hardly differs from the frozen
#    features. From how many on does it pay to unfreeze, and how many steps does it take to beat the
#    pixels?
