"""What may follow a convolution part by part is told of every position, once it is written."""

import threading

import numpy as np
import pytest
from kernels.test_convolution import CASES, LARGE, draw, draw_large

from minires import kernels
from minires.kernels import ConvGeometry
from minires.kernels.convolution import choose

DRAWN = {**dict.fromkeys(CASES, draw), **dict.fromkeys(LARGE, draw_large)}


def able(x, w, settings):
    for name in choose.ALGORITHMS:
        with kernels.use_algorithm(name):
            try:
                choose.explain(x.shape, w.shape, geometry=ConvGeometry(**settings), dtype=x.dtype)
            except ValueError:
                continue
            yield name


@pytest.mark.parametrize("case", DRAWN)
def test_every_algorithm_tells_of_each_position_once_and_when_it_is_written(case, threads):
    kernels.set_num_threads(2)
    x, w, g, settings = DRAWN[case](case, np.float32)
    geometry = ConvGeometry(**settings)
    names = list(able(x, w, settings))
    assert "im2col" in names
    for name in names:
        out = np.full(g.shape, np.nan, np.float32)
        matrix, seen = out.reshape(-1, g.shape[3]), np.zeros((g[..., 0].size, g.shape[3]))
        told, lock = np.zeros(len(matrix), int), threading.Lock()

        def epilogue(positions, matrix=matrix, seen=seen, told=told, lock=lock):
            with lock:
                told[positions] += 1
                seen[positions] = matrix[positions]

        choose.ALGORITHMS[name].correlate(x, w, out, geometry, epilogue)
        assert (told == 1).all()
        np.testing.assert_array_equal(seen, matrix)
        assert np.isfinite(seen).all()
