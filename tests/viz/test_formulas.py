"""The formulas that the stepper shows, evaluated as they are written, against the operations."""

import html
import re

import numpy as np
import pytest

from minires import ops
from minires.viz.formulas import forward_formula, local_formula, whole_formula

X, Y, Z = np.array([0.7, 1.9, 2.3]), np.array([1.1, 0.6, 3.2]), np.array([-0.4, 0.8, 1.5])
W = np.array([0.3, -4.1, 0.9])
ELEMENTWISE = {
    "add": 2, "subtract": 2, "multiply": 2, "divide": 2, "power": 2, "maximum": 2, "minimum": 2,
    "negative": 1, "exp": 1, "log": 1, "sqrt": 1, "absolute": 1, "relu": 1, "sigmoid": 1, "tanh": 1,
    "scale_shift": 3,
}  # fmt: skip


def evaluated(formula, **names):
    """A formula's value: its signs become Python's."""
    text = re.sub(r"<sup>(.*?)</sup>", r"**(\1)", formula)
    text = re.sub(r"\|(\w)\|", r"absolute(\1)", html.unescape(re.sub(r"<[^>]*>", "", text)))
    text = (
        re.sub(r"√(\w)", r"sqrt(\1)", text).replace("max(", "maximum(").replace("min(", "minimum(")
    )
    text = re.sub(r"\blog (\w)", r"log(\1)", text).replace("σ(", "sigma(")
    for sign, own in {"·": "*", "−": "-", "≥": ">=", "≤": "<=", "[": "(", "]": ")*1.0"}.items():
        text = text.replace(sign, own)
    known = {name: getattr(np, name) for name in
             ("exp", "log", "sqrt", "tanh", "sign", "absolute", "maximum", "minimum")}  # fmt: skip
    known["sigma"] = lambda v: 1 / (1 + np.exp(-v))
    return eval(text, {"__builtins__": {}}, known | names)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_what_is_written_is_what_is_computed(name):
    names = ["x", "y", "z", "w"][: ELEMENTWISE[name]]
    arrays = [X - 1.2 * (name in ("absolute", "relu", "negative", "tanh")), Y, Z, W][: len(names)]
    operation = getattr(ops, name)
    out = np.asarray(operation(*arrays))
    known = dict(zip(names, arrays, strict=True))
    np.testing.assert_allclose(evaluated(forward_formula(name, names), **known), out)
    for i in range(len(names)):
        ends = [
            np.asarray(operation(*(a + step * (i == j) for j, a in enumerate(arrays))))
            for step in (1e-6, -1e-6)
        ]
        formula = local_formula(name, i, names, "out")
        written = evaluated(formula, **known, out=out) * np.ones(3)
        np.testing.assert_allclose(written, (ends[0] - ends[1]) / 2e-6, rtol=1e-6, atol=1e-8)


def test_the_matrix_products_are_written_with_the_right_transposes():
    rng = np.random.default_rng(0)
    a, b, g = rng.normal(size=(3, 2)), rng.normal(size=(2, 4)), rng.normal(size=(3, 4))
    wanted = [np.zeros(a.shape), np.zeros(b.shape)]
    for i, j, k in np.ndindex(3, 2, 4):
        wanted[0][i, j] += g[i, k] * b[j, k]
        wanted[1][j, k] += a[i, j] * g[i, k]
    for argument in (0, 1):
        formula = whole_formula("matmul", argument, ["a", "b"], "out", "g", 1)
        text = formula.replace("<sup>T</sup>", ".T").replace(" ", " @ ")
        np.testing.assert_allclose(eval(text, {}, {"a": a, "b": b, "g": g}), wanted[argument])
