"""The table, the CSV file and the curves of a training."""

import math
import struct

import pytest

from minires.training import Epoch, History

NAN = math.nan


def history(*valid):
    """Epochs with these validation accuracies, and other numbers that are all different."""
    return History(
        [
            Epoch(i, 2.0 / i, 0.1 * i, NAN if math.isnan(v) else 3.0 / i, v, 0.01 * i, 1.5)
            for i, v in enumerate(valid, 1)
        ]
    )


def test_the_best_epoch():
    assert history(0.2, 0.9, 0.5).best.epoch == 2
    assert history(0.9, 0.9, 0.1).best.epoch == 1  # the first of several
    assert history(NAN, NAN, NAN).best.epoch == 3  # by training accuracy
    with pytest.raises(ValueError, match="no epoch has ended yet"):
        _ = History().best


def test_like_a_list():
    three = history(0.1, 0.2, 0.3)
    assert len(three) == 3
    assert [e.epoch for e in three] == [1, 2, 3]
    assert three[-1].valid_accuracy == 0.3
    assert len(History()) == 0


def test_rows_come_back():
    three = history(0.1, 0.2, 0.3)
    assert History.from_rows(three.to_rows()) == three


def test_the_csv_file(tmp_path):
    history(0.5, NAN).write_csv(tmp_path / "history.csv")
    assert (tmp_path / "history.csv").read_bytes() == (
        b"epoch,train_loss,train_accuracy,valid_loss,valid_accuracy,lr,seconds\n"
        b"1,2.0,0.1,3.0,0.5,0.01,1.5\n"
        b"2,1.0,0.2,nan,nan,0.02,1.5\n"
    )


def test_the_table():
    lines = str(history(0.5, 0.75)).splitlines()
    assert " ".join(lines[0].split()) == (
        "epoch train loss accuracy valid loss accuracy lr seconds"
    )
    assert lines[2].split() == ["2", "1.0000", "20.00%", "1.5000", "75.00%", "0.02", "1.5"]
    assert len(set(map(len, lines))) == 1


def lines_of(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}


def test_the_curves_show_the_numbers():
    loss, accuracy = history(0.2, 0.9, 0.5).plot("a title").axes
    assert lines_of(loss) == {
        "training": [[1, 2.0], [2, 1.0], [3, 2.0 / 3]],
        "validation": [[1, 3.0], [2, 1.5], [3, 1.0]],
    }
    assert lines_of(accuracy) == {
        "training": [[1, 0.1], [2, 0.2], [3, pytest.approx(0.3)]],
        "validation": [[1, 0.2], [2, 0.9], [3, 0.5]],
        "best: 90.0% at epoch 2": [[2, 0.9]],
    }
    assert [axes.get_xlabel() for axes in (loss, accuracy)] == ["epoch", "epoch"]
    assert loss.get_ylabel() == "cross-entropy (nats)"
    assert loss.get_ylim()[0] == 0
    assert loss.figure.get_suptitle() == "a title"
    sentence = loss.figure.get_supxlabel()
    assert sentence.startswith("After epoch 3: training 30.0%, validation 50.0%.")
    assert sentence in history(0.2, 0.9, 0.5)._repr_html_()


def test_without_held_out_images_there_is_one_curve():
    loss, accuracy = history(NAN, NAN).plot().axes
    assert list(lines_of(loss)) == ["training"]
    assert list(lines_of(accuracy)) == ["training", "best: 20.0% at epoch 2"]
    sentence = loss.figure.get_supxlabel()
    assert sentence.startswith("After epoch 2: training 20.0%.\n")
    assert "drift" not in sentence


@pytest.mark.parametrize("epochs", [1, 2, 5, 40])
def test_epochs_are_whole_numbers_on_the_axis(epochs):
    for axes in history(*[0.5] * epochs).plot().axes:
        ticks = axes.get_xticks()
        assert len(ticks) >= 1
        assert all(tick == round(tick) for tick in ticks)


@pytest.mark.parametrize("epochs", [0, 1, 2, 40])
def test_a_picture_of_any_number_of_epochs(tmp_path, epochs):
    path = tmp_path / "curves.png"
    history(*[0.5] * epochs).write_plot(path)
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert (width, height) == (1080, 432)
    assert content[-8:-4] == b"IEND"
