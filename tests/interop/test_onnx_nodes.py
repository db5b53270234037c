"""ONNX's own tests of every operation that the importer knows: passed or refused, never wrong."""

import onnx
import pytest
from interop import onnx_node_tests

from minires.interop.onnx_import import KNOWN
from tools.build_onnx_table import PAGE, rows, version


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "node.onnx"
    return onnx_node_tests.outcomes(path)


def test_none_is_wrong(table):
    wrong = {key: said for key, said in table.items() if said.startswith("WRONG")}
    assert not wrong
    passed = sum(not said for said in table.values())
    assert passed > 0.8 * len(table) > 500


def test_every_operation_that_is_known_was_tried(table):
    """Older versions of onnx have fewer tests."""
    tried = {kind for name, _ in table for kind in onnx_node_tests.all_cases()[name].kinds}
    newest = version(PAGE.read_text(encoding="utf-8")) == onnx.__version__
    assert len(set(KNOWN) - tried) <= (0 if newest else 6)


def test_the_page_shows_these_results(table):
    page = PAGE.read_text(encoding="utf-8")
    if version(page) != onnx.__version__:
        pytest.skip(f"the page has the tests of onnx {version(page)}, this is {onnx.__version__}")
    assert rows(table) in page
