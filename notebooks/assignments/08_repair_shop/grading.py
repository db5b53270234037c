"""How assignment 8 is graded: rows of set-ups, some broken; causes by name, repairs by training.

A row has every fault of its counter and a healthy set-up or two, in a drawn order, on digits of
which pixels and classes are exchanged. A fault is an expression in Python that is evaluated where
the student's code is; it says nothing of its name.
"""

import itertools

import numpy as np

from minires import data
from minires.coursework import Causes, Draws, Repaired, question

DIGITS = data.digits()
EPOCHS = 8
LEARNT = 0.75
"""The share of right test images that a repaired training must reach: see docs/coursework.md."""
UNTRAINED = 0.5
"""What it may reach before its first step, at most."""
IMAGES = 300
WITHHELD = ["accepted", "sizes", "test_images", "test_labels"]


def answer(
    images,
    labels,
    starts,
    norm,
    faults,
    lr,
    momentum,
    orders,
    probe,
    probe_labels,
    accepted,
    sizes,
    test_images,
    test_labels,
):
    """The names that count, and what the grader needs to run the networks; both sorts of images."""
    scaled = test_images / 255 - 0.3, test_labels, probe / 255 - 0.3, probe_labels
    repaired = Repaired(accepted, sizes, norm, *scaled, LEARNT, UNTRAINED)
    return Causes(accepted), repaired


DRIVER = """
def drive(
    student, images, labels, starts, norm, faults, lr, momentum, orders, probe, probe_labels
):
    distance = 3 if norm else 2

    def linears(setup):
        return setup.model.layers[::distance][: len(starts[0])]

    def arrays(setup):
        norms = setup.model.layers[1::distance] if norm else []
        found = []
        for i, layer in enumerate(linears(setup)):
            found += [layer.w.data, layer.b.data]
            for beside in norms[i : i + 1]:
                found += [beside.gamma.data, beside.beta.data, beside.mean, beside.var]
        return [array(one) for one in found]

    causes, trainings = [], []
    for start, fault in zip(starts, faults, strict=True):
        pairs = [(array(w), array(b)) for w, b in start]
        x = images / 255 - 0.3
        setup = student.healthy_setup(x, array(labels), pairs, norm, lr, momentum)
        define(fault)(setup, student.Softmax, student.ReLU, student.Parameter,
                      student.negative_log_likelihood)
        cause = student.mend(setup)
        if PUT_BACK:
            for layer, (w, b) in zip(linears(setup), start, strict=False):
                layer.w.data, layer.b.data = array(w), array(b)
        before = arrays(setup)
        x, y = array(setup.images), array(setup.labels)
        for order in orders:
            setup.evaluate(setup, probe / 255 - 0.3, array(probe_labels))
            for begin in range(0, len(order), 20):
                chosen = order[begin : begin + 20]
                setup.step(setup, x[chosen], y[chosen])
        after = arrays(setup)
        reports = [
            setup.evaluate(setup, probe[k : k + 10] / 255 - 0.3, array(probe_labels[k : k + 10]))
            for k in range(0, 40, 10)
        ]
        causes.append(cause)
        trainings.append([cause, before, after, reports])
    return causes, trainings
"""


# ---------------------------------------------------------------------- what is drawn


def row(draw, jobs, layers=None, norm=False, rate=(0.15, 0.25), bias=0.0):
    """A row of jobs, each a function of a `Draws` and the first weights: accepted names, a fault.

    A job may change the weights in place.
    """
    pixels, classes, chosen = draw.shuffled(64), draw.shuffled(10), draw.shuffled(len(DIGITS))
    x = DIGITS.images.reshape(-1, 64)[chosen][:, pixels]
    y = classes[DIGITS.labels[chosen]]
    hidden = [draw.size(20, 32) for _ in range(layers or draw.size(1, 2))]
    sizes = [64, *hidden, 10]
    starts, faults, accepted = [], [], []
    for i in draw.shuffled(len(jobs)):
        start = [
            [draw.normal(a, b, scale=(2 / a) ** 0.5), np.zeros(b)]
            for a, b in itertools.pairwise(sizes)
        ]
        start[-1][1][...] = bias
        names, fault = jobs[i](draw, start)
        starts.append(start)
        faults.append(fault)
        accepted.append(names)
    momentum = draw.choice(0.0, 0.5, 0.8)
    lr = draw.choice(*rate) * (1 - momentum)
    orders = np.stack([draw.shuffled(IMAGES) for _ in range(EPOCHS)])
    rest = np.arange(IMAGES + 400, len(x))
    probe = np.concatenate([rest[y[rest] == c][:10] for c in draw.shuffled(10)[:4]])
    wrong = draw.integers(40, below=3)  # so that nobody knows a share who does not run the network
    return (
        x[:IMAGES],
        y[:IMAGES],
        starts,
        norm,
        [f"lambda s, Softmax, ReLU, Parameter, nll: {fault}" for fault in faults],
        lr,
        momentum,
        orders,
        x[probe],
        (y[probe] + wrong) % 10,
        accepted,
        sizes,
        x[IMAGES : IMAGES + 400],
        y[IMAGES : IMAGES + 400],
    )


def rows(name, jobs, put_back=True, **options):
    """A question: a visible row of its jobs, and one that each course draws."""
    made = question(points=3, returns={"causes": 1, "repairs": 1}, seconds=90, withheld=WITHHELD)(
        answer
    )
    made.name = name
    made.driver = DRIVER.replace("student.mend", f"student.{name}").replace(
        "PUT_BACK", str(put_back)
    )
    draw = Draws.keyed("a visible row", name)
    made.case("a row", *row(draw, jobs, layers=2, **options), visible=True)

    @made.hidden("another row", weight=3)
    def another(draw):
        return row(draw, jobs, **options)

    made.mutants_quickly(without=[], inputs=4)
    return made


def healthy(draw, start):
    return ["nothing"], "None"


# ---------------------------------------------------------------------- 1 the optimiser

COPIES = "[Parameter(p.data) for p in s.optimiser.parameters]"


def only_last(draw, start):
    return ["missing parameters"], "s.optimiser.parameters.__delitem__(slice(0, -2))"


def without_one(draw, start):
    place = draw.size(1, 2 * len(start) - 1)
    return ["missing parameters"], f"s.optimiser.parameters.pop({place})"


def copies(draw, start):
    names = ["foreign parameters", "missing parameters"]
    return names, f"setattr(s.optimiser, 'parameters', {COPIES})"


def in_another_order(draw, start):
    return ["nothing"], "s.optimiser.parameters.reverse()"


mend_optimiser = rows("mend_optimiser", [healthy, in_another_order, only_last, without_one, copies])


# ---------------------------------------------------------------------- 2 what goes into the loss


def softmax_at_the_end(draw, start):
    return ["double softmax"], "s.model.layers.append(Softmax())"


def relu_at_the_end(draw, start):
    return ["clipped outputs"], "s.model.layers.append(ReLU())"


def softmax_and_likelihood(draw, start):
    appended = "s.model.layers.append(Softmax())"
    return ["nothing"], f"({appended}, setattr(s, 'loss', lambda p, y: nll(p, y)))"


def loss_in_other_words(draw, start):
    right = "setattr(s, 'loss', (lambda right: lambda z, y: right(z, y))(s.loss))"
    return ["nothing"], right


mend_outputs = rows(
    "mend_outputs",
    [
        healthy,
        loss_in_other_words,
        softmax_and_likelihood,
        softmax_at_the_end,
        relu_at_the_end,
    ],
    bias=-4.0,
)


# ---------------------------------------------------------------------- 3 the order of a step

ZERO, STEP = "s.optimiser.zero_grad()", "s.optimiser.step()"
FORWARD = "found.append(s.loss(s.model.forward(x), y))"
BACKWARD = "s.model.backward(found[-1][1])"


def in_order(*calls):
    """A fault: a step that does this."""
    body = ", ".join([*calls, "found[-1][0]"])
    return f"setattr(s, 'step', (lambda found: lambda s, x, y: ({body})[-1])([]))"


def in_right_order(draw, start):
    return ["nothing"], in_order(
        *draw.choice(
            (FORWARD, ZERO, BACKWARD, STEP),
            (FORWARD, BACKWARD, STEP, ZERO),
            (ZERO, FORWARD, BACKWARD, STEP, ZERO),
        )
    )


def step_first(draw, start):
    """With the gradient of the step before, which learns too."""
    return ["nothing"], in_order(STEP, ZERO, FORWARD, BACKWARD)


def never_cleared(draw, start):
    return ["no zero_grad"], in_order(FORWARD, BACKWARD, STEP)


def cleared_too_early(draw, start):
    names = ["zero_grad before the step", "step before backward"]
    return names, in_order(
        *draw.choice(
            (FORWARD, BACKWARD, ZERO, STEP),
            (ZERO, FORWARD, BACKWARD, ZERO, STEP),
            (ZERO, STEP, FORWARD, BACKWARD),
            (FORWARD, ZERO, STEP, BACKWARD),
            (STEP, FORWARD, BACKWARD, ZERO),
        )
    )


def never_stepped(draw, start):
    return ["no step"], in_order(*draw.choice((ZERO, FORWARD, BACKWARD), (FORWARD, BACKWARD, ZERO)))


mend_step = rows(
    "mend_step",
    [healthy, in_right_order, step_first, never_cleared, cleared_too_early, never_stepped],
    rate=(0.4, 0.5),
)


# ---------------------------------------------------------------------- 4 the evaluation

RIGHT = "(s.model.forward(x).argmax(axis=1) == y).mean()"
OFF, ON = "s.model.train(False)", "s.model.train(True)"


def evaluated(*calls):
    """A fault: an evaluation that does this."""
    body = ", ".join(calls)
    place = [i for i, call in enumerate(calls) if call == RIGHT][-1]
    return f"setattr(s, 'evaluate', lambda s, x, y: ({body},)[{place}])"


def evaluated_right(draw, start):
    return ["nothing"], evaluated(*draw.choice((OFF, RIGHT, ON), (OFF, RIGHT, ON, ON)))


def never_switched(draw, start):
    return ["evaluated in training mode"], evaluated(
        *draw.choice((RIGHT,), (ON, RIGHT), (RIGHT, ON))
    )


def never_switched_back(draw, start):
    names = ["trained in evaluation mode"]
    return names, evaluated(*draw.choice((OFF, RIGHT), (ON, OFF, RIGHT)))


def the_wrong_way_round(draw, start):
    names = ["evaluated in training mode", "trained in evaluation mode"]
    return names, evaluated(ON, RIGHT, OFF)


mend_evaluation = rows(
    "mend_evaluation",
    [healthy, evaluated_right, never_switched, never_switched_back, the_wrong_way_round],
    norm=True,
)


# ---------------------------------------------------------------------- 5 the labels


def rolled(draw, start):
    by = draw.size(1, IMAGES - 1)
    return [
        "shuffled labels"
    ], f"setattr(s, 'labels', s.labels.take(range({by}, {by + IMAGES}), mode='wrap'))"


def images_rolled(draw, start):
    by = draw.size(1, IMAGES - 1)
    return ["shuffled labels"], (
        f"setattr(s, 'images', s.images.take(range({by}, {by + IMAGES}), axis=0, mode='wrap'))"
    )


def both_rolled(draw, start):
    by = draw.size(1, IMAGES - 1)
    both = (
        f"setattr(s, {name!r}, s.{name}.take(range({by}, {by + IMAGES}), axis=0, mode='wrap'))"
        for name in ("images", "labels")
    )
    return ["nothing"], f"({', '.join(both)})"


def reversed_labels(draw, start):
    return ["shuffled labels"], "setattr(s, 'labels', s.labels[::-1].copy())"


mend_labels = rows("mend_labels", [healthy, both_rolled, rolled, images_rolled, reversed_labels])


# ---------------------------------------------------------------------- 6 the first weights


def all_equal(draw, start):
    (w, b), (behind, _) = draw.choice(*itertools.pairwise(start))
    behind[...] = behind[0]  # or gradients differ, and the units soon do too
    w[...] = draw.choice(0.05, 0.1, 0.2)
    b[...] = draw.choice(0.0, 0.5)
    return ["equal units"], "None"


def all_zero(draw, start):
    w, _ = start[draw.size(0, len(start) - 2)]
    w[...] = 0
    return ["equal units", "dead layer"], "None"


def dead(draw, start):
    _, b = start[draw.size(0, len(start) - 2)]
    b[...] = -draw.choice(50.0, 100.0, 500.0)
    return ["dead layer"], "None"


def some_dead(draw, start):
    _, b = start[draw.size(0, len(start) - 2)]
    b[: draw.size(1, 3)] = -50
    return ["nothing"], "None"


mend_start = rows("mend_start", [healthy, some_dead, all_equal, all_zero, dead], put_back=False)


# ---------------------------------------------------------------------- 7 rate, momentum, decay


def numbers(**values):
    return "(" + "".join(f"setattr(s.optimiser, {k!r}, {v!r}), " for k, v in values.items()) + ")"


def other_numbers(draw, start):
    momentum = draw.choice(0.0, 0.8, 0.9)
    rate = draw.choice(0.1, 0.2, 0.3) * (1 - momentum)
    return ["nothing"], numbers(lr=rate, momentum=momentum, weight_decay=draw.choice(0.0, 1e-4))


def too_high(draw, start):
    return ["rate too high"], numbers(lr=draw.choice(20.0, 50.0, 300.0))


def too_low(draw, start):
    return ["rate too low"], numbers(lr=draw.choice(1e-5, 1e-6, 1e-4))


def too_much_momentum(draw, start):
    return ["momentum too high"], numbers(lr=0.25, momentum=draw.choice(1.5, 2.0, 3.0))


def too_much_decay(draw, start):
    return ["decay too strong"], numbers(weight_decay=draw.choice(2.0, 5.0, 3.0))


mend_rates = rows(
    "mend_rates",
    [healthy, other_numbers, too_high, too_low, too_much_momentum, too_much_decay],
)


# ---------------------------------------------------------------------- 8 the loss

NUMPY = "__import__('numpy')"


def loss(loss, gradient):
    """A fault: a loss of these expressions in the right loss `l` and gradient `g`, of z and y."""
    changed = f"lambda l, g, z, y: ({loss}, {gradient})"
    return (
        f"setattr(s, 'loss', (lambda right, changed: lambda z, y: changed(*right(z, y), z, y))"
        f"(s.loss, {changed}))"
    )


def summed(draw, start):
    names = ["sum instead of mean", "rate too high"]
    return names, loss("l * len(y)", "g * len(y)")


def uphill(draw, start):
    return ["wrong sign"], loss("l", "-g")


def over_the_batch(draw, start):
    hot = f"{NUMPY}.eye(10)[y]"
    e = f"{NUMPY}.exp(z - z.max(axis=0))"
    p = f"({e} / {e}.sum(axis=0))"
    mean = f"-{NUMPY}.log({p}[{NUMPY}.arange(len(y)), y]).mean()"
    return ["wrong axis"], loss(mean, f"({p} - {hot}) / len(y)")


def the_same_loss(draw, start):
    return ["nothing"], loss(
        *draw.choice(("l", "g"), ("l + 0", "g.copy()"), ("float(l)", "g * 1.0"))
    )


mend_loss = rows(
    "mend_loss", [healthy, the_same_loss, summed, uphill, over_the_batch], rate=(0.4, 0.5)
)
