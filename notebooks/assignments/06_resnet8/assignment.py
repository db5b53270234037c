# %% [markdown]
# # Put together: your own ResNet-8
#
# The parts are there: the engine's walk (here each layer has its own `backward`), convolution, batch
# norm, the residual sum, SGD. Below are right ones, written as classes; put your own in their place in
# a cell of yours if you like, with the same names of classes, methods and arrays. You write the two
# things that make a residual network of them, and train it on Fashion-MNIST, ten kinds of clothes, at
# half the resolution, 14x14, so that it takes a minute at most. **About 85%** of the test images can
# be right; 78% are enough.
#
# `minires.data.fashion_mini()` has the images if you have minires; any Fashion-MNIST will do. NumPy
# only, in the cells that are graded.

# %% given="layers"
import numpy as np


class Parameter:
    """An array that is trained, and the loss's gradient by it."""

    def __init__(self, data):
        self.data = np.asarray(data, dtype=np.float32)
        self.grad = np.zeros_like(self.data)


class Conv:
    """A 3x3 or 1x1 convolution without bias, padded so that stride 1 keeps the size."""

    def __init__(self, size, c_in, c_out, stride, rng):
        deviation = np.sqrt(2 / (size * size * c_in))
        self.w = Parameter(rng.normal(0, deviation, (size, size, c_in, c_out)))
        self.stride = stride

    def forward(self, x):
        kh, kw, c_in, c_out = self.w.data.shape
        p, s = kh // 2, self.stride
        padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(1, 2))
        windows = windows[:, ::s, ::s].transpose(0, 1, 2, 4, 5, 3)
        self.rows = windows.reshape(-1, kh * kw * c_in)
        self.shapes = padded.shape, windows.shape
        return (self.rows @ self.w.data.reshape(-1, c_out)).reshape(*windows.shape[:3], c_out)

    def backward(self, g):
        (kh, kw, _, c_out), s = self.w.data.shape, self.stride
        padded_shape, shape = self.shapes
        flat = g.reshape(-1, c_out)
        self.w.grad = (self.rows.T @ flat).reshape(self.w.data.shape)
        back = (flat @ self.w.data.reshape(-1, c_out).T).reshape(shape)
        dx = np.zeros(padded_shape, g.dtype)
        for k in range(kh):
            for l in range(kw):
                dx[:, k : k + s * shape[1] : s, l : l + s * shape[2] : s] += back[:, :, :, k, l]
        p = kh // 2
        return dx[:, p : dx.shape[1] - p, p : dx.shape[2] - p]

    def parameters(self):
        return [self.w]


class BatchNorm:
    """Batch norm for images; set `training` to False to use the running statistics."""

    def __init__(self, channels):
        self.gamma, self.beta = Parameter(np.ones(channels)), Parameter(np.zeros(channels))
        self.mean, self.var = np.zeros(channels, np.float32), np.ones(channels, np.float32)
        self.training = True

    def forward(self, x):
        mean, var = self.mean, self.var
        if self.training:
            mean, var = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
            count = x[..., 0].size
            self.mean = 0.9 * self.mean + 0.1 * mean
            self.var = 0.9 * self.var + 0.1 * var * count / (count - 1)
        self.inverse = 1 / np.sqrt(var + 1e-5)
        self.normal = (x - mean) * self.inverse
        return self.normal * self.gamma.data + self.beta.data

    def backward(self, g):
        axes = (0, 1, 2)
        self.beta.grad, self.gamma.grad = g.sum(axis=axes), (g * self.normal).sum(axis=axes)
        h = g * self.gamma.data
        inner = self.normal * (h * self.normal).mean(axis=axes)
        return self.inverse * (h - h.mean(axis=axes) - inner)

    def parameters(self):
        return [self.gamma, self.beta]


class ReLU:
    """The positive part."""

    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, g):
        return g * self.mask

    def parameters(self):
        return []


class Head:
    """The average over all places, and a linear layer: logits."""

    def __init__(self, channels, classes, rng):
        self.w = Parameter(rng.normal(0, 0.1, (channels, classes)))
        self.b = Parameter(np.zeros(classes))

    def forward(self, x):
        self.shape, self.average = x.shape, x.mean(axis=(1, 2))
        return self.average @ self.w.data + self.b.data

    def backward(self, g):
        self.w.grad, self.b.grad = self.average.T @ g, g.sum(axis=0)
        share = (g @ self.w.data.T) / (self.shape[1] * self.shape[2])
        return np.broadcast_to(share[:, None, None], self.shape)

    def parameters(self):
        return [self.w, self.b]


def cross_entropy(z, y):
    """The mean loss of logits z for labels y, and its gradient with respect to z."""
    z = z - z.max(axis=1, keepdims=True)
    e = np.exp(z)
    p = e / e.sum(axis=1, keepdims=True)
    loss = -(z - np.log(e.sum(axis=1, keepdims=True)))[np.arange(len(y)), y].mean()
    p[np.arange(len(y)), y] -= 1
    return loss, p / len(y)


class SGD:
    """SGD with momentum and weight decay; `lr` may change between steps."""

    def __init__(self, parameters, lr, momentum=0.9, weight_decay=5e-4):
        self.parameters, self.lr = parameters, lr
        self.momentum, self.weight_decay = momentum, weight_decay
        self.velocities = [np.zeros_like(p.data) for p in parameters]

    def step(self):
        for p, v in zip(self.parameters, self.velocities, strict=True):
            v *= self.momentum
            v += p.grad + self.weight_decay * p.data
            p.data -= self.lr * v


# %% [markdown]
# ## 1. The block
#
# Two 3x3 convolutions, the first with the stride, each followed by batch norm; a ReLU between them;
# then the sum with the shortcut, then a ReLU. Where stride or channels change, the shortcut is a 1x1
# convolution with the stride and batch norm; else it is the input itself.
#
# Use the names `conv1`, `bn1`, `conv2`, `bn2` and, where needed, `conv_s`, `bn_s`, else
# `conv_s = bn_s = None`; the weights are drawn from `rng`. `layers()` lists the layers that have
# parameters, each once: what is not listed is never trained.
#
# It must work for all numbers of channels, more behind the block than before it or fewer, every
# stride, images of every size `(N, H, W, c_in)`, and many blocks side by side: each has layers of its
# own. `forward` runs every layer once; `backward` is of the `forward` before it, in training, and puts
# each parameter's gradient where the layers put it. ReLU's slope at 0 is 0, as in `ReLU`.


# %% question="Block"
class Block:
    """A residual block from c_in to c_out channels."""

    def __init__(self, c_in, c_out, stride, rng):
        ### BEGIN SOLUTION
        self.conv1, self.bn1 = Conv(3, c_in, c_out, stride, rng), BatchNorm(c_out)
        self.conv2, self.bn2 = Conv(3, c_out, c_out, 1, rng), BatchNorm(c_out)
        self.relu1, self.relu2 = ReLU(), ReLU()
        self.conv_s = self.bn_s = None
        if stride != 1 or c_in != c_out:
            self.conv_s, self.bn_s = Conv(1, c_in, c_out, stride, rng), BatchNorm(c_out)

    def forward(self, x):
        out = self.relu1.forward(self.bn1.forward(self.conv1.forward(x)))
        out = self.bn2.forward(self.conv2.forward(out))
        if self.conv_s is not None:
            x = self.bn_s.forward(self.conv_s.forward(x))
        return self.relu2.forward(out + x)

    def backward(self, g):
        g = self.relu2.backward(g)
        dx = self.conv2.backward(self.bn2.backward(g))
        dx = self.conv1.backward(self.bn1.backward(self.relu1.backward(dx)))
        if self.conv_s is not None:
            return dx + self.conv_s.backward(self.bn_s.backward(g))
        return dx + g

    def layers(self):
        named = self.conv1, self.bn1, self.conv2, self.bn2, self.conv_s, self.bn_s
        return [layer for layer in named if layer is not None]
        ### END SOLUTION


# %% [markdown]
# With $\gamma = 0$ in `bn2` the branch is silent, and the block is the identity on positive images,
# forwards and backwards:

# %% check="Block"
block = Block(4, 4, 1, np.random.default_rng(0))
block.bn2.gamma.data[...] = 0
x = np.abs(np.random.default_rng(1).normal(size=(2, 5, 6, 4))).astype(np.float32)
print("largest change of a positive image:", np.abs(block.forward(x) - x).max())
assert np.allclose(block.forward(x), x)
assert np.allclose(block.backward(x), x), "the gradient must come through the shortcut"
assert Block(4, 8, 2, np.random.default_rng(0)).forward(x).shape == (2, 3, 3, 8)
assert len(block.layers()) == 4


# %% given="ResNet8"
class ResNet8:
    """Stem, three blocks of 16, 32 and 64 channels, head: eight layers with weights."""

    def __init__(self, classes=10, seed=0):
        rng = np.random.default_rng(seed)
        self.stem = [Conv(3, 1, 16, 1, rng), BatchNorm(16), ReLU()]
        self.blocks = [Block(16, 16, 1, rng), Block(16, 32, 2, rng), Block(32, 64, 2, rng)]
        self.head = Head(64, classes, rng)

    def walk(self):
        return [*self.stem, *self.blocks, self.head]

    def forward(self, x):
        for layer in self.walk():
            x = layer.forward(x)
        return x

    def backward(self, g):
        for layer in reversed(self.walk()):
            g = layer.backward(g)

    def layers(self):
        inside = [layer for block in self.blocks for layer in block.layers()]
        return [*self.stem, *inside, self.head]

    def parameters(self):
        return [p for layer in self.layers() for p in layer.parameters()]

    def train(self, training):
        for layer in self.layers():
            if isinstance(layer, BatchNorm):
                layer.training = training


# %% [markdown]
# ## 2. The training
#
# `train(model, images, labels)` gets a `ResNet8`, bytes (0 to 255) of shape `(N, 14, 14, 1)`, and
# classes `(N,)`, whole numbers. It trains **this** model in place, and returns two things, `mean` and
# `deviation`, by which images are scaled for it: the network's input is `(images - mean) / deviation`,
# in training and ever after. Numbers will do; so will arrays that broadcast to `(14, 14, 1)`.
#
# Everything else is your choice: how you scale, how the weights begin, batches, epochs, learning rate
# and its schedule, the optimiser, augmentation. Do not forget: shuffle in every epoch (the images may
# come sorted); lower the learning rate before the end; batch norm is in training mode while you train.
# Two or three epochs in batches of about 50 are enough.
#
# What is graded is the network that you trained. The grader takes the weights and running statistics
# out of `model` and computes by itself, in evaluation mode, what a ResNet-8 with these makes of test
# images, which your code does not see. Points are given
#
# - if every parameter and every running statistic of every layer was trained;
# - if `model.forward` and `model.backward`, on images and weights of the grader's, give what a ResNet-8
#   gives: nothing but the model's parameters decides;
# - if the output depends on each block's residual branch and on each shortcut: a network that has one
#   without using it is none;
# - by the accuracy. On Fashion-MNIST, below 75% there is nothing (a trained head on random layers gets
#   as far as 74%), from 78% on there is everything.
#
# The same `train` is tried on two other tasks, of at least 300 images of 14x14 with 2 or 3 classes,
# which a network learns fast. You have two minutes of computing on one core, for all three together.


# %% question="train"
def train(model, images, labels):
    """Train the model in place; the mean and the deviation by which its images are scaled."""
    ### BEGIN SOLUTION
    rng, batch, rates = np.random.default_rng(0), 50, [0.1, 0.05, 0.005]
    mean, deviation = images.mean(), images.std()
    x = ((images - mean) / deviation).astype(np.float32)
    optimiser = SGD(model.parameters(), lr=rates[0])
    for rate in rates:
        optimiser.lr = rate
        shuffled = rng.permutation(len(x))
        for start in range(0, len(x), batch):
            chosen = shuffled[start : start + batch]
            _, g = cross_entropy(model.forward(x[chosen]), labels[chosen])
            model.backward(g)
            optimiser.step()
    return mean, deviation
    ### END SOLUTION


# %% [markdown]
# Try it on something that a linear layer could learn too, a bright upper or a bright lower half:

# %% check="train"
generator = np.random.default_rng(0)
labels = generator.integers(0, 2, 400)
images = generator.integers(0, 100, (400, 14, 14, 1))
images[labels == 0, :7] += 100
images[labels == 1, 7:] += 100
images = images.astype(np.uint8)
model = ResNet8(classes=2, seed=1)
mean, deviation = train(model, images[:300], labels[:300])
model.train(False)
predicted = model.forward((images[300:] - mean) / deviation).argmax(axis=1)
print("right:", np.mean(predicted == labels[300:]))
assert np.mean(predicted == labels[300:]) > 0.9
