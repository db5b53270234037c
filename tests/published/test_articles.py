"""The third article's script on the data that it names, CIFAR-10."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "examples" / "article_3_fit.py"


@pytest.mark.shared
def test_a_short_fit_on_cifar10(shared):
    options = ("--cifar", shared / "data", "--images", 300, "--epochs", 3)
    done = subprocess.run(
        [sys.executable, SCRIPT, *map(str, options)], capture_output=True, text=True, check=True
    )
    head, *rows = (line.split() for line in done.stdout.splitlines())
    assert head == ["epoch", "training", "%", "validation", "%"]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert float(rows[-1][1]) > 15  # by chance 10
