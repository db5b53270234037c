# %% [markdown]
# # Solutions to notebook 09: Looking inside

# %%
import numpy as np

import minires
from instructor.given import sized
from minires import Tensor, data, models, optim, viz
from minires.nn import functional as F

train, test = data.fashion_mini(), data.fashion_mini(train=False)
normalize = data.Normalize(*data.dataset_statistics(train.images))
train, test = (  # in tests every second pixel of a few images
    data.ImageDataset(d.images[:n, ::step, ::step], d.labels[:n], d.classes)
    for step in [sized(2, 1)]
    for d, n in zip((train, test), sized((640, 100), (None, None)), strict=True)
)
EPOCHS, BATCHES = 3, -(-len(train) // 64)
minires.manual_seed(0)
model = models.resnet8(num_classes=10, in_channels=1)
optimizer = optim.SGD(model.parameters(), lr=0.2, momentum=0.9, nesterov=True, weight_decay=1e-3)
minires.fit(
    model, train, None, epochs=EPOCHS, optimizer=optimizer, transform=normalize, progress=False,
    schedule=optim.OneCycleLR(optimizer, max_lr=0.2, total_steps=EPOCHS * BATCHES),
)  # fmt: skip
model.eval()
images = Tensor(normalize(test.images))

# %% [markdown]
# ## Exercise 1: quiet channels
#
# A hook sees what a block gives, after its last ReLU. A channel is zero everywhere on an image if its largest
# value is. Channels are quiet most often in the last block: a channel there answers to a few classes only, and a
# classifier that adds channels up wants them to say nothing on all others. An early channel answers to edges,
# which every image has.

# %%
blocks = {"layer1": model.layer1[0], "layer2": model.layer2[0], "layer3": model.layer3[0]}
quiet = {}
removers = [
    block.register_forward_hook(
        lambda module, inputs, out, name=name: quiet.update(
            {name: (out.numpy().max(axis=(1, 2)) == 0).mean(axis=0)}
        )
    )
    for name, block in blocks.items()
]
with minires.no_grad():
    model(images)
for remove in removers:
    remove()
for name, shares in quiet.items():
    print(
        f"{name}: quiet on {shares.mean():.1%} of the images in the mean, at most {shares.max():.1%}"
    )
assert quiet["layer1"].max() < 1
assert quiet["layer3"].mean() > quiet["layer1"].mean()

# %% [markdown]
# ## Exercise 2: a sanity check
#
# With other weights in the classifier other channels count, and the map changes. With those of the last stage as
# well, other things are detected. A method whose map stays the same shows something of the image alone
# (its edges, say), or of the architecture, and nothing of what this network has learned (Adebayo et al., 2018).

# %%
boot = Tensor(images.numpy()[:1])
kept = {name: value.numpy().copy() for name, value in model.state_dict().items()}
rng = np.random.default_rng(0)


def map_now():
    heat = viz.grad_cam(model, boot, layer="layer3", target=9).values["map"]
    return heat / (np.abs(heat).max() or 1)


def randomise(p):
    p.data[...] = rng.normal(size=p.shape) * p.numpy().std()


original = map_now()
randomise(model.fc.weight)
without_head = map_now()
for p in model.layer3.parameters():
    if p.ndim == 4:
        randomise(p)
without_stage = map_now()
model.load_state_dict(kept)
assert np.array_equal(map_now(), original)
for name, other in (("fc", without_head), ("fc and layer3", without_stage)):
    change = np.abs(other - original).max()
    print(f"random {name}: the map changes by up to {change:.2f} of its largest value")
    assert change > 0.2

# %% [markdown]
# ## Exercise 3: the second sharpest
#
# Eigenvectors of a symmetric matrix are at right angles. After each product, take away the part along the directions
# that are known; what remains grows along the next. Rounding brings the old directions back, which
# is why it is done after every product and not once.

# %%
parameters = list(model.parameters())
x, y = Tensor(normalize(train.images[: sized(32, 128)])), train.labels[: sized(32, 128)]


def dot(a, b):
    return sum(float((p * q).sum(dtype=np.float64)) for p, q in zip(a, b, strict=True))


def hessian_times(v):
    first = minires.grad(F.cross_entropy(model(x), y), parameters, create_graph=True)
    along = sum((g * Tensor(d)).sum() for g, d in zip(first, v, strict=True))
    return [h.numpy() for h in minires.grad(along, parameters)]


def without(v, found):
    for d in found:
        part = dot(v, d)
        v = [a - np.float32(part) * b for a, b in zip(v, d, strict=True)]
    return [a / np.float32(np.sqrt(dot(v, v))) for a in v]


def sharpest(count, products):
    found, curvatures = [], []
    for _ in range(count):
        start = minires.grad(F.cross_entropy(model(x), y), parameters)
        v = without([g.numpy() for g in start], found) if not found else None
        if v is None:
            v = without([rng.normal(size=p.shape).astype(np.float32) for p in parameters], found)
        for _ in range(products):
            product = hessian_times(v)
            curvature = dot(v, product)
            v = without(product, found)
        found.append(v)
        curvatures.append(curvature)
    return found, curvatures


found, curvatures = sharpest(sized(2, 12), sized(6, 15))
print("curvatures:", " ".join(f"{c:.1f}" for c in curvatures))
overlaps = [abs(dot(a, b)) for i, a in enumerate(found) for b in found[:i]]
assert max(overlaps) < 0.01
assert curvatures[0] > curvatures[1] > 0
model.train()
_, (in_training, *_) = sharpest(1, sized(6, 30))
model.load_state_dict(kept)  # the running statistics have moved
print(f"evaluation {curvatures[0]:.1f}, training mode {in_training:.1f}")
assert abs(in_training) < curvatures[0]

# %% [markdown]
# In training mode the batch's own statistics are part of the function: making a channel's weights larger changes
# nothing, so the curvature along many directions is 0, and the largest is several times smaller.
