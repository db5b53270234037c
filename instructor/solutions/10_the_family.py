# %% [markdown]
# # Solutions to notebook 10: The family

# %%
import numpy as np

import minires
from instructor.given import from_notebook, sized
from minires import Tensor, data, models, nn, optim
from minires.nn import functional as F

count, only, normalize, KNOWN, NEW = from_notebook(
    "10", "count", "only", "normalize", "KNOWN", "NEW"
)

# %% [markdown]
# ## Exercise 1: wide and grouped
#
# Only the bottleneck's inner width changes, and in a grouped convolution each kernel sees $1/32$ of the
# channels. WRN-50-2 has the width $128 \cdot 2^s$ in stage $s$, ResNeXt-50 32x4d has $32 \cdot 4 \cdot 2^s$, which
# is the same; what comes out of a block stays $256 \cdot 2^s$.


# %%
def count_bottlenecks(stages, first_width, groups=1):
    total, channels = 7 * 7 * 3 * 64 + 2 * 64, 64
    for stage, blocks in enumerate(stages):
        width, out = first_width * 2**stage, 256 * 2**stage
        for _ in range(blocks):
            kernels = [(1, channels, width), (3, width // groups, width), (1, width, out)]
            if channels != out:
                kernels.append((1, channels, out))
            total += sum(k * k * c * o + 2 * o for k, c, o in kernels)
            channels = out
    return total + channels * 1000 + 1000


wide = count_bottlenecks((3, 4, 6, 3), 128)
grouped = count_bottlenecks((3, 4, 6, 3), 128, groups=32)
deep = count_bottlenecks((3, 8, 36, 3), 64)
print(f"WRN-50-2 {wide:,}, ResNeXt-50 {grouped:,}, ResNet-152 {deep:,}")
assert (wide, grouped, deep) == (68_883_240, 25_028_904, 60_192_808)
assert deep == sum(count(152)[0])
for name, counted in sized(
    {},
    {"wide_resnet50_2": wide, "resnext50_32x4d": grouped, "resnet152": deep},
).items():
    assert sum(p.size for p in models.create(name).parameters()) == counted

# %% [markdown]
# ## Exercise 2: a sixth way
#
# There are many. Three: the classifier's bias is left out (`strict=False` again, with the rest complete); images are
# shifted by one pixel, as by a careless crop; the standard deviation of the normalisation is another data set's.
# All three leave every shape as it is and the accuracy near what it was. The way to find such a mistake
# is not to look at the accuracy, but to compare the logits of a few images with those of the original, as the
# notebook does to the bit.

# %%
train, test = data.fashion_mini(), data.fashion_mini(train=False)
known, known_test = only(train, KNOWN), only(test, KNOWN)
known = known.subset(np.arange(sized(640, len(known))))
EPOCHS, BATCHES = 3, -(-len(known) // 64)
minires.manual_seed(0)
model = models.resnet8(num_classes=5, in_channels=1)
optimizer = optim.SGD(model.parameters(), lr=0.2, momentum=0.9, nesterov=True, weight_decay=1e-3)
minires.fit(
    model, known, None, epochs=EPOCHS, optimizer=optimizer, transform=normalize, progress=False,
    schedule=optim.OneCycleLR(optimizer, max_lr=0.2, total_steps=EPOCHS * BATCHES),
)  # fmt: skip
model.eval()


def logits(network, images, transform=normalize):
    with minires.no_grad():
        return network(Tensor(transform(images))).numpy()


without = models.resnet8(num_classes=5, in_channels=1)
state = {k: v.numpy() for k, v in model.state_dict().items() if k != "fc.bias"}
without.load_state_dict(state, strict=False)
without.fc.bias.data[:] = 0
without.eval()
images = known_test.images[: sized(150, 500)]
labels = known_test.labels[: len(images)]
right = logits(model, images)
base = (right.argmax(axis=1) == labels).mean()
wrong = {
    "no bias": logits(without, images),
    "one pixel to the right": logits(model, np.roll(images, 1, axis=2)),
    "another data set's deviation": logits(model, images, data.Normalize([0.286], [0.30])),
}
print(f"as it should be {base:.1%}")
for name, found in wrong.items():
    accuracy = (found.argmax(axis=1) == labels).mean()
    print(f"{name:30} {accuracy:.1%}; largest change of a logit {np.abs(found - right).max():.2f}")
    assert base - accuracy < sized(0.3, 0.1)
    assert np.abs(found - right).max() > 1e-3  # which a comparison of logits sees at once

# %% [markdown]
# ## Exercise 3: unfreeze it
#
# Two groups: the new layer with the full learning rate, all others with a tenth. The model is trained in training
# mode (batch norm adapts to the new clothes) and judged in evaluation mode.

# %%
new, new_test = only(train, NEW), only(test, NEW)
trained = {k: v.numpy().copy() for k, v in model.state_dict().items()}
test_images = new_test.images[: sized(150, 500)]
test_labels = new_test.labels[: len(test_images)]


def fine_tuned(chosen, frozen, steps):
    minires.manual_seed(0)
    network = models.resnet8(num_classes=5, in_channels=1)
    network.load_state_dict(trained)
    network.fc = nn.Linear(64, 5)
    head = list(network.fc.parameters())
    old = [p for p in network.parameters() if not any(p is q for q in head)]
    groups = [{"params": head, "lr": 0.05}] + ([] if frozen else [{"params": old, "lr": 0.005}])
    optimizer = optim.SGD(groups, lr=0.05, momentum=0.9)
    network.train(not frozen)  # frozen: the running statistics stay as well
    x, y = Tensor(normalize(new.images[chosen])), new.labels[chosen]
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(network(x), y).backward()
        optimizer.step()
    network.eval()
    return (logits(network, test_images).argmax(axis=1) == test_labels).mean()


rng = np.random.default_rng(0)
found = {}
for amount in sized([2], [1, 2, 5, 10, 20, 50, 100]):
    runs = {True: [], False: []}
    for _ in range(sized(1, 8)):
        chosen = np.concatenate(
            [rng.choice(np.flatnonzero(new.labels == c), amount, replace=False) for c in range(5)]
        )
        for frozen in runs:
            runs[frozen].append(fine_tuned(chosen, frozen, steps=sized(10, 60)))
    found[amount] = {frozen: np.mean(values) for frozen, values in runs.items()}
    print(
        f"{amount:3} images a class: frozen {found[amount][True]:.1%}, all layers {found[amount][False]:.1%}"
    )
assert all(value > 0.25 for values in found.values() for value in values.values())
