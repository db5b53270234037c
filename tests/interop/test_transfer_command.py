"""`minires train --weights FILE --freeze backbone --replace-head`, end to end on real images."""

import _thread

import numpy as np
import pytest
from interop.torchvision import as_torch_file

import minires
from minires import data, models, optim
from minires.training import History
from minires.training.archive import read_archive
from minires.training.run import Run

MEAN, STD = "0.3", "0.35"


@pytest.fixture(scope="module")
def learned():
    """A ResNet-8 that has learned to tell the digits 0 to 4, and its state in PyTorch's layout."""
    minires.manual_seed(0)
    model = models.resnet8(5, 1)
    digits = data.load_dataset("digits", train=True)
    first = digits.subset(np.flatnonzero(digits.labels < 5))
    prepare = data.Normalize((float(MEAN),), (float(STD),))
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    history = minires.fit(
        *(model, first, None),
        epochs=3,
        optimizer=optimizer,
        transform=prepare,
        progress=False,
    )
    assert history[-1].train_accuracy > 0.9
    state = {}
    for name, value in model.state_dict().items():
        axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(value.ndim, tuple(range(value.ndim)))
        state[f"module.{name}"] = value.numpy().transpose(axes)
    return model, state


@pytest.fixture
def transfer(run, learned, monkeypatch, tmp_path):
    """`transfer(FOLDER)` trains on all ten digits from the file theirs.pth; its output."""
    monkeypatch.setattr(History, "write_plot", lambda self, path: None)
    path = tmp_path / "theirs.pth"
    path.write_bytes(as_torch_file(learned[1]))

    def train(*options):
        return run(
            *("train", "--data", "digits", "--model", "resnet8", "--weights", path),
            *("--mean", MEAN, "--std", STD, "--epochs", 3, *options),
        )

    return train


BACKBONE = ("--freeze", "backbone", "--replace-head", "--lr", 0.3)


def test_a_new_classifier_on_a_frozen_backbone(transfer, run, learned):
    code, out, err = transfer(*BACKBONE, "--out", "out")
    assert (code, err) == (0, "")
    assert "resnet8, 75,002 parameters (650 of them learning), on digits" in out
    best = minires.load("out/best.npz")
    for name, value in learned[0].state_dict().items():
        if not name.startswith("fc."):
            np.testing.assert_array_equal(best.state_dict()[name].numpy(), value.numpy(), name)
    code, shown, _ = run("eval", "--weights", "out/best.npz")
    line = next(line for line in shown.splitlines() if "accuracy" in line)
    assert line in out
    assert float(line.split()[1].rstrip("%")) > 60  # by chance 10


@pytest.mark.slow
def test_it_goes_on_without_the_file(transfer, run, monkeypatch, tmp_path):
    for options in (BACKBONE, ("--replace-head",)):
        freeze = (*options, "--epochs", 2)
        whole, part = (f"{name}{len(options)}" for name in ("whole", "part"))
        assert transfer(*freeze, "--out", whole)[0] == 0
        with monkeypatch.context() as patch:
            forward = Run._forward

            def press(step, images, labels, forward=forward):
                if (step.epoch, step.step) == (1, 2):
                    _thread.interrupt_main()
                return forward(step, images, labels)

            patch.setattr(Run, "_forward", press)
            code, _, err = transfer(*freeze, "--out", part)
        assert code == 130
        assert "stopped at epoch 2, step 3" in err
        theirs = tmp_path / "theirs.pth"
        theirs.rename(tmp_path / "gone")
        code, _, err = run("train", "--resume", part)
        assert (code, err) == (0, "")
        (tmp_path / "gone").rename(theirs)
        states = [read_archive(f"{name}/last.npz", "checkpoint")["model"] for name in (whole, part)]
        for name, value in states[0].items():
            np.testing.assert_array_equal(states[1][name], value, name)


def test_without_the_file_nothing_begins(transfer, run, tmp_path):
    assert transfer(*BACKBONE, "--out", "out")[0] == 0
    (tmp_path / "out" / "last.npz").unlink()
    code, out, err = run("train", "--resume", "out")
    assert (code, out) == (2, "")
    assert "out/last.npz: No such file" in err
    (tmp_path / "theirs.pth").unlink()
    code, out, err = transfer(*BACKBONE, "--out", "new")
    assert (code, out) == (2, "")
    assert err.endswith("theirs.pth: No such file or directory\n")
    assert not (tmp_path / "new").exists()
