"""Other right ways to solve assignment 5; they run in the names of `grading.py`."""

# ---------------------------------------------------------------------- 1 the sum, forward


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
