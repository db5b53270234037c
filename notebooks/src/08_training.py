# %% [markdown]
# # 08 · Training a ResNet, from the first cell to the confusion matrix
#
# You have built every part by hand. Here they come together: a residual network that learns to
# tell a shirt from a coat, in about a minute on a laptop. After this notebook you will be able to
#
# * set up a training so that you would **notice** if it were broken: baselines, the loss before the
#   first step, overfitting one batch;
# * choose a learning rate from one picture;
# * write the training loop in fifteen lines, equal to `minires.fit` to the last bit;
# * say how good a network is, how sure you are of that, and where it is wrong.
#
# About 25 minutes. You need the notebooks before; the data come with the package. (`nn` holds layers,
# `nn.functional` their functions, `ops` all operations on tensors.)

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires
from minires import Tensor, data, models, nn, ops, optim, viz
from minires.in_browser import sized
from minires.nn import functional as F

# %% [markdown]
# ## 1. Look at the data
#
# Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017): grey photographs of clothes, 28 × 28 pixels, ten
# classes. The package holds 5,000 of the training images and 1,000 of the test images. (In a browser, which
# is slower, we take half of the training images, make all of them 14 × 14, and train for four epochs in place
# of six. What is said below of numbers is of the full size; what is said of kinds holds for both.)

# %%
whole = data.fashion_mini()[: sized(5000, in_browser=2500)]
test = data.fashion_mini(train=False)
for images in (whole, test):
    images.images = data.Resize(sized(28, in_browser=14)).batch(images.images)
print(whole)
print(test)

figure, panels = plt.subplots(5, 10, figsize=(9, 5.2), layout="constrained")
for column, name in enumerate(whole.classes):
    of_class = whole.images[whole.labels == column]
    panels[0, column].set_title(name, fontsize=8)
    for row in range(5):
        panels[row, column].imshow(of_class[row, :, :, 0], cmap="gray_r")
        panels[row, column].set_axis_off()
plt.show()

# %% [markdown]
# **What to see.** Five images of each class. Cover the titles and try to tell
# pullovers, coats and shirts apart.
#
# **Predict**, and write it down: which two classes will the network confuse most?
#
# ## 2. Hold out a validation set, and scale
#
# Three sets, three purposes. Weights learn from the *training* images. You learn from the
# *validation* images, a tenth of the training images, which we hold out: when to stop, which learning rate. The *test* images are
# opened once, at the end. Picking the best of twenty runs by the test set amounts to training on it, by
# hand.
#
# Pixels from 0 to 255 become numbers of mean 0 and standard deviation 1, with the *training* images' mean
# and standard deviation.

# %%
train, valid = data.split(whole, 0.1, seed=0)
pixels = train.images / 255
mean, std = pixels.mean(), pixels.std()
normalize = data.Normalize([mean], [std])
print(f"{len(train)} to train on, {len(valid)} to validate; mean {mean:.4f}, deviation {std:.4f}")

assert np.allclose([[mean], [std]], data.dataset_statistics(train.images), atol=1e-6)
assert np.allclose(normalize(valid.images), (valid.images / 255 - mean) / std, atol=1e-5)

# %% [markdown]
# ## 3. What would be bad?
#
# An accuracy means nothing without one to compare it with. Guessing gives 10%. The next simplest
# idea: average all training images of a class, and give a new image the class of the nearest
# average. No gradient, no layer, two lines. **Predict** its accuracy.

# %%
flat, flat_valid = (normalize(s.images).reshape(len(s), -1) for s in (train, valid))
averages = np.stack([flat[train.labels == k].mean(axis=0) for k in range(10)])
distances = ((flat_valid[:, None] - averages) ** 2).sum(axis=-1)
baseline = (distances.argmin(axis=1) == valid.labels).mean()
print(f"nearest average: {baseline:.1%} of the validation images")

# %% [markdown]
# Two thirds, from ten blurred images. A network that does not beat *this* by far is not learning,
# whatever its curve looks like.
#
# ## 4. The network
#
# A block is notebook 06's: two convolutions with batch norm, and the input added back. Where a
# stage begins, the image is halved and the channels doubled, so the shortcut takes every second
# pixel and pads the new channels with zeros: He et al.'s option A, without a single parameter. The
# scores at the end, which softmax would make probabilities of, are called *logits*.


# %%
class Block(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride, self.new = stride, width - channels

    def forward(self, x):
        y = ops.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.new:
            half = self.new // 2
            x = x[:, :: self.stride, :: self.stride]
            x = ops.pad(x, width=((0, 0), (0, 0), (0, 0), (half, self.new - half)))
        return ops.relu(x + y)


class ResNet8(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(Block(16, 16, 1))
        self.layer2 = nn.Sequential(Block(16, 32, 2))
        self.layer3 = nn.Sequential(Block(32, 64, 2))
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = ops.relu(self.bn1(self.conv1(x)))  # (N, H, W, 16)
        x = self.layer3(self.layer2(self.layer1(x)))  # (N, H / 4, W / 4, 64)
        return self.fc(x.mean(axis=(1, 2)))  # (N, 10)


minires.manual_seed(0)
library = models.resnet8(num_classes=10, in_channels=1)
model = ResNet8()
model.load_state_dict(library.state_dict())  # the same names, so the same weights fit
initial = {name: value.numpy().copy() for name, value in model.state_dict().items()}

x = Tensor(normalize(valid.images[:32]))
difference = np.abs(model(x).numpy() - library(x).numpy()).max()
print(f"{sum(p.size for p in model.parameters()):,} parameters")
print(f"our logits and the library's differ by at most {difference:.0e}")
assert difference < 1e-5

# %% [markdown]
# ## 5. Is it broken? Find out before you train
#
# Training hides mistakes: a network with a wrong gradient still learns something. Two checks cost
# seconds.
#
# **The loss before the first step.** A network that knows nothing should give every class a tenth,
# and its cross-entropy is then $-\ln \tfrac1{10} = 2.30$. A little more is fine; 10 is not.
#
# **Overfit one batch.** On 32 images, over and over, the loss must go to (nearly) nothing. If it
# does not, something in the loop is wrong, and more data will not help. **Predict** how many
# steps 75,000 parameters need to learn 32 images.

# %%
model.load_state_dict(initial)
images, labels = Tensor(normalize(train.images[:32])), train.labels[:32]
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for step in range(31):
    optimizer.zero_grad()
    logits = model(images)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    optimizer.step()
    if step % 5 == 0:
        right = (logits.numpy().argmax(axis=1) == labels).sum()
        print(f"step {step:2}: loss {loss.item():.4f}, {right} of 32 right")
assert right == 32

# %% [markdown]
# ## 6. Which learning rate?
#
# Let the rate grow from tiny to absurd within one short run, and watch the loss (Smith, 2017). Too small:
# nothing happens. Then the loss falls. Then it rises: for plain gradient descent the limit would be $2/\lambda_{\max}$ (notebook 07); for Nesterov's
# momentum of 0.9, which is used here, on a parabola about $1.36/\lambda_{\max}$. **Predict** at
# which learning rate it turns. (`batches(0)` are the batches of epoch 0; every epoch has an order of its own.)

# %%
model.load_state_dict(initial)
optimizer = optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, nesterov=True)
loader = data.DataLoader(train, 64, shuffle=True, transform=normalize, drop_last=True)
rates, losses = np.geomspace(1e-3, 30, sized(60, in_browser=35)), []
for lr, (images, labels) in zip(rates, loader.batches(0), strict=False):
    optimizer.param_groups[0]["lr"] = lr
    optimizer.zero_grad()
    loss = F.cross_entropy(model(Tensor(images)), labels)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
axes.semilogx(rates, losses, ".", ms=4, color="tab:gray", label="one batch")
axes.semilogx(rates[2:-2], np.convolve(losses, np.ones(5) / 5, "valid"), label="mean of 5")
axes.axvspan(0.1, 0.3, color="tab:green", alpha=0.15, label="where to go")
axes.set(xlabel="learning rate", ylabel="training loss (nats)", ylim=(0, 4))
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# **What to see.** Left, nothing; then a slope; then a floor; then chaos. Take a peak rate somewhat
# below the turn: 0.2, where a one-cycle schedule (notebook 07) stays only for a moment.
#
# ## 7. The loop
#
# Fifteen lines. Read each and say what would happen without it.


# %%
def make_optimizer(model, total_steps):
    optimizer = optim.SGD(
        model.parameters(), lr=0.2, momentum=0.9, nesterov=True, weight_decay=1e-3
    )
    return optimizer, optim.OneCycleLR(optimizer, max_lr=0.2, total_steps=total_steps)


def train_epoch(model, optimizer, schedule, epoch):
    model.train()  # batch norm: this batch's statistics
    total = right = 0
    for images, labels in loader.batches(epoch):  # another order in every epoch
        optimizer.zero_grad()
        logits = model(Tensor(images))
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item() * len(labels)
        right += (logits.numpy().argmax(axis=1) == labels).sum()
    count = len(loader) * 64
    return total / count, right / count


def evaluate(model, dataset):
    model.eval()  # batch norm: the running statistics
    with minires.no_grad():  # no graph, less memory
        logits = model(Tensor(normalize(dataset.images)))
        return F.cross_entropy(logits, dataset.labels).item(), logits.numpy()


# %% [markdown]
# The check is strict. After one epoch of our loop, and one of `minires.fit` from the same start,
# **every weight must be equal, bit for bit**. A loop that forgets to shuffle, steps the schedule at
# the wrong moment or leaves batch norm in the wrong mode cannot pass.

# %%
EPOCHS = sized(6, in_browser=4)
model.load_state_dict(initial)
optimizer, schedule = make_optimizer(model, EPOCHS * len(loader))
first_loss, _ = train_epoch(model, optimizer, schedule, epoch=0)

twin = ResNet8()
twin.load_state_dict(initial)
twin_optimizer, twin_schedule = make_optimizer(twin, EPOCHS * len(loader))
history = minires.fit(
    twin, train, None, epochs=1, batch_size=64, optimizer=twin_optimizer, schedule=twin_schedule,
    transform=normalize, progress=False,
)  # fmt: skip
print(f"training loss: ours {first_loss:.6f}, fit's {history[0].train_loss:.6f}")
for name, value in model.state_dict().items():
    assert np.array_equal(value.numpy(), twin.state_dict()[name].numpy()), name
print(f"all {len(initial)} arrays are equal to the bit")

# %% [markdown]
# ## 8. Train
#
# Before going on, look at the twin's validation loss after this one epoch, once with batch norm's
# running statistics, as one should, and once with those of the validation images themselves
# (notebook 04). A network that guesses has 2.30. **Predict** both.

# %%
running = evaluate(twin, valid)[0]
twin.train()
with minires.no_grad():
    by_batch = F.cross_entropy(twin(Tensor(normalize(valid.images))), valid.labels).item()
print(f"validation loss with the running statistics: {running:.2f}")
print(f"validation loss with the batch's statistics: {by_batch:.2f}")

# %% [markdown]
# The same weights, the same images. The network is fine; its *running statistics* are not. They
# average the last ten batches or so, and while the rate climbs the weights move so fast that those
# batches went through another network. It disappears as the learning rate falls, and it is the first
# thing to think of when a validation curve looks absurd early on. `fit` does not wait for that: where
# images are held out, it measures the statistics anew before it evaluates (`minires.training.update_bn`).
#
# Now the other epochs. **Predict** the validation accuracy at the end, and which of the two losses,
# training or validation, will be the lower one.

# %%
rows = [(first_loss, evaluate(model, valid)[0])]
for epoch in range(1, EPOCHS):
    train_loss, train_accuracy = train_epoch(model, optimizer, schedule, epoch)
    valid_loss, logits = evaluate(model, valid)
    rows.append((train_loss, valid_loss))
    accuracy = (logits.argmax(axis=1) == valid.labels).mean()
    print(
        f"epoch {epoch + 1}: training {train_loss:.3f} ({train_accuracy:.1%}), "
        f"validation {valid_loss:.3f} ({accuracy:.1%})"
    )

figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
axes.plot(range(1, EPOCHS + 1), rows, "o-", label=["training", "validation"])
axes.set(xlabel="epoch", ylabel="cross-entropy (nats)", yscale="log", ylim=(0.25, 6))
axes.set_yticks([0.3, 0.5, 1, 2, 5], ["0.3", "0.5", "1", "2", "5"])
axes.minorticks_off()
axes.legend()
plt.show()

# %% [markdown]
# **What to see.** The spike of the first epoch is gone at once. From then on both fall, the validation
# loss less smoothly and a little above: part of the gap is what
# the network has learnt about these images only, part is that the training loss is a mean over the
# epoch, in training mode. While the validation loss still falls, more training helps. Where it rises, the
# network memorises, or becomes overconfident: the accuracy may still improve.
#
# ## 9. How good is it?
#
# Now, once, the test images. Another 1,000 images would have given another accuracy $p$.
# How much does it vary? With $n$ images their standard deviation is $\sqrt{p(1-p)/n}$, and
# nineteen times in twenty the truth is within twice that.

# %%
_, logits = evaluate(model, test)
predictions = logits.argmax(axis=1)
p = (predictions == test.labels).mean()
print(f"test accuracy {p:.1%} ± {2 * np.sqrt(p * (1 - p) / len(test)):.1%}")
print(f"the nearest average had {baseline:.1%}")
assert p > baseline + 0.1

again = minires.training.evaluate(model, test, transform=normalize)
assert np.array_equal(again.predictions, predictions)

# %% [markdown]
# So two networks that are a point apart on *different* sets of 1,000 images cannot be distinguished. On the
# *same* test set a paired test can do better: it looks only at the images on which one of them is right and the
# other wrong. If these are 15 against 5, McNemar's exact test gives p = 0.04. (How many test images would you
# need for ± 0.2%? About a hundred times as many. ImageNet's validation set has 50,000, which gives ± 0.3% or
# so.)
#
# **Where is it wrong?** Count, for each true class, what it was taken for. By hand, one line; then
# the library's picture.

# %%
counts = np.zeros((10, 10), int)
np.add.at(counts, (test.labels, predictions), 1)

picture = viz.confusion_matrix(test.labels, predictions, test.classes)
assert np.array_equal(picture.values["counts"], counts)
picture

# %% [markdown]
# **What to see.** A row for each true class, and on the diagonal the correct predictions. Trousers, bags, sandals and
# boots are nearly solved. The trouble is one family: shirt, T-shirt, pullover, coat. The largest numbers off
# the diagonal (full size): of 100 shirts 15 were taken for T-shirts, of 100 coats 14 for pullovers. Had you written that down in section 1?
#
# The worst single mistakes are those of which it was surest:

# %%
shifted = logits - logits.max(axis=1, keepdims=True)
probabilities = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
sure = probabilities.max(axis=1)
wrong = np.flatnonzero(predictions != test.labels)
worst = wrong[np.argsort(-sure[wrong])][:12]

figure, panels = plt.subplots(2, 6, figsize=(9, 3.9), layout="constrained")
for axes, i in zip(panels.ravel(), worst, strict=True):
    axes.imshow(test.images[i, :, :, 0], cmap="gray_r")
    is_, said = test.classes[test.labels[i]], test.classes[predictions[i]]
    axes.set_title(f"{is_}\ntaken for {said}, {sure[i]:.0%}", fontsize=7.5)
    axes.set_axis_off()
plt.show()

# %% [markdown]
# **What to see.** Test images, with the network's probability for its wrong answer.
# Some of these you would get wrong too, and a few labels look mistaken. The network is sure of them
# all the same. Cross-entropy does reward honest probabilities: it is lowest, on average, for the true ones (it
# is a *proper scoring rule*, Gneiting and Raftery, 2007). But it is minimised on the training images, which the
# network can memorise, and there certainty pays (Guo et al., 2017). Exercise 2 measures how far its confidence
# can be trusted.
#
# ## 10. Keep it
#
# A file with the weights, and all that is needed to use them: what the classes are called, and how
# the pixels were scaled. Without the last, the weights are worth nothing (notebook 10 shows what
# happens).

# %%
library.load_state_dict(model.state_dict())
minires.save(library, "fashion.npz", classes=list(test.classes), mean=[mean], std=[std])

loaded = minires.load("fashion.npz")
scale = data.Normalize(loaded.metadata["mean"], loaded.metadata["std"])
with minires.no_grad():
    guess = loaded(Tensor(scale(test.images[:1]))).numpy().argmax()
print(f"the first test image: {loaded.metadata['classes'][guess]}")

# %% [markdown]
# The same from the command line: `minires train` and `minires predict`.
#
# ## What to keep
#
# * A baseline first; then the loss before the first step; then overfit one batch; then train.
# * Three sets: weights, decisions, truth.
# * The loop is fifteen lines, and equal bits prove that you understood them.
# * Every accuracy has an error bar.
#
# ## Exercises
#
# (Difficulty from 1, a few lines, to 3, an idea of your own; the minutes are without training times.)
#
# 1. **Is the shortcut worth it?** *(difficulty 1, 40 min)* Replace `ResNet8` by `models.create("plain14", 10,
#    1)` and by
#    `resnet14`, and train each for two epochs, with two seeds. *You are right if* you can say by
#    how much the shortcuts lower the training loss, and whether that is more than the seeds differ.
# 2. **How sure is "99%"?** *(difficulty 2, 45 min)* Sort the test images by `sure` into ten bins, and plot for
#    each bin the
#    accuracy over the mean confidence. Then divide all logits by one temperature $T$, chosen so
#    that the *validation* loss is lowest (Guo et al., 2017). *You are right if* the validation loss
#    falls and not one prediction changes. Was the network too sure ($T > 1$) or not sure enough?
# 3. **Fewer labels.** *(difficulty 2, 60 min)* Train on 10, 50, 100 and all images of a class, for the same number of
#    *steps* (why not epochs?), and plot the test error over the number of images, both axes
#    logarithmic. *You are right if* the points lie near a straight line. What does its slope say
#    about how many images a halved error costs?
