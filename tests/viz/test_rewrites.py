"""The player of a compiled model: every list of its history, and what changed in between."""

import numpy as np
import pytest

import minires
from minires import models, viz


@pytest.fixture(scope="module")
def plan():
    network = models.create("resnet8", in_channels=1).eval()
    return minires.compile(network, np.zeros((1, 12, 12, 1), np.float32))


def rows(player, step):
    state = player.state(step)
    shown = [k for k, c in state.classes.items() if c.split()[0] == "shown"]
    return [state.text[f"t{key[1:]}"] for key in shown]


def test_a_frame_for_each_rewrite_with_the_steps_that_are_left(plan):
    player = viz.rewrites(plan)
    assert len(player) == len(plan.history)
    for step, (_, names) in enumerate(plan.history):
        assert rows(player, step) == names
        assert str(len(names)) in player.frames[step].say


def test_what_a_rewrite_made_is_marked(plan):
    player = viz.rewrites(plan)
    for step in range(1, len(player)):
        before, after = plan.history[step - 1][1], plan.history[step][1]
        marked = {after[int(key[1:])] for key in player.frames[step].marks}
        assert marked
        assert marked == {name for name in after if name not in before} | (marked & set(before))
    assert not player.frames[0].marks


def test_a_large_network_is_refused_with_what_to_do():
    network = models.resnet50(num_classes=2).eval()
    plan = minires.compile(network, np.zeros((1, 32, 32, 3), np.float32))
    with pytest.raises(viz.TooLargeError, match="compile a smaller network"):
        viz.rewrites(plan)
