"""Several processes give the bits of one that adds the same shares in the same order."""

import pytest
import same_shares
from same_shares import CASES, RESNET


@pytest.mark.parametrize(
    ("ranks", "which"), [(2, "small"), (3, "small"), (4, "small"), (2, "resnet8")]
)
def test_ordered_sums_have_the_bits_of_one_process(reports, ranks, which):
    found = reports(ranks, same_shares.__file__, "ordered", which)
    cases = CASES if which == "small" else RESNET
    assert found == [{" ".join(map(str, c)): same_shares.one(ranks, *c) for c in cases}] * ranks


def test_sums_by_allreduce_are_equal_in_all_ranks(reports):
    first, *others = reports(4, same_shares.__file__, "allreduce", "small")
    assert others == [first] * 3
