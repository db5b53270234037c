"""`backward` and `minires.grad`: what is computed, where it is left, and what stays alive."""

import inspect

import numpy as np
import pytest
from helpers import close, leaf, normal

import minires
from minires import Tensor, engine
from minires.engine import op
from minires.errors import BackwardError


def line_here():
    """The caller's `file:line`, as error messages name it."""
    caller = inspect.currentframe().f_back
    return f"{caller.f_code.co_filename}:{caller.f_lineno}"


# ---------------------------------------------------------------------- accumulation


def test_a_tensor_used_twice_gets_the_sum():
    x = leaf([2.0, -3.0])
    (x * 5 + x * x).backward(Tensor([1.0, 10.0]))
    close(x.grad, [5 + 4, 10 * (5 - 6)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        (lambda x: x[0] * 3, [3, 0, 0]),
        (lambda x: 1 - x[2] / x[0], [4 / 2**2, 0, -1 / 2]),
        (lambda x: x[1] ** 2 + x[1] * x[1] + x[1], [0, 4 * -3 + 1, 0]),
        (lambda x: x.reshape(3, 1)[1, 0] * x[2], [0, 4, -3]),
    ],
)
def test_single_elements_pass_their_gradients_on(expression, wanted, dtype):
    """Rules on 0-d arrays give NumPy scalars, and so do sums of their gradients."""
    x = leaf([2.0, -3.0, 4.0], dtype)
    seen = []
    element = x[0]
    element.register_hook(lambda g: seen.append(g))
    (expression(x) + 0 * element * element).backward()
    close(x.grad, wanted)
    assert x.grad.dtype == dtype
    assert isinstance(seen[0].data, np.ndarray)


def test_a_tensor_used_on_many_paths_gets_the_sum_of_all():
    x = leaf([2.0])
    y = x * 3
    total = y + y * x + y * y + x
    total.backward()
    close(x.grad, [3 + 2 * 3 * 2 + 2 * 9 * 2 + 1])


def test_a_node_is_visited_after_all_its_consumers():
    # the long and the short way from x meet in z; visiting z's inputs too early loses one of them
    x = leaf([1.5])
    a = x * 2
    b = a * 3
    c = b * 5
    z = a + c
    (z * z).backward()
    close(x.grad, [2 * (2 + 30) ** 2 * 1.5])


def test_both_operands_of_an_add_get_gradients_of_their_own():
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    upstream = Tensor(np.array([7.0, 8.0]))
    (a + b).backward(upstream)
    assert not np.shares_memory(a.grad.data, b.grad.data)
    a.grad.data *= 100
    close(b.grad, [7.0, 8.0])
    close(upstream, [7.0, 8.0])


def test_both_operands_get_gradients_of_their_own_under_create_graph():
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    ((a + b) ** 2).backward(Tensor(np.ones(2)), create_graph=True)
    assert a.grad is not b.grad
    assert not np.shares_memory(a.grad.data, b.grad.data)
    close(minires.grad(b.grad, a, Tensor(np.array([1.0, 3.0]))), [2.0, 6.0])


def test_add_of_a_tensor_to_itself():
    a = leaf([1.0, 2.0])
    (a + a).backward(Tensor([3.0, 4.0]))
    close(a.grad, [6.0, 8.0])


def test_gradients_of_two_backwards_add_up():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    close(x.grad, [5.0, 7.0])
    close(first, [2.0, 4.0])  # what was read before stays as it was


def test_intermediate_gradients_of_the_first_walk_do_not_leak_into_the_second():
    x = leaf([2.0])
    y = (x * 3) * (x * 5)
    y.backward(retain_graph=True)
    close(x.grad, [60.0])
    y.backward()
    close(x.grad, [120.0])


def test_zero_grad_forgets():
    x = leaf([1.0])
    (x * 2).backward()
    x.zero_grad()
    assert x.grad is None
    (x * 3).backward()
    close(x.grad, [3.0])


def test_broadcast_is_summed_back():
    row, column, number = leaf(normal(4)), leaf(normal(3, 1)), leaf(normal())
    g = normal(2, 3, 4)
    (row + column * 2 + number + Tensor(np.zeros((2, 3, 4)))).backward(Tensor(g))
    close(row.grad, g.sum(axis=(0, 1)))
    close(column.grad, 2 * g.sum(axis=(0, 2))[:, None])
    close(number.grad, g.sum())


def test_the_upstream_gradient_scales_the_result():
    x = leaf([1.0, 2.0])
    (3 * (x * x).sum()).backward(Tensor(0.5))
    close(x.grad, [3.0, 6.0])


def test_an_upstream_gradient_may_be_a_list_or_an_array():
    x = leaf([1.0, 2.0])
    (x * 2).backward([1.0, 10.0])
    (x * 2).backward(np.array([100.0, 1000.0], np.float32))
    close(x.grad, [202.0, 2020.0])
    assert x.grad.dtype == np.float64


@pytest.mark.parametrize("create_graph", [False, True])
def test_an_upstream_gradient_takes_the_tensors_dtype(create_graph):
    x = leaf([1.0, 2.0], np.float32)
    y = (x * 2).retain_grad()
    y.backward(Tensor(np.array([3.0, 4.0])), create_graph=create_graph)
    assert y.grad.dtype == np.float32
    close(y.grad, np.array([3.0, 4.0], np.float32))
    assert x.grad.dtype == np.float32


def test_backward_from_a_leaf_leaves_the_upstream_gradient_on_it():
    x = leaf([3.0])
    x.backward()
    close(x.grad, [1.0])


def test_one_element_of_any_rank_needs_no_gradient():
    x = leaf([[[2.0]]])
    (x * x).backward()
    close(x.grad, [[[4.0]]])


def test_in_place_operators_make_a_new_tensor():
    x, y = leaf([1.0, 2.0]), leaf([3.0, 5.0])
    h = x * 2
    before = h
    h += y
    h *= h
    assert before is not h
    close(before, [2.0, 4.0])
    h.backward(Tensor([1.0, 1.0]))
    close(y.grad, [2 * 5, 2 * 9])
    close(x.grad, [4 * 5, 4 * 9])


def test_intermediate_results_keep_no_gradient_unless_asked():
    x = leaf([1.0, 2.0])
    y = x * 3
    z = (x * 4).retain_grad()
    (y * z).backward(Tensor([1.0, 1.0]))
    assert y.grad is None
    close(z.grad, [3.0, 6.0])
    close(x.grad, [24.0, 48.0])


def test_gradients_are_of_the_shape_and_dtype_of_their_tensor():
    x = leaf(normal(2, 3), np.float32)
    y = leaf(normal(3))
    (x * y).sum().backward()
    assert (x.grad.shape, x.grad.dtype) == ((2, 3), np.float32)
    assert (y.grad.shape, y.grad.dtype) == ((3,), np.float64)


# ---------------------------------------------------------------------- retain and create


def test_a_freed_graph_is_an_error_that_names_operation_and_line():
    x = leaf([1.0, 2.0])
    y, here = x.exp(), line_here()
    y.backward(Tensor([1.0, 1.0]))
    with pytest.raises(BackwardError, match="freed by an earlier backward") as caught:
        y.backward(Tensor([1.0, 1.0]))
    assert "exp" in str(caught.value)
    assert here in str(caught.value)
    assert "retain_graph=True" in str(caught.value)


def test_the_freed_part_of_a_larger_graph_is_named():
    x = leaf([1.0])
    shared = x.tanh()
    (shared * 2).backward()
    with pytest.raises(BackwardError, match="tanh"):
        (shared * 3).backward()


def test_a_retained_graph_gives_the_same_again():
    x = leaf(normal(3, 4))
    y = (x @ leaf(normal(4, 2))).tanh()
    g = Tensor(normal(3, 2))
    first = minires.grad(y, x, g, retain_graph=True).numpy()
    second = minires.grad(y, x, g, retain_graph=True).numpy()
    third = minires.grad(y, x, g).numpy()
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)
    with pytest.raises(BackwardError, match="freed"):
        minires.grad(y, x, g)


def test_create_graph_keeps_the_graph_unless_told_otherwise():
    x = leaf([2.0])
    y = x * x * x
    minires.grad(y, x, create_graph=True)
    minires.grad(y, x, create_graph=True, retain_graph=False)
    with pytest.raises(BackwardError, match="freed"):
        y.backward()


def test_create_graph_gives_derivatives_of_any_order():
    x = leaf([2.0])
    y = x**5
    wanted = [5 * 16, 20 * 8, 60 * 4, 120 * 2, 120]
    for derivative in wanted:
        y = minires.grad(y, x, create_graph=True)
        close(y, [derivative])


def test_backward_with_create_graph_leaves_differentiable_gradients():
    x = leaf([2.0, 3.0])
    (x**3).sum().backward(create_graph=True)
    penalty = (x.grad * x.grad).sum()
    close(minires.grad(penalty, x), [2 * 12 * 12, 2 * 27 * 18])


def test_without_create_graph_gradients_are_constants():
    x = leaf([2.0])
    (x * x).backward()
    assert not x.grad.requires_grad
    assert not minires.grad(x * x, x).requires_grad


def test_a_gradient_may_flow_through_a_gradient_and_the_function_itself():
    x, w = leaf([2.0]), leaf([3.0])
    loss = (w * x) ** 2
    inner = w - 0.1 * minires.grad(loss, w, create_graph=True)  # one step of descent
    outer = inner * x + loss
    # inner = w - 0.2 w x^2; outer = w x - 0.2 w x^3 + w^2 x^2
    close(minires.grad(outer, w, retain_graph=True), [2 - 0.2 * 8 + 2 * 3 * 4])
    close(minires.grad(outer, x), [3 - 0.6 * 3 * 4 + 2 * 9 * 2])


def test_the_upstream_gradient_can_be_differentiated_too():
    x, v = leaf([2.0, 3.0]), leaf([5.0, 7.0])
    g = minires.grad(x * x, x, v, create_graph=True)
    close(minires.grad(g, v, Tensor([1.0, 10.0])), [4.0, 60.0])


# ---------------------------------------------------------------------- minires.grad


def test_grad_leaves_every_grad_as_it_is():
    x, y = leaf([2.0]), leaf([3.0])
    x.grad = Tensor(np.array([9.0]))
    close(minires.grad(x * y, x), [3.0])
    close(x.grad, [9.0])
    assert y.grad is None


def test_grad_of_one_tensor_is_a_tensor_and_of_several_a_tuple():
    x, y = leaf([2.0]), leaf([3.0])
    assert isinstance(minires.grad(x * y, x), Tensor)
    several = minires.grad(x * y, [x, y])
    assert isinstance(several, tuple)
    close(several[0], [3.0])
    close(several[1], [2.0])
    assert len(minires.grad(x * y, (x,))) == 1


def test_grad_is_none_where_the_output_is_independent():
    x, y = leaf([2.0]), leaf([3.0])
    close(minires.grad(x * x, (y, x))[1], [4.0])
    assert minires.grad(x * x, (y, x))[0] is None
    assert minires.grad(x * x, y) is None


def test_grad_of_intermediates_and_of_the_output_itself():
    x = leaf([2.0])
    y = x * 3
    z = y * y
    dz, dy, dx = minires.grad(z, (z, y, x))
    close(dz, [1.0])
    close(dy, [12.0])
    close(dx, [36.0])


def test_grad_of_the_same_tensor_twice():
    x = leaf([2.0])
    a, b = minires.grad(x * x, (x, x))
    close(a, [4.0])
    close(b, [4.0])
    assert not np.shares_memory(a.data, b.data)


def counting(name, calls):
    """An identity that records when its rule runs."""

    def forward(x):
        return x * 1

    forward.__name__ = name
    operation = op(forward)

    @operation.vjp
    def rule(g):
        calls.append(name)
        return (g,)

    return operation


def test_only_what_lies_between_is_computed():
    calls = []
    before, on, beside, after = (counting(n, calls) for n in ("before", "on", "beside", "after"))
    x, y = leaf([2.0]), leaf([3.0])
    middle = on(before(x))
    out = after(middle) * beside(y)
    close(minires.grad(out, middle), [3.0])
    assert calls == ["after"]  # neither what made the input, nor what leads elsewhere


def test_what_grad_did_not_need_stays_usable():
    x = leaf([2.0])
    middle = x.exp()
    close(minires.grad(middle * 3, middle), [3.0])
    middle.backward()
    close(x.grad, [np.exp(2.0)])


def test_a_rule_learns_which_gradients_are_needed():
    seen = []

    @op
    def product(x, y):
        return x * y

    @product.vjp
    def product_vjp(g, x, y, needs):
        seen.append(needs)
        return g * y if needs[0] else None, g * x if needs[1] else None

    x, y = leaf([2.0]), leaf([3.0])
    product(x, y).backward()
    product(x, Tensor([3.0])).backward()
    minires.grad(product(x, y), y)
    minires.grad(product(x, y), y, create_graph=True)
    assert seen == [(True, True), (True, False), (False, True), (False, True)]


# ---------------------------------------------------------------------- long and wide graphs


def test_a_chain_of_100_000_operations():
    x = leaf([1.0])
    y = x
    for i in range(100_000):
        y = y + 1.0 if i % 2 else -y
    y.backward()
    close(x.grad, [1.0])
    del y  # dropping the handle must not recurse either


def test_dropping_a_long_chain_without_walking_it_does_not_recurse():
    y = leaf([1.0])
    for _ in range(100_000):
        y = y + 1.0
    close(y, [100_001.0])
    del y


def test_a_graph_whose_paths_double_at_each_step_is_walked_once():
    x = y = leaf([1.0])
    for _ in range(60):
        y = (y + y) * 0.5
    y.backward()
    close(x.grad, [1.0])


# ---------------------------------------------------------------------- errors


def test_backward_without_a_gradient_wants_one_element():
    with pytest.raises(BackwardError, match=r"one element.*\(2,\).*gradient="):
        (leaf([1.0, 2.0]) * 2).backward()


def test_backward_checks_the_gradients_shape():
    with pytest.raises(BackwardError, match=r"\(3,\).*\(2,\)"):
        (leaf([1.0, 2.0]) * 2).backward(Tensor(np.ones(3)))


@pytest.mark.parametrize("make", [lambda x: Tensor([1.0]) * 2, lambda x: (x * 2).detach()])
def test_backward_on_a_constant(make):
    with pytest.raises(BackwardError, match=r"requires_grad=True.*no_grad.*detached"):
        make(leaf([1.0])).backward()


def test_grad_by_a_constant_names_which():
    x = leaf([1.0])
    with pytest.raises(BackwardError, match="input 1 of grad does not require a gradient"):
        minires.grad(x * 2, [x, Tensor([2.0])])


def test_assigning_into_a_tensor_in_a_graph():
    x = leaf([1.0, 2.0])
    for tensor in (x, x * 2):
        with pytest.raises(ValueError, match=r"overwrite.*where"):
            tensor[0] = 5.0
    constant = Tensor([1.0, 2.0, 3.0])
    constant[1:] = Tensor([7.0, 8.0])
    close(constant, np.array([1, 7, 8], np.float32))


def test_only_floating_tensors_have_gradients():
    with pytest.raises(TypeError, match="int64"):
        Tensor(np.arange(3, dtype=np.int64), requires_grad=True)
    with pytest.raises(TypeError, match="bool"):
        Tensor([True]).requires_grad_()


def test_a_result_cannot_stop_requiring_a_gradient():
    with pytest.raises(ValueError, match="detach"):
        (leaf([1.0]) * 2).requires_grad_(False)


def test_grad_takes_only_what_fits():
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        x.grad = Tensor(np.ones(3))
    with pytest.raises(ValueError, match="ndarray"):
        x.grad = np.ones(2)
    with pytest.raises(ValueError, match="does not require a gradient"):
        Tensor([1.0]).grad = Tensor([1.0])
    Tensor([1.0]).grad = None


def test_things_that_need_a_graph_say_so():
    constant = Tensor([1.0])
    for method in (constant.retain_grad, lambda: constant.register_hook(print)):
        with pytest.raises(ValueError, match="does not require a gradient"):
            method()


def test_freezing_and_unfreezing_a_leaf():
    x = leaf([1.0])
    (x * 2).backward()
    x.requires_grad = False
    close(x.grad, [2.0])  # kept, as in PyTorch
    assert not (x * 2).requires_grad
    x.requires_grad = True
    (x * 3).backward()
    close(x.grad, [5.0])


def test_freezing_between_forward_and_backward_loses_neither_gradient_nor_hook():
    x, seen = leaf([1.0]), []
    x.register_hook(lambda g: seen.append(g.item()))
    y = x * 2
    x.requires_grad_(False)
    y.backward()
    close(x.grad, [2.0])
    x.requires_grad_(True)
    (x * 5).backward()
    close(x.grad, [7.0])
    assert seen == [2.0, 5.0]


def test_leaves_and_results_are_told_apart():
    x = leaf([1.0])
    assert x.is_leaf
    assert Tensor([1.0]).is_leaf
    assert not (x * 2).is_leaf
    assert (x * 2).detach().is_leaf
    assert "multiply" in repr((x * 2).node)
    assert isinstance(x.node, engine.Node)
