"""How assignment 5 is graded."""

import numpy as np

from minires.coursework import Draws, question

draw = Draws(seed=5)

# ---------------------------------------------------------------------- 1 the sum, forward


@question(points=1, returns="y")
def add_forward(x, f):
    out = [max(a + b, 0.0) for a, b in zip(x.ravel(), f.ravel(), strict=True)]
    return np.array(out).reshape(x.shape)


add_forward.case("random images", draw.normal(2, 3, 4, 2), draw.normal(2, 3, 4, 2), visible=True)
add_forward.case("sums that are 0", np.array([1.0, -2.0, 0.0]), np.array([-1.0, 2.0, 0.0]))

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


@add_forward.correct("mask")
def add_mask(x, f):
    total = x + f
    return total * (total > 0)


@add_forward.correct("where")
def add_where(x, f):
    return np.where(x > -f, x + f, 0.0)


@add_forward.correct("loops")
def add_loops(x, f):
    out = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        if x[i] + f[i] > 0:
            out[i] = x[i] + f[i]
    return out


@add_forward.correct("absolute value")
def add_absolute(x, f):
    return (x + f + abs(x + f)) / 2


@add_forward.correct("float32, Fortran order")
def add_float32(x, f):
    return np.asfortranarray(np.clip(np.add(x, f, dtype=np.float32), 0, None))


# ---------------------------------------------------------------------- 2 the sum, backward


@question(points=3, returns="dx df separate")
def add_backward(g, x, f):
    flat = [a if b + c > 0 else 0.0 for a, b, c in zip(g.flat, x.flat, f.flat, strict=True)]
    expected = np.array(flat).reshape(g.shape)
    return expected, expected, True


@add_backward.drive
def drive_add(student, g, x, f):
    upstream = g.copy()
    dx, df = student.add_backward(g, x, f)
    separate = not (np.shares_memory(dx, df) or np.shares_memory(dx, g) or np.shares_memory(df, g))
    return dx, df, separate and bool((g == upstream).all())


add_backward.case(
    "random images",
    draw.normal(2, 3, 4, 2),
    draw.normal(2, 3, 4, 2),
    draw.normal(2, 3, 4, 2),
    visible=True,
)
add_backward.case(
    "sums that are 0",
    np.array([1.0, 2.0, -3.0, 4.0]),
    np.array([1.0, -2.0, 0.0, 3.0]),
    np.array([-1.0, 2.0, 0.0, -1.0]),
)
add_backward.case(
    "nothing is cut off",
    draw.normal(3, 4),
    draw.normal(3, 4, mean=16.0),
    draw.normal(3, 4),
)

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


@add_backward.correct("where, twice")
def backward_where(g, x, f):
    return np.where(x + f > 0, g, 0.0), np.where(x + f > 0, g, 0.0)


@add_backward.correct("loops")
def backward_loops(g, x, f):
    dx, df = np.zeros_like(x), np.zeros_like(f)
    for i in np.ndindex(g.shape):
        if x[i] > -f[i]:
            dx[i] = df[i] = g[i]
    return dx, df


@add_backward.correct("assignment through a mask")
def backward_assigned(g, x, f):
    dx = g.copy()
    dx[x + f <= 0] = 0
    return dx, np.array(dx)


@add_backward.correct("heaviside")
def backward_heaviside(g, x, f):
    step = np.heaviside(x + f, 0.0)
    return [g * step, step * g]


@add_backward.correct("float32, Fortran order")
def backward_float32(g, x, f):
    dx = np.asfortranarray((g * (x + f > 0)).astype(np.float32))
    return dx, dx.copy(order="K")


# ---------------------------------------------------------------------- 3 a whole block, backward


@question(points=5, returns={"dx": 3, "dw1": 1, "dw2": 1})
def block_backward(g, x, w1, w2):
    """Place by place, channel by channel."""
    dx, dw1, dw2 = np.zeros_like(x), np.zeros_like(w1), np.zeros_like(w2)
    for n, h, w in np.ndindex(x.shape[:3]):
        before = [sum(x[n, h, w, i] * w1[i, j] for i in range(len(w1))) for j in range(len(w2))]
        hidden = [max(value, 0.0) for value in before]
        for k in range(w2.shape[1]):
            if x[n, h, w, k] + sum(hidden[j] * w2[j, k] for j in range(len(w2))) <= 0:
                continue
            upstream = g[n, h, w, k]
            dx[n, h, w, k] += upstream
            for j in range(len(w2)):
                dw2[j, k] += hidden[j] * upstream
                if before[j] > 0:
                    for i in range(len(w1)):
                        dw1[i, j] += x[n, h, w, i] * w2[j, k] * upstream
                        dx[n, h, w, i] += w1[i, j] * w2[j, k] * upstream
    return dx, dw1, dw2


def block_case(n, h, w, c, hidden):
    images = (n, h, w, c)
    weights = draw.normal(c, hidden), draw.normal(hidden, c)
    return draw.normal(*images), draw.normal(*images), *weights


block_backward.case("two images", *block_case(2, 3, 4, 2, 5), visible=True)
block_backward.case("one image, a narrow branch", *block_case(1, 2, 3, 4, 2))
block_backward.case("one place", *block_case(1, 1, 1, 3, 2))

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


@block_backward.correct("rows")
def block_rows(g, x, w1, w2):
    rows, upstream = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
    before = rows @ w1
    after = before * (before > 0)
    out = rows + after @ w2
    upstream = np.where(out > 0, upstream, 0.0)
    back = np.where(before > 0, upstream @ w2.T, 0.0)
    return (upstream + back @ w1.T).reshape(x.shape), rows.T @ back, after.T @ upstream


@block_backward.correct("image by image")
def block_by_image(g, x, w1, w2):
    dx, dw1, dw2 = np.empty_like(x), 0.0, 0.0
    for n in range(len(x)):
        for h in range(x.shape[1]):
            row = x[n, h]
            hidden = np.maximum(row @ w1, 0)
            up = g[n, h] * (row + hidden @ w2 > 0)
            dw2 = dw2 + hidden.T @ up
            back = (up @ w2.T) * (hidden > 0)
            dw1 = dw1 + row.T @ back
            dx[n, h] = up + back @ w1.T
    return dx, dw1, dw2


@block_backward.correct("tensordot")
def block_tensordot(g, x, w1, w2):
    axes = ((0, 1, 2), (0, 1, 2))
    before = np.tensordot(x, w1, 1)
    hidden = np.maximum(before, 0)
    up = g * np.heaviside(x + np.tensordot(hidden, w2, 1), 0)
    back = np.einsum("nhwo,io->nhwi", up, w2) * np.sign(hidden)
    dx = np.einsum("nhwo,io->nhwi", back, w1)
    dx += up
    return dx, np.tensordot(x, back, axes), np.tensordot(hidden, up, axes)


@block_backward.correct("float32")
def block_float32(g, x, w1, w2):
    mask = x + np.maximum(x @ w1, 0) @ w2 > 0
    active = x @ w1 > 0
    g, x, w1, w2 = (np.float32(a) for a in (g * mask, x, w1, w2))
    back = (g @ w2.T) * active
    hidden = (x @ w1) * active
    dw1, dw2 = np.einsum("abci,abco->io", x, back), np.einsum("abci,abco->io", hidden, g)
    return g + back @ w1.T, dw1, dw2


@block_backward.correct("loops over channels")
def block_channel_loops(g, x, w1, w2):
    hidden = np.zeros((*x.shape[:3], w1.shape[1]))
    for i, j in np.ndindex(w1.shape):
        hidden[..., j] += x[..., i] * w1[i, j]
    hidden[hidden < 0] = 0
    out = x.copy()
    for j, k in np.ndindex(w2.shape):
        out[..., k] += hidden[..., j] * w2[j, k]
    up = g * (out > 0)
    back = np.zeros_like(hidden)
    dw1, dw2 = np.zeros_like(w1), np.zeros_like(w2)
    for j, k in np.ndindex(w2.shape):
        back[..., j] += up[..., k] * w2[j, k] * (hidden[..., j] > 0)
        dw2[j, k] = (hidden[..., j] * up[..., k]).sum()
    dx = up.copy()
    for i, j in np.ndindex(w1.shape):
        dw1[i, j] = (x[..., i] * back[..., j]).sum()
        dx[..., i] += back[..., j] * w1[i, j]
    return dx, dw1, dw2


# ---------------------------------------------------------------------- 4 a shortcut


@question(points=2, returns="y")
def shortcut(x, channels):
    n, h, w, c = x.shape
    out = np.zeros((n, (h + 1) // 2, (w + 1) // 2, channels))
    for a, i, j, k in np.ndindex(out.shape):
        if k < c:
            out[a, i, j, k] = x[a, 2 * i, 2 * j, k]
    return out


shortcut.case("even sizes", draw.normal(2, 4, 6, 3), 6, visible=True)
shortcut.case("odd sizes", draw.normal(1, 5, 3, 2), 3)
shortcut.case("no new channels", draw.normal(1, 4, 3, 2), 2)

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


@shortcut.correct("assignment")
def shortcut_assigned(x, channels):
    small = x[:, ::2, ::2, :]
    out = np.zeros((*small.shape[:3], channels))
    out[..., : x.shape[3]] = small
    return out


@shortcut.correct("concatenation")
def shortcut_concatenated(x, channels):
    small = x[:, 0::2, 0::2]
    zeros = np.zeros((*small.shape[:-1], channels - small.shape[-1]))
    return np.concatenate([small, zeros], axis=-1)


@shortcut.correct("loops")
def shortcut_loops(x, channels):
    n, h, w, c = x.shape
    out = np.zeros((n, -(-h // 2), -(-w // 2), channels))
    for i in range(0, h, 2):
        for j in range(0, w, 2):
            for k in range(c):
                out[:, i // 2, j // 2, k] = x[:, i, j, k]
    return out


@shortcut.correct("a matrix product")
def shortcut_product(x, channels):
    return x[:, ::2, ::2] @ np.eye(x.shape[3], channels)


@shortcut.correct("float32, take")
def shortcut_float32(x, channels):
    rows = np.take(x, range(0, x.shape[1], 2), axis=1)
    small = np.take(rows, range(0, x.shape[2], 2), axis=2).astype(np.float32)
    return np.pad(small, [(0, 0)] * 3 + [(0, channels - x.shape[3])], constant_values=0)


# ---------------------------------------------------------------------- 5 SGD


@question(points=9, returns={"weights": 6, "data_in_place": 1, "grads_kept": 1, "cleared": 1})
def SGD(weights, gradients, rates, momentum, weight_decay, nesterov):
    """Number by number."""
    path, now = [], [list(w.ravel()) for w in weights]
    velocity = [[0.0] * w.size for w in weights]
    for rate, step in zip(rates, gradients, strict=True):
        for k, gradient in enumerate(step):
            if gradient is None:
                continue
            for i, g in enumerate(gradient.ravel()):
                g = g + weight_decay * now[k][i]
                velocity[k][i] = momentum * velocity[k][i] + g
                move = g + momentum * velocity[k][i] if nesterov else velocity[k][i]
                now[k][i] -= rate * move
        path.append([np.array(v).reshape(w.shape) for v, w in zip(now, weights, strict=True)])
    return path, True, True, [True] * len(weights)


@SGD.drive
def drive_sgd(student, weights, gradients, rates, momentum, weight_decay, nesterov):
    parameters = [student.Parameter(w) for w in weights]
    options = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
    optimiser = student.SGD(parameters, rates[0], **options)
    path, kept = [], True
    for rate, step in zip(rates, gradients, strict=True):
        optimiser.lr = rate
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = None if gradient is None else gradient.copy()
        optimiser.step()
        for parameter, gradient in zip(parameters, step, strict=True):
            if gradient is not None:
                kept = kept and bool((parameter.grad == gradient).all())
        path.append([parameter.data.copy() for parameter in parameters])
    in_place = all(p.data is w for p, w in zip(parameters, weights, strict=True))
    optimiser.zero_grad()
    return path, in_place, kept, [parameter.grad is None for parameter in parameters]


def steps(count, *shapes):
    return [[draw.normal(*shape) for shape in shapes] for _ in range(count)]


def weights(*shapes):
    return [draw.normal(*shape, mean=2.0) for shape in shapes]


SGD.case(
    "plain, the learning rate changes",
    weights((3, 2), (2,)),
    steps(3, (3, 2), (2,)),
    [0.5, 0.25, 0.125],
    0.0,
    0.0,
    False,
    visible=True,
)
SGD.case(
    "momentum, the learning rate changes",
    weights((2, 3), (3,)),
    steps(4, (2, 3), (3,)),
    [0.5, 0.5, 0.125, 0.0625],
    0.75,
    0.0,
    False,
    visible=True,
)
SGD.case(
    "momentum, two parameters of one shape",
    weights((3,), (3,)),
    steps(3, (3,), (3,)),
    [0.25, 0.25, 0.25],
    0.5,
    0.0,
    False,
)
SGD.case("weight decay", weights((2, 2)), steps(3, (2, 2)), [0.5, 0.25, 0.25], 0.0, 0.125, False)
SGD.case(
    "weight decay and momentum",
    weights((2, 3)),
    steps(4, (2, 3)),
    [0.5, 0.25, 0.25, 0.125],
    0.75,
    0.125,
    False,
)
SGD.case(
    "Nesterov and weight decay",
    weights((2, 2), (2,)),
    steps(4, (2, 2), (2,)),
    [0.5, 0.25, 0.25, 0.125],
    0.75,
    0.0625,
    True,
)
SGD.case(
    "a parameter without gradient",
    weights((2,), (2,)),
    [[g, None if i == 1 else h] for i, (g, h) in enumerate(steps(3, (2,), (2,)))],
    [0.5, 0.25, 0.25],
    0.5,
    0.125,
    False,
)

VELOCITY = "v[...] = self.momentum * v + g"
MOVE = "p.data -= self.lr * (g + self.momentum * v if self.nesterov else v)"
GRADIENT = "g = p.grad + self.weight_decay * p.data"

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


@SGD.correct("velocities in a dictionary")
class Dictionary:
    def __init__(self, parameters, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
        self.parameters, self.lr, self.momentum = parameters, lr, momentum
        self.weight_decay, self.nesterov, self.state = weight_decay, nesterov, {}

    def step(self):
        for p in self.parameters:
            if p.grad is not None:
                g = p.grad + self.weight_decay * p.data
                v = self.momentum * self.state.get(id(p), 0.0) + g
                self.state[id(p)] = v
                if self.nesterov:
                    v = g + self.momentum * v
                np.subtract(p.data, self.lr * v, out=p.data)

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None


@SGD.correct("velocities made when first used")
class Lazy:
    def __init__(self, parameters, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
        self.parameters = list(parameters)
        self.lr, self.momentum = lr, momentum
        self.weight_decay, self.nesterov = weight_decay, nesterov
        self.velocities = [None] * len(self.parameters)

    def step(self):
        for i in range(len(self.parameters)):
            p = self.parameters[i]
            if p.grad is None:
                continue
            g = p.grad.copy()
            if self.weight_decay != 0:
                g += p.data * self.weight_decay
            if self.momentum != 0:
                if self.velocities[i] is None:
                    self.velocities[i] = g.copy()
                else:
                    self.velocities[i] *= self.momentum
                    self.velocities[i] += g
                g = g + self.momentum * self.velocities[i] if self.nesterov else self.velocities[i]
            p.data[...] = p.data - self.lr * g

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None


@SGD.correct("loops")
class Loops:
    def __init__(self, parameters, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
        self.parameters, self.lr, self.momentum = parameters, lr, momentum
        self.weight_decay, self.nesterov = weight_decay, nesterov
        self.velocities = [np.zeros(p.data.size) for p in parameters]

    def step(self):
        for p, v in zip(self.parameters, self.velocities, strict=True):
            if p.grad is None:
                continue
            flat = p.data.reshape(-1)
            for i, g in enumerate(p.grad.reshape(-1)):
                decayed = g + self.weight_decay * flat[i]
                v[i] = self.momentum * v[i] + decayed
                flat[i] -= self.lr * (decayed + self.momentum * v[i] if self.nesterov else v[i])

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None


@SGD.correct("velocities on the parameters")
class OnParameters:
    def __init__(self, parameters, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
        self.parameters, self.lr, self.momentum = parameters, lr, momentum
        self.weight_decay, self.nesterov = weight_decay, nesterov
        for p in parameters:
            p.velocity = np.zeros(p.data.shape, order="F")

    def step(self):
        for p in filter(lambda p: p.grad is not None, self.parameters):
            g = np.add(p.grad, np.multiply(self.weight_decay, p.data))
            p.velocity = p.velocity * self.momentum + g
            p.data -= self.lr * p.velocity * (self.momentum if self.nesterov else 1.0)
            if self.nesterov:
                p.data -= self.lr * g

    def zero_grad(self):
        [setattr(p, "grad", None) for p in self.parameters]


@SGD.correct("negated velocity")
class Negated:
    def __init__(self, parameters, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
        self.parameters, self.lr, self.momentum = parameters, lr, momentum
        self.weight_decay, self.nesterov = weight_decay, nesterov
        self.downhill = {k: -0.0 * p.data for k, p in enumerate(parameters)}

    def step(self):
        for k, p in enumerate(self.parameters):
            if p.grad is None:
                continue
            g = -(p.grad + p.data * self.weight_decay)
            self.downhill[k] = self.momentum * self.downhill[k] + g
            p.data += self.lr * (
                self.momentum * self.downhill[k] + g if self.nesterov else self.downhill[k]
            )

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None
