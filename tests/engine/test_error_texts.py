"""Errors name the operation, what it got, and the line of the forward."""

import inspect

import numpy as np
import pytest
from helpers import leaf, normal

import minires
from minires import Tensor, nn, ops
from minires.errors import BackwardError, NonFiniteError


def here():
    """The caller's line number."""
    return inspect.currentframe().f_back.f_lineno


@pytest.mark.parametrize(
    ("f", "parts"),
    [
        (lambda: Tensor(normal(2, 3)) + Tensor(normal(4)), ["add", "float64[2, 3]", "float64[4]"]),
        (
            lambda: Tensor(normal(2, 3)) @ Tensor(normal(2, 3)),
            ["matmul wants (..., n, k) by (..., k, m), got (2, 3) by (2, 3)"],
        ),
        (lambda: Tensor(normal(2, 3)).reshape(4, 2), ["reshape", "float64[2, 3]", "(4,2)"]),
        (lambda: Tensor(normal(2, 3)).sum(axis=2), ["sum", "axis 2", "2 dimensions"]),
        (lambda: Tensor(normal(2, 3)).mean(axis=(0, 0)), ["mean", "axis (0, 0)"]),
        (lambda: Tensor(normal(2, 3)).transpose(0, 1, 2), ["transpose", "float64[2, 3]"]),
        (lambda: ops.softmax(Tensor(normal(2, 3)), axis=5), ["softmax", "float64[2, 3]", "axis 5"]),
        (lambda: Tensor(normal(2, 3))[5], ["take", "float64[2, 3]", "index 5"]),
        (lambda: Tensor(normal(2, 3)) + "text", ["add", "float64[2, 3]", "str"]),
        (lambda: Tensor(normal(2, 3)).flatten(4), ["flatten", "from 4", "of 2"]),
        (lambda: Tensor(normal(2, 3)).clip(), ["clip", "low, high or both"]),
        (lambda: ops.concatenate([]), ["concatenate", "at least one"]),
        (
            lambda: ops.concatenate([Tensor(normal(2, 3)), Tensor(normal(2, 3))], axis=2),
            ["concatenate", "axis 2", "(2, 3)"],
        ),
        (
            lambda: ops.concatenate([Tensor(normal(2, 3)), Tensor(normal(3, 4))]),
            ["concatenate", "float64[2, 3]", "float64[3, 4]"],
        ),
        (
            lambda: ops.stack([Tensor(normal(2, 3)), Tensor(normal(3, 2))]),
            ["stack", "(2, 3), (3, 2)"],
        ),
        (lambda: ops.stack([]), ["stack", "none"]),
        (lambda: ops.stack([Tensor(normal(2, 3))], axis=3), ["stack", "axis 3", "(2, 3)"]),
        (lambda: ops.pad(Tensor(normal(2, 3)), width=((1, 1),) * 3), ["pad", "float64[2, 3]"]),
        (
            lambda: ops.put_along(
                Tensor(normal(2, 3)), indices=np.zeros((2, 3), int), axis=1, size=4
            ),
            ["put_along", "one index"],
        ),
    ],
)
def test_a_forward_error_names_the_operation_and_what_it_got(f, parts):
    with pytest.raises((ValueError, TypeError, IndexError)) as caught:
        f()
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["mean", "max", "min", "var", "logsumexp"])
def test_nothing_to_reduce_is_an_error(name):
    operation = getattr(ops, name)
    for shape, axis in [((0,), None), ((0, 3), 0), ((2, 0), (0, 1))]:
        with pytest.raises(ValueError, match=r"over axis .* wants at least one value, got 0"):
            operation(Tensor(np.zeros(shape)), axis=axis)


def test_variance_wants_more_values_than_ddof():
    with pytest.raises(ValueError, match=r"var over axis 1 of shape \(4, 2\).*ddof=2.*got 2"):
        Tensor(normal(4, 2)).var(axis=1, ddof=2)


def test_backward_errors_name_the_line_that_called_a_layer():
    layer = nn.Linear(3, 2)
    x = leaf(normal(4, 3), np.float32)
    y, line = layer(x), here()
    y.sum().backward()
    with pytest.raises(BackwardError) as caught:
        y.sum().backward()
    assert f"{__file__}:{line}" in str(caught.value)


def test_backward_errors_name_the_line_that_used_an_operator():
    x = leaf(normal(4))
    y = (x
         * 2)  # fmt: skip
    y.sum().backward()
    with pytest.raises(BackwardError, match=r"multiply, made at .*test_error_texts.py:\d+"):
        y.sum().backward()


# ---------------------------------------------------------------------- non-finite values


def test_detect_nonfinite_names_operation_inputs_and_line():
    x = leaf([1.0, 0.0, -1.0], np.float32)
    lines = []
    with np.errstate(all="ignore"), minires.detect_nonfinite():
        x.exp()
        with pytest.raises(NonFiniteError) as caught:
            lines.append(here()) or x.log()
    message = str(caught.value)
    assert message.startswith("log(float32[3])")
    assert f"{__file__}:{lines[0]}" in message
    assert "gave 2 NaN or infinite values, from finite inputs" in message


def test_detect_nonfinite_says_when_the_input_was_to_blame():
    x = Tensor(np.array([1.0, np.nan]))
    with (
        minires.detect_nonfinite(),
        pytest.raises(NonFiniteError, match=r"multiply.*gave 1 NaN .*an input that already had"),
    ):
        x * 2


def test_detect_nonfinite_looks_at_gradients_too():
    x = leaf([0.0, 4.0])
    lines = [here(), x.sqrt()]
    loss = (lines[1] * 3).sum()
    with np.errstate(all="ignore"):
        with minires.detect_nonfinite(), pytest.raises(NonFiniteError) as caught:
            loss.backward(retain_graph=True)
        assert str(caught.value) == (
            f"the backward of sqrt, made at {__file__}:{lines[0]}, gave 1 NaN or infinite values "
            "for its argument 0, from a finite gradient"
        )
        with minires.detect_nonfinite(), pytest.raises(NonFiniteError, match="already had some"):
            loss.backward(Tensor(np.array(np.nan)), retain_graph=True)
        loss.backward()  # the block has ended
    assert np.isinf(x.grad.numpy()[0])


def test_detect_nonfinite_lets_finite_and_integer_results_pass_and_ends_with_its_block():
    with minires.detect_nonfinite():
        assert (Tensor([1.0]) * 2).item() == 2
        assert Tensor(np.array([1, 2])).sum().item() == 3
    with np.errstate(all="ignore"):
        assert np.isnan(Tensor([-1.0]).log().item())


def test_detect_nonfinite_finds_the_layer_in_a_network():
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    net[2].weight.data[1, 0] = np.inf
    with np.errstate(all="ignore"), minires.detect_nonfinite(), pytest.raises(NonFiniteError) as e:
        net(Tensor(normal(5, 3, dtype=np.float32)))
    assert str(e.value).startswith("matmul(float32[5, 4], float32[4, 2])")
