"""The ten programs in docs/examples/programs run, small, and learn what they are about."""

import importlib
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
FOLDER = DOCS / "examples" / "programs"

# what each is run with, and what must hold of its figures
PROGRAMS = {
    "moons": ({"steps": 60}, lambda right: right > 90),
    "words": ({"steps": 150}, lambda loss, frequency: loss < frequency - 0.3),
    "convnet_with_dropout": ({"epochs": 1}, lambda right: right > 70),
    "cifar10_tutorial": ({"images": 2500}, lambda right: right > 30),
    "d2l_resnet18": ({"images": 1500}, lambda right: right > 40),
    "vae": ({"epochs": 6}, lambda cost, without: cost < without - 0.4),
    "dcgan": ({"steps": 60}, lambda before, after: after < before - 0.05),
    "char_transformer": ({"steps": 40}, lambda loss, frequency: loss < frequency - 0.2),
    "se_resnet": ({"epochs": 1}, lambda right: right > 50),
    "distillation": ({"epochs": 2}, lambda teacher, student: min(teacher, student) > 70),
}


def test_there_are_ten_each_tested_short_and_in_the_docs():
    found = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py")}
    assert set(found) == set(PROGRAMS)
    assert len(found) == 10
    for name, text in found.items():
        assert sum(bool(line.strip()) for line in text.splitlines()) <= 60, name
    page = (DOCS / "programs.md").read_text(encoding="utf-8")
    assert re.findall(r"\(examples/programs/(\w+)\.py\)", page) == list(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_learns(name, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    options, holds = PROGRAMS[name]
    figures = importlib.import_module(name).run(**options)
    assert holds(*figures.values()), figures
