"""Other right ways to solve assignment 8; they run in the names of `grading.py`."""

# ---------------------------------------------------------------------- 1 the optimiser


@mend_optimiser.correct("a new optimiser")
def optimiser_anew(setup):
    old, own = setup.optimiser, setup.model.parameters()
    lacking = [p for p in own if not any(p is q for q in old.parameters)]
    if not lacking:
        return "nothing"
    setup.optimiser = SGD(own, old.lr, old.momentum, old.weight_decay)
    return "foreign parameters" if len(lacking) == len(own) else "missing parameters"


@mend_optimiser.correct("only what lacks is added")
def optimiser_added(setup):
    held = setup.optimiser.parameters
    ids = set(map(id, held))
    lacking = [p for p in setup.model.parameters() if id(p) not in ids]
    held.extend(lacking)
    return "missing parameters" if lacking else "nothing"


@mend_optimiser.correct("by what a step changes")
def optimiser_by_a_step(setup):
    own = setup.model.parameters()
    before = [p.data.copy() for p in own]
    setup.step(setup, setup.images[:50], setup.labels[:50])
    still = [np.array_equal(p.data, b) for p, b in zip(own, before, strict=True)]
    for p, b in zip(own, before, strict=True):
        p.data[...] = b
    if not any(still):
        return "nothing"
    old = setup.optimiser
    setup.optimiser = SGD(own, old.lr, old.momentum, old.weight_decay)
    return "missing parameters"


@mend_optimiser.correct("a mark on each parameter, all numbers in a new list")
def optimiser_marked(setup):
    optimiser = setup.optimiser
    for held in optimiser.parameters:
        held.mark = "held"
    unmarked = 0
    for layer in setup.model.layers:
        for p in layer.parameters():
            unmarked += getattr(p, "mark", "") != "held"
    for held in optimiser.parameters:
        del held.mark
    total = len(setup.model.parameters())
    optimiser.__init__(
        setup.model.parameters(), optimiser.lr, optimiser.momentum, optimiser.weight_decay
    )
    return {0: "nothing", total: "foreign parameters"}.get(unmarked, "missing parameters")


@mend_optimiser.correct("whose gradients zero_grad clears")
def optimiser_cleared(setup):
    for p in setup.model.parameters():
        p.grad += 1
    setup.optimiser.zero_grad()
    left = []
    while any(p.grad.any() for p in setup.model.parameters()):
        p = next(p for p in setup.model.parameters() if p.grad.any())
        p.grad.fill(0)
        left.append(p)
    if left and len(left) < len(setup.model.parameters()):
        setup.optimiser.parameters += left
        return CAUSES[1]
    if left:
        setup.optimiser.parameters[:] = left
        return CAUSES[2]
    return CAUSES[0]


# ---------------------------------------------------------------------- 2 what goes into the loss


def outputs_source(test, double):
    return (
        "def mend_outputs(setup):\n"
        "    layers = setup.model.layers\n"
        "    z = setup.model.forward(setup.images)\n"
        "    if (z >= 0).all() and not np.allclose(z.sum(axis=1), 1):\n"
        "        setup.model.layers = [*layers[:-1]]\n"
        "        return 'clipped outputs'\n"
        f"    if np.allclose(z.sum(axis=1), 1) and {test}:\n"
        f"        {double}\n"
        "        return 'double softmax'\n"
        "    return 'nothing'\n"
    )


PERFECT = "setup.loss(np.eye(10), np.arange(10))[0] > 0.1"
ROWS = "abs(setup.loss(np.ones((1, 10)) / 10, np.array([0]))[1].sum()) < 1e-9"

mend_outputs.right_source(
    "what the model returns, the loss of certain guesses", outputs_source(PERFECT, "layers.pop()")
)
mend_outputs.right_source(
    "gradients that sum to 0, another loss",
    outputs_source(ROWS, "setup.loss = negative_log_likelihood"),
)
mend_outputs.right_source(
    "a layer less in a new model",
    outputs_source(PERFECT, "setup.model = Model(layers[:-1])").replace(
        "setup.model.layers = [*layers[:-1]]", "del layers[-1]"
    ),
)


@mend_outputs.correct("another layer that does nothing in its place")
def outputs_passed_on(setup):
    class Same(ReLU):
        def forward(self, x):
            return x

        def backward(self, g):
            return g

    *_, last = setup.model.layers
    name = type(last).__name__
    p = np.random.default_rng(3).dirichlet(np.ones(10), size=4)
    g = setup.loss(p, np.arange(4))[1]
    wants_logits = np.allclose(g @ np.ones(10), 0)
    cause = {"ReLU": "clipped outputs", "Softmax": "double softmax"}.get(name)
    if cause is None or (name == "Softmax" and not wants_logits):
        return "nothing"
    setup.model.layers[-1] = Same()
    return cause


@mend_outputs.correct("logarithms back from probabilities, the ReLU's methods replaced")
def outputs_inverted(setup):
    last, loss = setup.model.layers[-1], setup.loss
    if isinstance(last, ReLU):
        last.forward = last.backward = lambda values: values
        return "clipped outputs"
    if not isinstance(last, Softmax):
        return "nothing"
    tried = [loss(np.full((1, 10), c), np.array([3]))[0] for c in (0.2, 0.5, 0.9)]
    if max(tried) - min(tried) > 1e-9:
        return "nothing"

    def of_probabilities(p, y):
        p = np.clip(p, 1e-12, 1)
        value, g = loss(np.log(p), y)
        return value, g / p

    setup.loss = of_probabilities
    return "double softmax"


@mend_outputs.correct("a model that passes its last layer by")
def outputs_passed_by(setup):
    class Shorter(Model):
        def forward(self, x):
            for layer in self.layers[:-1]:
                x = layer.forward(x)
            return x

        def backward(self, g):
            for layer in self.layers[-2::-1]:
                g = layer.backward(g)

    has_weights = bool(setup.model.layers[-1].parameters())
    if has_weights:
        return "nothing"
    if setup.model.forward(setup.images).any(axis=1).all():
        _, g = setup.loss(np.full((3, 10), 0.1), np.array([2, 4, 6]))
        if np.count_nonzero(g) == 3:
            return "nothing"
        cause = "double softmax"
    else:
        cause = "clipped outputs"
    setup.model = Shorter(setup.model.layers)
    return cause


@mend_outputs.correct("down to the last linear layer, what the loss needs put back")
def outputs_put_back(setup):
    removed = []
    while type(setup.model.layers[-1]) is not Linear:
        removed.append(setup.model.layers.pop())
    low, high = (setup.loss(c * np.eye(10), np.arange(10))[0] for c in (1, 20))
    takes_probabilities = low < 1e-9 or high > low
    for layer in removed:
        if isinstance(layer, ReLU):
            return "clipped outputs"
        if not takes_probabilities:
            return "double softmax"
        setup.model.layers += [layer]
    return "nothing"


# ---------------------------------------------------------------------- 3 the order of a step


@mend_step.correct("a new optimiser that writes down what is called")
def step_recorded(setup):
    calls = []

    class Recorder(SGD):
        def zero_grad(self):
            calls.append("0")

        def step(self):
            calls.append("s")

    old = setup.optimiser
    setup.optimiser = Recorder(old.parameters, old.lr)
    setup.model.backward = lambda g: calls.append("b")
    for _ in range(3):
        setup.step(setup, setup.images[:5], setup.labels[:5])
    setup.optimiser = old
    del setup.model.backward
    text = "".join(calls)
    if "s" not in text:
        cause = "no step"
    elif "0" not in text:
        cause = "no zero_grad"
    elif "bs" in text:
        return "nothing"
    else:
        cause = "step before backward"
    setup.step = lambda s, x, y: step(s, x, y)
    return cause


@mend_step.correct("by what steps do, with another order")
def step_by_numbers(setup):
    x, y, own = setup.images[:20], setup.labels[:20], setup.model.parameters()
    optimiser = setup.optimiser
    first = [p.data.copy() for p in own]
    stepped, zero, back = [], [], optimiser.step
    zeroed = optimiser.zero_grad
    optimiser.step = lambda: stepped.append(any(p.grad.any() for p in own))
    optimiser.zero_grad = lambda: (zero.append(1), zeroed())[1]
    for _ in range(3):
        setup.step(setup, x, y)
    optimiser.step, optimiser.zero_grad = back, zeroed
    zeroed()
    for p, data in zip(own, first, strict=True):
        p.data[...] = data
    if stepped and zero and stepped[-1]:
        return "nothing"

    def mended(setup, x, y):
        loss, g = setup.loss(setup.model.forward(x), y)
        setup.model.backward(g)
        setup.optimiser.step()
        setup.optimiser.zero_grad()
        return loss

    setup.step = mended
    return "no step" if not stepped else "zero_grad before the step" if zero else "no zero_grad"


@mend_step.correct("the rate and momentum 0, then velocities are gradients")
def step_velocities(setup):
    x, y, o = setup.images[:30], setup.labels[:30], setup.optimiser
    numbers = o.lr, o.momentum, o.weight_decay
    o.lr = o.momentum = o.weight_decay = 0.0
    o.zero_grad()
    setup.model.backward(setup.loss(setup.model.forward(x), y)[1])
    wanted = np.concatenate([p.grad.ravel() for p in o.parameters])
    o.zero_grad()
    o.velocities.clear()
    for _ in range(4):
        setup.step(setup, x, y)
    seen = [np.ravel(o.velocities[id(p)]) for p in o.parameters if id(p) in o.velocities]
    o.lr, o.momentum, o.weight_decay = numbers
    o.velocities.clear()
    o.zero_grad()
    if not seen:
        cause = "no step"
    else:
        times = round(np.concatenate(seen) @ wanted / (wanted @ wanted))
        cause = {0: "step before backward", 1: "nothing"}.get(times, "no zero_grad")
    if cause != "nothing":
        setup.step = step
    return cause


@mend_step.correct("counts of backward passes; the old step with its calls held back")
def step_held_back(setup):
    optimiser, model, old = setup.optimiser, setup.model, setup.step
    pending, records = [0], []

    def passed(g):
        pending[0] += 1

    optimiser.step = lambda: records.append(pending[0])
    optimiser.zero_grad = lambda: pending.__setitem__(0, 0)
    model.backward = passed
    for first in range(0, 40, 10):
        old(setup, setup.images[first : first + 10], setup.labels[first : first + 10])
    del optimiser.step, optimiser.zero_grad, model.backward

    def mended(setup, images, labels):
        now = setup.optimiser
        now.zero_grad()
        now.step = now.zero_grad = lambda: None
        loss = old(setup, images, labels)
        del now.step, now.zero_grad
        now.step()
        return loss

    if not records:
        cause = "no step"
    elif records[-1] > 1:
        cause = "no zero_grad"
    elif records[-1] < 1:
        cause = "zero_grad before the step"
    else:
        return "nothing"
    setup.step = mended
    return cause


@mend_step.correct("a set-up of dummies")
def step_of_dummies(setup):
    class Dummy:
        """Anything, which writes down how it is called."""

        def __init__(self, told, **others):
            self.told = told
            vars(self).update(others)

        def forward(self, x):
            return np.zeros((len(x), 10))

        def backward(self, g):
            self.told.append("gradient")

        def step(self):
            self.told.append("step")

        def zero_grad(self):
            self.told.append("clear")

    told = []
    dummy = Dummy(told, model=Dummy(told), optimiser=Dummy(told), loss=setup.loss)
    for _ in range(3):
        setup.step(dummy, setup.images[:4], setup.labels[:4])
    if "step" not in told:
        cause = "no step"
    elif "clear" not in told:
        cause = "no zero_grad"
    else:
        middle = told.index("step", len(told) // 3)
        if told[middle - 1] == "gradient":
            return "nothing"
        cause = "step before backward"

    class Step:
        def __call__(self, setup, images, labels):
            for p in setup.optimiser.parameters:
                p.grad = np.zeros_like(p.data)
            outputs = setup.model.forward(images)
            loss, g = setup.loss(outputs, labels)
            setup.model.backward(g)
            setup.optimiser.step()
            return loss

    setup.step = Step()
    return cause


# ---------------------------------------------------------------------- 4 the evaluation


@mend_evaluation.correct("the flags written down")
def evaluation_flags(setup):
    seen, forward = [], setup.model.forward
    norms = [layer for layer in setup.model.layers if hasattr(layer, "training")]

    def watched(x):
        seen.append(norms[-1].training)
        return forward(x)

    setup.model.forward = watched
    setup.evaluate(setup, setup.images[:10], setup.labels[:10])
    after = norms[0].training
    del setup.model.forward
    setup.model.train(True)
    if seen == [False] and after:
        return "nothing"
    old = setup.evaluate

    def mended(setup, x, y):
        train, setup.model.train = setup.model.train, lambda training: None
        train(False)
        share = old(setup, x, y)
        del setup.model.train
        setup.model.train(True)
        return share

    setup.evaluate = mended
    return "trained in evaluation mode" if not after else "evaluated in training mode"


@mend_evaluation.correct("one image alone and in a batch")
def evaluation_alone(setup):
    norms = [layer for layer in setup.model.layers if isinstance(layer, BatchNorm)]
    before = [(n.mean.copy(), n.var.copy()) for n in norms]
    setup.evaluate(setup, setup.images, setup.labels)
    same = all(np.array_equal(n.mean, m) for n, (m, _) in zip(norms, before, strict=True))
    on = [n.training for n in norms]
    for n, (m, v) in zip(norms, before, strict=True):
        n.mean, n.var, n.training = m, v, True

    def mended(setup, images, labels):
        setup.model.train(False)
        right = 0
        for image, label in zip(images, labels, strict=True):
            right += int(np.argmax(setup.model.forward(image[None])[0]) == label)
        setup.model.train(True)
        return right / len(labels)

    if same and all(on):
        return "nothing"
    setup.evaluate = mended
    return "evaluated in training mode" if not same else "trained in evaluation mode"


@mend_evaluation.correct("one more layer as a witness")
def evaluation_witnessed(setup):
    class Witness(BatchNorm):
        def forward(self, x):
            self.during = self.training
            return x

    witness = Witness(10)
    setup.model.layers.append(witness)
    try:
        setup.evaluate(setup, setup.images[:3], setup.labels[:3])
    finally:
        setup.model.layers.remove(witness)
    setup.model.train(True)
    match witness.during, witness.training:
        case False, True:
            return "nothing"
        case _, False:
            cause = "trained in evaluation mode"
        case _:
            cause = "evaluated in training mode"
    setup.evaluate = evaluate
    return cause


@mend_evaluation.correct("a dummy model; switched by hand, back whatever happens")
def evaluation_of_a_dummy(setup):
    class Dummy:
        model = property(lambda self: self)
        state, story = True, ""

        def train(self, training):
            self.state = bool(training)

        def forward(self, x):
            self.story += "t" if self.state else "e"
            return np.zeros((len(x), 10))

    dummy = Dummy()
    setup.evaluate(dummy, setup.images[:7], setup.labels[:7])
    if "t" not in dummy.story and dummy.state:
        return "nothing"

    def mended(setup, images, labels):
        norms = [one for one in setup.model.layers if isinstance(one, BatchNorm)]
        try:
            for norm in norms:
                norm.training = False
            found = np.argmax(setup.model.forward(images), axis=-1)
        finally:
            for norm in norms:
                norm.training = True
        return np.count_nonzero(found == labels) / len(labels)

    setup.evaluate = mended
    return CAUSES[9] if "t" in dummy.story else CAUSES[10]


@mend_evaluation.correct("own batch norm, no switch is touched")
def evaluation_by_formula(setup):
    norms = [layer for layer in setup.model.layers if "gamma" in vars(layer)]
    means = [layer.mean for layer in norms]
    setup.evaluate(setup, setup.images[-20:], setup.labels[-20:])
    moved = sum(layer.mean is not mean for layer, mean in zip(norms, means, strict=True))
    cause = "evaluated in training mode" if moved else "trained in evaluation mode"
    if not moved and norms[0].training:
        cause = "nothing"

    def share(setup, x, labels):
        for layer in setup.model.layers:
            if isinstance(layer, BatchNorm):
                factor = layer.gamma.data / np.sqrt(layer.var + 1e-5)
                x = x * factor + (layer.beta.data - layer.mean * factor)
            else:
                x = layer.forward(x)
        return float(np.mean(x.argmax(axis=1) == labels))

    setup.evaluate = share
    for layer in norms:
        layer.training = True
    return cause


@mend_evaluation.correct("only by the running statistics, before and behind")
def evaluation_by_statistics(setup):
    def statistics():
        norms = (one for one in setup.model.layers if isinstance(one, BatchNorm))
        return np.concatenate([np.r_[one.mean, one.var] for one in norms])

    a = statistics()
    setup.evaluate(setup, setup.images[::3], setup.labels[::3])
    b = statistics()
    setup.model.forward(setup.images[::2])
    c = statistics()
    setup.model.train(True)
    if (b == a).all() and (c != b).any():
        return "nothing"

    def in_parts(setup, images, labels):
        setup.model.train(False)
        right = 0
        for i in range(0, len(labels), 32):
            right += (setup.model.forward(images[i : i + 32]).argmax(1) == labels[i : i + 32]).sum()
        setup.model.train(True)
        return right / len(labels)

    setup.evaluate = in_parts
    return "evaluated in training mode" if (b != a).any() else "trained in evaluation mode"


# ---------------------------------------------------------------------- 5 the labels


@mend_labels.correct("the images are moved")
def labels_by_images(setup):
    x, y = setup.images, setup.labels
    order = ((x[:, None] - x) ** 2).sum(axis=2).argsort(axis=1)[:, 1:4]

    def agreement(labels):
        return (labels[order] == labels[:, None]).mean()

    places = np.arange(len(y))
    ways = [(places + k) % len(y) for k in places] + [(k - places) % len(y) for k in places]
    values = [agreement(y[way]) for way in ways]
    best = ways[int(np.argmax(values))]
    if np.array_equal(best, places):
        return "nothing"
    back = np.empty_like(best)
    back[best] = places
    setup.images = x[back]
    return "shuffled labels"


@mend_labels.correct("spread within classes")
def labels_by_spread(setup):
    x, y = setup.images, setup.labels

    def spread(labels):
        hot = np.eye(10)[labels]
        return -((hot.T @ x) ** 2 / np.maximum(hot.sum(axis=0), 1)[:, None]).sum()

    found = {}
    for turned in (False, True):
        labels = y[::-1] if turned else y
        for k in range(len(y)):
            found[turned, k] = spread(np.roll(labels, k))
    turned, k = min(found, key=found.get)
    setup.labels = np.roll(y[::-1] if turned else y, k)
    return "shuffled labels" if turned or k else "nothing"


@mend_labels.correct("how well least squares fit each order")
def labels_by_regression(setup):
    x = np.c_[setup.images, np.ones(len(setup.images))]
    hat = x @ np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T)
    hot = (setup.labels[:, None] == np.arange(10)).astype(float)
    best, best_order = -1.0, None
    forward = np.arange(len(hot))
    for order in (forward, forward[::-1]):
        for _ in range(len(hot)):
            candidate = hot[order]
            explained = np.sum(candidate * (hat @ candidate))
            if explained > best:
                best, best_order = explained, order
            order = np.append(order[1:], order[0])
    healthy = np.all(best_order == forward)
    if not healthy:
        setup.labels = setup.labels[best_order]
    return "nothing" if healthy else "shuffled labels"


@mend_labels.correct("the first order that fits, written into the old array")
def labels_first_fit(setup):
    x, y = setup.images, setup.labels
    n = len(x)
    near = np.array([np.argsort(((x - image) ** 2).sum(axis=1))[1] for image in x])

    def orders():
        for k in range(n):
            yield [(i + k) % n for i in range(n)]
        for k in range(n):
            yield [(k - i) % n for i in range(n)]

    for tried, order in enumerate(orders()):
        labels = y[order]
        if sum(labels == labels[near]) > n / 2:
            y[:] = labels
            return "shuffled labels" if tried else "nothing"
    return "nothing"


@mend_labels.correct("class means of one half, the other half classified")
def labels_by_means(setup):
    def fits(x, y):
        means = np.stack([x[::2][y[::2] == c].mean(axis=0) for c in np.unique(y[::2])])
        scores = x[1::2] @ means.T - (means**2).sum(axis=1) / 2
        return np.mean(np.unique(y[::2])[scores.argmax(axis=1)] == y[1::2])

    n, turned = len(setup.labels), {1: setup.images, -1: setup.images[::-1]}
    _, way, by = max(
        (fits(np.roll(turned[way], by, axis=0), setup.labels), way, -by)
        for way in turned
        for by in range(n)
    )
    if (way, by) == (1, 0):
        return "nothing"
    setup.images = np.concatenate([turned[way][by % n :], turned[way][: by % n]])
    return "shuffled labels"


@mend_labels.correct("pairs of equal labels against a matrix of likeness")
def labels_by_pairs(setup):
    x = setup.images - setup.images.mean(axis=0)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    likeness = (x @ x.T) ** 3
    orders = [setup.labels, np.flip(setup.labels)]
    values = np.empty((2, len(x)))
    for i, y in enumerate(orders):
        same = np.equal.outer(y, y).astype(float)
        for k in range(len(x)):
            values[i, k] = np.vdot(likeness, same)
            same = np.roll(same, (1, 1), axis=(0, 1))
    i, k = np.unravel_index(values.argmax(), values.shape)
    setup.labels = np.roll(orders[i], k)
    return "shuffled labels" if i + k > 0 else "nothing"


# ---------------------------------------------------------------------- 6 the first weights


@mend_start.correct("by the layers' outputs, uniform weights")
def start_uniform(setup):
    rng, layers, x = np.random.default_rng(7), setup.model.layers, setup.images
    cause = "nothing"
    for layer in layers:
        x = layer.forward(x)
        if isinstance(layer, ReLU) and cause == "nothing":
            if not x.any():
                cause = "dead layer"
            elif np.allclose(x, x[:, :1]):
                cause = "equal units"
    if cause == "nothing":
        return cause
    for layer in layers:
        if isinstance(layer, Linear):
            a, b = layer.w.data.shape
            layer.w.data = rng.uniform(-1, 1, (a, b)) * np.sqrt(6 / a)
            layer.b.data = np.zeros(b)
    return cause


@mend_start.correct("by the weights and ReLU's masks")
def start_by_weights(setup):
    linears = [layer for layer in setup.model.layers if isinstance(layer, Linear)]
    setup.model.forward(setup.images)
    masks = [layer.mask for layer in setup.model.layers if isinstance(layer, ReLU)]
    equal = any((layer.w.data == layer.w.data[:, :1]).all() for layer in linears[:-1])
    dead = any(mask.sum() == 0 for mask in masks)
    if equal or dead:
        for i, layer in enumerate(linears):
            rng = np.random.default_rng(i)
            shape = layer.w.data.shape
            layer.w, layer.b = Parameter(rng.normal(0, 0.2, shape)), Parameter(np.zeros(shape[1]))
        setup.optimiser.parameters = setup.model.parameters()
    return "equal units" if equal else "dead layer" if dead else "nothing"


@mend_start.correct("by gradients; every weight as large, of any sign")
def start_by_gradients(setup):
    setup.optimiser.zero_grad()
    _, g = setup.loss(setup.model.forward(setup.images), setup.labels)
    setup.model.backward(g)
    linears = [layer for layer in setup.model.layers if hasattr(layer, "w")]
    causes = []
    for layer in linears[:-1]:
        grad = np.vstack([layer.w.grad, layer.b.grad])
        if not grad.any():
            causes.append("dead layer")
        elif np.allclose(grad, grad.mean(axis=1, keepdims=True), rtol=0, atol=1e-9):
            causes.append("equal units")
    setup.optimiser.zero_grad()
    if not causes:
        return "nothing"
    rng = np.random.default_rng(11)
    for layer in linears:
        inputs = len(layer.w.data)
        layer.w.data = rng.choice([-1.0, 1.0], layer.w.data.shape) * (2 / inputs) ** 0.5
        layer.b.data[:] = 0
    return causes[0]


@mend_start.correct("recursion over the layers, orthogonal weights")
def start_orthogonal(setup):
    def look(layers, x):
        if len(layers) < 2:
            return "nothing"
        z = layers[0].forward(x)
        if isinstance(layers[1], ReLU):
            if z.max() <= 0:
                return "dead layer"
            if z.std(axis=1).sum() < 1e-9 * abs(z).sum():
                return "equal units"
        return look(layers[1:], z)

    def drawn(shape, rng):
        u, _, v = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
        return u @ v * np.sqrt(2 * max(shape) / shape[0])

    cause = look(setup.model.layers, setup.images)
    if cause != "nothing":
        rng = np.random.default_rng(2)
        for p in setup.model.parameters():
            p.data[...] = drawn(p.data.shape, rng) if p.data.ndim == 2 else 0
    return cause


@mend_start.correct("the columns counted, new layers in the old ones' places")
def start_columns(setup):
    layers, found, x = setup.model.layers, set(), setup.images
    for i, layer in enumerate(layers):
        x = layer.forward(x)
        if found or i + 1 == len(layers):
            break
        if isinstance(layer, Linear):
            columns = {(*w, b) for w, b in zip(layer.w.data.T, layer.b.data, strict=True)}
            if len(columns) == 1:
                found.add("equal units")
            elif not np.any(x > 0):
                found.add("dead layer")
    if not found:
        return "nothing"
    rng = np.random.default_rng(42)

    def anew(layer):
        if not isinstance(layer, Linear):
            return layer
        a, b = np.shape(layer.w.data)
        return Linear(np.sqrt(2 / a) * rng.normal(size=(a, b)), np.zeros(b))

    setup.model = Model([anew(layer) for layer in layers])
    o = setup.optimiser
    setup.optimiser = SGD(setup.model.parameters(), o.lr, o.momentum, o.weight_decay)
    return found.pop()


# ---------------------------------------------------------------------- 7 rate, momentum, decay


@mend_rates.correct("a new optimiser")
def rates_anew(setup):
    o = setup.optimiser
    if o.momentum >= 1:
        cause = "momentum too high"
    elif o.weight_decay >= 1:
        cause = "decay too strong"
    elif o.lr / (1 - o.momentum) > 0.5:
        cause = "rate too high"
    elif o.lr / (1 - o.momentum) < 0.05:
        cause = "rate too low"
    else:
        return "nothing"
    setup.optimiser = SGD(setup.model.parameters(), lr=0.03, momentum=0.9)
    return cause


@mend_rates.correct("nothing but what is wrong, the least change")
def rates_clipped(setup):
    o = setup.optimiser
    if o.momentum > 0.9:
        o.momentum, o.lr = 0.9, min(o.lr, 0.03)
        return "momentum too high"
    if o.weight_decay > 0.01:
        o.weight_decay = 1e-4
        return "decay too strong"
    rate = o.lr / (1 - o.momentum)
    clipped = min(max(rate, 0.1), 0.5)
    if 0.05 <= rate <= 0.5:
        return "nothing"
    o.lr = clipped * (1 - o.momentum)
    return "rate too low" if clipped > rate else "rate too high"


@mend_rates.correct("a table of what is allowed")
def rates_by_table(setup):
    rules = [
        ("momentum too high", lambda o: o.momentum > 0.95, {"momentum": 0.5, "lr": 0.1}),
        ("decay too strong", lambda o: o.weight_decay > 0.5, {"weight_decay": 0.001}),
        ("rate too high", lambda o: o.lr > 1.5 * (1 - o.momentum), {"lr": 0.05, "momentum": 0.5}),
        ("rate too low", lambda o: o.lr < 0.02 * (1 - o.momentum), {"lr": 0.05, "momentum": 0.5}),
    ]
    for cause, is_off, numbers in rules:
        if is_off(setup.optimiser):
            for name, value in numbers.items():
                setattr(setup.optimiser, name, value)
            return cause
    return "nothing"


@mend_rates.correct("by trainings of a copy, one number changed at a time")
def rates_by_trainings(setup):
    from copy import deepcopy

    def losses(**numbers):
        one = deepcopy(setup)
        one.optimiser = SGD(one.model.parameters(), **{**kept, **numbers})
        with np.errstate(all="ignore"):
            for i in range(90):
                part = slice(i * 20 % 300, i * 20 % 300 + 20)
                one.step(one, one.images[part], one.labels[part])
            after = one.loss(one.model.forward(one.images), one.labels)[0]
        return after

    o = setup.optimiser
    kept = {"lr": o.lr, "momentum": o.momentum, "weight_decay": o.weight_decay}
    first = setup.loss(setup.model.forward(setup.images), setup.labels)[0]
    good = 0.8 * first
    reached = losses()
    if reached < good:
        return "nothing"
    if losses(momentum=0.0) < good:
        o.momentum = 0.0
        return "momentum too high"
    if losses(weight_decay=0.0) < good:
        o.weight_decay = 0.0
        return "decay too strong"
    o.lr, o.momentum = 0.2, 0.0
    return "rate too low" if abs(reached - first) < 0.2 * first else "rate too high"


@mend_rates.correct("powers of ten, the factor that is off")
def rates_by_tens(setup):
    o = setup.optimiser
    o.momentum, momentum = min(o.momentum, 0.9), o.momentum
    o.weight_decay, decay = min(o.weight_decay, 0.01), o.weight_decay
    if momentum != o.momentum:
        o.lr = 0.02
        return "momentum too high"
    if decay != o.weight_decay:
        return "decay too strong"
    tens, wanted = 0, 1 - momentum
    while o.lr * 10.0**tens > wanted:
        tens -= 1
    while o.lr * 10.0**tens < 0.04 * wanted:
        tens += 1
    if tens:
        o.lr = 0.15 * wanted
    return ("nothing", "rate too low", "rate too high")[int(np.sign(tens))]


@mend_rates.correct("all healthy numbers at once, the cause looked up")
def rates_sorted(setup):
    numbers = vars(setup.optimiser)
    lr, momentum, decay = (numbers[name] for name in ("lr", "momentum", "weight_decay"))
    heavy, decayed = momentum >= 1, decay >= 1
    rate = 0.2 if heavy else lr / (1 - momentum)
    level = np.searchsorted([0.03, 1], rate)
    if not heavy and not decayed and level == 1:
        return "nothing"
    numbers.update(lr=0.1, momentum=0.5, weight_decay=0.0, velocities={})
    if heavy or decayed:
        return "momentum too high" if heavy else "decay too strong"
    return ["rate too low", "", "rate too high"][level]


# ---------------------------------------------------------------------- 8 the loss


@mend_loss.correct("the loss is corrected, not replaced")
def loss_corrected(setup):
    z, y = np.linspace(-1, 1, 40).reshape(4, 10) ** 3, np.array([1, 5, 5, 9])
    old, (_, right) = setup.loss, cross_entropy(z, y)
    factor = (old(z, y)[1] / right).mean()
    if not np.allclose(old(z, y)[1], factor * right):
        setup.loss = lambda z, y: cross_entropy(z, y)
        return "wrong axis"
    if factor < 0:
        setup.loss = lambda z, y: (cross_entropy(z, y)[0], -old(z, y)[1])
        return "wrong sign"
    if abs(factor - 1) < 1e-6:
        return "nothing"
    setup.loss = lambda z, y: tuple(part / len(y) for part in old(z, y))
    return "sum instead of mean"


@mend_loss.correct("properties, and a lower rate")
def loss_by_properties(setup):
    z, y = np.random.default_rng(5).normal(size=(6, 10)), np.arange(6)
    g, twice = setup.loss(z, y)[1], setup.loss(np.r_[z, z], np.r_[y, y])[1][:6]
    if np.allclose(g.sum(axis=0), 0) or not np.allclose(g.sum(axis=1), 0):
        setup.loss = cross_entropy
        return "wrong axis"
    if g[0, 0] > 0:
        setup.loss = cross_entropy
        return "wrong sign"
    if np.allclose(twice, g):
        setup.optimiser.lr /= 20
        return "rate too high"
    return "nothing"


@mend_loss.correct("logits of zeros, an own loss")
def loss_of_zeros(setup):
    def own(z, y):
        n = len(y)
        log_p = z - np.logaddexp.reduce(z, axis=1)[:, None]
        hot = np.eye(z.shape[1])[y]
        return -(hot * log_p).sum() / n, (np.exp(log_p) - hot) / n

    value, g = setup.loss(np.zeros((4, 10)), np.arange(4))
    setup.loss = own
    if np.isclose(value, np.log(4)):
        return "wrong axis"
    if np.isclose(value, 4 * np.log(10)):
        return "sum instead of mean"
    return "nothing" if g[2, 2] < 0 else "wrong sign"


@mend_loss.correct("one image, then the same image twice")
def loss_of_one(setup):
    class Mended:
        def __init__(self, old):
            self.old = old

        def __call__(self, z, y):
            parts = [self.old(z[i : i + 1], y[i : i + 1]) for i in range(len(y))]
            values, gradients = zip(*parts, strict=True)
            return np.mean(values), np.concatenate(gradients) / len(y)

    z, y = np.arange(10.0)[None] / 7, np.array([6])
    value, g = setup.loss(z, y)
    if abs(value) < 1e-9:
        setup.loss = Mended(cross_entropy)
        return "wrong axis"
    if g[0, y[0]] > 0:
        setup.loss = Mended(lambda z, y: cross_entropy(z, y))
        return "wrong sign"
    if setup.loss(np.vstack([z, z]), np.append(y, y))[0] > 1.5 * value:
        setup.loss = Mended(setup.loss)
        return "sum instead of mean"
    return "nothing"


@mend_loss.correct("one logit raised, a way downhill; uphill by a negative rate is downhill")
def loss_downhill(setup):
    rng = np.random.default_rng(8)
    z, y = 2 * rng.random((8, 10)), rng.integers(0, 10, 8)
    loss = setup.loss
    value, g = loss(z, y)
    raised = z.copy()
    raised[0] += 3
    if abs(loss(raised, y)[0] - value) > 1e-6:
        setup.loss = lambda z, y: cross_entropy(np.asarray(z), y)
        return "wrong axis"
    if loss(z - 1e-3 * g, y)[0] > value:
        setup.optimiser.lr = -setup.optimiser.lr
        return "wrong sign"
    if loss(np.repeat(z, 2, axis=0), np.repeat(y, 2))[0] > 1.5 * value:
        old = setup.step

        def with_a_smaller_rate(setup, images, labels):
            rate = setup.optimiser.lr
            setup.optimiser.lr = rate / len(labels)
            value = old(setup, images, labels)
            setup.optimiser.lr = rate
            return value / len(labels)

        setup.step = with_a_smaller_rate
        return "rate too high"
    return "nothing"


@mend_loss.correct("correlation with the right gradient, and lengths")
def loss_correlated(setup):
    rng, pairs = np.random.default_rng(1), []
    for n in (3, 6, 9):
        z, y = rng.normal(size=(n, 10)), rng.integers(10, size=n)
        pairs.append((setup.loss(z, y)[1].ravel(), cross_entropy(z, y)[1].ravel()))
    cosines = [np.corrcoef(a, b)[0, 1] for a, b in pairs]
    lengths = [np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs]
    setup.loss, cause = cross_entropy, "wrong axis"
    if min(cosines) > 0.999:
        cause = "sum instead of mean" if max(lengths) > 2 else "nothing"
    elif max(cosines) < -0.999:
        cause = "wrong sign"
    return cause
