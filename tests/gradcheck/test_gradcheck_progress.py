"""A long check shows how far it is on a terminal, and nothing elsewhere."""

import io
import re
import sys

import numpy as np
import pytest
from helpers import normal

from minires import ops
from minires.gradcheck import gradcheck, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def impatient(monkeypatch):
    """Every check is a long one."""
    monkeypatch.setattr(progress, "DELAY", 0)
    monkeypatch.setattr(progress, "LONG", 0)


def shown_on(stream, monkeypatch, **options):
    monkeypatch.setattr(sys, "stderr", stream)
    assert gradcheck(ops.tanh, [normal(5, 7)], **options)
    return stream.getvalue()


def test_a_bar_that_vanishes_and_a_word_that_stays(impatient, monkeypatch, capsys):
    text = shown_on(Terminal(), monkeypatch)
    *sentence, _ = text.partition("random directions")
    assert 'gradcheck of tanh: 71 evaluations, two for every element; mode="directional"' in text
    assert len(sentence) == 2
    assert re.search(r"gradcheck of tanh: +\d+%.*/71 ", text)
    assert text.split("\r")[-1].strip() == ""
    assert text.count('mode="directional"') == 1
    assert capsys.readouterr().out == ""


def test_the_bar_counts_all_orders(impatient, monkeypatch):
    text = shown_on(Terminal(), monkeypatch, order=2)
    assert "/71 " in text  # 1 + 2 * 35
    assert "/212 " in text  # and 1 + 2 * 70 of x and its upstream gradient


def test_directions_have_no_shorter_way(impatient, monkeypatch):
    text = shown_on(Terminal(), monkeypatch, mode="directional")
    assert "/9 " in text
    assert "mode=" not in text


def test_nothing_where_nobody_looks(impatient, monkeypatch):
    assert shown_on(io.StringIO(), monkeypatch) == ""
    monkeypatch.setattr(sys, "stderr", None)
    assert gradcheck(ops.tanh, [normal(3)])


def test_nothing_of_a_short_check(monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 1000)
    assert shown_on(Terminal(), monkeypatch) == ""


def test_the_bar_is_closed_where_the_function_fails(impatient, monkeypatch):
    calls = []

    def breaks(x):
        calls.append(1)
        if len(calls) > 30:
            raise RuntimeError("enough")
        return ops.exp(x)

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with pytest.raises(RuntimeError, match="enough"):
        gradcheck(breaks, [normal(40)])
    assert stream.getvalue().split("\r")[-1].strip() == ""


def test_the_report_of_a_large_check_names_the_other_mode():
    text = str(gradcheck(ops.negative, [np.zeros(2500)]))
    assert text.endswith(
        "5,001 evaluations, two for every element; "
        'mode="directional" takes a few dozen, along random directions'
    )
    assert "mode=" not in str(gradcheck(ops.negative, [np.zeros(3)]))
