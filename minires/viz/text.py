"""Numbers and small formulas as text and HTML. All that comes from outside is escaped here."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np  # host arrays

HostArray = np.ndarray[Any, Any]

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

escape = html.escape


def number(value: Any) -> str:
    """Four significant digits, integers in full; a true minus sign, powers of ten written out."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | np.integer):
        text = str(int(value))
    else:
        value = float(value)
        whole = value == int(value) if abs(value) < 1e6 else False
        text = str(int(value)) if whole else f"{value:.4g}"
    mantissa, e, exponent = text.partition("e")
    if e:
        mantissa += "×10" + str(int(exponent)).translate(_SUPERSCRIPTS)
    return mantissa.replace("-", "−").replace("inf", "∞").replace("nan", "NaN")


def factor(value: Any) -> str:
    """A number inside a product: in parentheses if it is negative."""
    text = number(value)
    return f"({text})" if text.startswith("−") else text


def shape_text(shape: Sequence[int]) -> str:
    """`3 × 4`; nothing for a single number."""
    return " × ".join(map(str, shape))


def index_name(letter: str, index: int) -> str:
    """A letter with its number below the line, in plain text."""
    return letter + str(index).translate(_SUBSCRIPTS)


def brief(array: HostArray, most: int = 22) -> str:
    """An array in `most` characters: its numbers if they fit, else its shape."""
    array = np.asarray(array)
    if array.ndim == 0:
        return number(array[()])
    if array.size == 1:
        return number(array.reshape(()))
    if array.ndim == 1 and array.size <= most // 3:
        text = "[" + ", ".join(map(number, array)) + "]"
        if len(text) <= most:
            return text
    return shape_text(array.shape) + " numbers" * (array.ndim == 1)  # 4 alone would be a value


def matrix(array: HostArray, most: int = 8) -> str:
    """An array as an HTML table (its number, if it is only one); of a large one the first rows.

    Axes of one entry are left out; of more than two, the last runs to the right.
    """
    array = np.asarray(array)
    if array.size == 1:
        return number(array.reshape(()))
    if not array.size:
        return f'<span class="note">{shape_text(array.shape)} numbers</span>'
    if array.ndim > 2:
        array = array.squeeze()
    rows = array.reshape(1, -1) if array.ndim < 2 else array.reshape(-1, array.shape[-1])
    cut = rows[:most, :most]
    lines = [[number(v) for v in row] + ["…"] * (rows.shape[1] > most) for row in cut]
    if rows.shape[0] > most:
        lines.append(["⋮"] * len(lines[0]))
    body = "".join("<tr>" + "".join(f"<td>{v}</td>" for v in line) + "</tr>" for line in lines)
    return f'<table class="matrix">{body}</table>'


def fraction(top: str, bottom: str) -> str:
    """Two pieces of HTML, one above the other."""
    return f'<span class="frac"><span>{top}</span><span>{bottom}</span></span>'


def partial(of: str, by: str) -> str:
    """The partial derivative of one name by another; both are HTML."""
    return fraction(f"∂{of}", f"∂{by}")


def lines(*rows: str) -> str:
    """Each piece of HTML on a line of its own."""
    return "".join(f"<div>{row}</div>" for row in rows if row)
