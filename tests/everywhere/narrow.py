"""NumPy as where its indices have 32 bits: arrays of 64-bit integers are refused as indices.

There `take`, `bincount` and `repeat` cast what they get to `intp` by the rule "safe", so int64 will
not do. Here `intp` is int64; but C has two 64-bit integers, `long` and `long long`, and NumPy tells
them apart. So `np.int64` becomes the other one, and the calls of minires's source are rewritten to
look at what they are given. Import this before minires; by hand it takes whole suites:

    export PYTHONPATH=.:tests:tests/everywhere
    python -c "import narrow, pytest; pytest.main(['tests/data'])"
"""

import ast
import builtins
import importlib.machinery
import sys
from pathlib import Path

import numpy as np

PACKAGE = Path(__file__).resolve().parents[2] / "minires"
CALLS = "bincount", "choose", "put", "repeat", "take"
TOO_WIDE = "ILqQ"  # what is not safely an int32, apart from `l`, which is intp

asked = dict.fromkeys(CALLS, 0)
"""How many arrays of indices each of them was given."""


def looked_at(function, *arguments, **keywords):
    """Call a function, if its indices are no wider than where `intp` has 32 bits."""
    name = function.__name__
    method = isinstance(getattr(function, "__self__", None), np.ndarray) or name == "bincount"
    given = arguments[0 if method else 1 :][:1] or [
        keywords.get("indices", keywords.get("repeats"))
    ]
    if isinstance(given[0], np.ndarray | np.generic):
        asked[name] += 1
        if given[0].dtype.char in TOO_WIDE:
            raise TypeError(
                f"{name}: Cannot cast array data from dtype('{given[0].dtype}') to dtype('int32') "
                "according to the rule 'safe'"
            )
    return function(*arguments, **keywords)


class _Rewrite(ast.NodeTransformer):
    def visit_Call(self, node):
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
            name = ast.copy_location(ast.Name("_looked_at", ast.Load()), node)
            node = ast.copy_location(ast.Call(name, [node.func, *node.args], node.keywords), node)
        return node


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname):
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def source_to_code(self, data, path, *, _optimize=-1):
        tree = ast.fix_missing_locations(_Rewrite().visit(ast.parse(data)))
        return compile(tree, path, "exec", dont_inherit=True, optimize=_optimize)


class _Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] != "minires":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.origin and Path(spec.origin).is_relative_to(PACKAGE):
            spec.loader = _Loader(name, spec.origin)
        return spec


if not any(name.partition(".")[0] == "minires" for name in sys.modules):
    np.int64, np.uint64 = np.longlong, np.ulonglong
    builtins._looked_at = looked_at
    sys.meta_path.insert(0, _Finder())
else:
    raise ImportError("import this before minires")
