"""How assignment 1 is graded. The drivers build graphs of given nodes with rules of their own.

They return what is: who is who, by number, and where arrays lie. What is right is judged elsewhere.
"""

import numpy as np

from minires.coursework import Draws, Order, Separate, question

draw = Draws(seed=1)

# ---------------------------------------------------------------------- 1 unbroadcast


@question(points=3, returns="g")
def unbroadcast(g, shape):
    """Entry by entry, to where broadcasting took it from."""
    out = np.zeros(shape)
    for index in np.ndindex(g.shape):
        own = index[g.ndim - len(shape) :]
        out[tuple(0 if size == 1 else i for i, size in zip(own, shape, strict=True))] += g[index]
    return out


unbroadcast.case("an axis added in front", draw.normal(4, 3), [3], visible=True)
unbroadcast.case("an axis stretched", draw.normal(4, 3), [4, 1])
unbroadcast.case("both", draw.normal(2, 4, 3), [1, 3])
unbroadcast.case("nothing", draw.normal(2, 3), [2, 3])
unbroadcast.case("to a number", draw.normal(2, 3), [])
unbroadcast.case("an axis in the middle", draw.normal(2, 4, 3), [2, 1, 3])

LEADING = "g = g.sum(axis=tuple(range(g.ndim - len(shape))))"
STRETCHED = "return g.sum(axis=stretched, keepdims=True)"


# ---------------------------------------------------------------------- 2 multiply


@question(
    points=4,
    returns={"data": 1, "da": 1, "db": 1, "parents": 1, "without_recording": 1},
    needs=["unbroadcast"],
)
def multiply(a, b, g):
    back = [unbroadcast.answer(g * other, one.shape) for one, other in ((a, b), (b, a))]
    return a * b, *back, [0, 1], [0, None]


@multiply.drive
def drive_multiply(student, a, b, g):
    left, right = student.Node(a), student.Node(b)
    out = student.multiply(left, right)
    da, db = out.rule(g)
    with student.no_grad():
        silent = student.multiply(left, right)
    parents = [which(parent, [left, right]) for parent in out.parents]
    return out.data, da, db, parents, [len(silent.parents), silent.rule]


multiply.case("one shape", *(draw.normal(2, 3) for _ in range(3)), visible=True)
multiply.case("a row and a matrix", draw.normal(3), draw.normal(2, 3), draw.normal(2, 3))
multiply.case("a row and a column", draw.normal(1, 3), draw.normal(4, 1), draw.normal(4, 3))

DA, DB = "unbroadcast(g * b.data, a.data.shape)", "unbroadcast(g * a.data, b.data.shape)"


# ---------------------------------------------------------------------- 3 the order


@question(points=5, returns="count root_first each_after_its_consumers")
def order(parents):
    """`parents[i]` are the numbers of node i's parents; the last node is the root."""
    reached, stack = set(), [len(parents) - 1]
    while stack:
        node = stack.pop()
        if node not in reached:
            reached.add(node)
            stack += parents[node]
    return len(reached), len(parents) - 1, Order(parents)


@order.drive
def drive_order(student, parents):
    """The places, in the list of all nodes, of those that were found; of the first by itself."""
    build = define(
        "lambda Node, parents, nodes: [nodes.append(Node(0.0, [nodes[i] for i in own]))"
        " for own in parents] and nodes"
    )
    nodes = build(student.Node, parents, [])
    places = {id(node): i for i, node in enumerate(nodes)}
    found = [places.get(id(node), -1) for node in student.order(nodes[-1])]
    return len(found), found[0], found


order.case("a chain", [[], [0], [1]], visible=True)
order.case("used at once and again below", [[], [0, 0], [1, 0], [2, 1]], visible=True)
order.case("a ladder", [[], [0], [0, 1], [1, 2], [3, 0], [2, 4], [5, 3, 1], [6, 0]])
order.case("diamonds", [[], [0], [0], [1, 2], [3], [3], [4, 5], [0, 6]])
order.case("nodes that the root does not need", [[], [0], [0], [1, 1], [], [3, 4]])
order.case("20,000 nodes deep", [[], *([i] for i in range(20_000))])


# ---------------------------------------------------------------------- 4 the walk


@question(points=6, returns={"grads": 3, "again": 1, "others": 1, "separate": 1}, needs=["order"])
def backward(values, operations, g):
    """Forward mode: the derivative of the root by each entry of each leaf, one at a time."""

    def root(leaves):
        nodes = list(leaves)
        for kind, i, j in operations:
            nodes.append(nodes[i] + nodes[j] if kind == "add" else nodes[i] * nodes[j])
        return nodes[-1]

    def slope(which):
        """All operations are entry by entry, so one direction serves every entry (dual numbers)."""
        nodes = [
            (v, np.ones_like(v) if k == which else np.zeros_like(v)) for k, v in enumerate(values)
        ]
        for kind, i, j in operations:
            (a, da), (b, db) = nodes[i], nodes[j]
            nodes.append((a + b, da + db) if kind == "add" else (a * b, da * b + a * db))
        return nodes[-1][1]

    assert root(values).shape == g.shape
    grads = [g * slope(k) for k in range(len(values))]
    others = [None] * len(operations)
    return grads, [2 * grad for grad in grads], others, Separate([g])


@backward.drive
def drive_backward(student, values, operations, g):
    operations_of = define(
        "lambda Node: {'multiply': lambda a, b: Node(a.data * b.data, (a, b), lambda g: "
        "(g * b.data, g * a.data)), 'add': lambda a, b: Node(a.data + b.data, (a, b), lambda g: "
        "(g, g))}.get"
    )
    operation = operations_of(student.Node)
    leaves = [student.Node(value) for value in values]
    nodes = list(leaves)
    for kind, i, j in operations:
        nodes.append(operation(kind)(nodes[i], nodes[j]))
    student.backward(nodes[-1], g)
    grads = [leaf.grad.copy() for leaf in leaves]
    separate = [[memory(a) for a in [*(leaf.grad for leaf in leaves), g]], [g.copy()]]
    student.backward(nodes[-1], g)
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
backward.case(
    "a ladder",
    leaves(2, 3),
    [
        ["multiply", 0, 1],
        ["add", 2, 0],
        ["multiply", 3, 2],
        ["add", 4, 3],
        ["multiply", 5, 1],
        ["add", 6, 2],
    ],
    draw.normal(3),
)
backward.case("a sum of two leaves", leaves(2, 3), [["add", 0, 1]], draw.normal(3))
backward.case(
    "sums of sums", leaves(2, 2), [["add", 0, 1], ["add", 2, 0], ["add", 3, 2]], draw.normal(2)
)

SUM = "gradients[id(parent)] = gradients[id(parent)] + part"


# ---------------------------------------------------------------------- 5 zero_grad


@question(points=1, returns="cleared")
def zero_grad(count):
    return [None] * count


@zero_grad.drive
def drive_zero(student, count):
    leaves = [student.Node(float(i)) for i in range(count)]
    for i, leaf in enumerate(leaves):
        leaf.grad = None if i == 1 else array(float(i))
    student.zero_grad(leaves)
    return [leaf.grad for leaf in leaves]


zero_grad.case("four leaves", 4, visible=True)
zero_grad.case("one leaf", 1)
