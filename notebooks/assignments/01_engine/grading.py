"""How assignment 1 is graded. The drivers build graphs of given nodes with rules of their own.

They return what is: who is who, by number, and where arrays lie. What is right is judged elsewhere.
"""

import numpy as np

from minires.coursework import Draws, Order, Separate, question

draw = Draws(seed=1)

LARGE, SMALL = 2.0**13, 2.0**-40
"""Factors that make numbers of about 1 larger than 1000, and next to nothing."""

# ---------------------------------------------------------------------- 1 unbroadcast


@question(points=3, returns={"g": 3, "argument": 1})
def unbroadcast(g, shape):
    """Entry by entry, to where broadcasting took it from."""
    out = np.zeros(shape)
    for index in np.ndindex(g.shape):
        own = index[g.ndim - len(shape) :]
        out[tuple(0 if size == 1 else i for i, size in zip(own, shape, strict=True))] += g[index]
    return out, Separate([g])


@unbroadcast.drive
def drive_unbroadcast(student, g, shape):
    """A shape is a tuple; on its way here it became a list."""
    return student.unbroadcast(g, tuple(shape)), [[], [g]]


unbroadcast.case("an axis added in front", draw.normal(4, 3), [3], visible=True)


@unbroadcast.hidden("the same shapes, other numbers")
def unbroadcast_again(draw):
    return draw.signed(4, 3), [3]


@unbroadcast.hidden("two axes added in front, all of one size")
def unbroadcast_in_front(draw):
    n = draw.size(2, 4)
    return draw.signed(n, n, n), [n]


@unbroadcast.hidden("many axes added in front")
def unbroadcast_many_in_front(draw):
    return draw.signed(*[2] * draw.size(9, 10)), [2]


@unbroadcast.hidden("an axis in the middle stretched")
def unbroadcast_middle(draw):
    n = draw.size(2, 3)
    return draw.signed(n, draw.size(2, 4), n), [n, 1, n]


@unbroadcast.hidden("the first and the last axis stretched", weight=2)
def unbroadcast_ends(draw):
    n = draw.size(2, 3)
    return draw.signed(draw.size(2, 4), n, n), [1, n, 1]


@unbroadcast.hidden("every axis stretched")
def unbroadcast_every(draw):
    count = draw.size(8, 9)
    return draw.signed(*[2] * count), [1] * count


@unbroadcast.hidden("axes in front and an axis stretched", weight=2)
def unbroadcast_both(draw):
    n = draw.size(2, 3)
    return draw.signed(2, n, draw.size(2, 4), n), [1, n]


@unbroadcast.hidden("nothing")
def unbroadcast_nothing(draw):
    shape = draw.choice([1, draw.size(2, 3), 2], [draw.size(2, 3), 1])
    return draw.signed(*shape), shape


@unbroadcast.hidden("to a number")
def unbroadcast_to_number(draw):
    return draw.signed(*(2 + draw.shuffled(3))), []


@unbroadcast.hidden("a number, from a number")
def unbroadcast_number(draw):
    return draw.signed(), []


@unbroadcast.hidden("large numbers")
def unbroadcast_large(draw):
    return draw.signed(4, 3, scale=LARGE), [4, 1]


@unbroadcast.hidden("small numbers")
def unbroadcast_small(draw):
    return draw.signed(4, 3, scale=SMALL), [4, 1]


LEADING = "g = g.sum(axis=tuple(range(g.ndim - len(shape))))"
STRETCHED = "return g.sum(axis=stretched, keepdims=True)"


# ---------------------------------------------------------------------- 2 multiply


@question(
    points=4,
    returns={"data": 1, "da": 3, "db": 3, "parents": 1, "without_recording": 1, "arguments": 1},
    needs=["unbroadcast"],
)
def multiply(a, b, g, before=0):
    """`b` is None where `a` is both; so many other products and rules stand `before` the rule."""
    b, parents, places = (a, [0, 0], [a, g]) if b is None else (b, [0, 1], [a, b, g])
    back = [unbroadcast.answer(g * other, one.shape)[0] for one, other in ((a, b), (b, a))]
    return a * b, *back, parents, [0, None, a * b, 2], Separate(places)


@multiply.drive
def drive_multiply(student, a, b, g, before=0):
    left = student.Node(a)
    right = left if b is None else student.Node(b)
    out = student.multiply(left, right)
    for i in range(before):
        student.multiply(student.Node(left.data + i), student.Node(right.data - i)).rule(2.0 - g)
        out.rule(1.0 - g)
    da, db = out.rule(g)
    with student.no_grad():
        silent = student.multiply(left, right)
    parents = [which(parent, [left, right]) for parent in out.parents]
    heard = len(student.multiply(left, right).parents)
    own = [left.data, g] if b is None else [left.data, right.data, g]
    return (
        out.data,
        da,
        db,
        parents,
        [len(silent.parents), silent.rule, silent.data, heard],
        [
            [],
            own,
        ],
    )


multiply.case("one shape", *(draw.normal(2, 3) for _ in range(3)), visible=True)


@multiply.hidden("one shape, other numbers")
def multiply_again(draw):
    return [draw.signed(2, 3) for _ in range(3)]


@multiply.hidden("a row and a matrix", weight=2)
def multiply_first(draw):
    n = draw.size(2, 4)
    return draw.signed(n), draw.signed(n, n), draw.signed(n, n)


@multiply.hidden("a matrix and a row", weight=2)
def multiply_second(draw):
    n, m = (2 + draw.shuffled(3))[:2]
    return draw.signed(n, m), draw.signed(m), draw.signed(n, m)


@multiply.hidden("a row and a column", weight=2)
def multiply_crosswise(draw):
    n, m = (2 + draw.shuffled(3))[:2]
    return draw.signed(1, m), draw.signed(n, 1), draw.signed(n, m)


@multiply.hidden("a number and a matrix")
def multiply_number(draw):
    n, m = (2 + draw.shuffled(3))[:2]
    numbers = draw.signed(), draw.signed(n, m)
    return *(numbers if draw.size(0, 1) else numbers[::-1]), draw.signed(n, m)


@multiply.hidden("zeros")
def multiply_zeros(draw):
    n = draw.size(2, 4)
    a, b = draw.signed(2 * n), draw.signed(2 * n)
    a[draw.shuffled(2 * n)[:n]] = 0
    b[draw.shuffled(2 * n)[:n]] = 0
    return a.reshape(2, n), b.reshape(2, n), draw.signed(2, n)


@multiply.hidden("one node times itself")
def multiply_twice(draw):
    n, m = (2 + draw.shuffled(3))[:2]
    return draw.signed(n, m), None, draw.signed(n, m)


@multiply.hidden("after other products and rules")
def multiply_after(draw):
    n, m = draw.size(2, 3), draw.size(2, 3)
    return draw.signed(n, m), draw.signed(n, m), draw.signed(n, m), draw.size(1, 3)


@multiply.hidden("large numbers")
def multiply_large(draw):
    return [draw.signed(3, 4, scale=LARGE) for _ in range(3)]


@multiply.hidden("small numbers")
def multiply_small(draw):
    return [draw.signed(3, 4, scale=SMALL) for _ in range(3)]


DA, DB = "unbroadcast(g * b.data, a.data.shape)", "unbroadcast(g * a.data, b.data.shape)"


# ---------------------------------------------------------------------- 3 the order


@question(points=5, returns="count root_first each_after_its_consumers")
def order(parents, root=None):
    """`parents[i]` are the numbers of node i's parents; the root is the last unless it is said."""
    root = len(parents) - 1 if root is None else root
    reached, stack = set(), [root]
    while stack:
        node = stack.pop()
        if node not in reached:
            reached.add(node)
            stack += parents[node]
    return len(reached), root, Order(parents)


@order.drive
def drive_order(student, parents, root=None):
    """The places, in the list of all nodes, of those that were found; of the first by itself."""
    build = define(
        "lambda Node, parents, nodes: [nodes.append(Node(0.0, [nodes[i] for i in own]))"
        " for own in parents] and nodes"
    )
    nodes = build(student.Node, parents, [])
    places = {id(node): i for i, node in enumerate(nodes)}
    if root is not None:  # asked before of the whole
        student.order(nodes[-1])
    asked = nodes[-1 if root is None else root]
    found = [places.get(id(node), -1) for node in student.order(asked)]
    return len(found), found[0], found


def below(count, node=0):
    """Parents of `count` nodes in a chain that begins at the node of this number."""
    return [[node], *([node + i] for i in range(1, count))]


def random_graph(draw, count, most):
    """Each node has the one before it among up to `most` parents, at any place."""
    parents = [[]]
    for i in range(1, count):
        own = draw.integers(draw.size(1, most), below=i)
        own[draw.size(0, len(own) - 1)] = i - 1
        parents.append(own.tolist())
    return parents


order.case("a chain", [[], [0], [1]], visible=True)
order.case("used at once and again below", [[], [0, 0], [1, 0], [2, 1]], visible=True)
order.case("20,000 nodes deep", [[], *below(20_000)])


@order.hidden("a root without parents")
def order_leaf(draw):
    return ([[]] * draw.size(1, 2),)


@order.hidden("a parent several times")
def order_several(draw):
    return ([[], [0] * draw.size(2, 4), [1] * draw.size(2, 4), [2, *[0] * draw.size(1, 3), 2]],)


def two_ways(draw):
    """A node that is used by the end of a chain and at once, and two more below it."""
    chain = draw.size(2, 4)
    return [[], [0], [1], *below(chain, 2)], [2 + chain, 2]


@order.hidden("a long way and a short one, the long one first", weight=2)
def order_long_first(draw):
    parents, root = two_ways(draw)
    return ([*parents, root],)


@order.hidden("a long way and a short one, the short one first", weight=2)
def order_short_first(draw):
    parents, root = two_ways(draw)
    return ([*parents, root[::-1]],)


@order.hidden("a graph of nodes with up to four parents", weight=2)
def order_random(draw):
    """At last some with the one that leads on at the end, in the middle and at the beginning."""
    parents = random_graph(draw, draw.size(6, 9), 4)
    for place in (3, 1, 0):
        own = draw.integers(3, below=len(parents) - 1).tolist()
        parents.append([*own[:place], len(parents) - 1, *own[place:]])
    return (parents,)


@order.hidden("nodes that the root does not need")
def order_unneeded(draw):
    """The unneeded ones are consumers of needed ones, and a leaf."""
    parents = random_graph(draw, draw.size(4, 7), 2)
    n = len(parents)
    unneeded = [[], [n - 1, n], [draw.size(0, n - 2)]]
    return ([*parents, *unneeded, [draw.size(0, n - 2), n - 1]],)


@order.hidden("asked of a graph, then of a node in it")
def order_twice(draw):
    parents = random_graph(draw, draw.size(6, 9), 3)
    return parents, len(parents) - draw.size(1, 3)


@order.hidden("a ladder of 90 nodes, of 10**18 ways")
def order_ladder(draw):
    return ([[], [0], *([i - 1, i - 2][:: draw.choice(1, -1)] for i in range(2, 90))],)


@order.hidden("3,000 nodes deep, with ways past")
def order_deep(draw):
    past = draw.integers(3000, below=1 << 30).tolist()
    return ([[], [0], *([i - 1, past[i] % i] if i % 5 == 0 else [i - 1] for i in range(2, 3000))],)


# ---------------------------------------------------------------------- 4 the backward pass


def slope(values, operations, which, index):
    """Forward mode (dual numbers): the derivative of the root by one entry of one leaf."""
    nodes = [(value, np.zeros_like(value)) for value in values]
    nodes[which][1][index] = 1
    for kind, *parents in operations:
        own = [nodes[i] for i in parents]
        (a, da), (b, db) = own[0], own[-1]
        if kind == "multiply":
            nodes.append((a * b, da * b + a * db))
        elif kind == "turn":
            nodes.append((a.T, da.T))
        elif kind == "turned sum":
            nodes.append((a.T + b.T, da.T + db.T))
        elif kind == "mean":
            nodes.append(((a + b) / 2, (da + db) / 2))
        elif kind == "total":
            nodes.append((a.sum(), da.sum()))
        else:
            nodes.append((sum(v for v, _ in own), sum(d for _, d in own)))
    return nodes[-1][1]


@question(
    points=6,
    returns={"grads": 3, "again": 1, "others": 1, "separate": 1},
    needs=["order"],
    seconds=10,
)
def backward(values, operations, g, earlier=None):
    """By each entry of each leaf, one at a time; `earlier` are the leaves' gradients at first."""
    earlier = earlier or [None] * len(values)
    needed = {len(values) + len(operations) - 1}
    for i in range(len(operations) - 1, -1, -1):
        if len(values) + i in needed:
            needed.update(operations[i][1:])
    grads, again = list(earlier), list(earlier)
    for k in needed & set(range(len(values))):
        own = np.zeros_like(values[k])
        for index in np.ndindex(own.shape):
            own[index] = (g * slope(values, operations, k, index)).sum()
        first = 0.0 if earlier[k] is None else earlier[k]
        grads[k], again[k] = np.array(first + own), np.array(first + 3 * own)
    return grads, again, [None] * len(operations), Separate([g, *values])


@backward.drive
def drive_backward(student, values, operations, g, earlier=None):
    """The second time with twice the gradient."""
    operations_of = define(
        "lambda Node: {'multiply': lambda a, b: Node(a.data * b.data, (a, b), lambda g: "
        "(g * b.data, g * a.data)), 'add': lambda a, b: Node(a.data + b.data, (a, b), lambda g: "
        "(g, g)), 'add three': lambda a, b, c: Node(a.data + b.data + c.data, (a, b, c), lambda g: "
        "(g, g, g)), 'turn': lambda a: Node(a.data.T, (a,), lambda g: (g.T,)), 'total': lambda a: "
        "Node(a.data.sum(), (a,), lambda g: (g + 0 * a.data,)), 'turned sum': lambda a, b: "
        "Node((a.data + b.data).T, (a, b), lambda g: (g.T, g.T)), 'mean': lambda a, b: "
        "Node((a.data + b.data) / 2, (a, b), lambda g: (g / 2,) * 2)}.get"
    )
    operation = operations_of(student.Node)
    leaves = [student.Node(value) for value in values]
    for leaf, first in zip(leaves, earlier or [None] * len(leaves), strict=True):
        leaf.grad = None if first is None else first.copy()
    nodes = list(leaves)
    for kind, *parents in operations:
        nodes.append(operation(kind)(*[nodes[i] for i in parents]))
    student.backward(nodes[-1], g)
    found = [leaf.grad for leaf in leaves]
    grads = [grad if grad is None or isinstance(grad, float) else grad.copy() for grad in found]
    arrays = [grad for grad in found if grad is not None and not isinstance(grad, float)]
    separate = [[memory(a) for a in [*arrays, g]], [g.copy(), *(leaf.data for leaf in leaves)]]
    student.backward(nodes[-1], array(2.0 * g))
    others = [node.grad for node in nodes[len(leaves) :]]
    return grads, [leaf.grad for leaf in leaves], others, separate


def leaves(count, *shape):
    return [draw.normal(*shape, mean=1.0) for _ in range(count)]


backward.case(
    "a product and a sum",
    leaves(3, 2, 3),
    [["multiply", 0, 1], ["add", 3, 2]],
    draw.normal(2, 3),
    visible=True,
)
backward.case(
    "x * x + x", leaves(1, 4), [["multiply", 0, 0], ["add", 1, 0]], draw.normal(4), visible=True
)


def random_program(draw, leaves, count, kinds):
    """Each operation uses the one before it, first or second, and any other node."""
    operations = []
    for i in range(leaves, leaves + count):
        pair = [i - 1, draw.size(0, i - 1)][:: draw.choice(1, -1)]
        operations.append([kinds[i % len(kinds)], *pair])
    return operations


@backward.hidden("x * x + x, other numbers")
def backward_again(draw):
    return [draw.signed(4)], [["multiply", 0, 0], ["add", 1, 0]], draw.signed(4)


@backward.hidden("a root without parents")
def backward_leaf(draw):
    shape = 2 + draw.shuffled(2)
    return [draw.signed(*shape), draw.signed(*shape)], [], draw.signed(*shape)


@backward.hidden("a graph of products and sums", weight=2)
def backward_random(draw):
    values = [abs(draw.signed(3, scale=0.5)) for _ in range(2)]
    program = random_program(draw, 2, draw.size(7, 9), ["add", "multiply", "add"])
    return values, program, draw.signed(3)


@backward.hidden("a long way and a short one, in both orders")
def backward_ways(draw):
    """And of what is used at once, a node that others use."""
    chain = [["multiply", 2 + i, 1] for i in range(draw.size(2, 4))]
    end = 2 + len(chain)
    top = [["add", end, 2], ["add", 0, end + 1], ["multiply", 0, end + 2]]
    values = [abs(draw.signed(3, scale=0.5)) for _ in range(2)]
    return values, [["multiply", 0, 1], *chain, *top], draw.signed(3)


@backward.hidden("sums of sums, of which rules give one array several times")
def backward_sums(draw):
    first = [["add", 0, 1], ["add three", 0, 2, 1], ["add", 3, 2]]
    program = random_program(draw, 5, draw.size(2, 4), ["add"])
    return [draw.signed(2), draw.signed(2)], first + program, draw.signed(2)


@backward.hidden("a sum of two leaves")
def backward_two(draw):
    n = draw.size(1, 4)
    return [draw.signed(n), draw.signed(n)], [["add", 0, 1]], draw.signed(n)


@backward.hidden("a mean of two leaves, whose rule gives one new array twice")
def backward_mean(draw):
    n = draw.size(1, 4)
    return [draw.signed(n), draw.signed(n)], [["mean", 0, 1]], draw.signed(n)


@backward.hidden("rules that give views, and of one parent")
def backward_views(draw):
    n, m = 2 + draw.shuffled(2)
    program = [["turn", 0], ["turn", 1], ["add", 4, 5], ["turned sum", 2, 3], ["add", 6, 7]]
    return [draw.signed(n, m) for _ in range(4)], program, draw.signed(m, n)


@backward.hidden("a root that is a number, leaves that are none")
def backward_number(draw):
    n, m = 2 + draw.shuffled(2)
    program = [["multiply", 0, 1], ["total", 2], ["total", 1], ["multiply", 3, 4]]
    return [draw.signed(n, m), draw.signed(n, m)], program, draw.signed()


@backward.hidden("leaves with and without a gradient from before")
def backward_earlier(draw):
    earlier = [*[draw.signed(3), None][:: draw.choice(1, -1)], draw.signed(3)]
    values = [draw.signed(3) for _ in range(3)]
    return values, [["multiply", 0, 1], ["add", 3, 1]], draw.signed(3), earlier


@backward.hidden("a factor of zeros, so that gradients are zeros")
def backward_zeros(draw):
    values = [np.zeros(3), draw.signed(3), draw.signed(3)]
    return values, [["multiply", 0, 1], ["multiply", 3, 2]], draw.signed(3)


@backward.hidden("large numbers")
def backward_large(draw):
    values = [draw.signed(2, 3, scale=LARGE) for _ in range(2)]
    return values, [["multiply", 0, 1], ["add", 2, 0]], draw.signed(2, 3, scale=LARGE)


@backward.hidden("small numbers")
def backward_small(draw):
    values = [draw.signed(2, 3, scale=SMALL) for _ in range(2)]
    return values, [["multiply", 0, 1], ["multiply", 2, 0]], draw.signed(2, 3, scale=SMALL)


@backward.hidden("1,000 nodes deep, with 2**60 ways")
def backward_deep(draw):
    """Sums with itself lie below the rest, so that recursion ends soon."""
    values = [draw.signed(2), draw.signed(2)]
    doubled = [["add", 0, 0], *(["add", 2 + i, 2 + i] for i in range(59))]
    return values, doubled + [["add", 61 + i, 1] for i in range(1000)], draw.signed(2)


backward.mutants_quickly(without=["1,000 nodes deep, with 2**60 ways"], inputs=10_000)

SUM = "gradients[id(parent)] = gradients[id(parent)] + part"


# ---------------------------------------------------------------------- 5 zero_grad


@question(points=1, returns={"cleared": 2, "data": 1})
def zero_grad(grads, chosen, times=1):
    """The gradients of all leaves afterwards, if those of the numbers in `chosen` are passed."""
    kept = [None if i in chosen else grad for i, grad in enumerate(grads)]
    return kept, [np.array(float(i)) for i in range(len(grads))]


@zero_grad.drive
def drive_zero(student, grads, chosen, times=1):
    leaves = [student.Node(float(i)) for i in range(len(grads))]
    for _ in range(times):
        for leaf, grad in zip(leaves, grads, strict=True):
            leaf.grad = grad
        student.zero_grad([leaves[i] for i in chosen])
    return [leaf.grad for leaf in leaves], [leaf.data for leaf in leaves]


def given(draw, *wanted):
    """A gradient where a letter says so: `g`, or of zeros `0`, or None `-`."""
    made = {"g": lambda: draw.signed(2, 3), "0": lambda: np.zeros(2), "-": lambda: None}
    return [made[letter]() for letter in wanted]


zero_grad.case("four leaves", [np.array(0.0), None, *draw.normal(2, 3)], [0, 1, 2, 3], visible=True)


@zero_grad.hidden("one leaf, and others that keep theirs")
def zero_one(draw):
    return given(draw, *"ggg"), [draw.size(0, 2)]


@zero_grad.hidden("no leaf")
def zero_none(draw):
    return given(draw, *"g"), []


@zero_grad.hidden("leaves without a gradient first, between and last")
def zero_without(draw):
    return given(draw, *"-gg-g-"), [0, 1, 2, 3, 4, 5]


@zero_grad.hidden("gradients of zeros")
def zero_zeros(draw):
    return given(draw, *"0g0"), [0, 1, 2]


@zero_grad.hidden("the same leaves again, with new gradients")
def zero_again(draw):
    return given(draw, *"gg"), [0, 1], draw.size(2, 3)


@zero_grad.hidden("a leaf that is named twice")
def zero_twice(draw):
    return given(draw, *"gggg"), [0, *draw.choice([1, 1, 2, 3], [1, 2, 1, 3]), 0]
