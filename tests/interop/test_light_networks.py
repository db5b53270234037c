"""The networks that the onnx package ships: two of them here, and all in tests/parity."""

import numpy as np
import onnx
import pytest
from interop import light_networks
from interop.onnx_node_tests import run
from onnx.reference import ReferenceEvaluator

from minires.interop import load_onnx


def test_one_whose_weights_are_made_in_the_graph():
    name = "light_shufflenet"
    _, _, x = light_networks.load(name)
    network = load_onnx(light_networks.FOLDER / f"{name}.onnx")
    wanted = onnx.TensorProto.FromString(
        (light_networks.FOLDER / f"{name}_output_0.pb").read_bytes()
    )
    got = run(network, x)
    np.testing.assert_allclose(got, onnx.numpy_helper.to_array(wanted), rtol=1e-4)
    assert run(network.give_logits(), x).max() > 1  # before the softmax


@pytest.mark.parametrize("name", ["light_squeezenet"])
def test_one_with_random_weights(tmp_path, name):
    proto, source, x = light_networks.load(name)
    proto = light_networks.with_weights(proto)
    onnx.save(proto, tmp_path / "x")
    (wanted,) = ReferenceEvaluator(proto).run(None, {source: x})
    got = run(load_onnx(tmp_path / "x"), x)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4 * abs(wanted).max())
    assert wanted.std() > 0.05 * abs(wanted).max()
