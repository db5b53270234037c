"""`fit` on several processes: what it computes, and how all of them end together."""

import math
import os
import re

import numpy as np
import pytest
import scenarios
from of_ranks import reports_of
from scenarios import EPOCHS, LARGEST, SIZE, SMOOTHING, build, checksum

from minires import Tensor, data, optim
from minires.nn import functional as F
from minires.training import evaluate


def one_process(ranks):
    """What `scenarios.resnet` does, as a plain loop over batches and, inside it, over shares."""
    model, optimizer = build("resnet8")
    train, valid = data.split(scenarios.images(), 20, 3)
    loader = data.DataLoader(
        train, SIZE, shuffle=True, seed=3, transform=scenarios.transform(), drop_last=True
    )
    parameters = [*model.parameters()]
    running = [b for b in model.buffers() if b.dtype.kind == "f"]
    losses = []
    for epoch in range(EPOCHS):
        order = loader.order(epoch)
        for start in range(0, len(order) - SIZE + 1, SIZE):
            before = [b.data.copy() for b in running]
            total, means, loss_sum = None, None, 0.0
            for rank in range(ranks):
                share = order[start : start + SIZE][
                    SIZE * rank // ranks : SIZE * (rank + 1) // ranks
                ]
                for buffer, old in zip(running, before, strict=True):
                    buffer.data[...] = old
                optimizer.zero_grad()
                images, labels = loader.load(epoch, share)
                loss = F.cross_entropy(model(Tensor(images)), labels, label_smoothing=SMOOTHING)
                (loss * (len(share) / SIZE)).backward()
                loss_sum += loss.item() * len(share)
                gradients = [p.grad.data.copy() for p in parameters]
                parts = [b.data * np.float32(len(share) / SIZE) for b in running]
                total = added(total, gradients)
                means = added(means, parts)
            for p, gradient in zip(parameters, total, strict=True):
                p.grad = Tensor(gradient)
            for buffer, mean in zip(running, means, strict=True):
                buffer.data[...] = mean
            optim.clip_grad_norm_(parameters, LARGEST)
            optimizer.step()
            losses.append((epoch, loss_sum))
    for buffer in model.buffers():
        if buffer.dtype.kind != "f":
            buffer.data[...] = len(losses)
    of_last = [loss for epoch, loss in losses if epoch == EPOCHS - 1]
    unit = np.float32(1 / 255)
    result = evaluate(
        model, valid, transform=lambda x, draws=None: np.asarray(x).astype(np.float32) * unit
    )
    return [checksum(model), sum(of_last) / (SIZE * len(of_last)), result.loss, result.accuracy]


def added(total, arrays):
    return arrays if total is None else [a + b for a, b in zip(total, arrays, strict=True)]


@pytest.fixture(scope="module")
def of_three(tmp_path_factory):
    """What three ranks give for all that none of them dies of."""
    names = """resnet loop_of_the_page measured_statistics amp amp_overflow sync_bn sync_bn_fit
    second_derivative nan nan_in_a_layer other_setting other_data other_network other_weights
    too_small ctrl_c save_after_every_step nan_sync_bn few_held_out threads wrong_use
    script_of_the_page"""
    found = reports_of(3, tmp_path_factory.mktemp("three"), scenarios.__file__, *names.split())
    for rank in found[1:]:
        assert rank == found[0]  # all see the same: losses, messages, weights
    return found[0]


def test_fit_has_the_bits_of_one_process(of_three):
    bits, train_loss, valid_loss, accuracy = one_process(3)
    got = of_three["resnet"]
    assert got[0] == bits
    assert math.isclose(got[1], train_loss, rel_tol=1e-12)
    assert math.isclose(got[2], valid_loss, rel_tol=1e-6)  # of other batches
    assert got[3] == accuracy


def test_the_loop_of_ones_own_in_the_documentation(of_three):
    _, trained, lines = of_three["loop_of_the_page"]
    assert trained
    assert lines <= 13  # with imports


def test_the_script_in_the_documentation(of_three):
    assert of_three["script_of_the_page"] == 1


def test_saving_within_an_epoch_changes_nothing(of_three):
    assert of_three["save_after_every_step"]


def test_fewer_held_out_images_than_ranks(of_three):
    loss, accuracy = of_three["few_held_out"]
    assert 0 < loss < 20
    assert accuracy in (0, 0.5, 1)


def test_ranks_share_the_cores(of_three):
    assert of_three["threads"] == max(1, len(os.sched_getaffinity(0)) // 3)


def test_an_overflow_in_one_rank_is_one_in_all(of_three):
    assert of_three["amp_overflow"] == [False, 2.0**14, True]


def test_synchronised_batch_norm_has_one_process_gradients(of_three):
    """To the rounding of float64, running variance included, for equal and unequal shares."""
    for errors in of_three["sync_bn"].values():
        assert max(errors) < 1e-12


def test_synchronised_batch_norm_says_that_it_has_no_second_derivative(of_three):
    assert "no second derivative" in of_three["second_derivative"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nan", "at epoch 1, step 1: the images of this batch already hold NaN .*rank 1 of 3"),
        ("nan_sync_bn", "the images of this batch already hold NaN .*rank 1 of 3"),
        ("nan_in_a_layer", "at epoch 1, step 2: multiply.*gave .* NaN or inf.*rank 2 of 3"),
        ("other_setting", "rank 1 differs from rank 0: label_smoothing is 0.01, there 0"),
        ("other_data", "rank 2 differs from rank 0: it has other data"),
        ("other_network", "rank 1 has another network than rank 0"),
        ("too_small", "a batch of 2 is too small for 3 processes"),
    ],
)
def test_all_end_with_one_message(of_three, name, message):
    assert re.search(message, of_three[name])


def test_wrong_use_is_refused_in_all_ranks(of_three):
    assert of_three["wrong_use"] == [
        "ValueError: the processes' shares of the batch add up to 1.5",
        "ValueError: the processes' shares of the batch add up to nan",
        "ValueError: the batch is empty",
        "TypeError: model must be a Module, got MPIGroup",
        "TypeError: group must be distributed.world(), got Intracomm",
        "DistributedError: 4.weight is frozen in rank 1 only",
    ]


def test_weights_that_differ_are_not_saved(of_three):
    text, saved = of_three["other_weights"]
    assert "rank 1 of 3 differs from the others, first in 4.weight (at epoch 2" in text
    assert saved == 1  # of the epoch before


def test_ctrl_c_at_one_rank_saves_in_all_and_goes_on_to_the_bit(of_three):
    text, same = of_three["ctrl_c"]
    assert re.search("stopped at epoch 1, step [34] of 8; saved in stopped", text)
    assert same
