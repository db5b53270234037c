"""A blog's ResNet script in PyTorch and in minires: the diff that the docs show, and one result."""

import difflib
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from minires.interop import load_weights

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCRIPTS = [DOCS / "examples" / "blog" / f"in_{name}.py" for name in ("pytorch", "minires")]


def test_the_docs_show_the_whole_difference():
    old, new = (path.read_text(encoding="utf-8").splitlines() for path in SCRIPTS)
    changed = [
        line
        for line in difflib.unified_diff(old, new, n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    page = (DOCS / "articles.md").read_text(encoding="utf-8")
    shown = page.partition("<!-- diff of the blog's script -->\n```diff\n")[2].partition("\n```")[0]
    assert shown.splitlines() == changed
    removed = [line[1:].strip() for line in changed if line.startswith("-")]
    assert all(line.startswith("import torch") or "permute(" in line for line in removed)


def test_both_train_alike_from_the_same_weights(tmp_path):
    theirs, ours = (runpy.run_path(str(path)) for path in SCRIPTS)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    losses, accuracies, start = [], [], tmp_path / "start.pth"
    for script in (theirs, ours):
        net = script["ResNet"](script["ResidualBlock"], [1, 1, 1])
        if script is theirs:
            torch.save(net.state_dict(), start)
        else:
            load_weights(start, net)
        images, labels = (part[:256] for part in script["load"](True))
        losses.append(script["train"](net, images, labels))
        accuracies.append(script["test"](net, images, labels))
    torch.set_num_threads(threads)
    np.testing.assert_allclose(losses[1], losses[0], rtol=2e-3)
    assert accuracies[1] == pytest.approx(accuracies[0], abs=0.02)
    assert accuracies[1] > 0.3
