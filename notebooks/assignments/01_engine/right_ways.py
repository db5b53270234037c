"""Other right ways to solve assignment 1; they run in the names of `grading.py`."""

# ---------------------------------------------------------------------- 1 unbroadcast


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
    consumers = {}
    for node in nodes:
        for place, parent in enumerate(node.parents):
            consumers.setdefault(id(parent), []).append((id(node), place))
    total = {id(root): np.array(g)}
    handed = {}
    for node in nodes:
        if node is not root:
            pieces = [handed[consumer][place] for consumer, place in consumers[id(node)]]
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
