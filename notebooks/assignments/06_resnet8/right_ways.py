"""Other right ways to solve assignment 6; they run in the names of `grading.py`."""

# ---------------------------------------------------------------------- 1 the block


@Block.correct("layers in lists")
class ListBlock:
    def __init__(self, c_in, c_out, stride, rng):
        self.conv1, self.bn1, self.relu1 = (
            Conv(3, c_in, c_out, stride, rng),
            BatchNorm(c_out),
            ReLU(),
        )
        self.conv2, self.bn2, self.relu2 = Conv(3, c_out, c_out, 1, rng), BatchNorm(c_out), ReLU()
        same = stride == 1 and c_in == c_out
        self.conv_s = None if same else Conv(1, c_in, c_out, stride, rng)
        self.bn_s = None if same else BatchNorm(c_out)
        self.branch = [self.conv1, self.bn1, self.relu1, self.conv2, self.bn2]
        self.shortcut = [] if same else [self.conv_s, self.bn_s]

    def forward(self, x):
        out = x
        for layer in self.branch:
            out = layer.forward(out)
        for layer in self.shortcut:
            x = layer.forward(x)
        return self.relu2.forward(x + out)

    def backward(self, g):
        g = self.relu2.backward(g)
        ways = []
        for way in (self.branch, self.shortcut):
            back = g
            for layer in way[::-1]:
                back = layer.backward(back)
            ways.append(back)
        return ways[0] + ways[1]

    def layers(self):
        return [layer for layer in self.branch + self.shortcut if layer is not self.relu1]


@Block.correct("masks of its own")
class MaskBlock:
    def __init__(self, c_in, c_out, stride, rng):
        self.conv1 = Conv(3, c_in, c_out, stride, rng)
        self.conv2 = Conv(3, c_out, c_out, 1, rng)
        self.conv_s, self.bn_s = None, None
        self.bn1, self.bn2 = BatchNorm(c_out), BatchNorm(c_out)
        if (c_in, stride) != (c_out, 1):
            self.conv_s = Conv(1, c_in, c_out, stride, rng)
            self.bn_s = BatchNorm(c_out)

    def forward(self, x):
        hidden = self.bn1.forward(self.conv1.forward(x))
        self.inner = hidden > 0
        out = self.bn2.forward(self.conv2.forward(np.where(self.inner, hidden, 0)))
        out = out + (self.bn_s.forward(self.conv_s.forward(x)) if self.bn_s else x)
        self.outer = out > 0
        return np.maximum(out, 0)

    def backward(self, g):
        g = np.where(self.outer, g, 0)
        back = self.conv2.backward(self.bn2.backward(g)) * self.inner
        back = self.conv1.backward(self.bn1.backward(back))
        return back + (self.conv_s.backward(self.bn_s.backward(g)) if self.bn_s else g)

    def layers(self):
        extra = [self.conv_s, self.bn_s] if self.bn_s else []
        return [self.conv1, self.bn1, self.conv2, self.bn2, *extra]


@Block.correct("a shortcut of its own class")
class ShortcutBlock:
    class Identity:
        def forward(self, x):
            return x

        def backward(self, g):
            return g.copy()

    def __init__(self, c_in, c_out, stride, rng):
        self.conv1, self.conv2 = Conv(3, c_in, c_out, stride, rng), Conv(3, c_out, c_out, 1, rng)
        self.bn1, self.bn2 = BatchNorm(c_out), BatchNorm(c_out)
        self.relu1, self.relu2, self.conv_s, self.bn_s = ReLU(), ReLU(), None, None
        self.way = [self.Identity()]
        if stride > 1 or c_in != c_out:
            self.conv_s, self.bn_s = Conv(1, c_in, c_out, stride, rng), BatchNorm(c_out)
            self.way = [self.conv_s, self.bn_s]

    def forward(self, x):
        beside = x
        for part in self.way:
            beside = part.forward(beside)
        for part in (self.conv1, self.bn1, self.relu1, self.conv2, self.bn2):
            x = part.forward(x)
        return self.relu2.forward(beside + x)

    def backward(self, g):
        beside = inside = self.relu2.backward(g)
        for part in reversed(self.way):
            beside = part.backward(beside)
        for part in (self.bn2, self.conv2, self.relu1, self.bn1, self.conv1):
            inside = part.backward(inside)
        return beside + inside

    def layers(self):
        own = [self.conv1, self.bn1, self.conv2, self.bn2]
        return own if self.conv_s is None else [*own, *self.way]


@Block.correct("float32")
class SingleBlock:
    def __init__(self, c_in, c_out, stride, rng):
        self.projected = stride != 1 or c_in != c_out
        self.conv1, self.bn1 = Conv(3, c_in, c_out, stride, rng), BatchNorm(c_out)
        self.conv2, self.bn2 = Conv(3, c_out, c_out, 1, rng), BatchNorm(c_out)
        self.conv_s = Conv(1, c_in, c_out, stride, rng) if self.projected else None
        self.bn_s = BatchNorm(c_out) if self.projected else None
        self.relu1, self.relu2 = ReLU(), ReLU()

    def forward(self, x):
        for p in (p for layer in self.layers() for p in layer.parameters()):
            p.data = np.float32(p.data)
        x = np.float32(x)
        out = self.relu1.forward(self.bn1.forward(self.conv1.forward(x)))
        out = self.bn2.forward(self.conv2.forward(out))
        return self.relu2.forward(
            out + (self.bn_s.forward(self.conv_s.forward(x)) if self.projected else x)
        )

    def backward(self, g):
        g = self.relu2.backward(np.float32(g))
        same = self.conv_s.backward(self.bn_s.backward(g)) if self.projected else g
        inner = self.relu1.backward(self.conv2.backward(self.bn2.backward(g)))
        return same + self.conv1.backward(self.bn1.backward(inner))

    def layers(self):
        own = [self.conv1, self.bn1, self.conv2, self.bn2]
        return own + ([self.conv_s, self.bn_s] if self.projected else [])


@Block.correct("the shortcut first, added in place")
class FirstBlock:
    def __init__(self, c_in, c_out, stride, rng):
        self.conv1 = Conv(3, c_in, c_out, stride, rng)
        self.bn1, self.relu1 = BatchNorm(c_out), ReLU()
        self.conv2 = Conv(3, c_out, c_out, 1, rng)
        self.bn2, self.relu2 = BatchNorm(c_out), ReLU()
        self.conv_s = self.bn_s = None
        if not (stride == 1 and c_in == c_out):
            self.conv_s = Conv(1, c_in, c_out, stride, rng)
            self.bn_s = BatchNorm(c_out)

    def forward(self, x):
        total = x.copy() if self.conv_s is None else self.bn_s.forward(self.conv_s.forward(x))
        x = self.conv1.forward(x)
        x = self.relu1.forward(self.bn1.forward(x))
        total += self.bn2.forward(self.conv2.forward(x))
        return self.relu2.forward(total)

    def backward(self, g):
        g = self.relu2.backward(g)
        dx = g.copy() if self.conv_s is None else self.conv_s.backward(self.bn_s.backward(g))
        g = self.conv2.backward(self.bn2.backward(g))
        dx += self.conv1.backward(self.bn1.backward(self.relu1.backward(g)))
        return dx

    def layers(self):
        return [v for k, v in vars(self).items() if v is not None and "relu" not in k]


# ---------------------------------------------------------------------- 2 the training


def short_training(name, setup, change):
    """Another right training: the solution with other choices, written in full for the child."""
    source = (
        "def train(model, images, labels):\n"
        "    rng = np.random.default_rng(1)\n"
        f"{setup}"
        "    x = np.float32((images - mean) / deviation)\n"
        "    optimiser = SGD(model.parameters(), lr=rate)\n"
        "    for epoch in range(epochs):\n"
        "        shuffled = rng.permutation(len(x))\n"
        "        for chosen in np.array_split(shuffled, max(1, len(x) // batch)):\n"
        "            images_now = x[chosen]\n"
        f"{change}"
        "            _, g = cross_entropy(model.forward(images_now), labels[chosen])\n"
        "            model.backward(g)\n"
        "            optimiser.step()\n"
        "    return mean, deviation\n"
    )
    train.right_source(name, source)


SCALED = "    mean, deviation = 127.5, 127.5\n"
NORMALISED = "    mean, deviation = images.mean(axis=0), images.std()\n"
LINEAR = "            optimiser.lr = rate * (1 - epoch / epochs)\n"
STEPS = "            optimiser.lr = rate if epoch < epochs - 1 else rate / 10\n"
COSINE = "            optimiser.lr = rate * (1 + np.cos(np.pi * epoch / epochs)) / 2\n"
FLIPS = STEPS + (
    "            flipped = rng.random(len(chosen)) < 0.25\n"
    "            images_now = np.where(flipped[:, None, None, None], images_now[:, :, ::-1], "
    "images_now)\n"
)

short_training("a linear schedule", f"{SCALED}    batch, epochs, rate = 50, 3, 0.1\n", LINEAR)
short_training("a step at the end", f"{SCALED}    batch, epochs, rate = 40, 3, 0.05\n", STEPS)
short_training(
    "a cosine, pixel means", f"{NORMALISED}    batch, epochs, rate = 50, 3, 0.1\n", COSINE
)
short_training("flips", f"{NORMALISED}    batch, epochs, rate = 50, 3, 0.1\n", FLIPS)
short_training("small batches", f"{NORMALISED}    batch, epochs, rate = 25, 2, 0.05\n", STEPS)
