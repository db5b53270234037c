"""A training that was interrupted, in whatever way, ends as if it had not been: to the bit."""

import os
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import small_run
from small_run import EPOCHS, STEPS, assert_same, before_step, outcome, settings, train

import minires
from minires import optim
from minires.data import ImageDataset, Normalize
from minires.locks import FolderInUse
from minires.training import FileError, Interrupted, TrainingError
from minires.training.archive import read_archive, write_archive

quick = pytest.fixture(small_run.quick)
pytestmark = pytest.mark.usefixtures("quick")

SCRIPT = Path(small_run.__file__)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """What the whole training leaves behind, by optimiser: made once."""
    outcomes = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minires.training.History, "write_plot", lambda self, path: None)
        for kind in ("sgd", "adam"):
            folder = tmp_path_factory.mktemp(kind)
            train(folder, kind)
            outcomes[kind] = outcome(folder)
    return outcomes


@pytest.fixture
def interrupt():
    """Send this process a Ctrl-C in the step with a number; undone at the end."""
    undo = []
    yield lambda number: undo.append(
        before_step(number, lambda: signal.raise_signal(signal.SIGINT))
    )
    for restore in reversed(undo):
        restore()


def start(folder, kind, *what, **options):
    return subprocess.Popen([sys.executable, SCRIPT, folder, kind, *what], **options)


# ---------------------------------------------------------------------- the same again


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_the_same_seed_gives_the_same_bits(tmp_path, uninterrupted, kind):
    train(tmp_path, kind)
    assert_same(outcome(tmp_path), uninterrupted[kind])


def test_another_seed_gives_another_run(tmp_path, uninterrupted):
    train(tmp_path, seed=4)
    assert outcome(tmp_path)["table"] != uninterrupted["sgd"]["table"]


def test_the_model_ends_with_the_weights_of_the_last_epoch(tmp_path):
    model, _ = train(tmp_path)
    saved = read_archive(tmp_path / "last.npz", "checkpoint")["model"]
    assert_same({key: value.numpy() for key, value in model.state_dict().items()}, saved)


# ---------------------------------------------------------------------- Ctrl-C


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize("step", range(EPOCHS * STEPS))
def test_ctrl_c_at_any_step_then_resume(tmp_path, uninterrupted, interrupt, kind, step):
    interrupt(step)
    epoch, done = step // STEPS + 1, step % STEPS + 1
    with pytest.raises(Interrupted, match=f"epoch {epoch}, step {done} of 5; saved in "):
        train(tmp_path, kind)
    train(tmp_path, kind, resume=True)
    assert_same(outcome(tmp_path), uninterrupted[kind])


def test_resumed_again_and_again(tmp_path, uninterrupted, interrupt):
    for sitting, steps in enumerate((1, 3, 0, 4, 0)):
        interrupt(steps)  # more steps and one
        with pytest.raises(Interrupted):
            train(tmp_path, resume=sitting > 0)
    train(tmp_path, resume=True)
    assert_same(outcome(tmp_path), uninterrupted["sgd"])


def test_ctrl_c_during_the_validation(tmp_path, uninterrupted):
    class Stopping(Normalize):
        asked = False

        def batch(self, images, draws=None):
            if not Stopping.asked:
                Stopping.asked = True
                signal.raise_signal(signal.SIGINT)
            return super().batch(images, draws)

    with pytest.raises(Interrupted, match="epoch 2, step 0 of 5"):
        train(tmp_path, valid_transform=Stopping([0.3], [0.4]))
    train(tmp_path, resume=True)
    assert_same(outcome(tmp_path), uninterrupted["sgd"])


def test_a_second_ctrl_c_stops_at_once_and_the_last_save_is_good(tmp_path, uninterrupted):
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    undo = before_step(STEPS + 2, twice)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            train(tmp_path)
    finally:
        undo()
    assert not isinstance(caught.value, Interrupted)
    saved = read_archive(tmp_path / "last.npz", "checkpoint")
    assert (saved["epoch"], saved["step"]) == (1, 0)
    train(tmp_path, resume=True)
    assert_same(outcome(tmp_path), uninterrupted["sgd"])


def test_the_handlers_of_before_are_back(tmp_path, interrupt):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    interrupt(2)
    with pytest.raises(Interrupted):
        train(tmp_path)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_any_other_exception_leaves_the_last_save(tmp_path, uninterrupted):
    def fail():
        raise KeyboardInterrupt

    undo = before_step(STEPS + 3, fail)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path)
    finally:
        undo()
    train(tmp_path, resume=True)
    assert_same(outcome(tmp_path), uninterrupted["sgd"])


def test_in_another_thread_where_no_signal_arrives(tmp_path, uninterrupted):
    thread = threading.Thread(target=train, args=(tmp_path,))
    thread.start()
    thread.join()
    assert_same(outcome(tmp_path), uninterrupted["sgd"])


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_from_outside(tmp_path, uninterrupted, name):
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_DFL)  # under nohup it is ignored, by children too
    try:
        process = start(
            tmp_path, "adam", "save-always",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    finally:
        signal.signal(number, before)
    for line in process.stdout:
        if line == "1 2\n":
            process.send_signal(number)
            break
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Interrupted: stopped at epoch" in errors
    train(tmp_path, "adam", resume=True)
    assert_same(outcome(tmp_path), uninterrupted["adam"])


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGHUP there")
def test_a_signal_that_is_ignored_stays_so(tmp_path, uninterrupted):
    """As under nohup, or in a script's background."""
    numbers = (signal.SIGINT, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    undo = before_step(3, lambda: [signal.raise_signal(number) for number in numbers])
    try:
        train(tmp_path)
    finally:
        undo()
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    assert_same(outcome(tmp_path), uninterrupted["sgd"])


# ---------------------------------------------------------------------- killed


@pytest.mark.parametrize(
    ("kind", "where", "number"),
    [
        ("sgd", "die-at-step", 1),  # before any epoch has ended
        ("adam", "die-at-step", STEPS + 3),
        ("sgd", "die-writing", 3),  # the first file, state 0, is 1; then best.npz, last.npz
        ("adam", "die-writing", 2),
    ],
)
def test_killed_at_a_step_or_in_the_middle_of_a_save(tmp_path, uninterrupted, kind, where, number):
    folder = tmp_path / "run"
    assert start(folder, kind, where, str(number)).wait(timeout=60) == 9
    leftovers = list(folder.glob(".*.part"))
    assert len(leftovers) == (where == "die-writing")  # beside the files, never in their place
    train(folder, kind, resume=True)  # which clears them up
    assert_same(outcome(folder), uninterrupted[kind])


@pytest.mark.parametrize(("epoch", "step"), [(0, 3), (2, 1)])
def test_killed_from_outside_while_it_saves_after_every_step(tmp_path, uninterrupted, epoch, step):
    process = start(tmp_path, "sgd", "save-always", stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line == f"{epoch} {step}\n":
            process.kill()
            break
    process.stdout.close()
    assert process.wait(timeout=60) != 0
    saved = read_archive(tmp_path / "last.npz", "checkpoint")
    assert saved["epoch"] * STEPS + saved["step"] >= epoch * STEPS + step  # within an epoch, too
    train(tmp_path, resume=True)
    assert_same(outcome(tmp_path), uninterrupted["sgd"])


def test_only_what_an_interrupted_write_left_is_cleared_up(tmp_path):
    mine = [".notes.part", ".b.npz.0a1b2c3d.part", "c.0a1b2c3d.part", "cifar-10.tar.gz.part"]
    for name in (*mine, ".last.npz.0a1b2c3d.part", ".curves.png.00000000.part"):
        (tmp_path / name).write_bytes(b"half")
    train(tmp_path)
    assert set(mine) < {path.name for path in tmp_path.iterdir()}
    assert sorted(path.name for path in tmp_path.glob(".*.part")) == sorted(mine[:2])


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be stopped there")
def test_two_at_once_in_one_folder(tmp_path, uninterrupted):
    """The second is refused before it touches anything, such as the first one's files in flight."""
    process = start(tmp_path, "sgd", "save-always", stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line == "0 1\n":
            process.send_signal(signal.SIGSTOP)
            break
    flying = tmp_path / ".last.npz.0a1b2c3d.part"
    flying.write_bytes(b"half")
    for resume in (False, True):
        with pytest.raises(FolderInUse, match="is in use by another process"):
            train(tmp_path, resume=resume)
    assert flying.exists()
    flying.unlink()
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert_same(outcome(tmp_path), uninterrupted["sgd"])


def test_killed_between_the_state_and_the_table(tmp_path, uninterrupted):
    train(tmp_path)
    (tmp_path / "history.csv").unlink()
    _, history = train(tmp_path, resume=True)  # no step is left to make
    assert len(history) == EPOCHS
    assert_same(outcome(tmp_path), uninterrupted["sgd"])


# ---------------------------------------------------------------------- what does not fit


@pytest.fixture
def stopped(tmp_path, interrupt):
    """The folder of a training that was stopped in its second epoch."""
    interrupt(STEPS + 1)
    with pytest.raises(Interrupted):
        train(tmp_path)
    return tmp_path


def sgd(**changes):
    model, _, _ = small_run.build()
    options = {"lr": 0.1, "momentum": 0.9, "nesterov": True, **changes}
    return model, optim.SGD(model.parameters(), **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 4}, "seed was 3, is 4"),
        ({"epochs": 5}, "epochs was 3, is 5"),
        ({"batch_size": 8}, "batch_size was 16, is 8"),
        ({"valid": 20}, "images was 80, is 70, held_out was 10, is 20"),
        ({"label_smoothing": 0.0}, "label_smoothing was 0.1, is 0.0"),
        ({"transform": Normalize([0.3], [0.4])}, r"transform was Compose\(.*, is Normalize\("),
        ({"schedule": None}, "schedule was OneCycleLR.*, is None"),
    ],
)
def test_other_settings_are_refused(stopped, changes, message):
    before = (stopped / "last.npz").read_bytes()
    with pytest.raises(FileError, match=f"last.npz is from another run: .*{message}"):
        train(stopped, resume=True, **changes)
    assert (stopped / "last.npz").read_bytes() == before


def test_other_labels_images_or_classes_are_refused(stopped, monkeypatch, rng):
    """Which image is changed, and how, is drawn; the counts stay as they were."""
    original = small_run.dataset()
    for _ in range(8):
        i = int(rng.integers(len(original)))
        labels, images = original.labels.copy(), original.images.copy()
        labels[i] = (labels[i] + rng.integers(1, 10)) % 10
        images[i, rng.integers(8), rng.integers(8)] ^= 1 << int(rng.integers(8))
        names = [f"{name}x" for name in original.classes]
        for arguments, message in (
            ((original.images, labels, original.classes), ".* or their labels have changed since"),
            ((images, original.labels, original.classes), ".* or their labels have changed since"),
            ((original.images, original.labels, names), r"classes were 0, 1, .*, are 0x, 1x, "),
        ):
            changed = ImageDataset(*arguments)
            monkeypatch.setattr(small_run, "dataset", lambda changed=changed: changed)
            with pytest.raises(FileError, match=f"last.npz is from another run: {message}"):
                train(stopped, resume=True)


def test_a_state_from_before_there_were_fingerprints_goes_on(stopped, uninterrupted):
    content = read_archive(stopped / "last.npz", "checkpoint")
    for key in ("classes", "fingerprints"):
        del content["run"][key]
    write_archive(stopped / "last.npz", "checkpoint", content)
    train(stopped, resume=True)
    assert_same(outcome(stopped), uninterrupted["sgd"])


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (lambda: sgd(lr=0.2), "optimizer was SGD.*'lr': 0.1.*, is SGD.*'lr': 0.2"),
        (lambda: sgd(weight_decay=0.5), "'weight_decay': 0.5"),
        (lambda: small_run.build("adam")[:2], "optimizer was SGD.*, is Adam"),
    ],
)
def test_another_optimiser_is_refused(stopped, optimizer, message):
    model, optimizer = optimizer()
    schedule = optim.OneCycleLR(optimizer, 0.1, total_steps=EPOCHS * STEPS)
    untouched = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    with pytest.raises(FileError, match=message):
        minires.fit(
            model,
            small_run.dataset(),
            optimizer=optimizer,
            schedule=schedule,
            out=stopped,
            resume=True,
            **settings(),
        )
    assert_same({key: value.numpy() for key, value in model.state_dict().items()}, untouched)


def test_another_schedule_is_refused(stopped):
    model, optimizer = sgd()
    schedule = optim.OneCycleLR(optimizer, 0.05, total_steps=EPOCHS * STEPS)
    with pytest.raises(FileError, match=r"schedule was .*max_lrs=\[0.1\].* is .*max_lrs=\[0.05\]"):
        minires.fit(
            model,
            small_run.dataset(),
            optimizer=optimizer,
            schedule=schedule,
            out=stopped,
            resume=True,
            **settings(),
        )


def test_another_network_is_refused(stopped):
    model = minires.models.resnet8(in_channels=1)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    schedule = optim.OneCycleLR(optimizer, 0.1, total_steps=EPOCHS * STEPS)
    with pytest.raises(FileError, match="does not fit this run: this state does not fit ResNet"):
        minires.fit(
            model,
            small_run.dataset(),
            optimizer=optimizer,
            schedule=schedule,
            out=stopped,
            resume=True,
            **settings(),
        )


def test_the_same_objects_may_go_on_as_in_a_notebook(tmp_path, uninterrupted, interrupt):
    model, optimizer, schedule = small_run.build()
    options = {**settings(), "optimizer": optimizer, "schedule": schedule, "out": tmp_path}
    interrupt(STEPS + 1)
    with pytest.raises(Interrupted):
        minires.fit(model, small_run.dataset(), **options)
    minires.fit(model, small_run.dataset(), resume=True, **options)
    assert_same(outcome(tmp_path), uninterrupted["sgd"])


def test_settings_with_addresses_in_their_repr_may_go_on(tmp_path, interrupt):
    """Functions and objects without a repr of their own differ in it from process to process."""

    def transforms():
        def scaled(images, draws):
            return (images / np.float32(255)).astype(np.float32)

        return scaled

    first, second = transforms(), transforms()
    assert repr(first) != repr(second)
    interrupt(2)
    with pytest.raises(Interrupted):
        train(tmp_path, transform=first)
    train(tmp_path, transform=second, resume=True)
    assert len(read_archive(tmp_path / "last.npz", "checkpoint")["history"]) == EPOCHS


def test_nothing_to_resume(tmp_path):
    with pytest.raises(FileError, match=r"cannot read .*last.npz: No such file or directory"):
        train(tmp_path, resume=True)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="resume wants the folder to go on from: pass out"):
        train(None, resume=True)


# ---------------------------------------------------------------------- damage


def test_a_truncated_state_is_refused_wherever_it_ends(stopped):
    path = stopped / "last.npz"
    whole = path.read_bytes()
    cuts = {0, 1, 3, 4, 30, len(whole) - 1, *range(100, len(whole), len(whole) // 60)}
    for cut in sorted(cuts):
        path.write_bytes(whole[:cut])
        with pytest.raises(FileError, match=r"last.npz is damaged or not a minires checkpoint"):
            read_archive(path, "checkpoint")


def test_a_changed_byte_is_noticed_or_without_effect(stopped, rng):
    path = stopped / "last.npz"
    whole = path.read_bytes()
    good = read_archive(path, "checkpoint")
    refused = 0
    places = {*rng.integers(0, len(whole), 120), *range(len(whole) - 90, len(whole), 2), *range(40)}
    for place in sorted(places):
        for flip in (0xFF, 1):
            damaged = bytearray(whole)
            damaged[place] ^= flip
            path.write_bytes(damaged)
            try:
                found = read_archive(path, "checkpoint")
            except FileError:
                refused += 1
            else:
                assert_same(found, good, f"byte {place}")
    assert refused > len(places)  # most of the file is checked


def test_a_damaged_state_changes_nothing_in_memory(stopped):
    path = stopped / "last.npz"
    with zipfile.ZipFile(path) as file:
        largest = max(file.infolist(), key=lambda entry: entry.compress_size)
    damaged = bytearray(path.read_bytes())
    damaged[largest.header_offset + largest.compress_size // 2] ^= 0xFF  # amid its numbers
    path.write_bytes(damaged)
    model, optimizer, schedule = small_run.build()
    before = [
        {key: value.numpy().copy() for key, value in model.state_dict().items()},
        optimizer.state_dict(),
        schedule.state_dict(),
    ]
    with pytest.raises(FileError, match="damaged"):
        minires.fit(
            model,
            small_run.dataset(),
            optimizer=optimizer,
            schedule=schedule,
            out=stopped,
            resume=True,
            **settings(),
        )
    after = [
        {key: value.numpy() for key, value in model.state_dict().items()},
        optimizer.state_dict(),
        schedule.state_dict(),
    ]
    assert_same(after, before)
    assert path.read_bytes() == bytes(damaged)


def test_a_full_disk_stops_the_training_and_keeps_the_last_state(tmp_path, monkeypatch):
    real = os.fsync
    writes = 0

    def full(handle):
        nonlocal writes
        writes += 1
        if writes > 5:  # state 0; best, last and table of the first epoch; best of the second
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        OSError, match=r"cannot write .*: No space left on device; what was there"
    ) as full_disk:
        train(tmp_path)
    assert ".npz" in str(full_disk.value)  # the first that did not fit, not the table at the end
    monkeypatch.undo()
    monkeypatch.setattr(minires.training.History, "write_plot", lambda self, path: None)
    assert not list(tmp_path.glob(".*"))
    assert read_archive(tmp_path / "last.npz", "checkpoint")["epoch"] == 1
    train(tmp_path, resume=True)


def test_a_loss_that_is_not_finite_leaves_the_last_good_state(tmp_path):
    class Poisoned(Normalize):
        def batch(self, images, draws=None):
            out = super().batch(images, draws)
            return out * np.float32(np.nan) if draws.epoch == 1 else out

    with pytest.raises(TrainingError):
        train(tmp_path, transform=Poisoned([0.3], [0.4]))
    saved = read_archive(tmp_path / "last.npz", "checkpoint")
    assert (saved["epoch"], saved["step"]) == (1, 0)
    assert all(np.isfinite(value).all() for value in saved["model"].values())
