"""The known mistakes of assignment 5; they run in the names of `grading.py`."""

# ---------------------------------------------------------------------- 1 the sum, forward

add_forward.mistake(
    60,
    "ReLU before the add",
    "The ReLU stands after the sum: relu(x + f), so that a branch can lower its input.",
    "np.maximum(x + f, 0)",
    "x + np.maximum(f, 0)",
)

add_forward.mistake(
    501,
    "no ReLU",
    "The sum still has to pass the ReLU.",
    "np.maximum(x + f, 0)",
    "x + f",
)

add_forward.mistake(
    502,
    "the identity missing",
    "The input is added to the branch's output: x + f.",
    "x + f",
    "f",
)

add_forward.mistake(
    503,
    "ReLU of each",
    "One ReLU, of the sum: x may be negative where f makes up for it.",
    "np.maximum(x + f, 0)",
    "np.maximum(x, 0) + np.maximum(f, 0)",
)


@add_forward.wrong(504, "added in place", "x += f changes the array that the caller still needs.")
def add_in_place(x, f):
    x += f
    return np.maximum(x, 0)


# ---------------------------------------------------------------------- 2 the sum, backward


add_backward.mistake(
    59,
    "the identity path dropped",
    "The shortcut passes the gradient on too; without it a residual network is a plain one.",
    "return dx, dx.copy()",
    "return np.zeros_like(dx), dx.copy()",
)

add_backward.mistake(
    61,
    "both branches share one gradient array",
    "Return two arrays: whoever adds to the one must not change the other.",
    "return dx, dx.copy()",
    "return dx, dx",
)

add_backward.mistake(
    60,
    "the ReLU before the add",
    "The mask is that of the sum, and both paths pass it.",
    "    dx = g * (x + f > 0)\n    return dx, dx.copy()",
    "    return g.copy(), g * (f > 0)",
)

add_backward.mistake(
    39,
    "mask taken from the gradient",
    "The mask is where the sum is positive, whatever the sign of g.",
    "(x + f > 0)",
    "(g > 0)",
)

add_backward.mistake(
    42,
    ">= at zero",
    "ReLU's derivative at 0 is 0 here: the mask is x + f > 0.",
    "(x + f > 0)",
    "(x + f >= 0)",
)

add_backward.mistake(
    41,
    "the upstream gradient ignored",
    "Multiply with g: the chain rule.",
    "g * (x + f > 0)",
    "1.0 * (x + f > 0)",
)

add_backward.mistake(
    505,
    "the gradient halved",
    "A sum hands each of its terms the whole gradient, not a half.",
    "g * (x + f > 0)",
    "g * (x + f > 0) / 2",
)

add_backward.mistake(
    506,
    "no mask",
    "Where the ReLU gave 0, nothing flows back.",
    "g * (x + f > 0)",
    "g.copy()",
)

add_backward.mistake(
    507,
    "g changed in place",
    "g belongs to the caller: g *= mask changes it for everybody.",
    "    dx = g * (x + f > 0)\n",
    "    g *= x + f > 0\n    dx = g\n",
)

# ---------------------------------------------------------------------- 3 a whole block, backward


for number, name, hint, old, new in [
    (
        59,
        "the identity path dropped",
        "x is used twice: dx is g (after the ReLU) plus what comes through the branch.",
        "dx = g + dhidden @ w1.T",
        "dx = dhidden @ w1.T",
    ),
    (
        60,
        "the ReLU before the add",
        "The last ReLU is of the sum; its mask comes first, for both paths.",
        "g = g * (x + hidden @ w2 > 0)\n    dhidden = (g @ w2.T) * (hidden > 0)",
        "dhidden = ((g * (hidden @ w2 > 0)) @ w2.T) * (hidden > 0)",
    ),
    (
        508,
        "the inner ReLU forgotten",
        "Where the hidden values are 0, nothing flows back to W1.",
        "(g @ w2.T) * (hidden > 0)",
        "(g @ w2.T)",
    ),
    (
        509,
        "the outer ReLU forgotten",
        "Mask g where the block's output is 0, before anything else.",
        "g = g * (x + hidden @ w2 > 0)",
        "g = g * 1.0",
    ),
    (
        510,
        "the branch's path dropped",
        "x reaches the output through W1 and W2 as well.",
        "dx = g + dhidden @ w1.T",
        "dx = g.copy()",
    ),
    (
        511,
        "dW1 from the output's gradient",
        "What arrives at W1 has passed W2 and the inner ReLU.",
        'dw1 = np.einsum("nhwi,nhwo->io", x, dhidden)',
        'dw1 = np.einsum("nhwi,nhwo->io", x, g @ w2.T)',
    ),
    (
        5,
        "gradients averaged over the batch",
        "The weights are used for every image: their gradients are sums.",
        'dw2 = np.einsum("nhwi,nhwo->io", hidden, g)\n'
        '    dw1 = np.einsum("nhwi,nhwo->io", x, dhidden)',
        'dw2 = np.einsum("nhwi,nhwo->io", hidden, g) / len(x)\n'
        '    dw1 = np.einsum("nhwi,nhwo->io", x, dhidden) / len(x)',
    ),
    (
        4,
        "dW of the last image only",
        "Sum over all images, not only the last.",
        'dw2 = np.einsum("nhwi,nhwo->io", hidden, g)\n'
        '    dw1 = np.einsum("nhwi,nhwo->io", x, dhidden)',
        'dw2 = np.einsum("nhwi,nhwo->io", hidden[-1:], g[-1:])\n'
        '    dw1 = np.einsum("nhwi,nhwo->io", x[-1:], dhidden[-1:])',
    ),
    (
        14,
        "the upstream gradient ignored",
        "Everything is multiplied with g.",
        "g = g * (x + hidden @ w2 > 0)",
        "g = 1.0 * (x + hidden @ w2 > 0)",
    ),
    (
        512,
        "dW2 from the values before the inner ReLU",
        "W2 multiplies what comes out of the ReLU.",
        '"nhwi,nhwo->io", hidden, g)',
        '"nhwi,nhwo->io", x @ w1, g)',
    ),
]:
    block_backward.mistake(number, name, hint, old, new)


@block_backward.wrong(
    61,
    "one gradient array for both paths",
    "The branch changes the array in which the shortcut's gradient still stands.",
)
def shared_array(g, x, w1, w2):
    hidden = np.maximum(x @ w1, 0)
    shortcut = branch = g * (x + hidden @ w2 > 0)
    dw2 = np.einsum("nhwi,nhwo->io", hidden, branch)
    dhidden = (branch @ w2.T) * (hidden > 0)
    dw1 = np.einsum("nhwi,nhwo->io", x, dhidden)
    branch[...] = dhidden @ w1.T
    return shortcut + branch, dw1, dw2


# ---------------------------------------------------------------------- 4 a shortcut


shortcut.mistake(
    513,
    "beginning with the second row and column",
    "Every second row and column from the first on: x[:, ::2, ::2].",
    "x[:, ::2, ::2]",
    "x[:, 1::2, 1::2]",
)

shortcut.mistake(
    514,
    "new channels in front",
    "The zeros stand behind the old channels.",
    "(0, channels - x.shape[3])",
    "(channels - x.shape[3], 0)",
)

shortcut.mistake(
    515,
    "rows halved, columns not",
    "Both height and width are halved.",
    "x[:, ::2, ::2]",
    "x[:, ::2]",
)

shortcut.mistake(
    516,
    "as many channels more",
    "channels is how many there are in the end, not how many are added.",
    "channels - x.shape[3]",
    "channels",
)


@shortcut.wrong(517, "an average instead of a sample", "Option A samples; it averages nothing.")
def averaged(x, channels):
    even = np.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)), mode="edge")
    small = (even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]) / 4
    return np.pad(small, ((0, 0), (0, 0), (0, 0), (0, channels - x.shape[3])))


@shortcut.wrong(
    518, "the channels repeated", "The new channels are zeros, not copies of the old ones."
)
def repeated(x, channels):
    small = x[:, ::2, ::2]
    return np.take(small, np.arange(channels) % x.shape[3], axis=3)


# ---------------------------------------------------------------------- 5 SGD


for number, name, hint, old, new in [
    (
        65,
        "the learning rate folded into the velocity",
        "v collects gradients, w moves by lr * v: then a change of the rate acts at once.",
        f"{VELOCITY}\n            {MOVE}",
        "v[...] = self.momentum * v + self.lr * g\n"
        "            p.data -= self.lr * g + self.momentum * v if self.nesterov else v",
    ),
    (
        66,
        "the velocity not kept between steps",
        "The velocity of the last step is where the next one starts.",
        "v = self.velocities[i]",
        "v = np.zeros_like(p.data)",
    ),
    (
        67,
        "one velocity for all parameters of a shape",
        "Each parameter has a velocity of its own, even if another has its shape.",
        "self.velocities = [np.zeros_like(p.data) for p in parameters]",
        "shared = {p.data.shape: np.zeros_like(p.data) for p in parameters}\n"
        "        self.velocities = [shared[p.data.shape] for p in parameters]",
    ),
    (
        68,
        "the gradient dampened",
        "v = momentum * v + g; a factor 1 - momentum on g belongs to a moving average.",
        VELOCITY,
        "v[...] = self.momentum * v + (1 - self.momentum) * g",
    ),
    (
        69,
        "Nesterov looks back",
        "Nesterov uses the new velocity, g + momentum * v, after v was updated.",
        f"{VELOCITY}\n            {MOVE}",
        "old = v.copy()\n"
        f"            {VELOCITY}\n"
        "            p.data -= self.lr * (g + self.momentum * old if self.nesterov else v)",
    ),
    (
        70,
        "the decay's sign",
        "Decay pulls weights towards 0: the gradient of lambda * w^2 / 2 is + lambda * w.",
        GRADIENT,
        "g = p.grad - self.weight_decay * p.data",
    ),
    (
        71,
        "the decay not scaled by the learning rate",
        "Decay is part of the gradient, so it is multiplied by the learning rate too.",
        f"{GRADIENT}\n            v = self.velocities[i]",
        "g = p.grad.copy()\n"
        "            v = self.velocities[i]\n"
        "            p.data -= self.weight_decay * p.data",
    ),
    (
        72,
        "the decay after the momentum",
        "Decay is added to the gradient first; the velocity then carries it on.",
        f"{GRADIENT}\n            v = self.velocities[i]\n            {VELOCITY}",
        "g = p.grad\n"
        "            v = self.velocities[i]\n"
        f"            {VELOCITY}\n"
        "            p.data -= self.lr * self.weight_decay * p.data",
    ),
    (
        73,
        ".grad modified",
        "Leave p.grad alone: make a new array for gradient plus decay.",
        GRADIENT,
        "g = p.grad\n            g += self.weight_decay * p.data",
    ),
    (
        74,
        "data rebound",
        "Write into p.data (p.data -= ...): others hold the same array and would go stale.",
        MOVE,
        "p.data = p.data - self.lr * (g + self.momentum * v if self.nesterov else v)",
    ),
    (
        62,
        "zero_grad misses some parameters",
        "Every parameter's grad is set to None, not only the first's.",
        "        for p in self.parameters:\n            p.grad = None",
        "        for p in self.parameters[:1]:\n            p.grad = None",
    ),
    (
        519,
        "Nesterov with the plain step",
        "With nesterov the step is g + momentum * v.",
        "(g + self.momentum * v if self.nesterov else v)",
        "v",
    ),
    (
        520,
        "uphill",
        "Descent subtracts: w - lr * g.",
        "p.data -=",
        "p.data +=",
    ),
    (
        521,
        "a parameter without gradient decays",
        "Where grad is None, nothing happens, decay and velocity included.",
        "            if p.grad is None:\n                continue\n            " + GRADIENT,
        "            g = self.weight_decay * p.data\n"
        "            if p.grad is not None:\n"
        "                g = g + p.grad",
    ),
    (
        522,
        "gradients set to zero arrays",
        "zero_grad sets grad to None here.",
        "p.grad = None",
        "p.grad = np.zeros_like(p.data)",
    ),
]:
    SGD.mistake(number, name, hint, old, new)
