"""gradcheck itself: what it sees, what it leaves alone, what it takes."""

import threading

import numpy as np
import pytest
from helpers import awkward, normal, positive

import minires
from minires import Tensor, models, nn, ops
from minires.engine import op
from minires.gradcheck import GradcheckError, gradcheck, gradgradcheck
from minires.nn import functional as F


def operation(forward, rule):
    made = op(forward)
    made.vjp(rule)
    return made


def failed(fn, inputs, **options):
    report = gradcheck(fn, inputs, raise_exception=False, **options)
    assert not report
    assert "FAILED" in str(report)
    return str(report)


# ---------------------------------------------------------------------- not to be fooled


def standardized(x):
    return (x - x.mean(0)) / x.std(0)


def seven_times(g, x, out):
    inverse = 1 / x.std(0)
    return (7 * inverse * (g - g.mean(0) - out * (g * out).mean(0)),)


def test_a_seed_of_ones_is_blind_and_ours_is_not():
    wrong = operation(standardized, seven_times)
    x = Tensor(normal(5, 3), requires_grad=True)
    wrong(x).sum().backward()
    assert abs(x.grad.numpy()).max() < 1e-12  # 7 * 0, which the sum's differences confirm
    assert "factor of 7" in failed(wrong, [normal(5, 3)])


def test_a_small_error_in_one_entry_is_seen():
    def rule(g):
        dx = g * 2
        dx[1, 2] *= 1 + 2e-5
        return (dx,)

    text = failed(operation(lambda x: x * 2, rule), [normal(3, 4)])
    assert "1 of 12 entries wrong" in text
    assert "worst at [1, 2]" in text


@pytest.mark.parametrize("mode", ["full", "directional"])
def test_small_values_are_no_hiding_place(mode):
    wrong = operation(lambda x: x * 1e-6, lambda g: (g * 1.01e-6,))
    failed(wrong, [normal(3, 4)], mode=mode)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1, 1e3, 1e6])
def test_inputs_of_any_size(scale):
    def f(x):
        return ops.exp(x / scale) * ops.tanh(x / scale)

    assert gradgradcheck(f, [scale * normal(3, 4)])
    assert gradcheck(f, [scale * normal(3, 4)], mode="directional")


def test_values_far_from_zero():
    assert gradcheck(ops.batch_norm, [normal(6, 3) + 1e5, positive(3), normal(3)])


def test_elements_of_very_different_size():
    assert gradcheck(ops.log, [np.array([1e-8, 1e-3, 1.0, 1e4])])


def test_none_is_wrong_where_there_is_a_gradient_and_right_where_there_is_none():
    report = gradcheck(
        operation(lambda x, y: x * 2 + y * 0, lambda g: (g * 2, None)), [normal(3), normal(3)]
    )
    assert report
    assert "gave no gradient" in failed(operation(lambda x: x * 2, lambda g: (None,)), [normal(3)])


def test_error_in_the_backward():
    def rule(g):
        raise ZeroDivisionError("oh dear")

    text = failed(operation(lambda x: x * 1, rule), [normal(3)])
    assert "the backward failed" in text
    assert "oh dear" in text
    text = failed(operation(lambda x: x * 1, lambda g: (g[:2],)), [normal(3)])
    assert "gradient of shape (2,)" in text


def test_error_in_the_forward_is_the_callers():
    with pytest.raises(ValueError, match="matmul"):
        gradcheck(ops.matmul, [normal(2, 3), normal(2, 3)])


def test_outputs_that_are_not_finite():
    def f(x):
        return ops.where(np.array([True, False]), x, -np.inf)

    assert "the output is -inf at [1]" in failed(f, [normal(2)])


def test_rounding_to_float32_inside():
    text = failed(lambda x: ops.astype(x, dtype=np.float32), [normal(3)])
    assert "the output is float32" in text


# ---------------------------------------------------------------------- kinks


def test_a_kink_is_excused_and_reported():
    x = normal(5, 8)
    x[2, 3] = 0
    report = gradcheck(ops.relu, [x])
    assert "1 of 40 entries at kinks" in str(report)
    assert report.comparisons[0].excused[2, 3]
    assert gradcheck(ops.absolute, [x])


def subgradient(slope):
    return lambda g, x: (g * np.where(x == 0, slope, x > 0),)


def test_every_subgradient_is_excused_and_nothing_else():
    x = normal(5, 8)
    x[2, 3] = 0
    for slope, right in [(0, True), (0.3, True), (1, True), (1.1, False), (-0.1, False)]:
        relu = operation(lambda x: np.maximum(x, 0), subgradient(slope))
        assert bool(gradcheck(relu, [x], raise_exception=False)) == right


def test_too_many_kinks_prove_nothing():
    x = normal(5, 8)
    x[0, :3] = 0
    text = failed(ops.relu, [x])
    assert "3 of 40 entries at kinks" in text
    assert "proves nothing" in text


def test_kinks_nearby_are_resolved():
    x = np.array([3e-7, -1e-6, 2e-6, 1.0, -2.0])
    report = gradcheck(ops.relu, [x])
    assert not report.comparisons[0].excused.any()


def test_ties_in_max_pooling():
    x = normal(2, 6, 6, 2)
    x[0, 0, 0, 0] = x[0, 0, 1, 0] = 5
    report = gradcheck(F.max_pool2d, [x, 2])
    assert report.comparisons[0].excused.sum() == 2


# ---------------------------------------------------------------------- nothing changes


def test_arrays_and_tensors_are_untouched():
    array, tensor = normal(3, 4), Tensor(normal(4, 2), requires_grad=True)
    kept = [array.copy(), tensor.numpy().copy()]
    data, node = tensor.data, tensor.node
    gradgradcheck(lambda x, w: ops.tanh(x @ w), [array, tensor])
    np.testing.assert_array_equal(array, kept[0])
    np.testing.assert_array_equal(tensor.numpy(), kept[1])
    assert tensor.data is data
    assert tensor.node is node
    assert tensor.grad is None


def test_state_is_restored_bit_for_bit():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.4), nn.Linear(4, 2))
    net(Tensor(normal(5, 3, dtype=np.float32))).sum().backward()
    net[0].notes = ["kept"]
    net[0].seen = np.zeros(3)
    tensors = [*net.parameters(), *net.buffers()]
    before = [(t, t.data, t.data.copy(), t.node, t.grad) for t in tensors]
    drawn = minires.random.generator().bit_generator.state
    numpys = np.random.get_state()[1].copy()  # noqa: NPY002

    def forward(x):
        net[0].notes.append("called")
        net[0].seen += 1
        net[0].new = np.random.rand()  # noqa: NPY002
        return net(x)

    assert gradgradcheck(forward, [normal(5, 3)])
    for tensor, data, values, node, grad in before:
        assert tensor.data is data
        assert tensor.node is node
        assert tensor.grad is grad
        np.testing.assert_array_equal(data, values)
        assert data.dtype == values.dtype
    assert minires.random.generator().bit_generator.state == drawn
    assert np.array_equal(np.random.get_state()[1], numpys)  # noqa: NPY002
    assert net[0].notes == ["kept"]
    assert not net[0].seen.any()
    assert not hasattr(net[0], "new")


def test_state_is_restored_after_a_failure():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(np.ones(3, np.float32))

        def forward(self, x):
            self.calls = 1
            raise RuntimeError("broken")

    module = Broken()
    data = module.weight.data
    with pytest.raises(RuntimeError, match="broken"):
        gradcheck(module, [normal(3)])
    assert module.weight.data is data
    assert not hasattr(module, "calls")


def test_a_seed_set_inside_is_undone():
    def f(x):
        minires.manual_seed(7)
        return F.dropout(x, 0.3)

    before = minires.random.generator().bit_generator.state
    assert gradcheck(f, [normal(4, 5)])
    assert minires.random.generator().bit_generator.state == before


def test_inputs_modified_in_place():
    def forward(x):
        x *= 2
        return x

    text = failed(operation(forward, lambda g: (g * 2,)), [normal(3)])
    assert "the forward modified its input x in place" in text


def test_labels_modified_in_place():
    labels = np.array([0, 2])

    def f(x, target):
        target[0] = 1
        return F.cross_entropy(x, target)

    assert "modified its input target in place" in failed(f, [normal(2, 3), labels])
    assert labels[0] == 0


def test_inputs_modified_in_the_backward():
    def rule(g, x):
        x *= 2
        return (g * 2,)

    assert "the backward modified its input x" in failed(
        operation(lambda x: x * 2, rule), [normal(3)]
    )


def test_upstream_modified():
    def rule(g, x):
        g *= x > 0
        return (g,)

    text = failed(operation(lambda x: np.maximum(x, 0), rule), [normal(3, 4)])
    assert "the backward modified the upstream gradient of the output" in text


# ---------------------------------------------------------------------- the same each time


def test_forward_that_is_not_repeatable():
    rng = np.random.default_rng(0)
    text = failed(lambda x: x * rng.normal(), [normal(3)])
    assert "the forward is not repeatable" in text


def test_backward_that_is_not_repeatable():
    rng = np.random.default_rng(0)
    text = failed(operation(lambda x: x * 1, lambda g: (g * rng.normal(),)), [normal(3)])
    assert "the backward is not repeatable" in text
    assert "not re-entrant" in text


def test_backward_that_uses_itself_up():
    class Once:
        value = 2.0

    def forward(x):
        Once.value = 2.0
        return x * 2

    def rule(g):
        value, Once.value = Once.value, 0.0
        return (g * value,)

    assert "not re-entrant" in failed(operation(forward, rule), [normal(3)])


def test_dropout_draws_the_same_mask():
    assert gradgradcheck(nn.Dropout(0.5), [normal(4, 5)])
    assert gradcheck(lambda x: x * (np.random.rand(4, 5) < 0.5), [normal(4, 5)])  # noqa: NPY002


def test_layout_matters():
    def forward(x):
        return x * 2 if x.flags.c_contiguous else x * 2.5

    text = failed(operation(forward, lambda g: (g * 2,)), [normal(3, 4)])
    assert "non-contiguous inputs change the output" in text

    def rule(g):
        return (2 * g if g.flags.c_contiguous else g * 0,)

    text = failed(operation(lambda x: x * 2, rule), [normal(3, 4)])
    assert "non-contiguous inputs change the gradient of the output by x" in text


def test_strided_inputs_are_taken():
    assert gradcheck(ops.matmul, [awkward(normal(3, 4)), awkward(normal(4, 2))])


# ---------------------------------------------------------------------- what can be checked


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_inputs_of_any_dtype_are_checked_in_float64(dtype):
    report = gradgradcheck(lambda x, w: ops.tanh(x @ w), [normal(3, 4, dtype=dtype), normal(4, 2)])
    assert report.worst_error < 1e-8


def test_modules_parameters_are_inputs():
    report = gradcheck(nn.Linear(3, 2), [normal(4, 3)])
    assert [c.input for c in report.comparisons] == ["x", "weight", "bias"]
    assert report.worst_error < 1e-8


def test_modules_that_a_function_uses():
    net = nn.Linear(3, 2)

    def loss(x, target):
        return F.cross_entropy(net(x), target)

    report = gradcheck(loss, [normal(4, 3), np.array([0, 1, 1, 0])])
    assert [c.input for c in report.comparisons] == ["x", "net.weight", "net.bias"]
    report = gradcheck(net.forward, [normal(4, 3)])
    assert [c.input for c in report.comparisons] == ["x", "self.weight", "self.bias"]


def test_frozen_parameters_are_constants():
    net = nn.Linear(3, 2).requires_grad_(False)
    assert [c.input for c in gradcheck(net, [normal(4, 3)]).comparisons] == ["x"]


def test_a_wrong_parameter_gradient():
    wrong = operation(lambda x, w: x @ w, lambda g, x, w: (g @ w.T, x.T @ g / 4))

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(normal(3, 2, dtype=np.float32))

        def forward(self, x):
            return wrong(x, self.weight)

    assert "WRONG order 1: output by weight" in failed(Layer(), [normal(4, 3)])


def test_several_outputs():
    def f(x, y):
        return x * y, {"sum": [x + y]}, (y * y).sum(), x.argmax()

    report = gradgradcheck(f, [normal(3), normal(3)])
    names = {c.output for c in report.comparisons if c.order == 1}
    assert names == {"output[0]", "output[1]['sum'][0]", "output[2]"}


def test_one_wrong_output_among_several():
    wrong = operation(lambda x: x * 3, lambda g: (g * 2,))
    report = gradcheck(lambda x: (x * x, wrong(x)), [normal(3)], raise_exception=False)
    assert [c.passed for c in report.comparisons] == [True, False]


def test_one_input_alone_and_numbers_passed_through():
    assert gradcheck(ops.exp, normal(3))
    assert gradcheck(ops.exp, Tensor([1.0, 2.0]))
    assert gradcheck(lambda x, n: x * n, [normal(3), 4.0])
    assert gradcheck(lambda x, y: x * y, [normal(3), np.float64(2.5)])


def test_empty_and_single_inputs():
    assert gradgradcheck(ops.sum, [np.zeros((0, 3))])
    assert gradgradcheck(ops.exp, [np.array(0.5)])


def test_functions_that_differentiate_inside():
    def penalty(x):
        y = ops.tanh(x).sum()
        return minires.grad(y, x, create_graph=True) ** 2

    assert gradcheck(penalty, [normal(3)])


def test_an_output_that_is_an_input_or_a_constant():
    assert gradcheck(lambda x: (x, x * 2), [normal(3)])
    assert gradcheck(lambda x: (x * 2, Tensor(np.ones(2))), [normal(3)])


def test_second_and_third_derivatives():
    report = gradcheck(lambda x, y: x * x * x * y, [normal(3), normal(3)], order=3)
    assert {c.order for c in report.comparisons} == {1, 2, 3}
    assert report.worst_error < 1e-7


def test_a_second_derivative_that_is_cut_off():
    square = operation(
        lambda x: x * x,
        lambda g, x: (g * Tensor(x.data) * 2 if isinstance(x, Tensor) else g * x * 2,),
    )
    assert gradcheck(square, [normal(3)])
    assert "order 2: gradient of x by x" in failed(square, [normal(3)], order=2)
    assert "order 2" in failed(square, [normal(3)], order=2, mode="directional")


def test_a_second_derivative_that_cannot_be():
    square = operation(lambda x: x * x, lambda g, x: (np.copysign(2 * abs(g * x), g * x),))
    assert "order 2: the backward failed" in failed(square, [normal(3)], order=2)


def test_in_a_thread_and_under_no_grad():
    reports = []

    def work():
        with minires.no_grad():
            reports.append(gradcheck(nn.Linear(3, 2), [normal(4, 3)]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert reports[0]


def test_misuse():
    with pytest.raises(TypeError, match="wants a function"):
        gradcheck(3, [normal(3)])
    with pytest.raises(ValueError, match="nothing to differentiate"):
        gradcheck(lambda x: x, [np.arange(3)])
    with pytest.raises(TypeError, match="no complex"):
        gradcheck(lambda x: x, [np.ones(3, complex)])
    with pytest.raises(TypeError, match="not a Tensor: no gradient"):
        gradcheck(lambda x: x.numpy() * 2, [normal(3)])
    with pytest.raises(TypeError, match="no floating Tensor"):
        gradcheck(lambda x: x.argmax(), [normal(3)])
    for options, what in [
        ({"order": 0}, "order"),
        ({"mode": "fast"}, "mode"),
        ({"h": 0.0}, "step"),
    ]:
        with pytest.raises(ValueError, match=what):
            gradcheck(ops.exp, [normal(3)], **options)


# ---------------------------------------------------------------------- directional mode


def test_a_whole_network_along_random_directions():
    net = models.create("resnet20", 10, 3)
    x, labels = normal(2, 8, 8, 3, dtype=np.float32), np.array([3, 7])
    report = gradcheck(lambda x: F.cross_entropy(net(x), labels), [x], mode="directional")
    assert report.evaluations < 60
    assert report.worst_error < 1e-6


def test_directional_mode_names_the_culprit(monkeypatch):
    net = nn.Sequential(*(nn.Linear(4, 4) for _ in range(6)))
    right = ops.matmul.rule
    weight = net[3].weight

    def rule(g, x, y, needs):
        dx, dy = right(g, x, y, needs)
        same = y.shape == weight.shape and np.allclose(y, weight.data)
        return dx, dy * 1.001 if same and needs[1] else dy

    monkeypatch.setattr(ops.matmul, "rule", rule)
    text = failed(net, [normal(3, 4)], mode="directional")
    assert "WRONG order 1: output by 3.weight" in text
    assert text.count("WRONG") == 2  # all together, and the one


# ---------------------------------------------------------------------- seeds, steps, tolerances


def test_the_seed_decides():
    a, b, c = (
        str(gradcheck(ops.exp, [normal(3)], seed=s).comparisons[0].analytic) for s in (1, 1, 2)
    )
    assert a == b != c


def test_tolerance():
    slightly = operation(lambda x: x * 1, lambda g: (g * 1.001,))
    assert gradcheck(slightly, [normal(3)], rtol=1e-2)
    assert gradcheck(slightly, [normal(3)], atol=1e-2)
    failed(slightly, [normal(3)])
    with pytest.raises(GradcheckError, match="hint: off by a factor") as caught:
        gradcheck(slightly, [normal(3)])
    assert not caught.value.report


def test_step():
    assert gradcheck(ops.exp, [normal(3)], h=1e-4)
    assert gradcheck(ops.exp, [normal(3)], h=1e-4, mode="directional")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"atol": -1.0}, "tolerances of 0 or more, got atol=-1.0"),
        ({"rtol": float("nan")}, "tolerances of 0 or more, got .* rtol=nan"),
        ({"rtol": float("inf")}, "tolerances of 0 or more"),
        ({"h": float("inf")}, "positive step"),
        ({"seed": -1}, "a seed of 0 or more, got -1"),
    ],
)
def test_options_that_would_prove_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        gradcheck(ops.tanh, [normal(3)], **options)


@pytest.mark.parametrize("inputs", [1.0, None, "x", {"x": normal(3)}])
def test_inputs_must_be_a_sequence(inputs):
    with pytest.raises(TypeError, match=r"a sequence of inputs, such as \[x, w\], got"):
        gradcheck(ops.tanh, inputs)


def test_infinite_outputs_are_reported_without_a_warning():
    report = gradcheck(ops.log, [np.array([1.0, 0.0])], raise_exception=False)
    assert report.problems == ("order 1: the output is -inf at [1]",)


@pytest.mark.parametrize("mode", ["full", "directional"])
@pytest.mark.parametrize("scale", [1e-11, 1e-16])
def test_gradients_smaller_than_the_tolerance_are_checked_too(scale, mode):
    @op
    def faint(x):
        return x**3 * scale

    @faint.vjp
    def faint_vjp(g, x):
        return (g * 3.03 * x**2 * scale,)

    x = normal(4, 3)
    assert gradcheck(lambda x: x**3 * scale, [x], mode=mode)
    assert not gradcheck(faint, [x], mode=mode, raise_exception=False)


def test_rounding_around_a_gradient_of_zero_is_no_error():
    report = gradcheck(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), [normal(5, 4)])
    assert report.worst_error < 1e-8  # though the bias has none at all
    assert gradcheck(lambda x: ops.softmax(x).sum(axis=-1), [normal(5, 6)])
    assert gradcheck(lambda x: (x - x) * 1e-5 + 1e-12 * ops.tanh(1e6 + x), [normal(5)])
