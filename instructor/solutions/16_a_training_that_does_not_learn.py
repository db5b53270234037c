# %% [markdown]
# # Solutions to notebook 16: A training that does not learn

# %%
import numpy as np

import minires
from instructor.given import from_notebook
from minires import Tensor, nn

(parts, network, sgd, batches, learn, healthy, script_c, script_d, checks, own_cross_entropy) = (
    from_notebook(
        "16", "parts", "network", "sgd", "batches", "learn", "healthy", "script_c", "script_d",
        "checks", "own_cross_entropy",
    )
)  # fmt: skip
check_order = checks["order"]


def stepping(write):
    """A set-up whose step is what `write` makes of model, optimizer and loss."""
    model, loss = network(), nn.CrossEntropyLoss()
    optimizer = sgd(model)
    return parts(model, optimizer, loss, step=write(model, optimizer, loss))


# %% [markdown]
# ## Exercise 1: a false alarm
#
# `check_order` watches `optimizer.zero_grad`, and `model.zero_grad` is another method: it sees "backward step
# backward step" and calls both healthy scripts broken. What matters is a state, not a call. At the beginning of a
# backward pass all gradients must be absent or 0; at an update they must be what the last backward pass gave, and
# not 0. So look at these two moments only.


# %%
def model_zero_grad(model, optimizer, loss):
    def step(images, labels):
        model.train()
        model.zero_grad()
        value = loss(model(Tensor(images)), labels)
        value.backward()
        optimizer.step()
        return value

    return step


def set_to_none(model, optimizer, loss):
    def step(images, labels):
        model.train()
        for p in model.parameters():
            p.grad = None
        value = loss(model(Tensor(images)), labels)
        value.backward()
        optimizer.step()
        return value

    return step


def cleared_too_early(model, optimizer, loss):  # backward zero_grad step
    def step(images, labels):
        model.train()
        value = loss(model(Tensor(images)), labels)
        value.backward()
        optimizer.zero_grad()
        optimizer.step()
        return value

    return step


def check_gradients(setup):
    parameters, said = list(setup.model.parameters()), []

    def empty():
        return all(p.grad is None or not p.grad.numpy().any() for p in parameters)

    plain_backward, plain_step = Tensor.backward, setup.optimizer.step

    def backward(self, *arguments, **options):
        said.append("clean" if empty() else "old gradients before backward")
        return plain_backward(self, *arguments, **options)

    def update(*arguments, **options):
        said.append("no gradients before the update" if empty() else "filled")
        return plain_step(*arguments, **options)

    Tensor.backward, setup.optimizer.step = backward, update
    try:
        for _, batch in zip(range(3), batches(setup.train, 1), strict=False):
            setup.step(*batch)
    finally:
        Tensor.backward, setup.optimizer.step = plain_backward, plain_step
    wrong = sorted({what for what in said if what not in ("clean", "filled")})
    return not wrong, ", ".join(wrong) or "clean before backward, filled before the update"


for name, make, holds in (
    ("healthy", healthy, True),
    ("model.zero_grad", lambda: stepping(model_zero_grad), True),
    ("p.grad = None", lambda: stepping(set_to_none), True),
    ("D", script_d, False),
    ("backward zero_grad step", lambda: stepping(cleared_too_early), False),
):
    minires.manual_seed(0)
    found, seen = check_gradients(make())
    print(f"{name:24} {'holds' if found else 'BROKEN'}: {seen}")
    assert found == holds
assert not check_order(stepping(model_zero_grad))[0]  # the false alarms
assert not check_order(stepping(set_to_none))[0]

# %% [markdown]
# ## Exercise 2: independent images
#
# Ask for the gradient of the first 32 rows twice, with other rows after them. Script C's softmax
# runs over the batch, so every row's gradient depends on all others. No value of the loss is asked for, so label
# smoothing or another loss does not matter.


# %%
def check_company(setup):
    draw = np.random.default_rng(0)
    rows, others = draw.normal(size=(32, 10)), draw.normal(size=(2, 32, 10))
    _, labels = next(batches(setup.train, 1))
    gradients = []
    for other in others:
        outputs = Tensor(np.concatenate([rows, other]), requires_grad=True)
        gradients.append(minires.grad(setup.loss(outputs, labels[:64]), outputs).numpy()[:32])
    change = np.abs(gradients[0] - gradients[1]).max() / np.abs(gradients[0]).max()
    return change < 1e-6, f"largest relative change of a row's gradient {change:.0e}"


def squared_error(outputs, labels):
    return ((outputs - Tensor(np.eye(10)[labels])) ** 2).mean()


for name, loss, holds in (
    ("cross-entropy", nn.CrossEntropyLoss(), True),
    ("label smoothing", nn.CrossEntropyLoss(label_smoothing=0.1), True),
    ("squared error", squared_error, True),
    ("C", own_cross_entropy, False),
):
    minires.manual_seed(0)
    found, seen = check_company(parts(network(), loss=loss))
    print(f"{name:16} {'holds' if found else 'BROKEN'}: {seen}")
    assert found == holds
assert not check_company(script_c())[0]

# %% [markdown]
# ## Exercise 3: a ninth mistake
#
# One of many: the weights are started all equal. The hidden units of a layer then compute the same, get the
# same gradient, and stay the same: 32 units are one. Loss, order, optimizer, labels and evaluation are
# all as they should be. The check: no two units of a layer have the same weights in and out.


# %%
def script_j():
    model = network()
    for layer in model:
        if isinstance(layer, nn.Linear):
            layer.weight.data[:] = 1 / layer.in_features
    return parts(model)


_, right = learn(script_j)
_, normal = learn(healthy)
assert right < normal - 0.1
for name, check in list(checks.items())[:7]:
    minires.manual_seed(0)
    assert check(script_j())[0], name


def check_units(setup):
    twins = []
    for name, layer in setup.model.named_modules():
        if isinstance(layer, nn.Linear):
            columns = np.unique(layer.weight.numpy(), axis=1).shape[1]
            if columns < layer.out_features:
                twins.append(f"{name}: {columns} different units of {layer.out_features}")
    return not twins, "; ".join(twins) or "all units differ"


assert check_units(healthy())[0]
found, seen = check_units(script_j())
print("J:", seen)
assert not found
report = minires.checkup(script_j)
print("minires.checkup:", "; ".join(f.check for f in report.broken) or "nothing is broken")
assert not report.ok
