"""Large parameters, which are updated piece by piece, against the same numbers in small ones."""

import numpy as np
import pytest

from minires import Tensor, kernels
from minires.optim import SGD, Adam, AdamW, RMSprop
from minires.optim.pieces import PIECE, by_pieces

OPTIMIZERS = [
    (SGD, {"weight_decay": 0.1}),
    (SGD, {"momentum": 0.9, "nesterov": True}),
    (Adam, {"weight_decay": 0.1}),
    (AdamW, {}),
    (RMSprop, {"centered": True, "momentum": 0.5}),
]


@pytest.mark.parametrize(("optimizer_class", "options"), OPTIMIZERS)
def test_pieces_are_the_whole_to_the_bit(optimizer_class, options):
    small, rng = PIECE // 2, np.random.default_rng(0)
    start = rng.standard_normal((5, small)).astype(np.float32)  # five rows, two pieces and a half
    whole = Tensor(start.copy(), requires_grad=True)
    rows = [Tensor(row.copy(), requires_grad=True) for row in start]
    by_piece, by_row = (optimizer_class(p, lr=0.1, **options) for p in ([whole], rows))
    for _ in range(3):
        gradient = rng.standard_normal(start.shape).astype(np.float32)
        whole.grad = Tensor(gradient)
        for row, own in zip(rows, gradient, strict=True):
            row.grad = Tensor(own)
        by_piece.step()
        by_row.step()
    np.testing.assert_array_equal(whole.data, np.stack([row.data for row in rows]))
    saved = by_piece.state[0]
    assert set(saved) == set(by_row.state[0])
    for name, value in saved.items():
        each = [state[name] for state in by_row.state]
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, np.stack(each))
        else:
            assert [value] * 5 == each


def test_any_number_of_threads_gives_the_same_bits(threads):
    results = []
    for count in (1, 2, 3):
        kernels.set_num_threads(count)
        x = Tensor(np.linspace(-1, 1, 3 * PIECE + 7, dtype=np.float32), requires_grad=True)
        optimizer = Adam([x], lr=0.1)
        for _ in range(2):
            x.grad = Tensor(np.cos(x.data))
            optimizer.step()
        results.append(x.data)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_only_what_is_declared_sees_pieces():
    class Normed(SGD):
        """A step of length lr, which depends on the whole gradient."""

        def update(self, x, grad, state, group):
            x -= group["lr"] * grad / np.sqrt(np.square(grad).sum())

    x = Tensor(np.zeros(4 * PIECE, np.float32), requires_grad=True)
    x.grad = Tensor(np.ones(4 * PIECE, np.float32))
    Normed([x], lr=1.0).step()
    np.testing.assert_allclose(np.linalg.norm(x.data), 1, rtol=1e-3)


def test_a_parameter_with_gaps_is_updated_in_place():
    memory = np.zeros((2, 4 * PIECE), np.float32)
    x = Tensor(memory[:, ::2], requires_grad=True)
    x.grad = Tensor(np.ones(x.shape, np.float32))
    SGD([x], lr=1.0).step()
    assert x.data.base is not None
    np.testing.assert_array_equal(memory[:, ::2], -1)
    np.testing.assert_array_equal(memory[:, 1::2], 0)


def test_an_error_in_a_piece_comes_out():
    @by_pieces
    def update(self, x, grad, state, group):
        raise FloatingPointError(f"of {x.size}")

    zeros = np.zeros(2 * PIECE, np.float32)
    with pytest.raises(FloatingPointError, match=f"of {PIECE}"):
        update(None, zeros, zeros, {}, {})
