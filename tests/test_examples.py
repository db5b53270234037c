"""The scripts in docs/examples run on real data, small, and show what they are about."""

import importlib
import re
import runpy
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "examples"
SMALL = {
    "article_1_residual_block": "--images 60 --epochs 2 --width 4",
    "article_2_image_folder": "--per-class 2 --epochs 1 --model resnet8 --size 16",
    "article_3_fit": "--images 64 --epochs 2",
    "article_4_from_a_table": "--images 40 --epochs 1 --width 2",
    "augmentation": "--images 40 --epochs 1",
    "choose_depth": "--images 64 --epochs 1",
    "interpretation": "--images 40 --epochs 1 --looked-at 5 --pictures drawn",
    "mixed_precision": "--images 40 --epochs 1",
    "optimizers": "--images 40 --epochs 1",
    "regularisation": "--images 40 --epochs 1",
    "resolution": "--images 40 --epochs 1",
    "self_supervision": "--images 40 --epochs 1 --per-class 1",
    "transfer": "--images 60 --epochs 1 --per-class 2",
}


@pytest.fixture
def example(monkeypatch, capsys, tmp_path):
    """Run a script as `python NAME.py OPTIONS` would, in an empty folder; its table's lines."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setattr(importlib.import_module("small"), "TEST_IMAGES", 60)
    monkeypatch.chdir(tmp_path)

    def run(name, options=None):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *(options or SMALL[name]).split()])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        assert not caught.value.code
        return capsys.readouterr().out.splitlines()

    return run


def test_every_script_is_run():
    scripts = {path.stem for path in EXAMPLES.glob("*.py")} - {"small"}
    assert scripts == set(SMALL)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_example(example, name):
    head, *rows = (re.split(r" {2,}", line.strip()) for line in example(name))
    assert any("%" in column for column in head)
    assert rows
    for column, name in enumerate(head):
        shown = [row[column] for row in rows if len(row) == len(head)]
        assert shown
        if "%" in name:
            assert all(0 <= float(value) <= 100 for value in shown)


def test_the_second_script_takes_a_folder_of_ones_own(example, tmp_path):
    write_folder = importlib.import_module("article_2_image_folder").write_folder
    write_folder(tmp_path / "pictures", 3)
    lines = example("article_2_image_folder", "pictures --epochs 2 --model resnet8 --size 16")
    assert len(lines) == 3
