"""What a mutant may change: expressions, statements, and what lives longer than a call.

Each operator is a generator of a few words and what stands in the place of a node.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Function = ast.FunctionDef | ast.Lambda
Change = tuple[str, ast.expr]


@dataclass(frozen=True)
class Place:
    """Where an expression stands.

    Attributes
    ----------
    node : ast.expr
    owners : tuple of ast.AST
        Around it, the innermost last.
    field : str
        Of the innermost owner.
    index : int or None
        In the field, where that is a list.
    """

    node: ast.expr
    owners: tuple[ast.AST, ...]
    field: str
    index: int | None

    @property
    def owner(self) -> ast.AST:
        """What it is a part of."""
        return self.owners[-1]

    def put(self, node: ast.expr) -> None:
        """Set another node there."""
        if self.index is None:
            setattr(self.owner, self.field, node)
        else:
            getattr(self.owner, self.field)[self.index] = node

    @property
    def parameters(self) -> list[str]:
        """Of the functions around it."""
        functions = (owner for owner in self.owners if isinstance(owner, Function))
        return [a.arg for function in functions for a in arguments(function)]

    @property
    def called(self) -> bool:
        """Whether it is what a call calls."""
        return isinstance(self.owner, ast.Call) and self.field == "func"


def arguments(function: Function) -> list[ast.arg]:
    """Without `self`."""
    args = function.args
    return [a for a in (*args.posonlyargs, *args.args, *args.kwonlyargs) if a.arg != "self"]


def places(node: ast.AST, around: tuple[ast.AST, ...] = ()) -> Iterator[Place]:
    """Every expression that is read, with its place."""
    owners = (*around, node)
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else ((None, value),):
            if not isinstance(child, ast.AST):
                continue
            if isinstance(child, ast.expr) and isinstance(getattr(child, "ctx", _LOAD), ast.Load):
                yield Place(child, owners, field, index)
            yield from places(child, owners)


_LOAD = ast.Load()


# ------------------------------------------------------------------------------- small pieces


def parsed(text: str, **parts: ast.expr) -> ast.expr:
    """An expression in which names stand for others."""
    return _Filled(parts).visit(ast.parse(text, mode="eval").body)  # type: ignore[no-any-return]


class _Filled(ast.NodeTransformer):
    def __init__(self, parts: dict[str, ast.expr]) -> None:
        self.parts = parts

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.parts.get(node.id, node)


def code(text: str, **parts: ast.expr) -> list[ast.stmt]:
    """Statements in which names stand for expressions."""
    tree = _Filled(parts).visit(ast.parse(text))
    return tree.body  # type: ignore[no-any-return]


def swapped(items: list[Any], i: int) -> list[Any]:
    """A list with a pair of neighbours exchanged."""
    return [*items[:i], items[i + 1], items[i], *items[i + 2 :]]


def without(items: list[Any], i: int) -> list[Any]:
    """A list without an item."""
    return [*items[:i], *items[i + 1 :]]


def copied(node: Any, **fields: Any) -> Any:
    """A node with other fields."""
    return type(node)(**(dict(ast.iter_fields(node)) | fields))


# ------------------------------------------------------------------------------- expressions

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
    if isinstance(node.func, ast.Attribute) and not _is_module(node.func.value):
        yield "a call dropped", node.func.value
    elif node.args and not isinstance(node.args[0], ast.Starred):
        yield "a call dropped", node.args[0]
    for i in range(len(node.args) - 1):
        yield "arguments exchanged", copied(node, args=swapped(node.args, i))
    for i in range(len(node.args) if len(node.args) > 1 else 0):
        yield "an argument dropped", copied(node, args=without(node.args, i))
    if isinstance(node.func, ast.Attribute) and node.func.attr == "pop" and not node.args:
        yield "the other end", copied(node, args=[ast.Constant(0)])


def _is_module(node: ast.AST) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in ("np", "math", "itertools", "functools")


SIZES = ("shape", "ndim", "dtype", "size")

WHOLE = {
    "the absolute value": "abs(a)",
    "at most 6": "np.minimum(a, 6)",
    "at least 0": "np.maximum(a, 0)",
}
"""What is done to a value at one place."""


def value(place: Place) -> Iterator[Change]:
    """A value negated, without its sign, clipped; or another parameter in its place."""
    node = place.node
    if place.called or _is_module(node):
        return
    if isinstance(node, ast.Attribute):
        yield "an attribute dropped", node.value
    if isinstance(place.owner, ast.Attribute) and (
        place.owner.attr in SIZES or not isinstance(node, ast.Name)
    ):
        return
    if isinstance(node, ast.Attribute) and node.attr in SIZES:
        return
    if not isinstance(node, ast.Name | ast.Attribute | ast.BinOp | ast.Call):
        return
    own = not isinstance(node, ast.Name) or (node.id != "self" and node.id not in loop_names(place))
    if own and not is_size(place):
        for name, text in WHOLE.items():
            yield name, parsed(text, a=node)
    if isinstance(node, ast.Name) and node.id in place.parameters:
        for other in place.parameters:
            yield "another parameter", ast.Name(other, _LOAD)
        for number in (0, 1):
            yield "a constant for a parameter", ast.Constant(number)


def is_size(place: Place) -> bool:
    """Whether it is a part of an index, or of the size of an array or of a loop."""
    inner: ast.AST = place.node
    for owner in reversed(place.owners):
        if isinstance(owner, ast.Subscript) and owner.value is not inner:
            return True
        if isinstance(owner, ast.Call) and called_name(owner) in OF_SIZES:
            return True
        inner = owner
    return isinstance(place.node, ast.Call) and called_name(place.node) in OF_SIZES


OF_SIZES = ("range", "slice", "zeros", "ones", "empty", "ndindex", "arange", "len", "reshape", "id")


def called_name(node: ast.Call) -> str:
    """The last part of what is called."""
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def loop_names(place: Place) -> set[str]:
    """What the loops around it count."""
    loops = [owner for owner in place.owners if isinstance(owner, ast.For)]
    for owner in place.owners:
        loops += getattr(owner, "generators", [])
    return {n.id for loop in loops for n in ast.walk(loop.target) if isinstance(n, ast.Name)}


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
)


def expressions(place: Place) -> Iterator[Change]:
    """What may stand in the place of an expression."""
    for operator in OPERATORS:
        yield from operator(place)


# ------------------------------------------------------------------------------- statements

Block = list[ast.stmt]


def blocks(
    tree: ast.AST, function: ast.FunctionDef | None = None
) -> Iterator[tuple[Block, ast.FunctionDef | None]]:
    """Every block of statements, with the function that it is in."""
    if isinstance(tree, ast.FunctionDef):
        function = tree
    for field in ("body", "orelse"):
        block = getattr(tree, field, None)
        if isinstance(block, list) and block:
            yield block, function
            for statement in block:
                yield from blocks(statement, function)


def statements(
    block: Block, function: ast.FunctionDef | None, tree: ast.Module
) -> Iterator[tuple[str, int, Block]]:
    """What may stand in the place of a block."""
    if function is None:
        return
    for i, statement in enumerate(block):
        line = statement.lineno if hasattr(statement, "lineno") else 0
        before, after = block[:i], block[i + 1 :]
        if not isinstance(statement, ast.Pass):
            yield "a statement dropped", line, (before + after) or [ast.Pass()]
        for change, new in replacements(statement, function):
            yield change, line, before + new + after
        if i == 0 and block is function.body:
            for argument in arguments(function):
                for change, new in for_good(argument.arg, function):
                    yield change, line, [*new, *block]
        if after and block is function.body:
            last = block[-1]
            if isinstance(last, ast.Return) and i:
                yield "an early return", line, [*before, last, statement, *after]


def replacements(statement: ast.stmt, function: ast.FunctionDef) -> Iterator[tuple[str, Block]]:
    """What may stand in the place of a statement."""
    if isinstance(statement, ast.AugAssign):
        target = _read(statement.target)
        total = ast.BinOp(target, statement.op, statement.value)
        yield "not in place", [ast.Assign([statement.target], total)]
        yield "only the last", [ast.Assign([statement.target], statement.value)]
        for operation in ARITHMETIC.get(type(statement.op), ()):
            yield "another operator", [copied(statement, op=operation())]
    if isinstance(statement, ast.Return | ast.Assign) and isinstance(statement.value, ast.BinOp):
        left = statement.value.left
        if isinstance(left, ast.Name | ast.Attribute | ast.Subscript):
            change = ast.AugAssign(_stored(left), statement.value.op, statement.value.right)
            yield "in place", [change, copied(statement, value=left)]
    if isinstance(statement, ast.For | ast.While):
        yield "only the first time", [copied(statement, body=[*statement.body, ast.Break()])]
    if isinstance(statement, ast.For):
        for text in ("list(a)[1:]", "list(a)[:-1]", "list(a)[::-1]"):
            yield "another range", [copied(statement, iter=parsed(text, a=statement.iter))]
    if isinstance(statement, ast.Assign):
        for name in _names(statement.targets):
            yield from ((c, [statement, *new]) for c, new in for_good(name, function))


def for_good(name: str, function: ast.FunctionDef) -> Iterator[tuple[str, Block]]:
    """What may be done to a variable once it is set."""
    for change, text in CHANGES.items():
        yield f"{name} {change}", code(f"{name} = {text.format(name)}")
    for other in (argument.arg for argument in arguments(function)):
        if other != name:
            yield f"{other} at most {name}", code(f"{other} = np.minimum({other}, {name})")


CHANGES = {
    "without a sign": "abs({})",
    "at most 1": "np.minimum({}, 1)",
    "at least 1": "np.maximum({}, 1)",
    "at most 6": "np.minimum({}, 6)",
    "at least 0": "np.maximum({}, 0)",
    "within 100": "np.clip({}, -100, 100)",
    "within 1000": "np.clip({}, -1000, 1000)",
    "without a fraction": "np.trunc({})",
}
"""What is done to a variable for good."""


def _names(targets: list[ast.expr]) -> list[str]:
    items = [e for t in targets for e in (t.elts if isinstance(t, ast.Tuple) else [t])]
    return [item.id for item in items if isinstance(item, ast.Name)]


def _read(target: Any) -> ast.expr:
    return copied(target, ctx=ast.Load())  # type: ignore[no-any-return]


def _stored(target: Any) -> Any:
    return copied(target, ctx=ast.Store())


# ------------------------------------------------------------------------------- the whole cell


def additions(tree: ast.Module) -> Iterator[tuple[str, int, Block]]:
    """What outlives a call: the cell with other statements."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield (
                "the first result for ever",
                node.lineno,
                [
                    *tree.body,
                    *code(
                        f"def _first(function, kept=[]):\n"
                        f"    def {node.name}(*args, **options):\n"
                        f"        if not kept:\n"
                        f"            kept.append(function(*args, **options))\n"
                        f"        return kept[0]\n"
                        f"    return {node.name}\n"
                        f"{node.name} = _first({node.name})"
                    ),
                ],
            )
