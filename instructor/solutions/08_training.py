# %% [markdown]
# # Solutions to notebook 08: Training a ResNet

# %%
import numpy as np

import minires
from instructor.given import sized
from minires import data, models, optim
from minires.nn import functional as F

whole, test = data.fashion_mini(), data.fashion_mini(train=False)
train, valid = data.split(whole, 0.1, seed=0)
normalize = data.Normalize(*data.dataset_statistics(train.images))
train, valid, test = (  # in tests every second pixel of a few images
    data.ImageDataset(d.images[:n, ::step, ::step], d.labels[:n], d.classes)
    for step in [sized(2, 1)]
    for d, n in zip((train, valid, test), sized((320, 100, 200), (None,) * 3), strict=True)
)


def fitted(name, epochs, seed=0, dataset=train):
    minires.manual_seed(seed)
    model = models.create(name, num_classes=10, in_channels=1)
    steps = epochs * -(-len(dataset) // 64)
    optimizer = optim.SGD(
        model.parameters(), lr=0.2, momentum=0.9, nesterov=True, weight_decay=1e-3
    )
    history = minires.fit(
        model, dataset, None, epochs=epochs, batch_size=64, optimizer=optimizer,
        schedule=optim.OneCycleLR(optimizer, max_lr=0.2, total_steps=steps),
        transform=normalize, progress=False,
    )  # fmt: skip
    return model.eval(), history[-1].train_loss


# %% [markdown]
# ## Exercise 1: is the shortcut worth it?
#
# Compare the difference of the two kinds with the difference of two seeds of one kind. If the first is not
# clearly larger, two seeds are too few to say anything: run more. The seeds here change the initial weights and
# the order of the images, for both kinds alike, so differences may be taken seed by seed (a paired comparison).

# %%
losses = {
    name: [fitted(name, sized(1, 2), seed)[1] for seed in range(2)]
    for name in sized(("plain8", "resnet8"), ("plain14", "resnet14"))
}
(plain, residual) = losses.values()
for name, (a, b) in losses.items():
    print(f"{name}: training loss {a:.3f} and {b:.3f}, seeds differ by {abs(a - b):.3f}")
lower = [p - r for p, r in zip(plain, residual, strict=True)]
print(f"the shortcuts lower it by {lower[0]:.3f} and {lower[1]:.3f}")
assert np.isfinite(plain + residual).all()

# %% [markdown]
# ## Exercise 2: how sure is "99%"?
#
# Among images on which the network is 90% sure, 90% should be classified correctly: then it is *calibrated*. The
# expected calibration error is the mean distance between accuracy and confidence, over the bins, weighted with
# how many images are in each. One number $T$ has no way to overfit 500 images, and a positive $T$
# keeps the largest logit the largest.

# %%
model, _ = fitted("resnet8", sized(3, 12))


def logits(dataset):
    with minires.no_grad():
        return model(minires.Tensor(normalize(dataset.images))).numpy().astype(np.float64)


def probabilities(scores):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def nats(scores, labels):
    return F.cross_entropy(minires.Tensor(scores), labels).item()


def calibration(scores, labels, show=False):
    p = probabilities(scores)
    order, error = np.argsort(p.max(axis=1)), 0.0
    for part in np.array_split(order, 10):
        sure = p[part].max(axis=1).mean()
        right = (p[part].argmax(axis=1) == labels[part]).mean()
        error += abs(sure - right) * len(part) / len(order)
        if show:
            print(f"  mean confidence {sure:.1%}, correct {right:.1%}")
    return error


validation, tested = logits(valid), logits(test)
temperatures = np.geomspace(0.25, 4, 81)
T = min(temperatures, key=lambda t: nats(validation / t, valid.labels))
before, after = (calibration(tested / t, test.labels) for t in (1, T))
calibration(tested, test.labels, show=True)
print(f"T = {T:.2f}; calibration error on the test images {before:.3f}, with T {after:.3f}")
assert nats(validation / T, valid.labels) <= nats(validation, valid.labels)
assert np.array_equal((tested / T).argmax(axis=1), tested.argmax(axis=1))

# %% [markdown]
# $T > 1$: the network was too sure. $T < 1$: not sure enough, as after few epochs, when the training loss
# itself is still high.
#
# ## Exercise 3: fewer labels
#
# The same number of *steps*, as an epoch of fewer images has fewer: with the same epochs, a network on 10
# images of a class would hardly be trained, and one would measure that instead. On logarithmic axes
# error $= a\,n^{-b}$ is a line of slope $-b$. To halve the error takes $2^{1/b}$ times as many images.

# %%
amounts = sized([6, 24], [10, 50, 100, 450])
steps = sized(12, 420)
rng = np.random.default_rng(0)
errors = []
for amount in amounts:
    of_class = [np.flatnonzero(train.labels == c) for c in range(10)]
    chosen = np.concatenate([rng.permutation(c)[:amount] for c in of_class])
    part = train.subset(chosen)
    per_epoch = -(-len(part) // 64)
    model, _ = fitted("resnet8", max(1, steps // per_epoch), dataset=part)
    errors.append((logits(test).argmax(axis=1) != test.labels).mean())
    print(f"{amount:4} images a class: test error {errors[-1]:.1%}")
slope = np.polyfit(np.log(amounts), np.log(errors), 1)[0]
print(f"slope {slope:.2f}: to halve the error takes {2 ** (-1 / slope):.0f} times as many images")
assert slope < sized(0.2, 0)  # a few steps on small images tell little
