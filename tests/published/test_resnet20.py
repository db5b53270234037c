"""Published weights at their published accuracy, on all of CIFAR-10's test images."""

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from interop.published import LOGITS, WEIGHTS, logits_of_both

from benchmarks.paper import results

pytestmark = pytest.mark.shared


def test_the_command_line_gives_the_published_accuracy(shared):
    command = shutil.which("minires", path=str(Path(sys.executable).parent))
    folder = shared / "data"
    options = {
        "--model": "resnet20",
        "--weights": folder / WEIGHTS,
        "--data": "cifar10",
        "--data-dir": folder,
        "--mean": "0.485,0.456,0.406",
        "--std": "0.229,0.224,0.225",
    }
    said = subprocess.run(
        [command, "eval", *itertools.chain(*options.items())],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "accuracy  91.73% (9,173 of 10,000)" in said.stdout


def test_all_logits_are_pytorchs(shared):
    ours, theirs, labels = logits_of_both(shared / "data", 10_000)
    assert np.load(shared / "data" / LOGITS, allow_pickle=False).shape == ours.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
    correct = int((ours.argmax(1) == labels).sum())
    assert correct == results.read(results.FOLDER / "weights.json")["rows"]["resnet20"]["correct"]
    assert correct == 9_173
