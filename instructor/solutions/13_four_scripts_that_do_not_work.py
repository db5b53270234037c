# %% [markdown]
# # Solutions to notebook 13: Four scripts that do not work

# %%
import numpy as np
import pytest

import minires
from instructor.given import sized
from minires import Tensor, data, models, nn, no_grad, optim
from minires.nn import functional as F

rng = np.random.default_rng(0)

# %% [markdown]
# ## Exercise 1: the ReLU before the sum
#
# $y = x + \operatorname{relu}(F(x))$. The second term is never negative, so no output is below its shortcut: a block
# can add and never take away. After 20 blocks every entry has only grown, and so has the mean.


# %%
class ReLUInside(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return x + F.relu(self.bn2(self.conv2(out)))


minires.manual_seed(0)
h = Tensor(rng.normal(size=(8, 8, 8, 4)).astype(np.float32))
means = [float(h.numpy().mean())]
with no_grad():
    for _ in range(20):
        out = ReLUInside(4)(h)
        assert (out.numpy() >= h.numpy()).all()
        h = out
        means.append(float(h.numpy().mean()))
print(f"mean {means[0]:.2f}, after 20 blocks {means[-1]:.2f}")
assert (np.diff(means) > 0).all()

# %% [markdown]
# ## Exercise 2: a network of two convolutions
#
# It depends on what reads the maps, and for the same reason both times. A batch of 2 images gives ResNet-8's last
# batch norms 2 · 2 · 2 = 8 numbers a channel to average, a map of 8 × 8 gives 128: so few images tell the mean
# and variance of a large map far better. If a linear layer reads all 8 · 8 · 32 numbers, forgetting `eval()`
# costs next to nothing. But if the maps are averaged over the image first, the classifier reads just what
# batch norm takes away: how large a channel is on this image, compared with the others in the batch.
# Of two images one is then above the mean and one below, whatever they show, and the loss is larger
# than ResNet-8's, which has the shortcut's sum, that is not normalised, as well.

# %%
train, test = data.digits(), data.digits(train=False)
normalize = data.Normalize([0.3], [0.4])


def fitted(model):
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    minires.fit(
        model, train, None, epochs=sized(2, 5), batch_size=32, optimizer=optimizer,
        transform=normalize, progress=False,
    )  # fmt: skip
    return model


def accuracy(model, evaluating, batch):
    before = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    model.train(not evaluating)
    order, right = np.random.default_rng(1).permutation(len(test)), 0
    with no_grad():
        for first in range(0, len(order), batch):
            images, labels = test.take(order[first : first + batch])
            right += (model(Tensor(normalize(images))).numpy().argmax(axis=1) == labels).sum()
    model.load_state_dict(before)
    return right / len(order)


def two_convolutions(*head):
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        *head,
    )  # fmt: skip


makes = {
    "ResNet-8": lambda: models.resnet8(in_channels=1),
    "two, all numbers": lambda: two_convolutions(nn.Flatten(), nn.Linear(8 * 8 * 32, 10)),
    "two, averaged": lambda: two_convolutions(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)
    ),
}
lost = {}
for name, make in makes.items():
    minires.manual_seed(0)
    model = fitted(make())
    right, forgotten = accuracy(model, True, 2), accuracy(model, False, 2)
    lost[name] = right - forgotten
    print(f"{name:17} {right:.1%} with eval(), {forgotten:.1%} without, batches of 2")
assert lost["two, all numbers"] < lost["ResNet-8"] - 0.03
assert lost["two, averaged"] > lost["ResNet-8"] + 0.03

# %% [markdown]
# ## Exercise 3: a projection of the wrong stride
#
# On a map of $n$ × $n$ the block gives $\lceil n/2 \rceil$ and the shortcut $n$ rows. Broadcasting adds two
# different sizes only if one of them is 1. That is $\lceil n/2 \rceil = 1 \ne n$: $n = 2$ only. (At $n = 1$ both are
# 1, and nothing is wrong.) The library refuses all, by an error with both shapes.


# %%
def block_and_shortcut(n):
    x = Tensor(rng.normal(size=(1, n, n, 4)).astype(np.float32))
    branch = nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False)(x)
    return branch, nn.Conv2d(4, 8, 1, stride=1, bias=False)(x)


silent = []
for n in range(1, 33):
    branch, shortcut = block_and_shortcut(n)
    try:
        total = branch.numpy() + shortcut.numpy()  # NumPy broadcasts
    except ValueError:
        continue
    if total.shape != branch.shape:
        silent.append(n)
assert silent == [2]
with pytest.raises(ValueError, match="shape") as raised:
    nn.Add()(*block_and_shortcut(2))
print(raised.value)
