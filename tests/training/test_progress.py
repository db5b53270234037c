"""What a training shows: a bar in a terminal, lines in a log."""

import os
import subprocess
import sys
import threading

import pytest
import small_run

import minires
from minires import data, nn

quick = pytest.fixture(small_run.quick)
pytestmark = pytest.mark.usefixtures("quick")


def train(**options):
    minires.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    return minires.fit(
        model, data.digits(), options.pop("valid", 400), epochs=2, batch_size=100, **options
    )


def test_a_line_an_epoch_and_no_bar_where_there_is_no_terminal(capsys):
    history = train()
    out, err = capsys.readouterr()
    head, first, second = out.splitlines()
    assert " ".join(head.split()) == "epoch train loss accuracy valid loss accuracy time"
    for line, row in ((first, history[0]), (second, history[1])):
        assert line.split() == [
            f"{row.epoch}/2",
            f"{row.train_loss:.4f}",
            f"{row.train_accuracy:.2%}",
            f"{row.valid_loss:.4f}",
            f"{row.valid_accuracy:.2%}",
            f"{row.seconds:.1f}s",
        ]
    assert len({len(line) for line in (head, first, second)}) == 1  # columns
    assert err == ""


def test_without_held_out_images_the_columns_stay(capsys):
    train(valid=None)
    head, first, _ = capsys.readouterr().out.splitlines()
    assert len(head) == len(first)
    assert len(first.split()) == 4


def test_quiet(capsys):
    train(progress=False)
    assert capsys.readouterr() == ("", "")


def test_a_resumed_training_has_a_header_too(capsys, tmp_path):
    stopping = True

    def transform(images, draws):
        if stopping and draws.epoch == 1:
            raise InterruptedError
        return images.astype("float32")

    with pytest.raises(InterruptedError):
        train(out=tmp_path, transform=transform)
    capsys.readouterr()
    stopping = False
    train(out=tmp_path, transform=transform, resume=True)
    where, head, second = capsys.readouterr().out.splitlines()
    assert where == "going on in epoch 2, after step 0 of 10"
    assert head.split()[0] == "epoch"
    assert second.split()[0] == "2/2"
    train(out=tmp_path, transform=transform, resume=True)
    assert capsys.readouterr().out == "all 2 epochs have been trained\n"


def test_a_log_grows_line_by_line(tmp_path):
    """Python keeps what goes to a file or a pipe back until there are 8 KiB of it."""
    log = tmp_path / "log"
    script = (
        "from minires import data, fit, nn\n"
        "model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
        f"shown = lambda: len(open({str(log)!r}).readlines())\n"
        "count = []\n"
        "look = lambda images, draws: count.append(shown()) or images.astype('float32')\n"
        "fit(model, data.digits(), None, epochs=3, batch_size=1437, transform=look)\n"
        "assert count == [0, 2, 3], count\n"
    )
    with log.open("w") as file:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
        subprocess.run([sys.executable, "-c", script], stdout=file, env=environment, check=True)
    assert len(log.read_text().splitlines()) == 4


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_a_terminal_shows_a_bar_that_goes_away(monkeypatch):
    """tqdm draws on standard error; nothing of it is left when the epoch is over."""
    import termios

    reader, writer = os.openpty()
    termios.tcsetwinsize(writer, (24, 100))
    chunks = []

    def read():
        while True:
            try:
                chunk = os.read(reader, 1 << 16)
            except OSError:  # how Linux says that the other end is closed
                chunk = b""
            if not chunk:
                return
            chunks.append(chunk)

    thread = threading.Thread(target=read)
    thread.start()
    with os.fdopen(writer, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setattr("tqdm.std.tqdm.monitor_interval", 0)
        monkeypatch.setattr("tqdm.tqdm", every_step())
        train()
    thread.join()
    os.close(reader)
    text = b"".join(chunks).decode()
    assert "epoch 1/2:   0%|" in text
    assert "| 5/10 [" in text
    assert "epoch 2/2: 100%|" in text
    assert "step/s, loss=" in text
    assert "validating:  50%|" in text or "validating:  25%|" in text
    left = screen(text)
    assert left[0].split()[0] == "epoch"
    assert [line.split()[0] for line in left[1:]] == ["1/2", "2/2"]


def every_step():
    """tqdm that draws each step, however fast they come."""
    from tqdm.std import tqdm

    class Eager(tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, mininterval=0, miniters=1, **kwargs)

    return Eager


def screen(text):
    """The lines that are seen in the end, where a carriage return goes back to overwrite."""
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown.rstrip())
    return [line for line in lines if line]
