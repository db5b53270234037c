"""The report as text, as a table for notebooks, as a figure."""

import re
import struct
import zlib
from html.parser import HTMLParser

import numpy as np
from helpers import normal

from minires import ops
from minires.engine import op
from minires.gradcheck import gradcheck
from minires.gradcheck.pictures import MOST_CELLS, heat, matrix, png


@op
def doubled(x):
    return x * 2


@doubled.vjp
def doubled_vjp(g):
    return (g * 3,)


def wrong(*shape, **options):
    return gradcheck(doubled, [normal(*shape)], raise_exception=False, **options)


def test_text_of_a_failure():
    text = str(wrong(3, 4))
    for part in ("FAILED", "output by x, [3, 4]", "12 of 12 entries wrong", "analytic", "numeric"):
        assert part in text
    assert "tolerance" in text
    assert re.search(r"worst at \[\d, \d\]", text)


def test_text_of_a_success():
    report = gradcheck(ops.exp, [normal(3)])
    assert report
    assert "gradcheck of exp: passed" in str(report)
    assert "ok    order 1: output by x: error" in str(report)
    assert repr(report) == str(report)


def test_what_wrong_values_explain_is_said_after_them():
    product = op(lambda x, y: x * y)
    product.vjp(lambda g, x, y, needs: (g * x, g * y) if all(needs) else (g * y, g * x))
    report = gradcheck(product, [normal(3), normal(3, seed=1)], raise_exception=False)
    text = str(report)
    aside = "order 1: the gradient of the output by x is another if not every input's is wanted"
    assert aside in report.problems
    assert text.index("exchanged?") < text.index(aside)
    page = report._repr_html_()
    assert page.index("exchanged?") < page.index("is another if not every")


class Checker(HTMLParser):
    """Every tag is closed, nothing comes from outside, nothing runs."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.images = 0

    def handle_starttag(self, tag, attrs):
        assert tag != "script"
        if tag == "img":
            self.images += 1
            assert dict(attrs)["src"].startswith("data:image/png;base64,")
            assert dict(attrs)["alt"]
        elif tag not in ("br", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html():
    for report, pictures in [
        (wrong(3, 4), 3),
        (wrong(2, 300, 300, h=1e-6, mode="directional"), 3),
        (wrong(0, 3), 0),
        (gradcheck(ops.multiply, [normal(3), normal(3)]), 6),
        (gradcheck(lambda x: x * np.inf, [normal(3)], raise_exception=False), 0),
    ]:
        text = report._repr_html_()
        checker = Checker()
        checker.feed(text)
        assert checker.open == []
        assert checker.images == pictures
        assert "http" not in text
        assert "&lt;lambda&gt;" in text or "<lambda>" not in text


def test_png_is_a_png():
    colours = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    data = png(colours)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    position, kinds = 8, {}
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        kind = data[position + 4 : position + 8]
        body = data[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack(">I", data[position + 8 + length : position + 12 + length])
        assert checksum == zlib.crc32(kind + body)
        kinds[kind] = body
        position += 12 + length
    assert list(kinds) == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack(">II", kinds[b"IHDR"][:8]) == (3, 2)
    rows = zlib.decompress(kinds[b"IDAT"])
    assert rows == b"\0" + colours[0].tobytes() + b"\0" + colours[1].tobytes()


def test_colours():
    colours = heat(np.array([[1.0, -1.0, 0.0, np.nan, 0.5]]), 1.0, (200, 100, 0))
    assert list(colours[0, 0]) == [200, 100, 0, 255]
    assert colours[0, 1, 2] > colours[0, 1, 0]  # negative is blue
    assert colours[0, 2, 3] == 0  # zero is transparent
    assert colours[0, 3, 3] == 255
    assert colours[0, 4, 3] == 128


def test_matrix_of_any_rank():
    shapes = [matrix(np.zeros(s)).shape for s in ((), (3,), (2, 3), (2, 3, 4), (2, 3, 4, 5))]
    assert shapes == [(1, 1), (1, 3), (2, 3), (2, 12), (6, 20)]


def test_large_gradients_are_cut_around_the_worst_entry():
    report = wrong(200, 3)
    assert f"{MOST_CELLS} by 3" in report._repr_html_()


def test_plot(tmp_path):
    figure = wrong(3, 4).plot()
    assert "the error stays pale" in figure.get_supxlabel()
    right = gradcheck(ops.multiply, [normal(3), normal(3)])
    for c, image in zip(right.comparisons, right.plot().axes[2::3], strict=False):
        if image.images:
            assert image.images[0].get_clim() == (0, c.tolerance)
    figure.savefig(tmp_path / "wrong.png")
    assert len([a for a in figure.axes if a.get_title()]) == 3
    passed = gradcheck(ops.multiply, [normal(2, 3, 4), normal(4)]).plot()
    assert len([a for a in passed.axes if a.get_title()]) == 6
    wrong(0, 3).plot().savefig(tmp_path / "empty.png")
