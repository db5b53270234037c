"""The known mistakes of assignment 1; they run in the names of `grading.py`."""

# ---------------------------------------------------------------------- 1 unbroadcast

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

# ---------------------------------------------------------------------- 2 multiply


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

# ---------------------------------------------------------------------- 3 the order


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


# ---------------------------------------------------------------------- 4 the walk


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


# ---------------------------------------------------------------------- 5 zero_grad


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
