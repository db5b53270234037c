"""What may stand in the place of an expression, in mutants.

Each operator is a generator of a few words and another expression.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from minires.coursework.mutation.syntax import (
    LOAD,
    OF_SIZES,
    SIZES,
    Place,
    called_name,
    copied,
    is_module,
    is_whole,
    parsed,
    swapped,
    without,
)

Change = tuple[str, ast.expr]

ARITHMETIC: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add, ast.Mult),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult, ast.Sub, ast.FloorDiv),
    ast.FloorDiv: (ast.Div, ast.Mult, ast.Mod),
    ast.Mod: (ast.FloorDiv, ast.Mult),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}


def arithmetic(place: Place) -> Iterator[Change]:
    """Another operator, operands exchanged, or only one of them."""
    node = place.node
    if not isinstance(node, ast.BinOp):
        return
    for other in ARITHMETIC.get(type(node.op), ()):
        yield "another operator", copied(node, op=other())
    ordered = not isinstance(node.op, ast.Add | ast.Mult | ast.BitAnd | ast.BitOr)
    if ordered or any(isinstance(part, ast.Tuple | ast.List) for part in ast.walk(node)):
        yield "operands exchanged", copied(node, left=node.right, right=node.left)
    if isinstance(node.op, ast.FloorDiv):
        yield "rounded up", parsed("-(-a // b)", a=node.left, b=node.right)
    if isinstance(node.op, ast.Div | ast.Mult) and not is_whole(node, place.whole):
        yield "rounded down", parsed("np.floor(a)", a=node)
    yield "a term dropped", node.left
    yield "a term dropped", node.right


def boolean(place: Place) -> Iterator[Change]:
    """`and` for `or`, a condition dropped, negated or decided."""
    node = place.node
    if isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "another operator", copied(node, op=other)
        for i in range(len(node.values)):
            rest = without(node.values, i)
            new = rest[0] if len(rest) == 1 else copied(node, values=rest)
            yield "a condition dropped", new
    if isinstance(node, ast.UnaryOp):
        yield "a sign or `not` dropped", node.operand
    if place.field in ("test", "ifs"):
        yield "a condition negated", ast.UnaryOp(ast.Not(), node)
        yield "a condition always false", ast.Constant(False)
        if not isinstance(place.owner, ast.While):
            yield "a condition always true", ast.Constant(True)


COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Gt: (ast.GtE, ast.Lt, ast.NotEq),
    ast.GtE: (ast.Gt, ast.LtE, ast.Eq),
    ast.Lt: (ast.LtE, ast.Gt, ast.NotEq),
    ast.LtE: (ast.Lt, ast.GtE, ast.Eq),
    ast.Eq: (ast.NotEq, ast.GtE, ast.LtE),
    ast.NotEq: (ast.Eq, ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}


def comparison(place: Place) -> Iterator[Change]:
    """Another comparison."""
    node = place.node
    if isinstance(node, ast.Compare):
        for i, old in enumerate(node.ops):
            for other in COMPARISONS[type(old)]:
                ops = [*node.ops[:i], other(), *node.ops[i + 1 :]]
                yield "another comparison", copied(node, ops=ops)


def constant(place: Place) -> Iterator[Change]:
    """Another number."""
    node = place.node
    if not isinstance(node, ast.Constant):
        return
    value = node.value
    others: list[bool | int | float] = []
    if isinstance(value, bool):
        others = [not value]
    elif isinstance(value, int):
        others = [value + 1, value - 1, 0, 1, 2, -value]
    elif isinstance(value, float):
        others = [0.0, 1.0, 2 * value, value / 2, -value]
    for other in dict.fromkeys(others):
        if other != value or isinstance(value, bool):
            yield "another constant", ast.Constant(other)


AXES = ("0", "1", "-1", "-2", "None", "(0, 1)", "(1, 2)")


def keyword(place: Place) -> Iterator[Change]:
    """An option left out, another axis."""
    node = place.node
    if isinstance(node, ast.Call):
        for i, option in enumerate(node.keywords):
            yield f"{option.arg}= dropped", copied(node, keywords=without(node.keywords, i))
    if isinstance(place.owner, ast.keyword) and place.owner.arg in ("axis", "axes"):
        for axis in AXES:
            yield "another axis", parsed(axis)
        if isinstance(node, ast.Name | ast.Call):
            yield "only the first axis", parsed("a[:1]", a=node)
            yield "only the last axis", parsed("a[-1:]", a=node)
        if isinstance(node, ast.Tuple) and len(node.elts) > 1:
            for i in range(len(node.elts)):
                yield "an axis dropped", copied(node, elts=without(node.elts, i))


def index(place: Place) -> Iterator[Change]:
    """Indices dropped, exchanged or shifted; bounds of slices dropped or shifted."""
    node = place.node
    if isinstance(node, ast.Slice):
        for field in ("lower", "upper", "step"):
            bound = getattr(node, field)
            if bound is None:
                continue
            yield f"the slice's {field} dropped", copied(node, **{field: None})
            for text in ("a + 1", "a - 1") if field != "step" else ():
                yield f"the slice's {field} shifted", copied(node, **{field: parsed(text, a=bound)})
    elif isinstance(node, ast.Subscript):
        yield "an index dropped", node.value
    several = isinstance(place.owner, ast.Tuple) and isinstance(place.owners[-2], ast.Subscript)
    if (place.field == "slice" or several) and not isinstance(
        node, ast.Slice | ast.Tuple | ast.Constant | ast.Starred
    ):
        yield "an index shifted", parsed("a + 1", a=node)
        yield "an index shifted", parsed("a - 1", a=node)


def sequence(place: Place) -> Iterator[Change]:
    """Neighbours exchanged in what is returned, assigned or indexed."""
    node = place.node
    if isinstance(node, ast.Tuple | ast.List):
        for i in range(len(node.elts) - 1):
            yield "neighbours exchanged", copied(node, elts=swapped(node.elts, i))


OTHER_FUNCTIONS = {
    "sum": ("mean", "max"),
    "mean": ("sum", "max"),
    "max": ("min", "sum"),
    "min": ("max",),
    "maximum": ("minimum", "fmax", "add"),
    "minimum": ("maximum", "fmin"),
    "argmax": ("argmin",),
    "argmin": ("argmax",),
    "zeros": ("ones",),
    "ones": ("zeros",),
    "zeros_like": ("ones_like", "empty_like"),
    "ones_like": ("zeros_like",),
    "var": ("std",),
    "std": ("var",),
    "exp": ("expm1", "exp2"),
    "log": ("log1p", "log2"),
    "sqrt": ("square",),
    "square": ("sqrt", "abs"),
    "any": ("all",),
    "all": ("any",),
    "append": ("extend",),
    "prod": ("sum",),
    "permutation": ("arange",),
    "reversed": ("list",),
    "sorted": ("list",),
}


def call(place: Place) -> Iterator[Change]:
    """Another function, only its argument, arguments exchanged or left out."""
    node = place.node
    if place.called:
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
        for other in OTHER_FUNCTIONS.get(name, ()):
            field = "attr" if isinstance(node, ast.Attribute) else "id"
            yield "another function", copied(node, **{field: other})
    if not isinstance(node, ast.Call):
        return
    if isinstance(node.func, ast.Attribute) and not is_module(node.func.value):
        yield "a call dropped", node.func.value
    elif node.args and not isinstance(node.args[0], ast.Starred):
        yield "a call dropped", node.args[0]
    for i in range(len(node.args) - 1):
        yield "arguments exchanged", copied(node, args=swapped(node.args, i))
    for i in range(len(node.args) if len(node.args) > 1 else 0):
        yield "an argument dropped", copied(node, args=without(node.args, i))
    if isinstance(node.func, ast.Attribute) and node.func.attr == "pop" and not node.args:
        yield "the other end", copied(node, args=[ast.Constant(0)])


CLIPPED = {
    "the absolute value": "abs(a)",
    "at most 6": "np.minimum(a, 6)",
    "at least 0": "np.maximum(a, 0)",
}
"""What is done to a value at one place."""


def value(place: Place) -> Iterator[Change]:
    """A value clipped or without its sign, an attribute dropped, another parameter."""
    node = place.node
    if place.called or is_module(node):
        return
    if isinstance(node, ast.Attribute):
        yield "an attribute dropped", node.value
    if isinstance(node, ast.Name) and node.id in place.parameters:
        for other in place.parameters:
            yield "another parameter", ast.Name(other, LOAD)
        for number in (0, 1):
            yield "a constant for a parameter", ast.Constant(number)
    part = isinstance(place.owner, ast.Attribute | ast.Starred)
    if (
        isinstance(node, ast.Name | ast.Attribute | ast.BinOp | ast.Call | ast.Subscript)
        and not (isinstance(node, ast.Name) and node.id == "self")
        and not (part and not isinstance(node, ast.Name))
        and not (isinstance(place.owner, ast.Attribute) and place.owner.attr in SIZES)
        and not is_whole(node, place.whole)
        and called_name(node) not in OF_SIZES
        and not any(isinstance(owner, ast.Slice) for owner in place.owners)
    ):
        for name, text in CLIPPED.items():
            yield name, parsed(text, a=node)


def in_place(place: Place) -> Iterator[Change]:
    """The result of a function of NumPy's in the place of its first argument."""
    node = place.node
    if isinstance(node, ast.Call) and called_name(node) in UFUNCS and is_module(node.func):
        out = ast.keyword("out", node.args[0])
        if not any(option.arg == "out" for option in node.keywords):
            yield "in place", copied(node, keywords=[*node.keywords, out])


UFUNCS = ("maximum", "minimum", "exp", "log", "sqrt", "add", "multiply", "tanh")

OPERATORS: tuple[Callable[[Place], Iterator[Change]], ...] = (
    arithmetic,
    boolean,
    comparison,
    constant,
    keyword,
    index,
    sequence,
    call,
    value,
    in_place,
)


def expressions(place: Place) -> Iterator[Change]:
    """What may stand in the place of an expression."""
    for operator in OPERATORS:
        yield from operator(place)
