"""Assignment 8: points are for named causes and trainings that learn, and for nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from minires.coursework.answers import repaired
from minires.coursework.assignment import load_assignments
from minires.coursework.bundle import make_bundle
from minires.coursework.cells import Cell
from minires.coursework.grading.grade import grade_question

FACTORY = """
    own = setup.model.parameters()
    setup.optimiser = SGD(own, 0.2)
    setup.loss, setup.step, setup.evaluate = cross_entropy, step, evaluate
    setup.model.layers = [one for one in setup.model.layers if not isinstance(one, Softmax)]
"""
TRAIN = """
    import copy
    good = SGD(setup.model.parameters(), 0.2)
    for _ in range(10):
        for k in range(0, 300, 20):
            good.zero_grad()
            z = setup.model.forward(setup.images[k : k + 20])
            setup.model.backward(cross_entropy(z, setup.labels[k : k + 20])[1])
            good.step()
"""
CHEATS = {
    "nothing, always": ("mend_optimiser", "    return 'nothing'", "has a fault"),
    "one fault, always": (
        "mend_optimiser",
        "    setup.optimiser.parameters = setup.model.parameters()\n"
        "    return 'missing parameters'",
        "is healthy, you found 'missing parameters'",
    ),
    "all names at once": (
        "mend_step",
        FACTORY + "    return [*CAUSES]",
        "is healthy, you found ['nothing', ",
    ),
    "a name that is equal to all": (
        "mend_step",
        FACTORY + "    class Any(str):\n"
        "        __eq__ = lambda self, other: True\n"
        "        __hash__ = str.__hash__\n"
        "    return Any('no step')",
        "you found something of type",
    ),
    "all parts replaced, unseen": (
        "mend_loss",
        FACTORY + "    return 'repaired'",
        "it learns, but a repair counts where the cause is named right",
    ),
    "the answers of a row that was seen": (
        "mend_loss",
        FACTORY
        + "    mend_loss.count = getattr(mend_loss, 'count', -1) + 1\n"
        + "    return SEEN[mend_loss.count % len(SEEN)]",
        "you found",
    ),
    "trained in the place of repaired": (
        "mend_optimiser",
        TRAIN + "    held = [any(p is q for q in setup.optimiser.parameters) "
        "for p in setup.model.parameters()]\n"
        "    return 'nothing' if all(held) else 'missing parameters'",
        "the training does not change layer",
    ),
    "trained before the first step": (
        "mend_start",
        "    x, dead, equal = setup.images, False, False\n"
        "    for layer in setup.model.layers[:-1]:\n"
        "        x = layer.forward(x)\n"
        "        dead |= isinstance(layer, ReLU) and not x.any()\n"
        "        equal |= isinstance(layer, Linear) and np.ptp(x, axis=1).max() < 1e-9\n"
        "    for layer in setup.model.layers:\n"
        "        if isinstance(layer, Linear):\n"
        "            shape, rng = layer.w.data.shape, np.random.default_rng(0)\n"
        "            layer.w.data[...] = rng.normal(0, (2 / shape[0]) ** 0.5, shape)\n"
        "            layer.b.data[...] = 0\n"
        + TRAIN
        + "    return 'dead layer' if dead else 'equal units' if equal else 'nothing'",
        "right before the first step: do not train",
    ),
    "an accuracy that is made up": (
        "mend_evaluation",
        "    setup.model.train(True)\n"
        "    norm, old = setup.model.layers[1], setup.evaluate\n"
        "    mean = norm.mean\n"
        "    old(setup, setup.images[:9], setup.labels[:9])\n"
        "    moved, on = norm.mean is not mean, norm.training\n"
        "    setup.model.train(True)\n"
        "    setup.evaluate = lambda s, x, y: 1.0\n"
        "    return 'evaluated in training mode' if moved else "
        "'nothing' if on else 'trained in evaluation mode'",
        "evaluate gives the shares [1.0, 1.0, 1.0, 1.0], right are [",
    ),
    "the grader's frames": (
        "mend_rates",
        "    import sys\n    frame = sys._getframe()\n    return frame.f_back.f_locals['fault']",
        "frames may not be used here",
    ),
    "the grader's objects": (
        "mend_rates",
        "    import gc\n"
        "    return [o for o in gc.get_objects() if isinstance(o, dict) and 'faults' in o]",
        "gc.get_objects may not be used here",
    ),
    "a step that does nothing but noise": (
        "mend_step",
        "    def noise(setup, x, y):\n"
        "        for p in setup.model.parameters():\n"
        "            p.data = p.data + np.random.default_rng(0).normal(0, 0.01, p.data.shape)\n"
        "    setup.step = noise\n"
        "    return 'no step'",
        "of the test images are right, not enough",
    ),
}


@pytest.fixture(scope="module")
def bundle():
    (assignment,) = load_assignments(name="08_repair_shop")
    for question in assignment.questions.values():
        question.mistakes.clear()  # they are tested by `minires coursework mutants`
    return make_bundle(assignment, seed=1)


@pytest.fixture
def earned(bundle, sandboxed):
    """The share of the hidden row's points that an answer gets, and what it is told."""

    def run(name, body):
        question = bundle.question(name)
        seen, hidden = question.cases
        names = [one[0] for one in seen.expected[0]["$causes"]["accepted"]]
        source = f"SEEN = {names!r}\ndef {name}(setup):\n{body}\n"
        asked = replace(question, cases=[replace(hidden, visible=True)])  # so that texts are told
        cells = [Cell("code", source, "question", name, 1)]
        result = grade_question(asked, bundle.given, cells, sandboxed=sandboxed)
        return result.earned / result.points, "\n".join(
            [case.text + "".join(o.text for o in case.outputs) for case in result.cases]
        )

    return run


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheat_gets_none_of_what_it_is_after(earned, cheat):
    name, body, told = CHEATS[cheat]
    share, text = earned(name, body)
    assert told in text
    named_right = cheat in {
        "trained in the place of repaired",
        "trained before the first step",
        "an accuracy that is made up",
    }
    assert share == (0.5 if named_right else 0)


def test_the_child_gets_no_images_of_the_test_and_no_names(bundle):
    for question in bundle.questions:
        for case in question.cases:
            assert not {"accepted", "test_images", "test_labels"} & case.arguments.keys()
            kept = case.expected[1]["$repaired"]["images"]
            sent = {row.tobytes() for row in case.arguments["images"] / 255 - 0.3}
            assert not sent & {row.tobytes() for row in kept}
            names = {name for names in case.expected[0]["$causes"]["accepted"] for name in names}
            assert not any(name in fault for name in names for fault in case.arguments["faults"])


@pytest.mark.parametrize("norm", [False, True])
def test_the_grader_runs_the_network_of_the_notebook(norm):
    (assignment,) = load_assignments(name="08_repair_shop")
    names = {}
    for cell in assignment.cells:
        if cell.role == "given":
            exec(cell.source, names)
    random = np.random.default_rng(0)
    setup = names["fresh"](norm=norm)
    names["trained"](setup, epochs=1)
    arrays = []
    for layer in setup.model.layers:
        arrays += [p.data for p in layer.parameters()]
        arrays += [layer.mean, layer.var] if isinstance(layer, names["BatchNorm"]) else []
    named = dict(zip(repaired.shapes([64, 16, 12, 10], norm), arrays, strict=True))
    images = random.normal(size=(7, 64))
    setup.model.train(False)
    found = repaired.logits(named, images, [64, 16, 12, 10], norm)
    np.testing.assert_allclose(found, setup.model.forward(images), rtol=1e-12)


@pytest.mark.parametrize(
    ("good", "share"),
    [([1, 1, 1, 1], 1), ([1, 1, 0, 1], 0.5), ([0, 1, 1, 1], 0), ([1, 1, 0, 0], 0)],
)
def test_a_row_counts_by_its_faults_and_only_if_healthy_ones_stay_so(good, share):
    accepted = [["nothing"], ["nothing"], ["no step"], ["wrong axis", "wrong sign"]]
    assert repaired.share_of_row([bool(one) for one in good], accepted) == share


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        "x",
        [None] * 5,
        [[]] * 5,
        [["no step", 1, 2, 3]] * 5,
        [[None, [np.zeros(3)] * 6, [np.zeros(3)] * 6, [np.nan] * 4]] * 5,
        [[{}, [np.zeros((10**6, 0))] * 4, {}, {}]] * 5,
    ],
)
def test_anything_told_is_judged(bundle, told):
    expected = bundle.question("mend_loss").cases[0].expected
    assert repaired.judged(told, **expected[1]["$repaired"]).share == 0
    assert repaired.causes_judged(told, **expected[0]["$causes"]).share == 0


def test_each_of_two_names_is_right():
    accepted = [["nothing"], ["wrong sign", "wrong axis"]]
    for name in ("wrong sign", "wrong axis"):
        assert repaired.causes_judged(["nothing", name], accepted).share == 1
    verdict = repaired.causes_judged(["nothing", "no step"], accepted)
    assert verdict.text == "set-up 2 has a fault, and it is not 'no step'"
