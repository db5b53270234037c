"""The matrices of Winograd's minimal filtering, by Toom and Cook's construction.

A filter of 3 numbers w over m + 2 numbers d, m outputs:

    outputs = AT [ (G w) * (BT d) ]

with m + 2 multiplications in the middle instead of 3 m: polynomials are multiplied by their values
at m + 1 points and at infinity. Source: Winograd 1980; Barabasz et al. 2020, section 3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minires.backend import Array

POINTS = {2: (0.0, 1.0, -1.0), 4: (0.0, 5 / 8, -5 / 8, 3 / 2, -3 / 2)}
"""For each number of outputs the points, besides infinity.

Those of Lavin and Gray for 4 outputs, 0, 1, -1, 2 and -2, give 2.5 times the error in float32.
Points whose powers stay near 1 are better (Barabasz et al. 2020, ACM TOMS 46(4), arXiv:1803.10986);
among pairs of eighths these give the smallest error.
"""


class Matrices(NamedTuple):
    """The three linear maps."""

    data: Array  # BT
    kernel: Array  # G
    output: Array  # AT


def matrices(m: int) -> Matrices:
    """BT (m+2, m+2), G (m+2, 3) and AT (m, m+2), in NumPy's float64.

    Row i of G takes the filter's value at point p_i, over the product of all p_i - p_j; column i
    of AT has the powers of p_i; row i of BT the coefficients of the product of all x - p_j, j other
    than i. The last ones belong to infinity.
    """
    points = POINTS[m]
    BT, G, AT = np.zeros((m + 2, m + 2)), np.zeros((m + 2, 3)), np.zeros((m, m + 2))
    for i, point in enumerate(points):
        others = [p for p in points if p != point]
        BT[i, :-1] = np.poly(others)[::-1]
        G[i] = point ** np.arange(3) / np.prod(point - np.array(others))
        AT[:, i] = point ** np.arange(m)
    BT[-1], G[-1, -1], AT[-1, -1] = np.poly(points)[::-1], 1, 1
    return Matrices(BT, G, AT)
