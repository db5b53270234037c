"""How assignment 1 is graded. The drivers build graphs of given nodes with rules of their own."""

import numpy as np

from minires.coursework import Draws, question

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
for number, name, hint, old, new in [
    (
        58,
        "broadcast axes not summed back",
        "What is used several times gets the sum of what arrives at each use.",
        LEADING,
        "g = g[(0,) * (g.ndim - len(shape))]",
    ),
    (
        121,
        "stretched axes not summed",
        "An axis of length 1 that was stretched is summed too.",
        STRETCHED,
        "return g",
    ),
    (122, "a mean", "A sum, not a mean.", STRETCHED, "return g.mean(stretched, keepdims=True)"),
    (
        123,
        "the stretched axes lost",
        "The result has exactly the shape asked for: keepdims=True.",
        STRETCHED,
        "return g.sum(axis=stretched)",
    ),
    (
        124,
        "the first entry of a stretched axis",
        "Sum over it.",
        STRETCHED,
        "return g[tuple(slice(0, 1) if size == 1 else slice(None) for size in shape)]",
    ),
]:
    unbroadcast.mistake(number, name, hint, old, new)


@unbroadcast.correct("axis by axis")
def unbroadcast_axes(g, shape):
    while g.ndim > len(shape):
        g = g.sum(axis=0)
    for axis, size in enumerate(shape):
        if size == 1:
            g = g.sum(axis=axis, keepdims=True)
    return g


@unbroadcast.correct("all axes at once, then reshaped")
def unbroadcast_at_once(g, shape):
    padded = (1,) * (g.ndim - len(shape)) + tuple(shape)
    axes = tuple(i for i in range(g.ndim) if padded[i] != g.shape[i])
    return g.sum(axis=axes).reshape(shape)


@unbroadcast.correct("loops")
def unbroadcast_loops(g, shape):
    out = np.zeros(shape)
    for index in np.ndindex(g.shape):
        own = index[len(index) - len(shape) :]
        out[tuple(min(i, n - 1) if n == 1 else i for i, n in zip(own, shape, strict=True))] += g[
            index
        ]
    return out


@unbroadcast.correct("np.add.at on a broadcast index")
def unbroadcast_add_at(g, shape):
    count = int(np.prod(shape))
    places = np.broadcast_to(np.arange(count).reshape(shape), g.shape)
    return np.bincount(places.ravel(), weights=g.ravel(), minlength=count).reshape(shape)


@unbroadcast.correct("float32")
def unbroadcast_float32(g, shape):
    g = np.asfortranarray(g, dtype=np.float32)
    extra = g.ndim - len(shape)
    axes = (*range(extra), *(extra + i for i, size in enumerate(shape) if size == 1))
    return np.add.reduce(g, axis=axes, keepdims=True).reshape(shape)


# ---------------------------------------------------------------------- 2 multiply


@question(
    points=4,
    returns={"data": 1, "da": 1, "db": 1, "parents": 1, "without_recording": 1},
    needs=["unbroadcast"],
)
def multiply(a, b, g):
    back = [unbroadcast.answer(g * other, one.shape) for one, other in ((a, b), (b, a))]
    return a * b, *back, [True, True], [0, True]


@multiply.drive
def drive_multiply(student, a, b, g):
    left, right = student.Node(a), student.Node(b)
    out = student.multiply(left, right)
    da, db = out.rule(g)
    with student.no_grad():
        silent = student.multiply(left, right)
    parents = [out.parents[0] is left, out.parents[1] is right]
    return out.data, da, db, parents, [len(silent.parents), silent.rule is None]


multiply.case("one shape", *(draw.normal(2, 3) for _ in range(3)), visible=True)
multiply.case("a row and a matrix", draw.normal(3), draw.normal(2, 3), draw.normal(2, 3))
multiply.case("a row and a column", draw.normal(1, 3), draw.normal(4, 1), draw.normal(4, 3))

DA, DB = "unbroadcast(g * b.data, a.data.shape)", "unbroadcast(g * a.data, b.data.shape)"
for number, name, hint, old, new in [
    (
        58,
        "broadcast not summed back",
        "Each gradient has its parent's shape: unbroadcast it.",
        f"da = {DA}\n        db = {DB}",
        "da = g * b.data\n        db = g * a.data",
    ),
    (
        64,
        "no_grad still records",
        "When Node.recording is False, return a leaf.",
        "if not Node.recording:",
        "if False:",
    ),
    (
        131,
        "the gradients exchanged",
        "The derivative by a is b, and the other way round.",
        "return da, db",
        "return db, da",
    ),
    (
        132,
        "the upstream gradient ignored",
        "Both are multiplied with g.",
        f"da = {DA}\n        db = {DB}",
        f"g = np.ones_like(g)\n        da = {DA}\n        db = {DB}",
    ),
    (
        133,
        "one's own factor",
        "The derivative of a * b by a is b.",
        DA,
        "unbroadcast(g * a.data, a.data.shape)",
    ),
    (134, "a sum's rule", "That is the rule of a + b.", DA, "unbroadcast(g, a.data.shape)"),
    (
        135,
        "parents in the wrong order",
        "The rule's first value is for the first parent.",
        "Node(data, (a, b), rule)",
        "Node(data, (b, a), rule)",
    ),
]:
    multiply.mistake(number, name, hint, old, new)


@multiply.correct("a lambda")
def multiply_lambda(a, b):
    out = Node(np.multiply(a.data, b.data))
    if Node.recording:
        out.parents = (a, b)
        out.rule = lambda g: (
            unbroadcast(b.data * g, a.data.shape),
            unbroadcast(a.data * g, b.data.shape),
        )
    return out


@multiply.correct("its own sums")
def multiply_own_sums(a, b):
    def back(g, shape):
        lead = g.ndim - len(shape)
        axes = (*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1))
        return g.sum(axis=axes).reshape(shape)

    def rule(g):
        return back(g * b.data, a.data.shape), back(g * a.data, b.data.shape)

    parents = (a, b) if Node.recording else ()
    return Node(a.data * b.data, parents, rule if parents else None)


@multiply.correct("shapes and values kept")
def multiply_kept(a, b):
    x, y = a.data.copy(), b.data.copy()

    def rule(g):
        return [unbroadcast(g * other, one.shape) for one, other in ((x, y), (y, x))]

    return Node(x * y, [a, b], rule) if Node.recording else Node(x * y)


@multiply.correct("a class as rule")
def multiply_class(a, b):
    class Rule:
        def __call__(self, g):
            full_a, full_b = np.broadcast_arrays(a.data, b.data)
            return unbroadcast(g * full_b, a.data.shape), unbroadcast(g * full_a, b.data.shape)

    if Node.recording is False:
        return Node(a.data * b.data, (), None)
    return Node(a.data * b.data, (a, b), Rule())


@multiply.correct("einsum where shapes are equal, float32")
def multiply_float32(a, b):
    if not Node.recording:
        return Node(a.data * b.data)

    def rule(g):
        g = np.float32(g)
        return (
            unbroadcast(g * np.float32(b.data), a.data.shape),
            unbroadcast(g * np.float32(a.data), b.data.shape),
        )

    return Node(a.data * b.data, (a, b), rule)


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
    return len(reached), True, True


@order.drive
def drive_order(student, parents):
    nodes = []
    for own in parents:
        nodes.append(student.Node(0.0, [nodes[i] for i in own]))
    found = student.order(nodes[-1])
    place = {}
    for i, node in enumerate(found):
        place.setdefault(id(node), i)
    after = all(
        place[id(parent)] > place[id(node)]
        for node in found
        for parent in node.parents
        if id(parent) in place
    )
    complete = all(id(parent) in place for node in found for parent in node.parents)
    return len(found), found[0] is nodes[-1], after and complete


order.case("a chain", [[], [0], [1]], visible=True)
order.case("used at once and again below", [[], [0, 0], [1, 0], [2, 1]], visible=True)
order.case("a ladder", [[], [0], [0, 1], [1, 2], [3, 0], [2, 4], [5, 3, 1], [6, 0]])
order.case("diamonds", [[], [0], [0], [1, 2], [3], [3], [4, 5], [0, 6]])
order.case("nodes that the root does not need", [[], [0], [0], [1, 1], [], [3, 4]])
order.case("20,000 nodes deep", [[], *([i] for i in range(20_000))])


@order.wrong(57, "depth first, without waiting", "Wait until all consumers have been visited.")
def depth_first(root):
    found, stack, seen = [], [root], {id(root)}
    while stack:
        node = stack.pop()
        found.append(node)
        for parent in node.parents:
            if id(parent) not in seen:
                seen.add(id(parent))
                stack.append(parent)
    return found


@order.wrong(141, "breadth first", "A node's distance to the root says nothing: count consumers.")
def breadth_first(root):
    found, seen = [root], {id(root)}
    for node in found:
        for parent in node.parents:
            if id(parent) not in seen:
                seen.add(id(parent))
                found.append(parent)
    return found


order.mistake(142, "leaves first", "The root comes first.", "return found", "return found[::-1]")
order.mistake(
    143,
    "a parent used twice counted once",
    "x * x has x as its parent twice: count both.",
    "        for parent in node.parents:\n",
    "        for parent in {id(p): p for p in node.parents}.values():\n",
)
order.mistake(
    144,
    "the root left out",
    "The root is a node of the walk too.",
    "return found",
    "return found[1:]",
)
order.mistake(
    145,
    "nodes listed several times",
    "Each node once, when its last consumer was visited.",
    "if consumers[id(parent)] == 0:",
    "if consumers[id(parent)] >= 0:",
)


@order.wrong(146, "recursion", "Python stops at a depth of about a thousand: use a list as stack.")
def recursive(root):
    found, seen = [], set()

    def visit(node):
        if id(node) not in seen:
            seen.add(id(node))
            for parent in node.parents:
                visit(parent)
            found.append(node)

    visit(root)
    return found[::-1]


@order.correct("depth first with an explicit stack, reversed")
def order_stack(root):
    found, seen, stack = [], set(), [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            found.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((parent, False) for parent in node.parents)
    return found[::-1]


@order.correct("iterators")
def order_iterators(root):
    found, seen = [], {id(root)}
    stack = [(root, iter(root.parents))]
    while stack:
        node, rest = stack[-1]
        for parent in rest:
            if id(parent) not in seen:
                seen.add(id(parent))
                stack.append((parent, iter(parent.parents)))
                break
        else:
            stack.pop()
            found.append(node)
    found.reverse()
    return found


@order.correct("consumers in a Counter, a deque")
def order_counter(root):
    from collections import Counter, deque

    everything, seen = [root], {id(root)}
    for node in everything:
        for parent in node.parents:
            if id(parent) not in seen:
                seen.add(id(parent))
                everything.append(parent)
    waiting = Counter(id(parent) for node in everything for parent in node.parents)
    ready, found = deque([root]), []
    while ready:
        node = ready.popleft()
        found.append(node)
        for parent in node.parents:
            waiting[id(parent)] -= 1
            if not waiting[id(parent)]:
                ready.append(parent)
    return found


@order.correct("longest distance to the root")
def order_distance(root):
    from graphlib import TopologicalSorter

    nodes, graph, stack = {}, {}, [root]
    while stack:
        node = stack.pop()
        if id(node) not in nodes:
            nodes[id(node)] = node
            graph[id(node)] = [id(parent) for parent in node.parents]
            stack.extend(node.parents)
    return [nodes[i] for i in TopologicalSorter(graph).static_order()][::-1]


@order.correct("marks in a dictionary")
def order_marks(root):
    state, found, stack = {}, [], [root]
    while stack:
        node = stack[-1]
        if id(node) not in state:
            state[id(node)] = "open"
            stack += [parent for parent in node.parents if id(parent) not in state]
        else:
            stack.pop()
            if state[id(node)] == "open":
                state[id(node)] = "closed"
                found.insert(len(found), node)
    return list(reversed(found))


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
    return grads, [2 * grad for grad in grads], True, True


@backward.drive
def drive_backward(student, values, operations, g):
    def product(a, b):
        return student.Node(a.data * b.data, (a, b), lambda g: (g * b.data, g * a.data))

    def total(a, b):
        return student.Node(a.data + b.data, (a, b), lambda g: (g, g))

    leaves = [student.Node(value) for value in values]
    nodes = list(leaves)
    for kind, i, j in operations:
        nodes.append((total if kind == "add" else product)(nodes[i], nodes[j]))
    upstream = g.copy()
    student.backward(nodes[-1], g)
    grads = [leaf.grad.copy() for leaf in leaves]
    arrays = [leaf.grad for leaf in leaves] + [g]
    separate = not any(
        np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i]
    ) and bool((g == upstream).all())
    student.backward(nodes[-1], g)
    others = all(node.grad is None for node in nodes[len(leaves) :])
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
for number, name, hint, old, new in [
    (
        56,
        "the gradient overwritten when a node is used twice",
        "What arrives along several ways is added.",
        SUM,
        "gradients[id(parent)] = np.array(part)",
    ),
    (
        61,
        "two parents share one gradient array",
        "A rule may return one array for both parents: copy it before you keep it.",
        "gradients[id(parent)] = np.array(part)",
        "gradients[id(parent)] = part",
    ),
    (
        63,
        "a second backward adds stale gradients",
        "Nodes between root and leaves must not remember anything from the last walk.",
        "mine = gradients.pop(id(node))\n",
        "mine = gradients.pop(id(node))\n"
        "        if node.rule is not None:\n"
        "            node.stale = mine = mine + getattr(node, 'stale', 0.0)\n",
    ),
    (
        151,
        "g ignored",
        "The root's gradient is g, not 1.",
        "np.array(g, dtype=float)",
        "np.ones(root.data.shape)",
    ),
    (
        152,
        "leaves overwritten by the second backward",
        "A leaf's grad adds up over calls.",
        "mine if node.grad is None else node.grad + mine",
        "mine",
    ),
    (
        153,
        "every node keeps a grad",
        "Only leaves keep theirs.",
        "        mine = gradients.pop(id(node))\n",
        "        mine = gradients.pop(id(node))\n"
        "        if node.rule is not None:\n            node.grad = mine\n",
    ),
]:
    backward.mistake(number, name, hint, old, new)


@backward.wrong(
    57,
    "recursion without topological order",
    "A node hands on its gradient when it has all of it: go through `order`.",
)
def without_order(root, g):
    root.so_far = getattr(root, "so_far", 0.0) + g
    if root.rule is None:
        root.grad = root.so_far
        return
    for parent, part in zip(root.parents, root.rule(root.so_far), strict=True):
        without_order_again = backward
        without_order_again(parent, part)


@backward.wrong(
    154,
    "added in place into an array that a rule returned",
    "The array may be another node's gradient too: make a new one.",
)
def added_in_place(root, g):
    gradients = {id(root): g}
    for node in order(root):
        mine = gradients.pop(id(node))
        if node.rule is None:
            node.grad = mine.copy() if node.grad is None else node.grad + mine
            continue
        for parent, part in zip(node.parents, node.rule(mine), strict=True):
            if id(parent) in gradients:
                gradients[id(parent)] += part
            else:
                gradients[id(parent)] = part


@backward.correct("copies, added in place")
def backward_copies(root, g):
    sums = {id(root): g.copy()}
    for node in order(root):
        arrived = sums[id(node)]
        if not node.parents:
            node.grad = arrived.copy() if node.grad is None else node.grad + arrived
        else:
            for parent, part in zip(node.parents, node.rule(arrived), strict=True):
                sums.setdefault(id(parent), np.zeros(parent.data.shape))
                sums[id(parent)] += part


@backward.correct("lists of parts")
def backward_lists(root, g):
    parts = {id(root): [g]}
    for node in order(root):
        total = np.sum(parts[id(node)], axis=0)
        if node.rule is None:
            node.grad = total + (0 if node.grad is None else node.grad)
            continue
        for parent, part in zip(node.parents, node.rule(total), strict=True):
            parts.setdefault(id(parent), []).append(part)


@backward.correct("a temporary attribute")
def backward_attribute(root, g):
    nodes = order(root)
    for node in nodes:
        node.arrived = np.zeros_like(node.data)
    root.arrived = root.arrived + g
    for node in nodes:
        if node.rule is not None:
            for parent, part in zip(node.parents, node.rule(node.arrived), strict=True):
                parent.arrived = parent.arrived + part
    for node in nodes:
        if node.rule is None:
            node.grad = node.arrived if node.grad is None else node.grad + node.arrived
        del node.arrived


@backward.correct("path by path, from the leaves' consumers")
def backward_pull(root, g):
    nodes = order(root)
    total = {id(root): np.array(g)}
    handed = {}
    for node in nodes:
        if node is not root:
            pieces = [
                piece
                for consumer in nodes
                if id(consumer) in handed
                for parent, piece in zip(consumer.parents, handed[id(consumer)], strict=True)
                if parent is node
            ]
            total[id(node)] = sum(pieces[1:], start=np.array(pieces[0]))
        if node.rule is not None:
            handed[id(node)] = node.rule(total[id(node)])
        else:
            old = 0.0 if node.grad is None else node.grad
            node.grad = old + total[id(node)]


@backward.correct("float32")
def backward_float32(root, g):
    sums = {id(root): g.astype(np.float32)}
    for node in order(root):
        arrived = sums.pop(id(node))
        if node.rule is None:
            old = np.float32(0) if node.grad is None else node.grad
            node.grad = (old + arrived).astype(np.float32)
            continue
        for parent, part in zip(node.parents, node.rule(arrived), strict=True):
            sums[id(parent)] = np.float32(sums.get(id(parent), np.float32(0)) + part)


# ---------------------------------------------------------------------- 5 zero_grad


@question(points=1, returns="cleared")
def zero_grad(count):
    return [True] * count


@zero_grad.drive
def drive_zero(student, count):
    leaves = [student.Node(float(i)) for i in range(count)]
    for i, leaf in enumerate(leaves):
        leaf.grad = None if i == 1 else np.array(float(i))
    student.zero_grad(leaves)
    return [leaf.grad is None for leaf in leaves]


zero_grad.case("four leaves", 4, visible=True)
zero_grad.case("one leaf", 1)

zero_grad.mistake(
    62, "some leaves missed", "Every leaf, the last one too.", "in leaves:", "in leaves[:-1]:"
)
zero_grad.mistake(
    161, "zeros", "None, so that the next walk starts with a new array.", "= None", "= 0.0"
)
zero_grad.mistake(
    162,
    "stops at the first leaf without gradient",
    "Go on with the others.",
    "        leaf.grad = None",
    "        if leaf.grad is None:\n            break\n        leaf.grad = None",
)


@zero_grad.correct("setattr")
def zero_setattr(leaves):
    for leaf in leaves:
        setattr(leaf, "grad", None)  # noqa: B010


@zero_grad.correct("by number")
def zero_by_number(leaves):
    for i in range(len(leaves)):
        leaves[i].grad = None


@zero_grad.correct("only where there is one")
def zero_where(leaves):
    for leaf in leaves:
        if leaf.grad is not None:
            leaf.grad = None


@zero_grad.correct("update of attributes")
def zero_update(leaves):
    for leaf in reversed(leaves):
        vars(leaf).update(grad=None)


@zero_grad.correct("recursion")
def zero_recursion(leaves):
    if leaves:
        leaves[0].grad = None
        zero_grad(leaves[1:])
