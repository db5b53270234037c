# %% [markdown]
# # 16 · A training that does not learn
#
# The gradients are correct (notebook 02 checks them), no line raises an error, and still the network does not
# seem to learn. Here are eight such trainings on digits. Each runs in a moment, and each has one mistake, of a
# kind that people make. After this notebook you will be able to
#
# * write eight checks of a training, a few lines each, that **observe a fact** and print its numbers;
# * say what each check cannot see, and which mistakes fool the two checks of notebook 08;
# * tell a symptom from a cause, above all when you look at a learning-rate range test;
# * read what `minires.checkup`, `minires.watch` and `fit(check=...)` report, and what they do not report.
#
# About 30 minutes. You need notebooks 05 (softmax, cross-entropy), 07 (the step) and 08 (training).

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np

import minires
from minires import Tensor, data, nn, no_grad, optim
from minires.checks import CheckWarning
from minires.nn import functional as F

# %% [markdown]
# ## The seven parts of a training
#
# A training has seven parts: a model, two sets of images with labels, a loss, an optimiser, a step, and an
# evaluation. `minires.Setup` holds them. `parts` fills in, correctly, the parts that a script does not define
# itself.

# %%
train_set, valid_set = data.split(data.digits(), 0.2, seed=0)
TRAIN, VALID = ((s.images.astype(np.float32) / 255, s.labels) for s in (train_set, valid_set))


def network(*end):
    """Digits of 8 × 8 pixels to ten logits; `end` is put behind them."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10), *end
    )  # fmt: skip


def sgd(model, **options):
    return optim.SGD(model.parameters(), **{"lr": 0.1, "momentum": 0.9} | options)


def logits(model, images):
    model.eval()
    with no_grad():
        return model(Tensor(images)).numpy()


def accuracy(model, images, labels):
    return (logits(model, images).argmax(axis=1) == labels).mean()


def parts(model, optimizer=None, loss=None, train=TRAIN, valid=VALID, step=None, evaluate=None):
    optimizer, loss = optimizer or sgd(model), loss or nn.CrossEntropyLoss()

    def textbook(images, labels):
        model.train()
        optimizer.zero_grad()
        value = loss(model(Tensor(images)), labels)
        value.backward()
        optimizer.step()
        return value

    step, evaluate = step or textbook, evaluate or (lambda: accuracy(model, *valid))
    return minires.Setup(model, train, valid, loss, optimizer, step, evaluate)


def batches(pair, epochs):
    """Batches of 64 images with their labels, in another order in every epoch."""
    images, labels = pair
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(len(labels))
        for first in range(0, len(order), 64):
            some = order[first : first + 64]
            yield images[some], labels[some]


def learn(make, epochs=8, quiet=False):
    """Train a fresh set-up; return it, and its accuracy on the validation images."""
    minires.manual_seed(0)
    setup = make()
    with np.errstate(all="ignore"):
        losses = [setup.step(*batch).item() for batch in batches(setup.train, epochs)]
        right = accuracy(setup.model, *setup.valid)
    if not quiet:
        print(f"loss {losses[0]:.2f}, at the end {np.mean(losses[-10:]):.2f};", end=" ")
        print(f"validation accuracy {right:.1%}")
    return setup, right


def healthy():
    return parts(network())


reached = {}
_, reached["healthy"] = learn(healthy)
assert reached["healthy"] > 0.85

# %% [markdown]
# Now the scripts, A to H. For each: **read it, and write down** what the mistake is and which validation
# accuracy it will reach. Then run it. After it comes a check: a function that gets a new set-up and returns
# whether a fact holds, and the numbers from which this was decided. The check has to hold for the healthy
# training too.


# %%
def observe(check, **makes):
    """What a check says of some trainings, each made anew."""
    for name, make in makes.items():
        minires.manual_seed(0)
        holds, seen = check(make())
        print(f"{name:9} {'holds ' if holds else 'BROKEN'}  {seen}")


# %% [markdown]
# ## Script A
#
# Somebody has read that ReLU networks should start with He initialisation.


# %%
def script_a():
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    draw = np.random.default_rng(0)
    for layer in model:
        if isinstance(layer, nn.Linear):
            weight = draw.normal(0, np.sqrt(2 / layer.in_features), layer.weight.shape)
            layer.weight = nn.Parameter(weight.astype(np.float32))
    return parts(model, optimizer)


# %% [markdown]
# **Predict.** How many tensors does the optimiser hold, and how many parameters does the model have? Which
# accuracy does it reach?

# %%
_, reached["A"] = learn(script_a)
assert reached["A"] < reached["healthy"] - 0.3


# %%
def check_parameters(setup):
    held = {id(p) for group in setup.optimizer.param_groups for p in group["params"]}
    own = dict(setup.model.named_parameters())
    missing = [name for name, p in own.items() if id(p) not in held]
    return not missing, f"{len(held)} held, {len(own)} in the model, missing: {missing or 'none'}"


observe(check_parameters, healthy=healthy, A=script_a)

# %% [markdown]
# Six and six: the numbers agree, but three of the tensors differ. The new weights were created after the
# optimiser, which still updates the old ones, although the model no longer uses them. So the check compares
# *identities*, not numbers. Only the biases learn, and the accuracy shows how much they can do alone.
#
# **It cannot see** why a parameter was left out; it may be frozen on purpose (then its `requires_grad` should
# be False). It has another blind spot, which comes later.
#
# ## Script B


# %%
def script_b():
    return parts(network(nn.Softmax()), loss=nn.CrossEntropyLoss())


# %% [markdown]
# **Predict.** Notebook 08 checks the loss before the first step: it should be near $\ln 10 = 2.30$. What will
# it be here? What is the lowest value that it can reach?

# %%
_, reached["B"] = learn(script_b)
assert reached["B"] < reached["healthy"] - 0.2
sure = Tensor(np.eye(10, dtype=np.float32)[:1])  # all the probability on one class
floor = nn.CrossEntropyLoss()(sure, np.array([0])).item()
print(f"the loss of a softmax that is right and certain: {floor:.2f}")
assert abs(floor - np.log(np.e + 9) + 1) < 1e-4
for name, make in (("healthy", healthy), ("B", script_b)):
    minires.manual_seed(0)
    setup = make()
    setup.step(*next(batches(TRAIN, 1)))
    squares = sum(float((p.grad.numpy() ** 2).sum()) for p in setup.model.parameters())
    print(f"{name:8} norm of the first gradient: {np.sqrt(squares):.3f}")


# %%
def check_rows(setup):
    sums = logits(setup.model, setup.train[0][:200]).sum(axis=1)
    return np.ptp(sums) > 1e-3, f"the outputs' rows sum to {sums.min():.3f} ... {sums.max():.3f}"


observe(check_rows, healthy=healthy, B=script_b)

# %% [markdown]
# The loss applies a softmax of its own. Its inputs now lie between 0 and 1, so that a correct and certain
# prediction still has a loss of 1.46. In the backward pass the gradient goes through one more softmax, which
# makes it much smaller. Rows of logits can have any sum; rows of a softmax sum to 1.
#
# The loss before the first step did *not* show the mistake: a softmax of small logits is nearly 0.1 everywhere,
# and so is the softmax of that.
#
# **It cannot see** another bounded activation at the end, such as tanh. And what it sees is a fact, which need
# not be the cause of the problem: some networks train well in spite of it. There is one near the end of this
# notebook.
#
# ## Script C
#
# A cross-entropy written by hand, as in notebook 05: the mean of minus the log-softmax at the label.


# %%
def own_cross_entropy(outputs, labels):
    log_probabilities = F.log_softmax(outputs, dim=0)
    return -log_probabilities[np.arange(len(labels)), labels].mean()


def script_c():
    return parts(network(), loss=own_cross_entropy)


# %% [markdown]
# **Predict.** It differs from the correct one by a single character. What is this loss for 64 images whose
# logits are all 0?

# %%
_, reached["C"] = learn(script_c)
assert reached["C"] < reached["healthy"] - 0.15


# %%
def check_loss(setup):
    _, labels = next(batches(setup.train, 1))
    right = np.eye(10, dtype=np.float32)[labels]
    equal, sure = (setup.loss(Tensor(size * right), labels).item() for size in (0, 20))
    said = f"logits equal: {equal:.3f} (ln 10 = {np.log(10):.3f}); 20 at the labels: {sure:.3f}"
    return abs(equal - np.log(10)) < 0.01 and sure < 0.01, said


observe(check_loss, healthy=healthy, C=script_c)
assert (
    abs(own_cross_entropy(Tensor(np.zeros((64, 10))), np.zeros(64, int)).item() - np.log(64)) < 1e-6
)

# %% [markdown]
# 4.159 is $\ln 64$: the softmax runs over the *images* of the batch, not over the classes. A loss is a function
# like any other. You can test it without the network, at points where you know the result.
#
# **It cannot see** an incorrect weight for some classes, since at these two points all classes are treated
# alike. And $\ln 10$ belongs to the cross-entropy; for another loss you need other points.
#
# ## Script D


# %%
def script_d():
    model, loss = network(), nn.CrossEntropyLoss()
    optimizer = sgd(model)

    def step(images, labels):
        model.train()
        value = loss(model(Tensor(images)), labels)
        value.backward()
        optimizer.step()
        return value

    return parts(model, optimizer, loss, step=step)


# %% [markdown]
# **Predict.** Does this learn slowly, not at all, or does it diverge?

# %%
_, reached["D"] = learn(script_d)
assert reached["D"] < reached["healthy"] - 0.5


# %%
def check_order(setup):
    events = []

    def record(owner, name):
        plain = getattr(owner, name)

        def call(*arguments):
            events.append(name)
            return plain(*arguments)

        setattr(owner, name, call)
        return plain

    plain = record(Tensor, "backward")
    for name in ("zero_grad", "step"):
        record(setup.optimizer, name)
    for _, batch in zip(range(3), batches(setup.train, 1), strict=False):
        setup.step(*batch)
    Tensor.backward = plain
    seen = " ".join(events)
    return "step backward" not in seen and "zero_grad step" not in seen, seen


observe(check_order, healthy=healthy, D=script_d)

# %% [markdown]
# Nothing sets the gradients to zero, so each update uses the sum of all gradients so far. This acts like a
# second momentum, of 1, in addition to the one that we asked for. To find this we need not read the code of the
# step: we record its calls.
#
# The order `backward zero_grad step` is another well-known mistake: there every gradient is 0 at the update.
# The check has a condition for each of the two.
#
# **It cannot see** what happens after three steps, and it records only three methods (exercise 1).
#
# ## Script E
#
# Somebody wants to prevent overfitting, and drops half of the units.


# %%
def script_e():
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(32, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 10),
    )  # fmt: skip

    def evaluate():
        with no_grad():
            return (model(Tensor(VALID[0])).numpy().argmax(axis=1) == VALID[1]).mean()

    return parts(model, evaluate=evaluate)


# %% [markdown]
# **Predict.** `learn` measures the accuracy properly. What will the script's own `evaluate` report for the same
# network? And what when it is called a second time?

# %%
setup, reached["E"] = learn(script_e)
setup.model.train()  # as every step leaves it
said = [setup.evaluate() for _ in range(3)]
print("its own evaluation, three times:", ", ".join(f"{share:.1%}" for share in said))
assert max(said) < reached["E"] - 0.1


# %%
def check_evaluation(setup):
    for batch in batches(setup.train, 2):
        setup.step(*batch)
    modes = []
    handle = setup.model.register_forward_hook(lambda m, inputs, out: modes.append(m.training))
    said = setup.evaluate()
    handle.remove()
    ours = accuracy(setup.model, *setup.valid)
    text = f"{sum(modes)} of {len(modes)} forwards in training mode; reports {said:.1%}, ours {ours:.1%}"
    return not any(modes), text


observe(check_evaluation, healthy=healthy, E=script_e)

# %% [markdown]
# This training is correct. Its *evaluation* runs in training mode, with half of the units dropped, and
# `no_grad` does not change that (notebook 13). Before you fix a training, make sure that the training is what
# is broken.
#
# **It cannot see** other mistakes of an evaluation: incorrect labels, the wrong axis, another model. For these
# it helps to compare its accuracy with one that you compute yourself.
#
# ## Script F
#
# Training images should come in random order.


# %%
def script_f():
    draw = np.random.default_rng(0)
    images, labels = TRAIN
    mixed = images[draw.permutation(len(images))], labels[draw.permutation(len(labels))]
    return parts(network(), train=mixed)


# %% [markdown]
# **Predict.** Notebook 08 has another check: the network must be able to overfit one batch. Will this script
# overfit a batch of 32 images? And will its training loss fall?

# %%
_, reached["F"] = learn(script_f)
assert reached["F"] < 0.4


# %%
def nearest_agrees(images, labels):
    """How often an image's nearest other image has its label; the same for permuted labels."""
    flat = images.reshape(len(images), -1)
    flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    products = flat @ flat.T
    np.fill_diagonal(products, -np.inf)
    nearest = products.argmax(axis=1)
    permuted = np.random.default_rng(0).permutation(labels)
    return (labels[nearest] == labels).mean(), (permuted[nearest] == labels).mean()


def check_labels(setup):
    (train, control), (valid, valid_control) = (
        nearest_agrees(*pair) for pair in (setup.train, setup.valid)
    )
    text = f"training {train:.0%} ({control:.0%} permuted), validation {valid:.0%}"
    return train - control > (valid - valid_control) / 2, f"{text} ({valid_control:.0%} permuted)"


observe(check_labels, healthy=healthy, F=script_f)

# %% [markdown]
# Images and labels were permuted independently of each other. If labels belong to their images, the nearest of
# the other images nearly always has the same label. The *control*, with permuted labels, gives the fraction for
# labels that do not belong to the images. The training labels agree no better than the control. The validation
# labels do, so this check **has the power to detect** the mistake. With photographs, the validation labels may
# do hardly better than their control. Then pixels say little about labels, and the check should report only
# that.
#
# **It cannot see** a few incorrect labels, or labels that are permuted in both sets.
#
# ## Script G
#
# AdamW is often used with a weight decay of 0.1. Somebody copies the value.


# %%
def script_g():
    model = network()
    return parts(model, optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1))


# %% [markdown]
# **Predict.** If the gradient of the loss were zero, after how many steps would this decay have reduced the
# weights to $1/e$, 37%, of their initial values? (One step of SGD subtracts $\eta\lambda w$; momentum
# multiplies this by $1/(1-\mu)$ in the long run.)

# %%
_, reached["G"] = learn(script_g)
assert reached["G"] < 0.3


def steps_to_forget(decay):
    """Steps of SGD with this weight decay and a gradient of 0, until a weight is below 1/e."""
    weight = nn.Parameter(np.ones(1))
    optimizer = optim.SGD([weight], lr=0.1, momentum=0.9, weight_decay=decay)
    for step in range(1, 10_000):
        weight.grad = Tensor(np.zeros(1))
        optimizer.step()
        if weight.item() < 1 / np.e:
            return step


for decay in (0.1, 0.03, 5e-4):
    _, right = learn(lambda: parts(m := network(), sgd(m, weight_decay=decay)), quiet=True)  # noqa: B023
    formula = (1 - 0.9) / (0.1 * decay)
    print(f"weight decay {decay}: by the formula {formula:,.0f} steps,", end=" ")
    print(f"measured {steps_to_forget(decay):,}; accuracy {right:.1%}")


# %%
def check_decay(setup):
    group = setup.optimizer.param_groups[0]
    shrink = group["lr"] * group["weight_decay"] / (1 - group["momentum"])
    epoch = len(list(batches(setup.train, 1)))
    steps = 1 / shrink if shrink else np.inf
    return steps > epoch, f"decay forgets in {steps:,.0f} steps; an epoch has {epoch}"


observe(check_decay, healthy=healthy, G=script_g)

# %% [markdown]
# What is learned in one epoch has largely decayed by the end of the next. (The measured number is a few steps
# larger than that of the formula, as momentum has to build up first.) With AdamW and a learning rate of 0.001 a
# weight decay of 0.1 is no mistake. What matters is the *product* of the two. There it is a hundred times
# smaller, and the factor of ten from momentum does not apply.
#
# **It cannot see** whether a decay suits the data. 0.03 passes the check, and you have seen how much accuracy
# it costs.
#
# ## Script H
#
# Somebody scales pixels from the range 0 to 255 to the range 0 to 1.


# %%
def script_h():
    train, valid = ((images / 255, labels) for images, labels in (TRAIN, VALID))
    return parts(network(), train=train, valid=valid)


# %% [markdown]
# **Predict.** How large are the inputs of the first layer? Would a larger learning rate make up for it?

# %%
_, reached["H"] = learn(script_h)
assert reached["H"] < 0.3


# %%
def check_one_batch(setup, steps=100):
    images, labels = (part[:32] for part in next(batches(setup.train, 1)))
    with np.errstate(all="ignore"):
        losses = [setup.step(images, labels).item() for _ in range(steps)]
        right = round(32 * accuracy(setup.model, images, labels))
    return (
        right > 25,
        f"loss {losses[0]:.2f} to {losses[-1]:.3f}; {right} of 32 correct after {steps} steps",
    )


observe(check_one_batch, healthy=healthy, H=script_h)

# %% [markdown]
# The network cannot overfit one batch. So the cause is in the training, and not a lack of data. The check does
# not say *what* the cause is: a factor, the learning rate, the momentum? (You may have noticed that `TRAIN` had
# been divided by 255 already.) An experiment can tell: **change one thing, and leave everything else equal.**


# %%
def changed(lr=0.1, momentum=0.9, scale=1.0):
    def make():
        images, labels = script_h().train
        model = network()
        return parts(model, sgd(model, lr=lr, momentum=momentum), train=(images * scale, labels))

    return make


observe(
    check_one_batch, as_it_is=changed(), rate_10=changed(lr=1.0), rate_100=changed(lr=10.0),
    momentum0=changed(momentum=0.0), scale_255=changed(scale=255.0),
)  # fmt: skip
_, labels = next(batches(TRAIN, 1))
shares = np.unique_counts(labels[:32]).counts / 32
print(f"entropy of the batch's labels: {-(shares * np.log(shares)).sum():.3f}")
for name, make in (("healthy", healthy), ("H", script_h)):
    minires.manual_seed(0)
    setup = make()
    setup.step(*next(batches(setup.train, 1)))
    weight, bias = (np.linalg.norm(p.grad.numpy()) for p in list(setup.model.parameters())[:2])
    print(f"{name:8} first layer's gradients: weights {weight:.5f}, biases {bias:.5f}")

# %% [markdown]
# Neither learning rate helps. The loss ends at the entropy of the labels: for every image the network predicts
# the same, the frequencies of the classes, which the last biases have learned. The gradients of the first
# weights have the inputs as a factor; those of the biases do not. No single learning rate suits both. What
# helps is the scale of the inputs.
#
# ## Every check on every script
#
# Eight scripts, eight checks, and the healthy training. **Predict:** of 72 squares, how many are broken? Which
# column has the most, and which script does that column miss?

# %%
checks = {
    "parameters": check_parameters, "rows": check_rows, "loss": check_loss, "order": check_order,
    "evaluation": check_evaluation, "labels": check_labels, "decay": check_decay,
    "one batch": check_one_batch,
}  # fmt: skip
scripts = {
    "healthy": healthy, "A": script_a, "B": script_b, "C": script_c, "D": script_d,
    "E": script_e, "F": script_f, "G": script_g, "H": script_h,
}  # fmt: skip


def verdicts(make):
    """What all checks say of a training, each of a fresh one: whether it is broken."""
    broken = []
    for check in checks.values():
        minires.manual_seed(0)
        broken.append(not check(make())[0])
    return np.array(broken)


table = np.stack([verdicts(make) for make in scripts.values()])

figure, (left, right) = plt.subplots(
    1, 2, figsize=(8.6, 4.2), width_ratios=(3, 1.3), sharey=True, layout="constrained"
)
left.imshow(table, cmap="OrRd", vmin=0, vmax=1.4, aspect="auto")
for row, column in np.argwhere(table):
    left.text(column, row, "broken", ha="center", va="center", fontsize=8, color="white")
left.set_xticks(range(8), checks, rotation=35, ha="right", rotation_mode="anchor")
left.set_yticks(range(9), scripts)
left.set_xticks(np.arange(0.5, 8), minor=True)
left.set_yticks(np.arange(0.5, 9), minor=True)
left.grid(which="minor", color="0.85")
left.tick_params(which="both", length=0)
left.set(title="what the checks say", ylabel="script")
shares = [100 * reached[name] for name in scripts]
right.barh(range(9), shares, color=["tab:green"] + ["tab:gray"] * 8)
for row, share in enumerate(shares):
    text = f"{share:.0f}, reports {100 * said[0]:.0f}" if row == 5 else f"{share:.0f}"
    right.text(share + 2, row, text, va="center", fontsize=8)
right.set(title="validation accuracy (%)", xlim=(0, 170), xticks=(0, 50, 100))
right.spines[["top", "right"]].set_visible(False)
plt.show()
print(f"{table.sum()} of {table.size} squares are broken")
assert not table[0].any()
assert table[1:, :7].sum() == 7
assert np.array_equal(np.argwhere(table[1:, :7]), np.stack([np.arange(7)] * 2, axis=1))
assert table[:, 7].sum() == 6
assert not table[[5, 6], 7].any()

# %% [markdown]
# **What to see.** The first seven columns are facts: each is broken for one script and holds for all others.
# The last is a *symptom*: it is broken for six scripts, and for H no other check is broken.
#
# It holds for E, whose training is correct, and for F, whose training is not. A check that nearly every mistake
# breaks tells you that there is a cause. A check that only one mistake breaks tells you which.
#
# ## Two mistakes that pass a check
#
# F first. Its labels are random, and yet it overfits one batch.

# %%
observe(check_one_batch, healthy=healthy, F=script_f)
numbers = sum(p.size for p in network().parameters())
print(f"{numbers:,} parameters, 32 labels")
assert check_one_batch(script_f())[0]

# %% [markdown]
# This is no surprise: memorising needs no rule, and 32 random labels are few for thousands of parameters. The
# check asks whether the step can lower the loss. It does not ask whether there is anything to learn.
#
# The other script is new. **Predict** what `check_parameters` reports for it.


# %%
class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(64, 32), nn.Linear(32, 10)
        self.hidden = [nn.Linear(32, 32) for _ in range(3)]

    def forward(self, x):
        x = F.relu(self.first(x.reshape(len(x), -1)))
        for layer in self.hidden:
            x = F.relu(layer(x))
        return self.last(x)


def script_i():
    return parts(Deep())


_, reached["I"] = learn(script_i)
assert reached["I"] < reached["healthy"] - 0.15

# %%
observe(check_parameters, I=script_i)
setup = script_i()
setup.step(*next(batches(TRAIN, 1)))
inside = [p for layer in setup.model.hidden for p in layer.parameters()]
print(f"in the list: {len(inside)} tensors,", end=" ")
print(f"{sum(p.grad is not None for p in inside)} of them with a gradient")
assert check_parameters(script_i())[0]
assert all(p.grad is not None for p in inside)

# %% [markdown]
# It holds, and what it reports is true: the optimiser has every parameter that the model *knows of*. A model
# does not look for layers in a plain list (it does in an `nn.ModuleList`). The check relies on the parameters
# that the model lists itself. A check of which tensors receive a gradient in the backward pass finds six more.
#
# Both checks missed the mistake for the same reason: a check answers its own question, and we take it as the
# answer to another one.
#
# ## A picture of a symptom
#
# The learning-rate range test (notebook 08) is a common tool. Here are four trainings. The dashed line marks
# the learning rate of each. One is healthy, in one only the learning rate is unsuitable, and two have another
# mistake. **Predict** which is which.


# %%
def slow():
    model = network()
    return parts(model, sgd(model, lr=0.003))


def at_rate(make, factor):
    def changed():
        setup = make()
        setup.optimizer.param_groups[0]["lr"] *= factor
        return setup

    return changed


factors = np.geomspace(1e-1, 1e3, 270)


def rate_range(make):
    """The loss at each step, while the rate rises."""
    minires.manual_seed(0)
    setup, losses = make(), []
    group = setup.optimizer.param_groups[0]
    own = group["lr"]
    with np.errstate(all="ignore"):
        for factor, batch in zip(factors, batches(setup.train, 15), strict=True):
            group["lr"] = own * factor
            losses.append(setup.step(*batch).item())
    return np.array(losses)


four = {"script I": script_i, "slow": slow, "healthy": healthy, "script B": script_b}
figure, panels = plt.subplots(
    1, 4, figsize=(9.5, 2.9), sharex=True, sharey=True, layout="constrained"
)
for number, (axes, make) in enumerate(zip(panels, four.values(), strict=True), 1):
    losses = rate_range(make)
    smooth = np.convolve(losses, np.ones(9) / 9, "valid")
    lowest = np.nanargmin(smooth)
    axes.semilogx(factors, losses, ".", ms=2, color="0.7")
    axes.semilogx(factors[4:-4], smooth, color="tab:blue")
    axes.plot(factors[4 + lowest], smooth[lowest], "v", color="tab:red", ms=6)
    axes.axvline(1, ls="--", lw=1, color="black")
    axes.set(title=f"training {number}", ylim=(0, 2.9))
    axes.set_xticks((0.1, 1, 10, 100, 1000), ("0.1", "1", "10", "100", "1000"))
    print(f"training {number}: the loss is least at {factors[4 + lowest]:3.0f} times its own rate")
panels[0].set_ylabel("training loss (nats)")
figure.supxlabel(
    "rate, as a multiple of one's own (red: where the mean of 9 steps is least)", fontsize=9
)
plt.show()

# %% [markdown]
# Now train each with the learning rates that its picture suggests:

# %%
at_three = {}
for number, (name, make) in enumerate(four.items(), 1):
    at_three[name] = [learn(at_rate(make, factor), quiet=True)[1] for factor in (1, 3, 10)]
    shares = "  ".join(f"{share:6.1%}" for share in at_three[name])
    print(f"training {number}, {name:9} 1, 3 and 10 times its rate: {shares}")
for name in ("slow", "script I", "script B"):
    assert max(at_three[name]) > at_three[name][0] + 0.15
assert at_three["healthy"][2] < 0.3

# %% [markdown]
# **What to see.** Trainings 1 and 2 look alike: at their own learning rate the loss hardly falls, and ten times
# that rate or more looks suitable. A higher learning rate does help in both. But only in 2 was the learning
# rate the mistake; in 1 three layers never learn. A higher learning rate helps 4 too, where the mistake is the
# second softmax. In 1 and 4 it *hides* the mistake. You would keep a network that is worse than it should be,
# with a learning rate that no longer suits it once the mistake is fixed: the healthy training is script B
# without its mistake, and you see how it does at three and ten times its learning rate.
#
# So the range test shows a symptom. Look at it last.
#
# ## The same checks, made general
#
# `minires.checkup` takes a function that makes a set-up, such as our scripts, and runs many checks like ours.
# Each reports *holds*, *broken*, or *not checked* with the reason. **Predict** for which scripts it finds the
# mistake that we found.

# %%
reports = {}
for name, make in (scripts | {"I": script_i}).items():
    reports[name] = minires.checkup(make)
    names = [finding.check for finding in reports[name].broken]
    print(f"{name:8}", "; ".join(names) or "nothing is broken")
print(f"{len(reports['healthy'].findings)} checks of the healthy training")
assert reports["healthy"].ok
assert reports["A"]["parameters in optimizer"].verdict != "holds"
assert reports["B"]["outputs are logits"].verdict != "holds"
assert reports["I"]["layers registered"].verdict != "holds"

# %% [markdown]
# "Nothing is broken" means that no check found anything. This is reported for the healthy training, and for
# every mistake that the checks cannot see. Generality has a price: a check that has to work with any loss
# cannot ask for $\ln 10$, as ours could in script C. What only you know about *your* training, you have to
# check yourself.
#
# Here is the full report of G. Often several findings come from one mistake. One of these is an experiment like
# ours: one thing is changed, everything else is equal.

# %%
reports["G"]

# %% [markdown]
# ### Around a loop of your own
#
# `minires.watch` needs no set-up. It observes the first three steps of any loop inside its block, prints what
# is broken, and removes its hooks.

# %%
setup = script_a()
with minires.watch(setup.model, setup.optimizer, setup.loss):
    for images, labels in batches(setup.train, 1):
        setup.optimizer.zero_grad()
        setup.loss(setup.model(Tensor(images)), labels).backward()
        setup.optimizer.step()

# %% [markdown]
# ### In `fit`
#
# By default, `fit` runs the checks that cost almost nothing, and warns. With `check=True` it runs a whole
# checkup first. A warning is not an error, and the training stays the same bit for bit. **Predict** what it
# reports for this training.


# %%
def fitted(check):
    """The warnings of a training by `fit`, and the weights that it ends with."""
    minires.manual_seed(0)
    model = network(nn.Softmax())
    optimizer = optim.SGD(model[5].parameters(), lr=0.1, momentum=0.9)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        minires.fit(
            model, train_set, valid_set, epochs=2, batch_size=64, optimizer=optimizer,
            check=check, progress=False,
        )  # fmt: skip
    said = [str(w.message) for w in caught if issubclass(w.category, CheckWarning)]
    return said, [p.numpy().copy() for p in model.parameters()]


_, plain = fitted(check=False)
for check in (None, True):
    said, weights = fitted(check)
    print(f"check={check}")
    for text in said:
        print("   *", text)
    assert len(said) >= 2
    assert all(np.array_equal(a, b) for a, b in zip(plain, weights, strict=True))

# %% [markdown]
# ### What they do not report
#
# Three more trainings: our *slow* one, one in which a tenth of the training images have a label drawn at
# random, and a network with batch norm that ends in a softmax before its loss (with the same network without
# the softmax, to compare). **Predict** for each whether something is reported as broken, and how much accuracy
# the mistake costs.


# %%
def some_labels_wrong():
    draw = np.random.default_rng(0)
    labels = TRAIN[1].copy()
    wrong = draw.random(len(labels)) < 0.1
    labels[wrong] = draw.integers(0, 10, wrong.sum())
    return parts(network(), train=(TRAIN[0], labels))


def normalised(*end):
    layers = []
    for layer in network(*end):
        layers.append(layer)
        if isinstance(layer, nn.Linear) and layer.out_features == 32:
            layers.append(nn.BatchNorm1d(32))
    return parts(nn.Sequential(*layers))


more = {
    "slow": slow,
    "a tenth of the labels": some_labels_wrong,
    "batch norm": normalised,
    "batch norm, softmax": lambda: normalised(nn.Softmax()),
}
for name, make in more.items():
    setup, reached[name] = learn(make, quiet=True)
    report = minires.checkup(make)
    names = "; ".join(finding.check for finding in report.broken)
    print(f"{name:22} accuracy {reached[name]:6.1%}   {names or 'nothing is broken'}")
assert abs(reached["batch norm, softmax"] - reached["batch norm"]) < 0.06

# %% [markdown]
# * The slow one: the report has a symptom, with numbers, and no cause. A learning rate that is too small cannot
#   be told from other causes of slow learning, as the range tests have shown.
# * Some incorrect labels: they cost little, and the check of labels is too coarse to find so few.
# * The softmax with batch norm: it is reported as *broken*, although it hardly matters here. It is still a
#   fact, and worth fixing, but it does not keep this training from learning.
#
# So a report contains no probabilities and no most likely cause. `docs/checkup.md` has the figures: how many
# mistakes in other people's trainings the checkup finds, how many it misses, and when it was wrong.
#
# ## What to keep
#
# * Observe facts, with numbers, before you change anything. The checks of the optimiser, the loss and the step
#   need no more than three steps.
# * A check has to hold for a healthy training, and must be shown to detect the mistake that it is for.
# * Overfitting one batch and the range test show symptoms. Change one thing at a time to get from there to a cause.
# * Know what your check does not test.
#
# ## Exercises
#
# (Difficulty from 1, a few lines, to 3, an idea of your own; the minutes are without training times.)
#
# 1. **A false alarm.** *(difficulty 2, 40 min)* In the textbook's step, write `model.zero_grad()` for
#    `optimizer.zero_grad()`; in another script, a loop that sets each `p.grad` to None. Both train as before.
#    What does `check_order` report? Write a check that looks at the gradients before each backward pass and
#    each update, and not at which methods are called. *You are right if* it holds for both and for the healthy
#    training, and is broken for D and for the order `backward zero_grad step`.
# 2. **Independent images.** *(difficulty 2, 30 min)* If a loss is a mean over images, the gradient with respect
#    to an image's logits does not depend on the other images. Write a check of this: compute the gradient for
#    the first 32 images of a batch twice, once with the other 32 unchanged and once with other logits in their
#    place. *You are right if* it holds for `nn.CrossEntropyLoss()`, for
#    `nn.CrossEntropyLoss(label_smoothing=0.1)` and for a mean squared error, and is broken for script C,
#    without asking for $\ln 10$.
# 3. **A ninth mistake.** *(difficulty 3, 60 min)* Write a script that runs, is none of those above, loses more
#    than 10 points of accuracy, and for which none of our first seven checks reports *broken*. *You are right
#    if* in its row of `verdicts` at most the last entry is True. Then write the check that finds the mistake,
#    try it on all scripts, and see what `minires.checkup` reports.
