"""Random graphs, against ONNX's reference; tests/parity has those with pools, and onnxruntime."""

import numpy as np
import onnx
import pytest
from interop.onnx_drawn import Drawn
from interop.onnx_node_tests import run
from onnx.reference import ReferenceEvaluator

from minires.interop import load_onnx


@pytest.mark.parametrize("start", range(0, 120, 20))
def test_what_is_computed_is_right(tmp_path, start):
    refused = 0
    for seed in range(start, start + 20):
        drawn = Drawn(seed, pools=False)
        proto = drawn.model()
        onnx.save(proto, tmp_path / "x")
        (wanted,) = ReferenceEvaluator(proto).run(None, {"x": drawn.x})
        try:
            got = run(load_onnx(tmp_path / "x"), drawn.x)
        except ValueError:
            refused += 1
            continue
        assert got.shape == wanted.shape, seed
        tolerance = 1e-4 * max(1, abs(wanted).max())
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=tolerance, err_msg=f"seed {seed}")
    assert refused <= 3
