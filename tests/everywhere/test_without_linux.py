"""Without what only Linux has, as in a browser: the library imports, trains, checks and shows."""

import pytest
from other_pythons import said_by


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What a process says in which all of that is gone."""
    folder = tmp_path_factory.mktemp("without_linux")
    return said_by("without_linux.py", folder, COLUMNS="200")


def test_it_is_all_gone(found):
    assert found["still there"] == []


def test_every_module_is_imported(found):
    count, failed = found["imported"]
    assert count > 350
    assert set(failed) <= {"minires.bench.pytorch", "minires.bench.twins"}, failed  # want torch


def test_a_network_learns_digits(found):
    first, second = found["trained"]
    assert 0 < second < first < 2.3  # ln 10 is guessing


def test_gradcheck_passes_and_fails(found):
    assert found["checked"] == [True, False]


def test_a_player_is_shown(found):
    assert 'class="minires-player"' in found["played"]


def test_minires_train_trains(found):
    code, printed = found["train"]
    assert code == 0, printed
    assert "on the test images:" in printed
    assert found["files"] == ["best.npz", "curves.png", "history.csv", "last.npz", "recipe.json"]
    code, printed = found["evaluate"]
    assert code == 0, printed


def test_what_needs_linux_refuses_in_one_line(found):
    code, printed = found["grade"]
    assert code != 0
    assert "students' code cannot be locked in on this system (isolation needs Linux" in printed
    code, printed = found["mutants"]
    assert code != 0
    assert "mutants may loop and take memory: that needs Linux, not emscripten" in printed
    assert "Traceback" not in printed


def test_no_index_is_wider_than_where_integers_have_32_bits(found):
    """All of the above ran with such indices refused."""
    refusal, asked = found["indices"]
    assert "from dtype('int64') to dtype('int32')" in refusal
    assert asked["take"] > 50
    assert asked["bincount"] > 3
