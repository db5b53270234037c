# %% [markdown]
# # Repair shop
#
# Trainings come in that do not learn. All gradients are right, nothing raises an exception, and yet
# something is wrong with each: which parameters the optimiser has, what stands before the loss, the
# order of a step, the labels. For each of eight counters you write a function that gets **a whole
# set-up**, names the cause, and repairs the set-up in place.
#
# A set-up has a `model`, an `optimiser`, a `loss`, `images` `(N, 64)` and `labels` `(N,)`, a `step` and
# an `evaluate`; below is a healthy one. What comes to a counter has at most **one** fault, of the kinds
# that the counter's text names; it may also have none. Look at the set-up, run parts of it, compare
# numbers: *observe facts*. Guessing from an accuracy gets you nowhere, since all these faults have one.
#
# ## What you return, and what is graded
#
# The name of the cause, one of `CAUSES`. Where two names say the same of a fault, both are right: to
# clear the gradients before the step, or to step before there are any, is one mistake.
#
# | cause | |
# |---|---|
# | `"nothing"` | it is healthy |
# | `"missing parameters"` | the optimiser lacks some of the model's |
# | `"foreign parameters"` | the optimiser has what is not the model's |
# | `"double softmax"` | the model has one and the loss another |
# | `"clipped outputs"` | what goes into the loss cannot be negative |
# | `"no zero_grad"` | gradients of all steps add up |
# | `"zero_grad before the step"` | the optimiser steps with zeros |
# | `"step before backward"` | the optimiser steps when there is no gradient |
# | `"no step"` | the optimiser never steps |
# | `"evaluated in training mode"` | batch norm takes the test batch's statistics |
# | `"trained in evaluation mode"` | batch norm's running statistics stand still |
# | `"shuffled labels"` | labels are of other images |
# | `"dead layer"` | no unit of a layer is ever above 0 |
# | `"equal units"` | all units of a layer compute the same |
# | `"rate too high"`, `"rate too low"` | of the steps |
# | `"momentum too high"`, `"decay too strong"` | of the optimiser |
# | `"sum instead of mean"` | the loss grows with the batch |
# | `"wrong axis"` | the loss's softmax is over the batch |
# | `"wrong sign"` | the training goes uphill |
#
# Half of the points are for the names. The other half is for repairs of what was named right: the
# grader puts the first weights back (but not at counter 6), calls your repaired set-up's `step` on batches of 20 for eight epochs and
# `evaluate` before each, takes the weights out and computes by itself how many unseen digits they
# classify right. How you repair is up to you; leave the model's layers with parameters where they
# are. Set-ups come in rows, in any order, **with healthy ones among them: who finds a fault there, or
# spoils it, gets nothing for that row.** Pixels, classes, sizes and numbers are others each time. A row
# is repaired in a few seconds.
#
# NumPy only.

# %% given="training"
import numpy as np

CAUSES = [
    "nothing",
    "missing parameters",
    "foreign parameters",
    "double softmax",
    "clipped outputs",
    "no zero_grad",
    "zero_grad before the step",
    "step before backward",
    "no step",
    "evaluated in training mode",
    "trained in evaluation mode",
    "shuffled labels",
    "dead layer",
    "equal units",
    "rate too high",
    "rate too low",
    "momentum too high",
    "decay too strong",
    "sum instead of mean",
    "wrong axis",
    "wrong sign",
]


class Parameter:
    """An array that is trained; gradients are added to `grad`."""

    def __init__(self, data):
        self.data = np.array(data, dtype=float)
        self.grad = np.zeros_like(self.data)


class Linear:
    """x @ w + b"""

    def __init__(self, w, b):
        self.w, self.b = Parameter(w), Parameter(b)

    def forward(self, x):
        self.x = x
        return x @ self.w.data + self.b.data

    def backward(self, g):
        self.w.grad += self.x.T @ g
        self.b.grad += g.sum(axis=0)
        return g @ self.w.data.T

    def parameters(self):
        return [self.w, self.b]


class BatchNorm:
    """Batch norm of rows; where `training` is False it takes the running statistics."""

    def __init__(self, channels):
        self.gamma, self.beta = Parameter(np.ones(channels)), Parameter(np.zeros(channels))
        self.mean, self.var, self.training = np.zeros(channels), np.ones(channels), True

    def forward(self, x):
        mean, var = self.mean, self.var
        if self.training:
            mean, var = x.mean(axis=0), x.var(axis=0)
            self.mean, self.var = 0.9 * self.mean + 0.1 * mean, 0.9 * self.var + 0.1 * var
        self.batch, self.inverse = self.training, 1 / np.sqrt(var + 1e-5)
        self.normal = (x - mean) * self.inverse
        return self.normal * self.gamma.data + self.beta.data

    def backward(self, g):
        self.beta.grad += g.sum(axis=0)
        self.gamma.grad += (g * self.normal).sum(axis=0)
        h = g * self.gamma.data
        if self.batch:
            h = h - h.mean(axis=0) - self.normal * (h * self.normal).mean(axis=0)
        return self.inverse * h

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


class Softmax:
    """Rows that are positive and sum to 1."""

    def forward(self, x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.p = e / e.sum(axis=1, keepdims=True)
        return self.p

    def backward(self, g):
        return self.p * (g - (g * self.p).sum(axis=1, keepdims=True))

    def parameters(self):
        return []


class Model:
    """Layers, one behind the other."""

    def __init__(self, layers):
        self.layers = layers

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, g):
        for layer in reversed(self.layers):
            g = layer.backward(g)

    def parameters(self):
        return [p for layer in self.layers for p in layer.parameters()]

    def train(self, training):
        for layer in self.layers:
            if isinstance(layer, BatchNorm):
                layer.training = training


class SGD:
    """Steps with momentum and weight decay; the four numbers are read in every step."""

    def __init__(self, parameters, lr, momentum=0.0, weight_decay=0.0):
        self.parameters, self.lr = parameters, lr
        self.momentum, self.weight_decay = momentum, weight_decay
        self.velocities = {}

    def zero_grad(self):
        for p in self.parameters:
            p.grad[...] = 0

    def step(self):
        for p in self.parameters:
            v = self.velocities.get(id(p), 0.0)
            v = self.velocities[id(p)] = self.momentum * v + p.grad + self.weight_decay * p.data
            p.data -= self.lr * v


def cross_entropy(z, y):
    """The mean loss of logits z, the softmax included, and its gradient with respect to z."""
    z = z - z.max(axis=1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    picked = np.arange(len(y)), y
    loss = (np.log(np.exp(z).sum(axis=1)) - z[picked]).mean()
    p[picked] -= 1
    return loss, p / len(y)


def negative_log_likelihood(p, y):
    """The mean loss of probabilities p, without a softmax, and its gradient with respect to p."""
    picked = np.arange(len(y)), y
    g = np.zeros_like(p)
    g[picked] = -1 / np.maximum(p[picked], 1e-12) / len(y)
    return -np.log(np.maximum(p[picked], 1e-12)).mean(), g


def step(setup, images, labels):
    """One step of a training; the loss before it."""
    setup.optimiser.zero_grad()
    loss, g = setup.loss(setup.model.forward(images), labels)
    setup.model.backward(g)
    setup.optimiser.step()
    return loss


def evaluate(setup, images, labels):
    """The share of images that are classified right."""
    setup.model.train(False)
    right = setup.model.forward(images).argmax(axis=1) == labels
    setup.model.train(True)
    return right.mean()


class Setup:
    """All that belongs to a training; `step` and `evaluate` take the set-up first."""

    def __init__(self, model, optimiser, images, labels):
        self.model, self.optimiser, self.loss = model, optimiser, cross_entropy
        self.images, self.labels = images, labels
        self.step, self.evaluate = step, evaluate


def healthy_setup(images, labels, weights, norm, lr, momentum):
    """One that learns; `weights` are pairs (w, b), between them ReLU, and batch norm with `norm`."""
    layers = []
    for w, b in weights:
        layers += [Linear(w, b)] + [BatchNorm(len(b))] * norm + [ReLU()]
    layers = layers[: -1 - norm]
    model = Model(layers)
    return Setup(model, SGD(model.parameters(), lr, momentum), images, labels)


# %% [markdown]
# Something to try your functions on, instead of digits: ten kinds of blobs. `fresh()` is healthy.

# %% given="workbench"


def fresh(norm=False, seed=0, hidden=(16, 12)):
    """A healthy set-up, with 300 images."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, 300)
    centres = rng.normal(0, 0.6, (10, 64))
    images = centres[labels] + rng.normal(0, 0.4, (300, 64))
    pairs = [(64, hidden[0]), *zip(hidden, [*hidden[1:], 10], strict=True)]
    weights = [(rng.normal(0, np.sqrt(2 / a), (a, b)), np.zeros(b)) for a, b in pairs]
    return healthy_setup(images, labels, weights, norm, lr=0.1, momentum=0.5)


def trained(setup, epochs=5, batch=20):
    """The share of its own images that a set-up classifies right after a training."""
    rng = np.random.default_rng(1)
    for _ in range(epochs):
        setup.evaluate(setup, setup.images, setup.labels)
        order = rng.permutation(len(setup.images))
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            setup.step(setup, setup.images[chosen], setup.labels[chosen])
    return setup.evaluate(setup, setup.images, setup.labels)


# %% [markdown]
# ## 1. The optimiser's parameters
#
# `setup.optimiser.parameters` lacks some of `setup.model.parameters()`, perhaps all but one, or all of
# them are copies, with equal numbers, of what the model has. A parameter is an object: compare with
# `is`. Leave the optimiser's numbers as they are.


# %% question="mend_optimiser"
def mend_optimiser(setup):
    """The cause; the optimiser then has the model's parameters."""
    ### BEGIN SOLUTION
    own = setup.model.parameters()
    held = {id(p) for p in setup.optimiser.parameters}
    found = [id(p) in held for p in own]
    setup.optimiser.parameters = own
    if all(found):
        return "nothing"
    return "missing parameters" if any(found) else "foreign parameters"
    ### END SOLUTION


# %% check="mend_optimiser"
setup = fresh()
setup.optimiser.parameters = setup.model.parameters()[-2:]
print("before:", trained(setup))
cause = mend_optimiser(setup)
print("cause:", cause, "- after:", trained(setup))
assert cause == "missing parameters"
assert mend_optimiser(fresh()) == "nothing"

# %% [markdown]
# ## 2. What goes into the loss
#
# The last layer's values go into the loss as they are; `cross_entropy` has a softmax in it. What comes
# here may end in a `Softmax` or a `ReLU` too many. A model that ends in a `Softmax` is healthy if its
# loss takes probabilities: `negative_log_likelihood`, perhaps under another name. So look at the loss
# too: if all logits of an image are raised by one number, what becomes of a loss with a softmax in it?


# %% question="mend_outputs"
def mend_outputs(setup):
    """The cause; what goes into the loss is then what the loss wants."""
    ### BEGIN SOLUTION
    last = setup.model.layers[-1]
    if isinstance(last, ReLU):
        setup.model.layers.pop()
        return "clipped outputs"
    values, y = np.full((2, 10), 0.1), np.array([0, 1])
    has_softmax = np.isclose(setup.loss(values, y)[0], setup.loss(values + 1, y)[0])
    if isinstance(last, Softmax) and has_softmax:
        setup.model.layers.pop()
        return "double softmax"
    return "nothing"
    ### END SOLUTION


# %% check="mend_outputs"
setup = fresh()
setup.model.layers.append(Softmax())
print("before:", trained(setup))
cause = mend_outputs(setup)
print("cause:", cause, "- after:", trained(setup))
assert cause == "double softmax"
setup.model.layers.append(Softmax())
setup.loss = negative_log_likelihood
assert mend_outputs(setup) == "nothing"

# %% [markdown]
# ## 3. The order of a step
#
# A step calls `setup.optimiser.zero_grad()`, `setup.model.forward`, `setup.model.backward` and
# `setup.optimiser.step()`, or should. Steps follow each other, so the order goes round: to clear the
# gradients at the end of a step is healthy too. Here `zero_grad` or `step` may be missing, or `step` may
# come when the gradients are zero. Let a step tell you what it calls.


# %% question="mend_step"
def mend_step(setup):
    """The cause; `setup.step` is then one that learns."""
    ### BEGIN SOLUTION
    calls, optimiser, model = [], setup.optimiser, setup.model
    originals = optimiser.zero_grad, model.backward, optimiser.step

    def traced(name, function):
        return lambda *arguments: (calls.append(name), function(*arguments))[1]

    optimiser.zero_grad = traced("zero", originals[0])
    model.backward = traced("backward", originals[1])
    optimiser.step = traced("step", originals[2])
    for _ in range(2):
        setup.step(setup, setup.images[:20], setup.labels[:20])
    optimiser.zero_grad, model.backward, optimiser.step = originals
    if "zero" in calls and "step" in calls:
        before = calls[: len(calls) - calls[::-1].index("step") - 1]
        last = [name for name in before if name != "step"][-1]
        if last == "backward":
            return "nothing"
        cause = "zero_grad before the step"
    else:
        cause = "no step" if "zero" in calls else "no zero_grad"
    setup.step = step
    return cause
    ### END SOLUTION


# %% check="mend_step"
def without_zero_grad(setup, images, labels):
    loss, g = setup.loss(setup.model.forward(images), labels)
    setup.model.backward(g)
    setup.optimiser.step()
    return loss


setup = fresh()
setup.step = without_zero_grad
cause = mend_step(setup)
print("cause:", cause, "- after:", trained(setup))
assert cause == "no zero_grad"
assert mend_step(fresh()) == "nothing"

# %% [markdown]
# ## 4. The evaluation
#
# The models here have batch norm. `setup.evaluate` must switch to evaluation and back. One that does not
# switch takes the test batch's statistics; one that does not switch back leaves all later steps in
# evaluation mode. One may also do both, the wrong way round: then either name is right. The training
# flags of the layers tell, and what an evaluation does to the running statistics.


# %% question="mend_evaluation"
def mend_evaluation(setup):
    """The cause; `setup.evaluate` is then right, and leaves the model in training mode."""
    ### BEGIN SOLUTION
    norm = next(layer for layer in setup.model.layers if isinstance(layer, BatchNorm))
    setup.model.train(True)
    mean = norm.mean.copy()
    setup.evaluate(setup, setup.images[:50], setup.labels[:50])
    moved, left = not np.array_equal(norm.mean, mean), norm.training
    setup.evaluate = evaluate
    setup.model.train(True)
    if moved:
        return "evaluated in training mode"
    return "nothing" if left else "trained in evaluation mode"
    ### END SOLUTION


# %% check="mend_evaluation"
def never_switched(setup, images, labels):
    return (setup.model.forward(images).argmax(axis=1) == labels).mean()


setup = fresh(norm=True)
setup.evaluate = never_switched
cause = mend_evaluation(setup)
print("cause:", cause, "- after:", trained(setup))
assert cause == "evaluated in training mode"
assert mend_evaluation(fresh(norm=True)) == "nothing"

# %% [markdown]
# ## 5. The labels
#
# Image i belongs to label i, or it does not: labels or images may have been rolled by any number of
# places, as by `np.roll`, or the labels reversed. Nothing is lost: how would you see that a candidate
# for the right order *is* right? Images of one class are near each other; so how often does an image's
# nearest neighbour have its label? Put `setup.images` and `setup.labels` right, in any common order.


# %% question="mend_labels"
def mend_labels(setup):
    """The cause; each image then has its label."""
    ### BEGIN SOLUTION
    x, y = setup.images, setup.labels
    squares = (x * x).sum(axis=1)
    distances = squares[:, None] + squares - 2 * x @ x.T
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argmin(axis=1)
    candidates = [np.roll(way, by) for way in (y, y[::-1]) for by in range(len(y))]
    agreement = [(labels[nearest] == labels).mean() for labels in candidates]
    best = int(np.argmax(agreement))
    setup.labels = candidates[best]
    return "shuffled labels" if best else "nothing"
    ### END SOLUTION


# %% check="mend_labels"
setup = fresh()
setup.labels = np.roll(setup.labels, 7)
print("before:", trained(setup))
cause = mend_labels(setup)
print("cause:", cause)
assert cause == "shuffled labels"
assert np.array_equal(setup.labels, fresh().labels)
assert mend_labels(fresh()) == "nothing"

# %% [markdown]
# ## 6. The first weights
#
# A layer behind which comes a ReLU may be dead: no unit is above 0 for any image. Or all its units are
# equal, and the next layer takes them equally, so they get equal gradients and stay equal. A layer of
# zeros is both, and either name is right. A few dead units do no harm: that is healthy. Draw the weights
# anew, of all layers (deviation $\sqrt{2 / \text{inputs}}$, biases 0), in arrays of the same shapes. Do
# not train here: what classifies more than half of the images right before the first step counts as no
# repair.


# %% question="mend_start"
def mend_start(setup):
    """The cause; each layer then has units that are alive and differ."""
    ### BEGIN SOLUTION
    cause, x, rng = "nothing", setup.images, np.random.default_rng(0)
    for layer in setup.model.layers[:-1]:
        x = layer.forward(x)
        if isinstance(layer, Linear):
            if (x <= 0).all():
                cause = "dead layer"
                break
            if np.ptp(x, axis=1).max() < 1e-9:
                cause = "equal units"
                break
    if cause != "nothing":
        for layer in setup.model.layers:
            if isinstance(layer, Linear):
                w, b = layer.w.data, layer.b.data
                w[...] = rng.normal(0, np.sqrt(2 / len(w)), w.shape)
                b[...] = 0
    return cause
    ### END SOLUTION


# %% check="mend_start"
setup = fresh()
setup.model.layers[2].b.data[...] = -100
print("before:", trained(setup))
setup = fresh()
setup.model.layers[2].b.data[...] = -100
cause = mend_start(setup)
print("cause:", cause, "- after:", trained(setup))
assert cause == "dead layer"
assert mend_start(fresh()) == "nothing"

# %% [markdown]
# ## 7. Rate, momentum, decay
#
# In these set-ups a rate `lr / (1 - momentum)` between 0.05 and 0.5 is healthy, a momentum up to 0.9, and
# a decay up to 0.01. Faults are far beyond: a rate a tenth of the least or ten times the largest, or more;
# a momentum from 1 on, which forgets nothing; a decay from 1 on, which forgets everything. Only one
# of the three is off. Look at the momentum before you compute with it.


# %% question="mend_rates"
def mend_rates(setup):
    """The cause; the optimiser's numbers are then such that it learns."""
    ### BEGIN SOLUTION
    optimiser = setup.optimiser
    if optimiser.momentum > 0.99:
        optimiser.momentum = 0.0
        cause = "momentum too high"
    elif optimiser.weight_decay > 0.1:
        optimiser.weight_decay = 0.0
        return "decay too strong"
    else:
        rate = optimiser.lr / (1 - optimiser.momentum)
        if 0.02 < rate < 2:
            return "nothing"
        cause = "rate too high" if rate > 1 else "rate too low"
    optimiser.lr = 0.2 * (1 - optimiser.momentum)
    return cause
    ### END SOLUTION


# %% check="mend_rates"
setup = fresh()
setup.optimiser.lr = 1e-6
print("before:", trained(setup))
cause = mend_rates(setup)
print("cause:", cause, "- after:", trained(setup))
assert cause == "rate too low"
assert mend_rates(fresh()) == "nothing"

# %% [markdown]
# ## 8. The loss
#
# `setup.loss(logits, labels)` gives the mean cross-entropy and its gradient with respect to the logits,
# or it gives a sum, goes uphill, or takes its softmax over the batch. It may be written in other words
# than `cross_entropy`, so try it: on logits of your own, whose loss you know. A sum over the batch does to
# the steps what a rate does that is too high, so either name is right.


# %% question="mend_loss"
def mend_loss(setup):
    """The cause; the loss is then right."""
    ### BEGIN SOLUTION
    z, y = np.random.default_rng(0).normal(size=(5, 10)), np.array([0, 1, 2, 3, 3])
    found, right = setup.loss(z, y)[1], cross_entropy(z, y)[1]
    setup.loss = cross_entropy
    if np.allclose(found, right):
        return "nothing"
    if np.allclose(found, -right):
        return "wrong sign"
    return "sum instead of mean" if np.allclose(found, len(y) * right) else "wrong axis"
    ### END SOLUTION


# %% check="mend_loss"
setup = fresh()
setup.loss = lambda z, y: tuple(len(y) * part for part in cross_entropy(z, y))
cause = mend_loss(setup)
print("cause:", cause, "- after:", trained(setup))
assert cause == "sum instead of mean"
assert mend_loss(fresh()) == "nothing"
