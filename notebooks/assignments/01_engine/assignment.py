# %% [markdown]
# # An engine
#
# An engine of automatic differentiation remembers what was computed, and goes back over it: the
# *backward pass*. You write one in five small functions. It is all that PyTorch's `backward` does,
# but for speed.
#
# A `Node` holds an array, the nodes that it was made from (its *parents*; a node that was made from
# others is their *consumer*), and a *rule*: a function that takes the gradient $g$ of the loss with
# respect to this node and returns a tuple with what arrives at each parent. A *leaf* has no parents
# and no rule.
#
# Use NumPy only, and leave the arrays that you are given as they are. Each question says for which
# inputs your function must be right; hidden tests go no further. All arrays are of float64, of any
# values that are finite: negative, zero, very large and very small. Functions are called any number
# of times, with other inputs each time.

# %% given="Node"
import numpy as np


class Node:
    """An array in a graph; `grad` is filled by `backward`, for leaves only."""

    recording = True  # False inside `with no_grad():`

    def __init__(self, data, parents=(), rule=None):
        self.data = np.asarray(data, dtype=float)
        self.parents = tuple(parents)
        self.rule = rule
        self.grad = None


class no_grad:
    """Inside `with no_grad():` nothing is remembered."""

    def __enter__(self):
        Node.recording = False

    def __exit__(self, *error):
        Node.recording = True


def add(a, b):
    """The sum of two nodes of one shape."""
    return Node(a.data + b.data, (a, b), lambda g: (g, g))


# %% [markdown]
# ## 1. What broadcasting does, backwards
#
# NumPy stretches a `(3,)` or a `(2, 1)` to fit a `(2, 3)`: it uses one number several times. What is
# used several times gets the **sum** of what arrives at each use. So the gradient has to be summed
# over every axis that was stretched or added, until it has the shape that there was.
#
# **For which inputs:** `shape` is any tuple that NumPy stretches to `g.shape`: with none, one or
# several axes added in front, with none, one or several of the others stretched, also the shape `()`
# of a number. Sizes are 1 or more and may be equal. `g` stays as it is.


# %% question="unbroadcast"
def unbroadcast(g, shape):
    """Sum g, of a shape that `shape` was broadcast to, back to an array of that `shape`."""
    ### BEGIN SOLUTION
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    stretched = tuple(i for i, size in enumerate(shape) if size == 1)
    return g.sum(axis=stretched, keepdims=True)
    ### END SOLUTION


# %% check="unbroadcast"
g = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
for shape in [(2, 3), (3,), (2, 1), (1, 3), (1, 1), ()]:
    out = unbroadcast(g, shape)
    print(f"{shape!s:8}", out.tolist())
    assert out.shape == shape
assert unbroadcast(g, (3,)).tolist() == [11, 22, 33]
assert unbroadcast(g, ()) == 66

# %% [markdown]
# ## 2. An operation
#
# Write `multiply`. Its result is a `Node` whose parents are `(a, b)`, in this order, and whose rule
# returns the gradients of both, each in the shape of its parent. The product rule says what they are;
# `unbroadcast` (graded with a right one) does the rest.
#
# Inside `with no_grad():`, when `Node.recording` is False, the result is a leaf: no parents, no rule.
#
# **For which inputs:** any two nodes whose shapes NumPy broadcasts, each smaller or larger than the
# other, also numbers; both may be one and the same node. A rule may be asked several times, with
# another `g` each time, and after other products were made. `a.data`, `b.data` and `g` stay as they
# are.


# %% question="multiply"
def multiply(a, b):
    """The product of two nodes, broadcast as NumPy does."""
    ### BEGIN SOLUTION
    data = a.data * b.data
    if not Node.recording:
        return Node(data)

    def rule(g):
        da = unbroadcast(g * b.data, a.data.shape)
        db = unbroadcast(g * a.data, b.data.shape)
        return da, db

    return Node(data, (a, b), rule)
    ### END SOLUTION


# %% check="multiply"
a, b = Node([[1.0, 2.0, 3.0]]), Node([[10.0], [20.0]])
product = multiply(a, b)
da, db = product.rule(np.ones((2, 3)))
print("product:", product.data.tolist(), "da:", da.tolist(), "db:", db.tolist())
assert da.tolist() == [[30, 30, 30]]
with no_grad():
    assert multiply(a, b).parents == (), "nothing is remembered here"

# %% [markdown]
# ## 3. The order of the backward pass
#
# A node may only hand its gradient on when it has all of it, that is, after **all of its consumers**.
# Return every node that the root was made from, the root included, each once, in such an order. The
# root comes first.
#
# Take care: a node may have the same parent twice (`x * x`), and a graph may be 20,000 nodes deep,
# too deep for recursion in Python.
#
# **For which inputs:** any graph. A root may be a leaf; a node may have any number of parents, the
# same one several times; ways from the root to a node may be of different lengths, and too many to
# be gone one by one. The same graph may be asked again, or a part of it: leave nothing behind.


# %% question="order"
def order(root):
    """All nodes that root depends on, each after all of its consumers; a list."""
    ### BEGIN SOLUTION
    consumers, stack = {id(root): 0}, [root]
    while stack:
        for parent in stack.pop().parents:
            if id(parent) not in consumers:
                consumers[id(parent)] = 0
                stack.append(parent)
            consumers[id(parent)] += 1
    found, ready = [], [root]
    while ready:
        node = ready.pop()
        found.append(node)
        for parent in node.parents:
            consumers[id(parent)] -= 1
            if consumers[id(parent)] == 0:
                ready.append(parent)
    return found
    ### END SOLUTION


# %% [markdown]
# The graph in which most wrong orders show: `x` is used at once and again far down.

# %% check="order"
x = Node(2.0)
y = add(x, x)
z = add(y, x)
top = add(z, y)
names = {id(x): "x", id(y): "y", id(z): "z", id(top): "top"}
print("order:", [names[id(node)] for node in order(top)], "should be top, z, y, x")
assert [names[id(node)] for node in order(top)] == ["top", "z", "y", "x"]

# %% [markdown]
# ## 4. The backward pass
#
# Go through the nodes in `order` (graded with a right one), ask each one's rule, and add up what
# arrives at each parent. `g` is the gradient of the root itself.
#
# - What arrives at a node along several ways is **added**.
# - A leaf's `grad` is what arrived, **added** to the `grad` of earlier calls if it is not None.
# - Other nodes' `grad` stays None: a second `backward` through the same graph must not find anything
#   that the first one left there.
# - Each leaf has an array **of its own**. A rule may return one and the same array for both parents,
#   as `add` does, or views of one: do not write into it, and do not keep it twice.
#
# **For which inputs:** any graph that `order` can do. Nodes may be of different shapes, rules of one,
# two or three parents; `g` is an array of the root's shape, also `()`, and the root may be a leaf.
# Leaves may have a gradient from before or not, some this and some that, and what root does not
# depend on keeps what it has. `g` and all `data` stay as they are.


# %% question="backward"
def backward(root, g):
    """Go back from root, whose gradient is g, and fill the leaves' `grad`."""
    ### BEGIN SOLUTION
    gradients = {id(root): np.array(g, dtype=float)}
    for node in order(root):
        mine = gradients.pop(id(node))
        if node.rule is None:
            node.grad = mine if node.grad is None else node.grad + mine
            continue
        for parent, part in zip(node.parents, node.rule(mine), strict=True):
            if id(parent) in gradients:
                gradients[id(parent)] = gradients[id(parent)] + part
            else:
                gradients[id(parent)] = np.array(part)
    ### END SOLUTION


# %% [markdown]
# `top` above is 5x, so its derivative is 5. And after a second backward pass it is 10, since leaves add up.

# %% check="backward"
backward(top, np.array(1.0))
print("once: ", x.grad)
assert x.grad == 5
backward(top, np.array(1.0))
print("twice:", x.grad)
assert x.grad == 10
a, b = Node([1.0]), Node([2.0])
backward(add(a, b), np.array([1.0]))
a.grad += 100
assert b.grad.tolist() == [1], "a.grad and b.grad are one array"

# %% [markdown]
# ## 5. Start again
#
# Leaves add up, so before each training step their gradients are set back to None: all of them.
#
# **For which inputs:** a list of any number of leaves, also none; some may have no gradient, and one
# may be in it twice. Their `data` and all other leaves stay as they are.


# %% question="zero_grad"
def zero_grad(leaves):
    """Set every leaf's grad to None."""
    ### BEGIN SOLUTION
    for leaf in leaves:
        leaf.grad = None
    ### END SOLUTION


# %% check="zero_grad"
zero_grad([a, b])
print(a.grad, b.grad)
assert a.grad is None
assert b.grad is None
