"""What PyTorch's users type means here what it means there, is an error, or is on a list.

The list stands in docs/conventions.md under "Silently different".
"""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import minires
from minires import Tensor

PAGE = (Path(__file__).parents[2] / "docs" / "conventions.md").read_text(encoding="utf-8")

SHAPES = [(), (4,), (1,), (2, 3), (2, 2), (1, 3), (2, 3, 4), (2, 1, 3), (2, 2, 2), (2, 3, 4, 5)]
DTYPES = ["float32", "float64", "float16", "int64", "int32", "uint8", "bool"]

# What is typed, with x and y of one shape, and a whole number for each place of an axis.
FORMS = {
    "T": "x.T",
    "abs": "x.abs(); abs(x)",
    "argmax": (
        "x.argmax(); x.argmax(D); x.argmax(dim=D); x.argmax(dim=D, keepdim=True); "
        "x.argmax(keepdim=True); x.argmax(None, True)"
    ),
    "argmin": (
        "x.argmin(); x.argmin(D); x.argmin(dim=D); x.argmin(dim=D, keepdim=True); "
        "x.argmin(keepdim=True)"
    ),
    "all": "(x > 0).all(); (x > 0).all(D); (x > 0).all(dim=D, keepdim=True); x.all(D, True)",
    "any": "(x > 0).any(); (x > 0).any(D); (x > 0).any(dim=D, keepdim=True); x.any(D, True)",
    "prod": "x.prod(); x.prod(D); x.prod(dim=D); x.prod(dim=D, keepdim=True); x.prod(D, True)",
    "isnan": "x.isnan()",
    "isinf": "x.isinf()",
    "isfinite": "x.isfinite()",
    "bmm": "x.bmm(y.swapaxes(-1, -2))",
    "clamp": "x.clamp(0, 1); x.clamp(min=0); x.clamp(max=1); x.clamp(-1.5, 0.5)",
    "clip": "x.clip(0, 1); x.clip(min=0); x.clip(max=1)",
    "clone": "x.clone()",
    "contiguous": "x.contiguous()",
    "data": (  # a NumPy array
        "x.data.argmax(); x.data.argmax(D); x.data.argmin(D); x.data.argsort(D); "
        "x.data.clip(0, 1); x.data.conj(); x.data.cumprod(D); x.data.cumsum(D); "
        "x.data.diagonal(); x.data.dot(y.data); x.data.flatten(); x.data.flatten(1); "
        "x.data.item(); x.data.mT; x.data.max(); x.data.max(D); x.data.max(D)[1]; "
        "x.data.mean(); x.data.mean(D); x.data.mean(D, True); x.data.min(); x.data.min(D); "
        "x.data.nonzero(); x.data.prod(); x.data.prod(D); x.data.ravel(); x.data.repeat(2); "
        "x.data.repeat(2, 1); x.data.repeat(1, 2, 1); x.data.reshape(-1); x.data.reshape(2, "
        "-1); x.data.round(); x.data.shape; x.data.size(); x.data.sort(); x.data.sort(D); "
        "x.data.squeeze(); x.data.squeeze(D); x.data.std(); x.data.std(D); x.data.sum(); "
        "x.data.sum(D); x.data.sum(D, True); x.data.swapaxes(0, 1); x.data.take(T([0, 1])); "
        "x.data.tolist(); x.data.trace(); x.data.transpose(0, 1); x.data.transpose(1, 2); "
        "x.data.transpose(1, 0); x.data.var(); x.data.var(D); x.data.view(-1); x.data.view(2, "
        "-1); x.data.T; x.data.ndim; x.data.itemsize; x.data.nbytes; x.data.real; (x > "
        "0).data.all(); (x > 0).data.all(D); (x > 0).data.any(D)"
    ),
    "dim": "x.dim()",
    "expand": "x.expand(3, *x.shape); x.expand(-1); x.expand(x.shape); x.expand(5, -1, 3)",
    "expand_as": "x.expand_as(y)",
    "fill_": "x.clone().fill_(2)",
    "zero_": "x.clone().zero_()",
    "flatten": (
        "x.flatten(); x.flatten(D); x.flatten(1); x.flatten(0, 1); x.flatten(1, 2); "
        "x.flatten(start_dim=1); x.flatten(1, -2); x.flatten(-2)"
    ),
    "item": "x.item()",
    "masked_fill": "x.masked_fill(y == y, 2); x.masked_fill(x > y, 0)",
    "matmul": "x.matmul(y); x @ y; x.matmul(y.swapaxes(-1, -2))",
    "mm": "x.mm(y.T); x.mm(y)",
    "max": (
        "x.max(); x.max(D); x.max(D)[1]; x.max(dim=D)[0]; x.max(dim=D).indices; "
        "x.max(dim=D, keepdim=True).values; x.max(D, True)[0]; x.max(y); list(x.max(D))[0]"
    ),
    "min": (
        "x.min(); x.min(D); x.min(D)[1]; x.min(dim=D)[0]; x.min(dim=D).indices; "
        "x.min(dim=D, keepdim=True).values; x.min(D, True)[0]; x.min(y); list(x.min(D))[0]"
    ),
    "mean": (
        "x.mean(); x.mean(D); x.mean(dim=D); x.mean(dim=(0, -1), keepdim=True); "
        "x.mean([0, 1]); x.mean(D, True); x.mean([]); x.mean(()); x.mean(dim=())"
    ),
    "ndim": "x.ndim",
    "numel": "x.numel()",
    "permute": (
        "x.permute(1, 0); x.permute(0, 1); x.permute(2, 0, 1); x.permute((1, 0)); "
        "x.permute(0, 3, 1, 2); x.permute(0, 2, 3, 1); x.permute(-1, 0); x.permute(0)"
    ),
    "reshape": "x.reshape(-1); x.reshape(2, -1); x.reshape((3, -1)); x.reshape(x.shape)",
    "shape": "tuple(x.shape); x.shape[D]; len(x.shape)",
    "size": "tuple(x.size()); x.size(D); x.size(-1); x.size(dim=D)",
    "softmax": "x.softmax(D); x.softmax(dim=D); x.softmax(-1)",
    "log_softmax": "x.log_softmax(D); x.log_softmax(dim=D)",
    "squeeze": "x.squeeze(); x.squeeze(D); x.squeeze(dim=D); x.squeeze((0, 1))",
    "std": (
        "x.std(); x.std(D); x.std(dim=D); x.std(dim=D, unbiased=False); x.std(0, True); "
        "x.std(unbiased=False); x.std(dim=D, correction=0, keepdim=True); x.std(0, False); "
        "x.std(D, keepdim=True); x.std(keepdim=True); x.std(0, True, True)"
    ),
    "var": (
        "x.var(); x.var(D); x.var(dim=D); x.var(dim=D, unbiased=False); x.var(0, True); "
        "x.var(unbiased=True); x.var(dim=D, correction=0, keepdim=True); x.var(0, False); "
        "x.var(D, keepdim=True); x.var(keepdim=True); x.var(0, False, True); x.var(dim=[])"
    ),
    "sum": (
        "x.sum(); x.sum(D); x.sum(dim=D); x.sum(dim=(0, -1), keepdim=True); x.sum([0, 1]); "
        "x.sum(D, True); x.sum(D, keepdim=True); x.sum([]); x.sum(()); x.sum(dim=[]); "
        "x.sum(dim=[], keepdim=True); x.sum(dim=None)"
    ),
    "swapaxes": "x.swapaxes(0, 1); x.swapaxes(D, -1)",
    "t": "x.t()",
    "tolist": "x.tolist()",
    "transpose": (
        "x.transpose(0, 1); x.transpose(1, 0); x.transpose(D, -1); x.transpose(-1, -2); "
        "x.transpose(-2, -1); x.transpose(1, 2); x.transpose(0, 0)"
    ),
    "unsqueeze": "x.unsqueeze(0); x.unsqueeze(D); x.unsqueeze(-1); x.unsqueeze(dim=D)",
    "view": (
        "x.view(-1); x.view(2, -1); x.view(x.size(0), -1); x.view(x.shape[0], -1); x.view((-1, 1))"
    ),
    "view_as": "x.view_as(y)",
    "pow": "x.pow(2); x ** 2; x.pow(3); (x * x + 1).pow(0.5); 2 ** x",
    "operators": (
        "x + y; x - y; x * y; x / y; -x; +x; x < y; x == y; 1 - x; x / 2; 2 / (x * x + 1); "
        "x * 0.5; x + True; ~(x > y); (x > y) & (x == x); (x > y) | (x < y); x + 2; x * 2; "
        "x - 1.5; x * y.sum(); len(x); bool(x); float(x); int(x); x == None; x != None; None == x; "
        "x == 'a'; x != 'a'; x == {}; x == [1, 2]; x == 2; x != 1.0; x in [None, 'a']"
    ),
    "items": (
        "x[0]; x[-1]; x[..., 0]; x[:, None]; x[None]; x[0:1]; x[x > y]; x[:, 0]; x[[0, 1]]; "
        "x[..., :2]; [a for a in x][0]; x[(x == x)]; x[:, [0, 1]]; x[T([1, 0])]; "
        "x[(x > y).to(m.uint8)]; x[T([1, 0]).to(m.uint8)]; x[0, T([1, 1]).to(m.uint8)]"
    ),
    **{
        name: f"x.{name}(y); x.{name}(2); x.{name}(y.swapaxes(0, -1))"
        for name in [
            "add",
            "sub",
            "mul",
            "div",
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
            "maximum",
            "minimum",
        ]
    },
    **{
        name: f"x.{name}()"
        for name in [
            "exp",
            "relu",
            "sigmoid",
            "tanh",
            "sqrt",
            "log",
            "float",
            "double",
            "half",
            "long",
            "int",
            "bool",
        ]
    },
}
FORMS = {name: forms.split("; ") for name, forms in FORMS.items()}

NOT_VALUES = {"data", "device", "dtype", "imag", "put", "resize"}

# Nothing is computed by these, or by what they do to a graph; tests elsewhere hold them.
OTHERS = {"backward", "copy_", "cpu", "cuda", "data", "detach", "device", "dtype", "grad"}
OTHERS |= {"is_leaf", "numpy", "register_hook", "requires_grad", "requires_grad_", "retain_grad"}
OTHERS |= {"to"}


def listed():
    """The expressions of the list, for x of any shape: patterns that match what is typed."""
    section = PAGE.split("## Silently different")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`x[^|]+) \|", section.split("are errors")[0], re.MULTILINE)
    return [form for row in rows for form in re.findall("`([^`]+)`", row)]


def drawn(shape, dtype, seed):
    values = np.random.default_rng([seed, *shape]).integers(-3, 4, shape)
    return np.abs(values).astype(dtype) if dtype in ("uint8", "bool") else values.astype(dtype)


def evaluated(expression, library, make, arrays):
    x, y = map(make, arrays)
    return eval(expression, {"x": x, "y": y, "T": make, "tuple": tuple, "m": library})


def plain(value):
    """A result as an array, and the kind of its dtype."""
    if isinstance(value, torch.Tensor):
        return value.detach().numpy()
    if isinstance(value, Tensor):
        return value.numpy()
    return np.asarray(value)


def test_every_shared_name_of_arrays_has_forms():
    shared = {n for n in dir(np.ndarray) if not n.startswith("_") and hasattr(torch.Tensor, n)}
    assert shared - NOT_VALUES == {re.search(r"data\.(\w+)", form)[1] for form in FORMS["data"]}


def test_every_shared_name_has_forms():
    shared = {n for n in dir(Tensor) if not n.startswith("_") and hasattr(torch.Tensor, n)}
    assert shared == (set(FORMS) - {"operators", "items"}) | OTHERS


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FORMS)
def test_the_same_an_error_or_on_the_list(name):
    different, compared = [], 0
    known = listed()
    for form in FORMS[name]:
        for dim in range(4) if re.search(r"\bD\b", form) else [0]:
            expression = re.sub(r"\bD\b", str(dim), form)
            for shape in SHAPES:
                for dtype in DTYPES if name != "data" else DTYPES[:4:3]:
                    arrays = [drawn(shape, dtype, seed) for seed in (0, 1)]
                    try:
                        wanted = plain(
                            evaluated(expression, torch, lambda a: torch.tensor(a), arrays)
                        )
                    except Exception:  # PyTorch refuses: nobody types this
                        continue
                    try:
                        got = plain(evaluated(expression, minires, minires.tensor, arrays))
                    except Exception:
                        continue
                    compared += 1
                    near = 3e-3 if "float16" in (dtype, str(got.dtype)) else 1e-5
                    same = got.shape == wanted.shape and np.allclose(
                        got.astype(float), wanted.astype(float), near, near, equal_nan=True
                    )
                    kinds = got.dtype.kind.replace("u", "i") == wanted.dtype.kind.replace("u", "i")
                    if not (same and kinds) and form not in known:
                        a, b = (f"{v.dtype}{v.shape} {v.ravel()[:4]}" for v in (got, wanted))
                        different.append(f"{expression} of {dtype}{shape}: {a}, there {b}")
    assert not different, "\n".join(different[:20])
    assert compared > 0


def test_the_list_holds_nothing_that_is_alike():
    """Each line differs for some input, or it would frighten for nothing."""
    for form in listed():
        form, differs = form.replace("D", "0"), False
        for shape in SHAPES:
            for dtype in DTYPES:
                arrays = [drawn(shape, dtype, seed) for seed in (0, 1)]
                try:
                    wanted = plain(evaluated(form, torch, lambda a: torch.tensor(a), arrays))
                    got = plain(evaluated(form, minires, minires.tensor, arrays))
                except Exception:
                    continue
                differs |= got.shape != wanted.shape or not np.allclose(
                    got.astype(float), wanted.astype(float), 1e-2, equal_nan=True
                )
        assert differs, form


def test_what_is_listed_and_no_expression():
    assert "| `Tensor(3)` |" in PAGE
    assert "| `y = x; y += 1` |" in PAGE
    assert (torch.Tensor(3).shape, Tensor(3).shape) == ((3,), ())
    for make, changed in ((torch.tensor, True), (minires.tensor, False)):
        x = y = make([1.0])
        y += 1
        assert (x is y) == changed
        assert y.tolist() == [2.0]
        assert x.tolist() == ([2.0] if changed else [1.0])
