"""Learning-rate schedules: exact values, momentum, groups, resuming, errors."""

import json
import math

import numpy as np
import pytest

from minires import Tensor
from minires.optim import (
    SGD,
    Adam,
    CosineAnnealingLR,
    LinearWarmup,
    MultiStepLR,
    OneCycleLR,
    Optimizer,
    RMSprop,
    Schedule,
    StepLR,
)


def sgd(*rates, momentum=0.0):
    groups = [{"params": [Tensor([1.0], requires_grad=True)], "lr": rate} for rate in rates]
    return SGD(groups, lr=0.0, momentum=momentum)


def rates_of(schedule, steps):
    """The rate of the first group at every step of the optimiser, the schedule's own words."""
    rates = []
    for _ in range(steps):
        (lr, *_), group = schedule.get_last_lr(), schedule.optimizer.param_groups[0]
        assert group["lr"] == lr
        assert type(lr) is float
        rates.append(lr)
        schedule.step()
    return rates


# ---------------------------------------------------------------------- values


def test_step_lr():
    rates = rates_of(StepLR(sgd(8.0), step_size=3, gamma=0.5), 8)
    assert rates == [8.0, 8.0, 8.0, 4.0, 4.0, 4.0, 2.0, 2.0]


def test_step_lr_drops_tenfold_by_default():
    np.testing.assert_allclose(rates_of(StepLR(sgd(1.0), 1), 3), [1, 0.1, 0.01], rtol=1e-15)


def test_multi_step_lr():
    """Milestones in any order; one that comes twice counts twice; 0 counts at once."""
    rates = rates_of(MultiStepLR(sgd(8.0), [5, 2, 5], gamma=0.5), 7)
    assert rates == [8.0, 8.0, 4.0, 4.0, 4.0, 1.0, 1.0]
    assert rates_of(MultiStepLR(sgd(8.0), [], gamma=0.5), 2) == [8.0, 8.0]
    assert rates_of(MultiStepLR(sgd(8.0), iter([0]), gamma=0.5), 2) == [4.0, 4.0]


def test_cosine_annealing_lr():
    rates = rates_of(CosineAnnealingLR(sgd(1.0), T_max=4, eta_min=0.2), 10)
    half = math.sqrt(0.5)
    down = [1.0, 0.6 + 0.4 * half, 0.6, 0.6 - 0.4 * half, 0.2]
    np.testing.assert_allclose(rates, [*down, *down[3::-1], down[1]], rtol=1e-14)  # and up again


def test_one_cycle_lr():
    """10 steps: up over steps 0 to 4, where P = 0.5 * 10 - 1 = 4, and down from there to 9."""
    optimizer = sgd(123.0, momentum=0.5)
    schedule = OneCycleLR(optimizer, 2.0, 10, pct_start=0.5, div_factor=4, final_div_factor=10)
    rates, momenta = [], []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        schedule.step()
    up = [(1 - math.cos(math.pi * n / 4)) / 2 for n in range(5)]
    down = [(1 + math.cos(math.pi * n / 5)) / 2 for n in range(1, 6)]
    height = np.array(up + down)
    expected = [0.5 + 1.5 * h for h in up] + [0.05 + 1.95 * h for h in down]
    np.testing.assert_allclose(rates, expected, rtol=1e-13)
    np.testing.assert_allclose(momenta, 0.95 - 0.1 * height, rtol=1e-13)


def test_one_cycle_lr_by_default():
    """Starts at a 25th, peaks after 30%, ends at a 10,000th of the start."""
    schedule = OneCycleLR(sgd(1.0), 0.5, epochs=5, steps_per_epoch=20)
    rates = rates_of(schedule, 100)
    assert schedule.total_steps == 100
    assert (rates[0], rates[29]) == (0.5 / 25, 0.5)
    assert max(rates) == rates[29]
    assert rates[99] == pytest.approx(0.5 / 25 / 1e4, rel=1e-12)


@pytest.mark.parametrize("total_steps", [1, 2, 3, 10])
@pytest.mark.parametrize("pct_start", [0, 0.1, 0.5, 1])
def test_one_cycle_lr_with_an_empty_phase(total_steps, pct_start):
    """PyTorch divides by zero where a phase has no steps (10 steps and 0.1, for one)."""
    schedule = OneCycleLR(sgd(1.0), 1.0, total_steps, pct_start=pct_start)
    for rate in rates_of(schedule, total_steps):
        assert 1 / 25 / 1e4 <= rate <= 1.0


def test_one_cycle_lr_turns_the_first_beta():
    optimizer = Adam([Tensor([1.0], requires_grad=True)], betas=(0.9, 0.99))
    schedule = OneCycleLR(optimizer, 1.0, 10, pct_start=0.5, max_momentum=0.7, base_momentum=0.3)
    assert optimizer.param_groups[0]["betas"] == (0.7, 0.99)
    for _ in range(4):
        schedule.step()
    assert optimizer.param_groups[0]["betas"] == (0.3, 0.99)


def test_one_cycle_lr_may_leave_the_momentum():
    optimizer = sgd(1.0, momentum=0.5)
    OneCycleLR(optimizer, 1.0, 10, cycle_momentum=False).step()
    assert optimizer.param_groups[0]["momentum"] == 0.5


def test_linear_warmup():
    rates = rates_of(LinearWarmup(sgd(8.0), 4, start_factor=0.5), 7)
    assert rates == [4.0, 5.0, 6.0, 7.0, 8.0, 8.0, 8.0]
    assert rates_of(LinearWarmup(sgd(8.0), 2, start_factor=0.0), 4) == [0.0, 4.0, 8.0, 8.0]
    assert rates_of(LinearWarmup(sgd(6.0), 2), 3) == pytest.approx([2.0, 4.0, 6.0])


def test_linear_warmup_before_another_schedule():
    optimizer = sgd(8.0)
    after = StepLR(optimizer, step_size=2, gamma=0.5)
    rates = rates_of(LinearWarmup(optimizer, 2, start_factor=0.5, after=after), 8)
    assert rates == [4.0, 6.0, 8.0, 8.0, 4.0, 4.0, 2.0, 2.0]


def test_linear_warmup_before_one_cycle_holds_its_first_momentum():
    optimizer = sgd(1.0, momentum=0.9)
    after = OneCycleLR(optimizer, 25.0, 10, pct_start=0.5)
    warmup = LinearWarmup(optimizer, 2, start_factor=0.5, after=after)
    seen = []
    for _ in range(7):
        seen.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
        warmup.step()
    assert seen[:3] == [(0.5, 0.95), (0.75, 0.95), (1.0, 0.95)]
    assert seen[6] == pytest.approx((25.0, 0.85))


# ---------------------------------------------------------------------- all of them

MAKERS = {
    "step": lambda o: StepLR(o, 3, 0.3),
    "multi": lambda o: MultiStepLR(o, [2, 7], 0.3),
    "cosine": lambda o: CosineAnnealingLR(o, 9, 0.001),
    "cycle": lambda o: OneCycleLR(o, 0.7, 20),
    "warm-up": lambda o: LinearWarmup(o, 4, 0.1),
    "warm-up-cosine": lambda o: LinearWarmup(o, 4, 0.1, CosineAnnealingLR(o, 9)),
    "warm-up-cycle": lambda o: LinearWarmup(o, 4, 0.1, OneCycleLR(o, [0.1, 0.7], 20)),
}
every_schedule = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@every_schedule
def test_resumed_it_goes_on_to_the_bit(make):
    straight, resumed = make(sgd(1 / 3, 0.7, momentum=0.9)), make(sgd(1 / 3, 0.7, momentum=0.9))
    for _ in range(6):
        straight.step()
    state = json.loads(json.dumps(straight.state_dict()))
    assert state == straight.state_dict()
    resumed.load_state_dict(state)
    for _ in range(8):
        assert resumed.get_last_lr() == straight.get_last_lr()
        for one, other in zip(
            resumed.optimizer.param_groups, straight.optimizer.param_groups, strict=True
        ):
            assert (one["lr"], one["momentum"]) == (other["lr"], other["momentum"])
        straight.step()
        resumed.step()
    assert resumed.state_dict() == straight.state_dict()


@every_schedule
def test_resuming_brings_back_the_settings_whatever_rate_the_optimizer_is_at(make):
    straight, resumed = make(sgd(0.5, 0.7, momentum=0.9)), make(sgd(0.1, 0.2, momentum=0.9))
    straight.step()
    resumed.load_state_dict(straight.state_dict())
    straight.step()
    resumed.step()
    assert resumed.get_last_lr() == straight.get_last_lr()


@every_schedule
def test_a_state_is_a_snapshot(make):
    schedule = make(sgd(0.5, 0.7, momentum=0.9))
    state = schedule.state_dict()
    before = json.dumps(state)
    schedule.step()
    assert json.dumps(state) == before


@pytest.mark.parametrize("name", ["step", "multi", "cosine", "warm-up", "warm-up-cosine"])
def test_every_group_goes_its_own_way(name):
    both, first, second = (MAKERS[name](sgd(*rates)) for rates in [(0.1, 0.7), (0.1,), (0.7,)])
    for _ in range(12):
        assert both.get_last_lr() == first.get_last_lr() + second.get_last_lr()
        assert [g["lr"] for g in both.optimizer.param_groups] == both.get_last_lr()
        for schedule in (both, first, second):
            schedule.step()


def test_one_cycle_lr_per_group():
    optimizer = sgd(1.0, 1.0)
    schedule = OneCycleLR(
        optimizer, [1.0, 3.0], 10, base_momentum=[0.1, 0.2], max_momentum=(0.3, 0.4), pct_start=0.5
    )
    assert schedule.get_last_lr() == [1 / 25, 3 / 25]
    assert [g["momentum"] for g in optimizer.param_groups] == [0.3, 0.4]
    for _ in range(4):
        schedule.step()
    assert schedule.get_last_lr() == [1.0, 3.0]
    assert [g["momentum"] for g in optimizer.param_groups] == [0.1, 0.2]


def test_the_optimizer_uses_the_rates():
    parameter = Tensor(np.array([0.0]), requires_grad=True)
    optimizer = SGD([parameter], lr=1.0)
    schedule = StepLR(optimizer, 1, gamma=0.5)
    for _ in range(4):
        parameter.grad = Tensor(np.array([-1.0]))
        optimizer.step()
        schedule.step()
    assert parameter.item() == 1 + 0.5 + 0.25 + 0.125


def test_a_schedule_goes_on_from_rates_set_by_hand():
    schedule = StepLR(sgd(8.0), 1, gamma=0.5)
    schedule.optimizer.param_groups[0]["lr"] = 100.0
    schedule.step()
    assert schedule.optimizer.param_groups[0]["lr"] == 50.0


# ---------------------------------------------------------------------- errors

BAD_SETTINGS = [
    (lambda o: StepLR(o, 0), ValueError, "step_size must be at least 1, got 0"),
    (lambda o: StepLR(o, 2.5), TypeError, "step_size must be an integer, got 2.5 of type float"),
    (lambda o: StepLR(o, 2, gamma=0), ValueError, r"gamma must be in \(0, inf\), got 0"),
    (lambda o: MultiStepLR(o, 5), TypeError, "milestones must be a list of integers, got 5"),
    (lambda o: MultiStepLR(o, [0.5]), TypeError, "a milestone must be an integer, got 0.5"),
    (lambda o: MultiStepLR(o, [-1]), ValueError, "a milestone must be at least 0, got -1"),
    (lambda o: MultiStepLR(o, [1], -0.1), ValueError, "gamma must be"),
    (lambda o: CosineAnnealingLR(o, 0), ValueError, "T_max must be at least 1, got 0"),
    (lambda o: CosineAnnealingLR(o, 5, -1), ValueError, r"eta_min must be in \[0, inf\), got -1"),
    (lambda o: OneCycleLR(o, 1.0), ValueError, "needs total_steps, or both epochs and steps_per"),
    (lambda o: OneCycleLR(o, 1.0, epochs=3), ValueError, "epochs=3, steps_per_epoch=None"),
    (lambda o: OneCycleLR(o, 1.0, 0), ValueError, "total_steps must be at least 1, got 0"),
    (
        lambda o: OneCycleLR(o, 1.0, epochs=0, steps_per_epoch=1),
        ValueError,
        "epochs must be at least 1, got 0",
    ),
    (lambda o: OneCycleLR(o, 0, 5), ValueError, r"max_lr must be in \(0, inf\), got 0"),
    (lambda o: OneCycleLR(o, [1.0] * 3, 5), ValueError, "max_lr has 3 values, .* has 2 groups"),
    (lambda o: OneCycleLR(o, 1.0, 5, pct_start=30), ValueError, r"pct_start must be in \[0, 1\]"),
    (lambda o: OneCycleLR(o, 1.0, 5, cycle_momentum=1), TypeError, "must be True or False"),
    (lambda o: OneCycleLR(o, 1.0, 5, max_momentum=1), ValueError, "max_momentum must be in"),
    (lambda o: OneCycleLR(o, 1.0, 5, base_momentum=-1), ValueError, "base_momentum must be in"),
    (lambda o: OneCycleLR(o, 1.0, 5, div_factor=0), ValueError, "div_factor must be in"),
    (lambda o: OneCycleLR(o, 1.0, 5, final_div_factor=0), ValueError, "final_div_factor must be"),
    (lambda o: LinearWarmup(o, 0), ValueError, "warmup_steps must be at least 1, got 0"),
    (lambda o: LinearWarmup(o, 5, 1.5), ValueError, r"start_factor must be in \[0, 1\], got 1.5"),
    (lambda o: LinearWarmup(o, 5, after=o), TypeError, "after must be a schedule, got SGD"),
    (
        lambda o: LinearWarmup(o, 5, after=StepLR(sgd(1.0), 1)),
        ValueError,
        "after must be a schedule of the same optimizer",
    ),
    (lambda o: StepLR(o.param_groups, 1), TypeError, "needs an Optimizer, got .* of type list"),
    (lambda o: OneCycleLR(None, 1.0, 5), TypeError, "needs an Optimizer, got None"),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD_SETTINGS)
def test_bad_settings(make, error, message):
    with pytest.raises(error, match=message):
        make(sgd(0.1, 0.2))


def test_one_cycle_needs_a_momentum_to_cycle():
    class Plain(Optimizer):
        def check_options(self, options):
            return options

        def update(self, x, grad, state, group):
            raise NotImplementedError

    optimizer = Plain([Tensor([1.0])], {"lr": 1.0})
    with pytest.raises(ValueError, match="Plain has neither momentum nor betas"):
        OneCycleLR(optimizer, 1.0, 5)
    OneCycleLR(optimizer, 1.0, 5, cycle_momentum=False)
    OneCycleLR(RMSprop([Tensor([1.0])]), 1.0, 5)


def test_one_cycle_ends():
    schedule = OneCycleLR(sgd(1.0), 1.0, 3)
    for _ in range(3):
        schedule.step()
    with pytest.raises(ValueError, match="made for 3 steps and cannot make a further one"):
        schedule.step()
    assert schedule.last_epoch == 3


def test_groups_added_later_are_refused():
    optimizer = sgd(1.0, 2.0)
    schedules = [make(optimizer) for make in MAKERS.values()]
    optimizer.add_param_group({"params": [Tensor([1.0])]})
    for schedule in schedules:
        with pytest.raises(ValueError, match=r"made for 2 parameter groups, .* now has 3"):
            schedule.step()
        assert schedule.last_epoch == 0


def test_a_state_that_does_not_fit_changes_nothing():
    optimizer = sgd(1.0, 2.0)
    schedule = LinearWarmup(optimizer, 3, after=StepLR(optimizer, 2))
    schedule.step()
    before = schedule.state_dict()
    other = sgd(1.0, 2.0)
    bad_states = [
        (StepLR(other, 2).state_dict(), "a schedule 'StepLR'"),
        ({}, "a schedule None"),
        ({"schedule": "LinearWarmup"}, "lacks .*'last_epoch'"),
        ({**before, "base_lrs": [1.0]}, "1 groups, the optimiser has 2"),
        ({**before, "after": None}, "what follows the warm-up is None"),
        ({**before, "after": CosineAnnealingLR(other, 2).state_dict()}, "'CosineAnnealingLR'"),
    ]
    for state, message in bad_states:
        with pytest.raises(ValueError, match=message):
            schedule.load_state_dict(state)
        assert schedule.state_dict() == before
    with pytest.raises(ValueError, match=r"what follows the warm-up is {.*} in the state, None"):
        LinearWarmup(other, 3).load_state_dict(before)


# ---------------------------------------------------------------------- the rest


def test_reprs():
    optimizer = sgd(1.0)
    assert repr(StepLR(optimizer, 30)) == "StepLR(step_size=30, gamma=0.1, last_epoch=0)"
    warmup = LinearWarmup(optimizer, 5, 0.5, after=CosineAnnealingLR(optimizer, 9))
    warmup.step()
    assert repr(warmup) == (
        "LinearWarmup(warmup_steps=5, start_factor=0.5, "
        "after=CosineAnnealingLR(T_max=9, eta_min=0.0, last_epoch=0), last_epoch=1)"
    )
    assert repr(MultiStepLR(optimizer, [3, 1])).startswith("MultiStepLR(milestones=[1, 3], gamma=")
    assert repr(OneCycleLR(optimizer, 1.0, 7)).startswith("OneCycleLR(total_steps=7, max_lrs=[1.0]")


def test_a_schedule_of_ones_own():
    class Halving(Schedule):
        def lr_at(self, step, base_lr):
            return base_lr / 2**step

    assert rates_of(Halving(sgd(8.0)), 4) == [8.0, 4.0, 2.0, 1.0]
    with pytest.raises(NotImplementedError, match="Schedule must define lr_at"):
        Schedule(sgd(1.0))
