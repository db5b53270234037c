"""The trainings of benchmarks.recipes: how they are run, and what the pages say of them."""

import re
import time
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.markdown import block, with_blocks, without_blocks
from benchmarks.paper import results
from benchmarks.recipes import pages, presets, runs
from benchmarks.recipes.__main__ import main, measure
from benchmarks.recipes.presets import PRESETS, Preset
from minires import data
from minires.data import DataError, ImageDataset

AGAIN = "run: python -m benchmarks.recipes --pages"
PAGE = pages.PAGE.read_text(encoding="utf-8")
README = pages.README.read_text(encoding="utf-8")
recorded = [preset.name for preset in PRESETS if pages.runs_of(preset.name)]
each = pytest.mark.parametrize("preset", [p for p in PRESETS if p.name in recorded], ids=recorded)

# ---------------------------------------------------------------------- the committed results


@each
def test_the_results_are_of_the_recipe_as_it_is_now(preset):
    found = results.read(pages.FOLDER / f"{preset.name}.json")["settings"]
    found.pop("images", None)
    assert found == {key: _as_json(value) for key, value in preset.settings().items()}


def _as_json(value):
    return list(value) if isinstance(value, tuple) else value


@each
def test_no_training_diverges(preset):
    for run in pages.runs_of(preset.name):
        assert "failed" not in run
        assert len(run["valid_loss"]) <= pages.LATER or pages.spike(run) < 3


@pytest.mark.skipif(pages.FIRST not in recorded, reason="the first command is being measured")
def test_what_the_first_command_promises():
    accuracies = [run["test_accuracy"] for run in pages.runs_of(pages.FIRST)]
    assert min(accuracies) >= 88.5
    assert np.median(accuracies) >= 90


def test_the_pages_say_what_the_results_say():
    assert with_blocks(PAGE, pages.BLOCKS) == PAGE, AGAIN
    if pages.FIRST in recorded:
        assert with_blocks(README, pages.README_BLOCKS) == README, AGAIN
    assert re.findall(r"\d[\d.,]* ?(%|s\b|seconds|minutes)", without_blocks(PAGE)) == []


def test_the_table_by_hand():
    some = pages.runs_of("digits")
    kernel, runs_of_it = next(iter(pages.by_kernel(some).items()))
    accuracies = sorted(run["test_accuracy"] for run in runs_of_it)
    line = next(x for x in block(PAGE, "reached").splitlines() if f"digits | 15 | {kernel}" in x)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    middle = (accuracies[(len(accuracies) - 1) // 2] + accuracies[len(accuracies) // 2]) / 2
    wanted = [accuracies[0], middle, sum(accuracies) / len(accuracies), accuracies[-1]]
    assert [float(c) for c in cells[5:9]] == pytest.approx(wanted, abs=0.051)


# ---------------------------------------------------------------------- the runs

FAST = {"data": "digits", "model": "plain8", "epochs": 2, "batch_size": 128}
TINY = Preset("tiny", FAST, 1, 1, presets.inside)


def test_a_run_that_is_stopped_goes_on_and_is_never_repeated(tmp_path, capsys):
    work, out = tmp_path / "work", tmp_path / "out"
    with pytest.raises(runs.OutOfTime):
        measure(TINY, [], work, out, time.monotonic())
    assert not out.exists()
    measure(TINY, [], work, out, time.monotonic() + 300)
    (row,) = results.read(out / "tiny.json")["rows"].values()
    assert (row["seed"], row["test_images"], len(row["valid_loss"])) == (0, 360, 2)
    assert 0 < row["test_accuracy"] <= 100
    assert row["lr"][-1] < row["lr"][0]
    assert pages.history(row).best.valid_accuracy == max(row["valid_accuracy"])
    assert list((work / "tiny").iterdir()) == []
    capsys.readouterr()
    measure(TINY, [], work, out, time.monotonic())
    assert capsys.readouterr().out == ""
    with pytest.raises(ValueError, match=r"tiny.json holds results of other settings"):
        measure(replace(TINY, given={**FAST, "epochs": 3}), [], work, out, 0)


def test_a_run_that_fails_is_kept_as_such(tmp_path):
    wild = Preset("wild", {**FAST, "lr": 1e30, "max_grad_norm": 0}, 1, 1, presets.inside)
    measure(wild, [], tmp_path, tmp_path, time.monotonic() + 300)
    (row,) = results.read(tmp_path / "wild.json")["rows"].values()
    assert "loss is" in row["failed"]


def test_two_kernels_as_a_user_would_have_them(monkeypatch):
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        monkeypatch.setenv(name, "1")
        assert name not in runs.environment(runs.NATIVE)
    assert runs.environment("Haswell")["OPENBLAS_CORETYPE"] == "Haswell"
    assert "OPENBLAS_L2_SIZE" not in runs.environment("Haswell")
    found = runs.kernels()
    assert next(iter(found.values())) == runs.NATIVE
    assert len(found) <= 2


def test_digits_as_a_folder(tmp_path):
    options, about = presets.digits_as_png([], tmp_path)
    assert about == "the digits as PNG, 200 to train and 100 to test"
    for part, count in (("train", 200), ("test", 100)):
        whole = data.load_dataset(options["data"], train=part == "train")
        images, labels = whole.take(np.arange(count))
        own = data.digits(train=part == "train")
        assert np.bincount(labels).tolist() == [count // 10] * 10
        known = {
            image.tobytes(): label for image, label in zip(own.images, own.labels, strict=True)
        }
        assert all(known[im[:, :, :1].tobytes()] == k for im, k in zip(images, labels, strict=True))


def test_made_up_classes_have_the_files_of_cifar100(tmp_path, monkeypatch, rng):
    images = rng.integers(0, 256, (200, 32, 32, 3), dtype=np.uint8)
    ten = ImageDataset(images, np.arange(200) % 10, [str(k) for k in range(10)])
    real = data.load_dataset
    with pytest.raises(DataError, match=r"cifar10 is in none of .*: name it by --data-dir"):
        presets.cifar100([tmp_path], tmp_path)

    def load(name, folder, *, train):
        return ten if name == "cifar10" else real(name, folder, train=train)

    monkeypatch.setattr(data, "load_dataset", load)
    options, about = presets.cifar100([tmp_path], tmp_path / "made")
    assert "made-up" in about
    made = real("cifar100", options["data_dir"], train=True)
    np.testing.assert_array_equal(made.images, images)
    np.testing.assert_array_equal(made.labels // 10, ten.labels)
    darkest = images.mean(axis=(1, 2, 3)).argsort()[:20]
    assert (made.labels[darkest] % 10 == 0).all()


def test_a_preset_without_its_files_is_left_out(tmp_path, capsys):
    out = tmp_path / "out"
    main(only=["cifar10"], data_dir=[tmp_path], work=tmp_path, out=out, minutes=1)
    assert "cifar10: left out, as cifar10 is in none of" in capsys.readouterr().out
    with pytest.raises(Exception, match="no preset cifar11: there are fashion-mini, digits"):
        main(only=["cifar11"])
