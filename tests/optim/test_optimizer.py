"""What holds for every optimiser: groups, aliases, gradients, saving and restoring, errors."""

import json

import numpy as np
import pytest

from minires import Tensor
from minires.optim import SGD, Adam, AdamW, Optimizer, RMSprop

MAKERS = {
    "sgd": lambda p: SGD(p, lr=0.1),
    "momentum": lambda p: SGD(p, lr=0.1, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "nesterov": lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    "adam": lambda p: Adam(p, lr=0.1, betas=(0.8, 0.95), weight_decay=0.01),
    "adamw": lambda p: AdamW(p, lr=0.1),
    "rmsprop": lambda p: RMSprop(p, lr=0.1, weight_decay=0.01),
    "centred": lambda p: RMSprop(p, lr=0.1, weight_decay=0.01, momentum=0.9, centered=True),
}
every_optimizer = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def tensors(*shapes, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return [Tensor(rng.normal(size=s).astype(dtype), requires_grad=True) for s in shapes]


def give_gradients(parameters, seed):
    rng = np.random.default_rng(seed)
    for parameter in parameters:
        parameter.grad = Tensor(rng.normal(size=parameter.shape).astype(parameter.dtype))


def take_steps(optimizer, parameters, seeds):
    for seed in seeds:
        give_gradients(parameters, seed)
        optimizer.step()


# ---------------------------------------------------------------------- a step


@every_optimizer
def test_a_step_writes_into_the_parameters_own_array(make):
    (parameter,) = tensors((3, 2))
    alias, row, before = parameter.data, parameter.data[1], parameter.data.copy()
    take_steps(make([parameter]), [parameter], range(3))
    assert parameter.data is alias
    assert not (alias == before).any()
    np.testing.assert_array_equal(row, parameter.data[1])


@every_optimizer
def test_a_step_leaves_gradients_alone(make):
    (parameter,) = tensors((3, 2))
    optimizer = make([parameter])
    values = np.arange(6, dtype="float32").reshape(3, 2) - 2
    array = values.copy()
    array.flags.writeable = False  # whoever writes, fails
    parameter.grad = gradient = Tensor(array)
    for _ in range(3):
        optimizer.step()
        assert parameter.grad is gradient
        assert gradient.data is array
    np.testing.assert_array_equal(array, values)
    for state in optimizer.state:  # and nothing that is remembered shares its memory
        for value in state.values():
            assert not (isinstance(value, np.ndarray) and np.shares_memory(value, array))


@every_optimizer
def test_a_parameter_without_gradient_is_passed_over(make):
    with_gradient, without = tensors((2,), (2,))
    before = without.data.copy()
    optimizer = make([without, with_gradient])
    take_steps(optimizer, [with_gradient], range(2))
    np.testing.assert_array_equal(without.data, before)
    assert optimizer.state[0] == {}


def test_a_gradient_that_would_broadcast_is_refused():
    class Loose(Tensor):  # Tensor itself refuses such a gradient
        __slots__ = ("gradient",)

        @property
        def grad(self):
            return self.gradient

    parameter = Loose(np.zeros((2, 3)))
    parameter.gradient = Tensor(np.zeros(3))
    with pytest.raises(ValueError, match=r"parameter 0 has shape \(2, 3\).*gradient has \(3,\)"):
        SGD([parameter], lr=0.1).step()


def test_zero_grad_reaches_every_parameter_of_every_group():
    parameters = tensors((2,), (2,), (3,), (1,), ())
    optimizer = SGD([{"params": parameters[:2]}, {"params": parameters[2:]}], lr=0.1)
    give_gradients(parameters, 0)
    parameters[1].grad = None
    optimizer.zero_grad()
    assert [p.grad for p in parameters] == [None] * 5


def test_it_works_with_the_engine():
    """Linear regression finds the coefficients, through real gradients."""
    rng = np.random.default_rng(0)
    inputs = Tensor(rng.normal(size=(50, 3)))
    wanted = np.array([1.0, -2.0, 0.5])
    outputs = Tensor(inputs.data @ wanted)
    weights = Tensor(np.zeros(3), requires_grad=True)
    optimizer = SGD([weights], lr=0.1, momentum=0.5)
    for _ in range(100):
        optimizer.zero_grad()
        error = (inputs * weights).sum(axis=1) - outputs
        (error * error).mean().backward()
        optimizer.step()
    np.testing.assert_allclose(weights.data, wanted, atol=1e-6)


# ---------------------------------------------------------------------- groups


def test_groups_have_their_own_options():
    a, b, c = tensors((1,), (1,), (1,), dtype="float64")
    starts = [p.item() for p in (a, b, c)]
    optimizer = SGD(
        [{"params": [a], "lr": 1.0}, {"params": [b, c], "weight_decay": 0.5}], lr=0.25, momentum=0.5
    )
    assert [g["lr"] for g in optimizer.param_groups] == [1.0, 0.25]
    assert [g["momentum"] for g in optimizer.param_groups] == [0.5, 0.5]
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.0, 0.5]
    for parameter in (a, b, c):
        parameter.grad = Tensor(np.array([2.0]))
    optimizer.step()
    assert a.item() == starts[0] - 2.0
    assert b.item() == starts[1] - 0.25 * (2.0 + 0.5 * starts[1])
    assert c.item() == starts[2] - 0.25 * (2.0 + 0.5 * starts[2])


@every_optimizer
def test_a_group_added_later_is_like_one_that_had_no_gradients_yet(make):
    first, second = tensors((3,), (2,)), tensors((3,), (2,))
    whole = make([{"params": first[:1]}, {"params": first[1:], "lr": 0.3}])
    grown = make(second[:1])
    take_steps(whole, first[:1], range(2))
    take_steps(grown, second[:1], range(2))
    grown.add_param_group({"params": second[1:], "lr": 0.3})
    take_steps(whole, first, range(2, 4))
    take_steps(grown, second, range(2, 4))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.data, other.data)


def test_options_become_plain_python_numbers():
    """A NumPy scalar among them would promote float32, and JSON could not hold it."""
    options = SGD(tensors((1,)), lr=np.float32(0.5), momentum=1, nesterov=False).param_groups[0]
    assert type(options["lr"]) is float
    assert type(options["momentum"]) is float
    betas = Adam(tensors((1,)), betas=[np.float64(0.5), 0]).param_groups[0]["betas"]
    assert [type(b) for b in betas] == [float, float]
    assert betas == (0.5, 0.0)


def test_params_may_be_a_generator_and_a_group_may_be_empty():
    parameters = tensors((1,), (2,))
    assert SGD((p for p in parameters), lr=0.1).param_groups[0]["params"] == parameters
    SGD([{"params": []}, {"params": iter(parameters)}], lr=0.1)


# ---------------------------------------------------------------------- saving and restoring


def write(path, state):
    """Save as .npz and JSON, without pickle: arrays here, everything else there."""
    arrays = {}

    def without_arrays(value, at):
        if isinstance(value, np.ndarray):
            arrays[at] = value
            return {"array": at}
        if isinstance(value, dict):
            return {k: without_arrays(v, f"{at}/{k}") for k, v in value.items()}
        return value

    (path / "state.json").write_text(json.dumps(without_arrays(state, "")))
    np.savez(path / "state.npz", allow_pickle=False, **arrays)


def read(path):
    with np.load(path / "state.npz", allow_pickle=False) as arrays:

        def with_arrays(value):
            if isinstance(value, dict):
                if "array" in value:
                    return arrays[value["array"]]
                return {k: with_arrays(v) for k, v in value.items()}
            return value

        return with_arrays(json.loads((path / "state.json").read_text()))


def assert_same(one, other):
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()
    else:
        assert type(one) is type(other)
        assert one == other


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_optimizer
def test_saved_and_restored_it_goes_on_to_the_bit(make, dtype, tmp_path):
    def fresh():
        parameters = tensors((2, 3), (2, 3), (4,), dtype=dtype)
        groups = [{"params": parameters[:1]}, {"params": parameters[1:], "lr": 0.03}]
        return parameters, make(groups)

    straight, optimizer = fresh()
    take_steps(optimizer, straight[:2], range(4))  # the third has no state yet
    optimizer.param_groups[0]["lr"] = 1 / 3
    state = optimizer.state_dict()
    write(tmp_path, state)
    saved_values = [p.data.copy() for p in straight]
    take_steps(optimizer, straight, range(4, 8))

    resumed, other = fresh()
    for parameter, value in zip(resumed, saved_values, strict=True):
        parameter.data[...] = value
    other.load_state_dict(read(tmp_path))
    assert_same(other.state_dict(), state)
    take_steps(other, resumed, range(4, 8))
    for one, two in zip(straight, resumed, strict=True):
        assert one.data.tobytes() == two.data.tobytes()
    assert_same(other.state_dict(), optimizer.state_dict())


def test_what_a_state_dict_holds():
    a, b, c = tensors((2,), (3,), (1,))
    optimizer = Adam([{"params": [a]}, {"params": [b, c], "lr": 0.5}])
    take_steps(optimizer, [b], range(2))
    state = optimizer.state_dict()
    options = {"betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False}
    assert state["optimizer"] == "Adam"
    assert state["param_groups"] == [
        {"lr": 1e-3, **options, "params": [0]},
        {"lr": 0.5, **options, "params": [1, 2]},
    ]
    assert list(state["state"]) == ["1"]
    assert list(state["state"]["1"]) == ["step", "exp_avg", "exp_avg_sq"]
    assert state["state"]["1"]["step"] == 2


@every_optimizer
def test_snapshots_share_no_memory(make):
    (one,), (two,) = tensors((3,)), tensors((3,))
    first, second = make([one]), make([two])
    take_steps(first, [one], range(2))
    snapshot = first.state_dict()
    copy = {k: np.copy(v) for k, v in snapshot["state"].get("0", {}).items()}
    second.load_state_dict(snapshot)
    take_steps(first, [one], range(2))
    take_steps(second, [two], range(2))
    for key, value in copy.items():
        np.testing.assert_array_equal(snapshot["state"]["0"][key], value)


def test_restored_state_takes_the_parameters_dtype():
    (double,), (single,) = tensors((3,), dtype="float64"), tensors((3,), dtype="float32")
    source, target = SGD([double], lr=0.1, momentum=0.9), SGD([single], lr=0.1, momentum=0.9)
    take_steps(source, [double], range(1))
    target.load_state_dict(source.state_dict())
    assert target.state[0]["momentum_buffer"].dtype == "float32"


@pytest.mark.parametrize("optimizer_class", [Adam, AdamW])
def test_the_largest_squares_are_kept_and_restored(optimizer_class):
    ours, others = tensors((3,), (2,)), tensors((3,), (2,))
    one, other = (optimizer_class(p, lr=0.1, amsgrad=True) for p in (ours, others))
    take_steps(one, ours, range(3))
    for mine, wanted in zip(others, ours, strict=True):
        mine.copy_(wanted.detach())
    other.load_state_dict(one.state_dict())
    for optimizer, parameters in ((one, ours), (other, others)):
        take_steps(optimizer, parameters, range(3, 5))
    assert_same(one.state_dict(), other.state_dict())
    assert (one.state[0]["max_exp_avg_sq"] >= one.state[0]["exp_avg_sq"]).all()


def test_a_state_from_before_amsgrad_is_restored():
    optimizer = stepped_adam((3,), lr=0.5)
    state = optimizer.state_dict()
    del state["param_groups"][0]["amsgrad"]
    optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["amsgrad"] is False


def stepped_adam(*shapes, **options):
    parameters = tensors(*shapes)
    optimizer = Adam(parameters, **options)
    take_steps(optimizer, parameters, range(1))
    return optimizer


BAD_STATES = [
    (lambda s: s.pop("state"), r"lacks \['state'\]"),
    (lambda s: s.update(optimizer="AdamW"), "an optimiser 'AdamW'"),
    (lambda s: s["param_groups"].append({"params": []}), r"\[2, 0\] parameters.* has .*\[2\]"),
    (lambda s: s["param_groups"][0].update(params=[0]), r"\[1\] parameters"),
    (lambda s: s["param_groups"][0].pop("eps"), r"lacks \['eps'\]"),
    (lambda s: s["param_groups"][0].update(eps=-1.0), r"eps must be in \[0, inf\), got -1.0"),
    (lambda s: s["state"].update({"2": {}}), "parameter 2, of 2"),
    (
        lambda s: s["state"]["1"].update(exp_avg=np.zeros(3)),
        r"'exp_avg' of 1 has shape \(3,\), the parameter has \(2,\)",
    ),
]


@pytest.mark.parametrize(("spoil", "message"), BAD_STATES, ids=[m for _, m in BAD_STATES])
def test_a_state_that_does_not_fit_changes_nothing(spoil, message):
    optimizer = stepped_adam((3,), (2,), lr=0.5)
    before = optimizer.state_dict()
    bad = stepped_adam((3,), (2,), lr=0.25).state_dict()
    spoil(bad)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(bad)
    assert_same(optimizer.state_dict(), before)


# ---------------------------------------------------------------------- errors

x, y = tensors((2,), (3,))
BAD_PARAMETERS = [
    ([], ValueError, "SGD got no parameters"),
    ([{"params": []}], ValueError, "SGD got no parameters"),
    (x, TypeError, r"params must be a list.*got Tensor.*put it in a list"),
    ({"params": [x]}, TypeError, "params must be a list.*got a dict; put it in a list"),
    ([{"params": {x}}], TypeError, r"group's \"params\" must be a list"),
    ({x, y}, TypeError, "ordered"),
    ("weights", TypeError, "got 'weights' of type str"),
    (3, TypeError, "got 3 of type int"),
    ([x, np.zeros(3)], TypeError, "parameter 1 must be a Tensor, got .* of type ndarray"),
    ([("weight", x)], TypeError, "parameter 0 must be a Tensor, got .* of type tuple"),
    ([x, None], TypeError, "parameter 1 must be a Tensor, got None"),
    ([Tensor(np.arange(3))], TypeError, "parameter 0 must hold floating-point numbers, got int64"),
    ([x, y, x], ValueError, r"parameters 0 and 2 are the same tensor \(shape \(2,\)\)"),
    ([{"params": [y, x]}, {"params": [x]}], ValueError, "parameters 1 and 2 are the same"),
    ([x * 2], ValueError, r"parameter 0 \(shape \(2,\)\) is the result of an operation"),
    ([x, {"params": [y]}], TypeError, "if one element of params is a dict, all must be"),
    ([{"tensors": [x]}], ValueError, r"needs \"params\", got only \['tensors'\]"),
    ([{"params": [x], "rate": 1}], ValueError, "SGD has no option 'rate'; it has lr, momentum"),
    ([{"params": [x], "lr": -1}], ValueError, r"lr must be in \[0, inf\), got -1"),
]


@pytest.mark.parametrize(
    ("params", "error", "message"), BAD_PARAMETERS, ids=[m for *_, m in BAD_PARAMETERS]
)
def test_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        SGD(params, lr=0.1)


def test_a_failed_group_is_not_added():
    optimizer = SGD([x], lr=0.1)
    with pytest.raises(ValueError, match="parameters 1 and 2 are the same"):
        optimizer.add_param_group({"params": [y, y]})
    assert len(optimizer.param_groups) == len(optimizer.state) == 1
    optimizer.add_param_group({"params": [y]})
    with pytest.raises(ValueError, match="parameters 0 and 2 are the same"):
        optimizer.add_param_group({"params": [x]})
    with pytest.raises(TypeError, match="all must be: got Tensor"):
        optimizer.add_param_group(x)


BAD_OPTIONS = [
    (SGD, {"lr": -0.1}, ValueError, r"lr must be in \[0, inf\), got -0.1"),
    (SGD, {"lr": float("nan")}, ValueError, r"lr must be in \[0, inf\), got nan"),
    (SGD, {"lr": float("inf")}, ValueError, r"lr must be in \[0, inf\), got inf"),
    (SGD, {"lr": "0.1"}, TypeError, "lr must be a number, got '0.1' of type str"),
    (SGD, {"lr": True}, TypeError, "lr must be a number, got True"),
    (SGD, {"lr": 1, "momentum": -1}, ValueError, "momentum must be"),
    (SGD, {"lr": 1, "dampening": -1}, ValueError, "dampening must be"),
    (SGD, {"lr": 1, "weight_decay": -1}, ValueError, "weight_decay must be"),
    (SGD, {"lr": 1, "nesterov": 1}, TypeError, "nesterov must be True or False, got 1"),
    (SGD, {"lr": 1, "nesterov": True}, ValueError, "nesterov=True needs momentum > 0"),
    (
        SGD,
        {"lr": 1, "nesterov": True, "momentum": 0.9, "dampening": 0.1},
        ValueError,
        "dampening = 0, got momentum=0.9, dampening=0.1",
    ),
    (Adam, {"lr": -1}, ValueError, "lr must be"),
    (Adam, {"eps": -1}, ValueError, "eps must be"),
    (Adam, {"weight_decay": -1}, ValueError, "weight_decay must be"),
    (Adam, {"betas": (1.0, 0.9)}, ValueError, r"betas\[0\] must be in \[0, 1\), got 1.0"),
    (Adam, {"betas": (0.9, -0.1)}, ValueError, r"betas\[1\] must be in \[0, 1\), got -0.1"),
    (Adam, {"betas": 0.9}, TypeError, "betas must be a pair of numbers, got 0.9"),
    (Adam, {"betas": (0.9,)}, TypeError, "betas must be a pair of numbers"),
    (Adam, {"betas": "ab"}, TypeError, "betas must be a pair of numbers"),
    (AdamW, {"lr": -1}, ValueError, "lr must be"),
    (RMSprop, {"lr": -1}, ValueError, "lr must be"),
    (RMSprop, {"alpha": 1}, ValueError, r"alpha must be in \[0, 1\), got 1"),
    (RMSprop, {"eps": -1}, ValueError, "eps must be"),
    (RMSprop, {"weight_decay": -1}, ValueError, "weight_decay must be"),
    (RMSprop, {"momentum": -1}, ValueError, "momentum must be"),
    (RMSprop, {"centered": 0}, TypeError, "centered must be True or False, got 0"),
]


@pytest.mark.parametrize(("optimizer_class", "options", "error", "message"), BAD_OPTIONS)
def test_bad_options(optimizer_class, options, error, message):
    with pytest.raises(error, match=message):
        optimizer_class([x], **options)


def test_a_group_is_checked_as_a_whole():
    """Nesterov from the defaults, no momentum in the group: each alone is fine."""
    with pytest.raises(ValueError, match="nesterov=True needs momentum > 0"):
        SGD([{"params": [x], "momentum": 0}], lr=1, momentum=0.9, nesterov=True)


# ---------------------------------------------------------------------- the rest


def test_reprs():
    assert repr(SGD([{"params": [x, y]}], lr=0.1, momentum=0.9)) == (
        "SGD(\n  group 0: 2 parameters, lr=0.1, momentum=0.9, dampening=0.0, weight_decay=0.0, "
        "nesterov=False\n)"
    )
    assert repr(Adam([{"params": [x]}, {"params": [y], "lr": 1.0}])) == (
        "Adam(\n"
        "  group 0: 1 parameters, lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0, "
        "amsgrad=False\n"
        "  group 1: 1 parameters, lr=1.0, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0, "
        "amsgrad=False\n"
        ")"
    )


def test_defaults_are_pytorchs():
    assert SGD([x], lr=1).defaults == {
        "lr": 1.0, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False,
    }  # fmt: skip
    assert Adam([x]).defaults == {
        "lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False,
    }  # fmt: skip
    assert AdamW([x]).defaults == Adam([x]).defaults | {"weight_decay": 1e-2}
    assert RMSprop([x]).defaults == {
        "lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0,
        "centered": False,
    }  # fmt: skip


def test_an_optimizer_of_ones_own():
    class SignDescent(Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def check_options(self, options):
            return {"lr": float(options["lr"])}

        def update(self, x, grad, state, group):
            x -= group["lr"] * np.sign(grad)

    parameter = Tensor([1.0, 1.0], requires_grad=True)
    parameter.grad = Tensor([5.0, -0.1])
    optimizer = SignDescent([parameter], lr=0.5)
    optimizer.step()
    np.testing.assert_array_equal(parameter.data, [0.5, 1.5])
    optimizer.load_state_dict(
        {**optimizer.state_dict(), "param_groups": [{"lr": 1, "params": [0]}]}
    )
    assert optimizer.param_groups[0] == {"params": [parameter], "lr": 1.0}


@pytest.mark.parametrize(
    "make", [lambda p: SGD(p, 0.1, momentum=0.9), lambda p: Adam(p, 0.1), lambda p: RMSprop(p, 0.1)]
)
def test_data_of_another_shape_needs_another_optimiser(make):
    p = Tensor(np.zeros(3), requires_grad=True)
    optimizer = make([p])
    (p * 1).sum().backward()
    optimizer.step()
    p.data = np.zeros(4)
    p.grad = None
    (p * 1).sum().backward()
    with pytest.raises(ValueError, match=r"a parameter's shape is \(4,\) now, and its"):
        optimizer.step()
