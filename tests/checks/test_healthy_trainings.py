"""No certain check calls a healthy training broken: ten of those that are drawn at random."""

import pytest
from healthy import drawn

from minires.checks import checkup


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_no_false_alarm(seed):
    report = checkup(drawn(seed), seconds=5)
    assert report.ok, report
    assert report["parameters in optimizer"].verdict == "holds"
