"""Every number of batch norm's player against formulas and finite differences."""

import numpy as np
import pytest
from reading import numbers

from minires import viz
from minires.viz.batch_norm_player import gradient_paths

VALUES = np.random.default_rng(1).gamma(2, 2, 40).round(2)
DY = np.random.default_rng(2).normal(size=40).round(2)
GAMMA, EPS = 1.5, 1e-5


def by_hand():
    """The three paths, from the chain rule written out (Ioffe and Szegedy 2015, section 3)."""
    n, mean = VALUES.size, VALUES.mean()
    s = np.sqrt(VALUES.var() + EPS)
    dxhat = DY * GAMMA
    dvar = (dxhat * (VALUES - mean)).sum() * -0.5 / s**3
    return dxhat / s, np.full(n, -dxhat.sum() / s / n), dvar * 2 * (VALUES - mean) / n


def numeric():
    """dx by central differences of the whole normalisation."""
    slopes = []
    for i in range(VALUES.size):
        ends = []
        for step in (1e-5, -1e-5):
            x = VALUES.copy()
            x[i] += step
            ends.append((GAMMA * (x - x.mean()) / np.sqrt(x.var() + EPS) * DY).sum())
        slopes.append((ends[0] - ends[1]) / 2e-5)
    return np.array(slopes)


@pytest.fixture
def player():
    return viz.batch_norm(VALUES, dy=DY, gamma=GAMMA)


def texts(player, key):
    return [p.text for p in player.scene.parts if getattr(p, "text", None) and p.key == key]


def test_the_paths_are_the_chain_rules_terms():
    for got, wanted in zip(gradient_paths(VALUES, DY, GAMMA, EPS), by_hand(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(sum(by_hand()), numeric(), atol=1e-7)


def test_every_arrow_has_its_number_and_its_length(player):
    dx = numeric()
    columns = {"direct": 0, "mean": 1, "variance": 2}
    order = np.argsort(VALUES)
    rows = order[np.unique(np.linspace(0, 39, 8).round()).astype(int)]
    lengths = {}
    for r, row in enumerate(rows):
        assert numbers(texts(player, f"row{r}")[0]) == [VALUES[row]]
        for path, wanted in [
            *((p, by_hand()[c][row]) for p, c in columns.items()),
            ("dx", dx[row]),
        ]:
            key = f"{path}{r}"
            assert numbers(texts(player, key)[0]) == [pytest.approx(wanted, rel=2e-3, abs=1e-6)]
            arrows = [p for p in player.scene.parts if p.key == key and getattr(p, "arrow", False)]
            if arrows:
                (x0, _), (x1, _) = arrows[0].points
                lengths[key] = (x1 - x0, wanted)
    scales = [length / wanted for length, wanted in lengths.values()]
    np.testing.assert_allclose(scales, scales[0], rtol=1e-4)
    assert len(lengths) > 20


def test_the_histograms_count_every_value(player):
    std = np.sqrt(VALUES.var() + EPS)
    stages = {
        "before": VALUES,
        "centred": VALUES - VALUES.mean(),
        "after": GAMMA * (VALUES - VALUES.mean()) / std,
    }
    every = np.concatenate(list(stages.values()))
    for key, values in stages.items():
        counts, _ = np.histogram(values, 16, range=(min(every.min(), 0), every.max()))
        bars = [p for p in player.scene.parts if p.key == key and hasattr(p, "radius")]
        labels = [t for t in texts(player, key) if t.isdecimal() and t != "0"]
        assert [int(t) for t in labels] == [c for c in counts if c]
        assert len(bars) == sum(counts > 0)
        (caption,) = [t for t in texts(player, key) if t.startswith("mean")]
        ends = [numbers(t)[0] for t in texts(player, key) if t not in (caption, *labels, "0")
                and numbers(t)]  # fmt: skip
        assert ends == [
            pytest.approx(min(every.min(), 0), rel=1e-3), pytest.approx(every.max(), rel=1e-3)
        ]  # fmt: skip
        mean, deviation = numbers(caption)
        assert mean == pytest.approx(values.mean(), rel=1e-3, abs=1e-9)
        assert deviation == pytest.approx(values.std(), rel=1e-3)


def test_the_sentences(player):
    says = [numbers(f.say) for f in player.frames]
    direct, mean, variance = by_hand()
    std = np.sqrt(VALUES.var() + EPS)
    wanted = [
        [40, VALUES.mean(), VALUES.var()],
        [0],
        [std, 1, GAMMA],
        [GAMMA / std, abs(direct).sum(), 8, 40],
        [mean[0]],
        [abs(variance).sum()],
        [0],
    ]
    for got, numbers_wanted in zip(says, wanted, strict=True):
        assert got == [pytest.approx(n, rel=1e-3) for n in numbers_wanted]
    var = VALUES.var()
    maths = [numbers(f.math) for f in player.frames[:-1]]
    formulas = [
        [VALUES.mean(), 2, 2, var],  # the powers are numbers too
        [VALUES.mean()],
        [2, 2, std, GAMMA],
        [2, GAMMA / std],
        [2, mean[0]],
        [2, 2],
    ]
    for got, numbers_wanted in zip(maths, formulas, strict=True):
        assert got == [pytest.approx(n, rel=1e-3) for n in numbers_wanted]
    row = np.argmax(VALUES)
    terms = numbers(player.frames[-1].math)
    assert terms == [
        pytest.approx(n, rel=1e-3, abs=1e-6)
        for n in (VALUES[row], direct[row], mean[row], variance[row], numeric()[row])
    ]


def spans(player):
    """By stage the ends of its axis."""
    found = {}
    for p in player.scene.parts:
        if getattr(p, "size", 0) == 11 and p.anchor in ("start", "end"):
            found.setdefault(p.key, []).append(numbers(p.text)[0])
    return found


@pytest.mark.parametrize(
    "x", [VALUES + 1000, VALUES * 1e-20, VALUES * 1e20, np.zeros(5), np.full(4, 7.0)]
)
def test_histograms_are_no_slivers_wherever_the_values_lie(x):
    player = viz.batch_norm(x)
    for key, (low, high) in spans(player).items():
        bars = [p for p in player.scene.parts if p.key == key and hasattr(p, "radius")]
        assert len(bars) > 5 or np.ptp(x) == 0
        assert low < high
        if key == "before":
            assert low <= x.min() * 1.001
            assert x.max() * 0.999 <= high


def test_numbers_keep_their_size_and_only_rounding_is_0():
    player = viz.batch_norm(VALUES * 1e20)
    sizes = numbers(player.frames[-1].math)
    assert 0 < abs(sizes[1]) < 1e-18
    assert sizes[0] == pytest.approx(VALUES.max() * 1e20, rel=1e-3)
    assert numbers(player.frames[0].say)[1] == pytest.approx(VALUES.mean() * 1e20, rel=1e-3)
    ones = viz.batch_norm(VALUES, dy=np.ones(40))
    assert {t for r in range(8) for t in texts(ones, f"dx{r}")} == {"0"}
    constant = viz.batch_norm(np.zeros(5))
    assert numbers(constant.frames[2].say)[1] == 0  # no deviation of 1 where there was none


def test_of_many_values_the_counts_are_the_axis():
    x = np.random.default_rng(0).normal(size=5000)
    player = viz.batch_norm(x)
    counts, _ = np.histogram(x, 16, range=spans(player)["before"])
    unit = next(t for t in texts(player, "before") if t.startswith("count"))
    assert numbers(unit) == [pytest.approx(counts.max(), rel=0.02)]
    assert not [t for t in texts(player, "before") if t.isdecimal() and int(t) > 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": [1.0, np.nan]}, "x holds numbers that are not finite"),
        ({"x": [1.0, 2.0], "dy": [1.0, np.inf]}, "dy holds numbers that are not finite"),
        ({"x": ["a", "b"]}, "wants numbers in x"),
        ({"x": np.ones(3), "eps": 0.0}, "with variance 0 and eps 0"),
        ({"x": [1.0, 2.0], "eps": -1.0}, "eps −1"),
        ({"x": [1e200, -1e200]}, "variance ∞"),
        ({"x": np.ones((3, 2)), "channel": 1.5}, "no channel 1.5"),
        ({"x": 3.0}, "more than one value"),
        ({"x": np.ones((0, 3))}, "got 0"),
    ],
)
def test_what_cannot_be_normalised_is_said_in_a_line(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        viz.batch_norm(**arguments)
    assert "\n" not in str(error.value)


def test_images_and_errors():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    assert numbers(viz.batch_norm(x, channel=2).frames[0].say)[0] == 24
    with pytest.raises(ValueError, match="no channel 5"):
        viz.batch_norm(x, channel=5)
    with pytest.raises(ValueError, match="wants 24 values"):
        viz.batch_norm(x, dy=[1.0])
    with pytest.raises(ValueError, match="more than one value"):
        viz.batch_norm([1.0])
