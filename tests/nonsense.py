"""Any JSON, and a tree of it with something in it replaced: what files may say."""

import copy

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

drawn = settings(
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202egpj.exe"
numbers = st.one_of(
    st.integers(-3, 40),
    st.sampled_from([10**6, 10**9, 10**12, 2**63, 10**30, -(10**12), 10**400]),
    st.sampled_from([0.0, -0.0, 0.5, 1e-300, 1e300, float("nan"), float("inf"), -float("inf")]),
)
texts = st.one_of(
    st.sampled_from(["", "resnet600002", "resnet9998", "resnet8", "resnet1202", ESCAPES, "\0"]),
    st.text(max_size=8),
    st.just("x" * 10_000),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(tree, path=()):
    """The path to everything in a tree of dicts and lists."""
    yield path
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in inside:
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))
        else:
            yield (*path, key)


@st.composite
def changed(draw, tree):
    """The tree with one or two of its values replaced, or removed, or one added."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 2))):
        *above, last = draw(st.sampled_from([path for path in places(tree) if path]))
        holder = tree
        for key in above:
            holder = holder[key]
        match draw(st.sampled_from(["replace", "replace", "replace", "remove", "add"])):
            case "replace":
                holder[last] = draw(values)
            case "remove":
                del holder[last]
            case "add" if isinstance(holder, dict):
                holder[draw(texts)] = draw(values)
            case "add":
                holder.insert(last, draw(values))
    return tree
