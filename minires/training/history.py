"""What a training did, epoch by epoch: a table, a CSV file and a picture of the curves."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from minires import markup
from minires.files import atomic_write


@dataclass(frozen=True)
class Epoch:
    """One epoch's figures; the validation's are NaN where nothing is held out."""

    epoch: int  # from 1
    train_loss: float
    train_accuracy: float
    valid_loss: float
    valid_accuracy: float
    lr: float  # in its last step
    seconds: float


@dataclass
class History:
    """The epochs of a training, oldest first."""

    epochs: list[Epoch] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.epochs)

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.epochs)

    def __getitem__(self, index: int) -> Epoch:
        return self.epochs[index]

    @property
    def best(self) -> Epoch:
        """The epoch of the highest validation accuracy, the first of several.

        By training accuracy where nothing is held out.
        """
        if not self.epochs:
            raise ValueError("the history is empty: no epoch has ended yet")
        return max(self.epochs, key=score)

    def to_rows(self) -> list[dict[str, Any]]:
        """One dict an epoch."""
        return [asdict(epoch) for epoch in self.epochs]

    @classmethod
    def from_rows(cls, rows: list[dict[str, Any]]) -> History:
        """What `to_rows` gave."""
        return cls([Epoch(**row) for row in rows])

    def write_csv(self, path: str | Path) -> None:
        """Write one line an epoch, atomically."""
        text = io.StringIO()
        writer = csv.DictWriter(text, [f.name for f in fields(Epoch)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.to_rows())
        with atomic_write(path) as file:
            file.write(text.getvalue().encode())

    @staticmethod
    def check_plot() -> None:
        """Load what draws, so that a wrong setting shows before a training and not after it.

        Raises
        ------
        ValueError
            If matplotlib cannot be loaded, as with an MPLBACKEND that does not exist.
        """
        try:
            import matplotlib.backends.backend_agg
            import matplotlib.figure
            import matplotlib.ticker  # noqa: F401
        except Exception as error:
            raise ValueError(f"matplotlib cannot draw the curves: {error}") from error

    def plot(self, title: str = "") -> Any:
        """The loss and the accuracy by epoch, as a matplotlib figure with a sentence below."""
        from matplotlib.figure import Figure  # takes half a second, so only when a plot is wanted
        from matplotlib.ticker import MaxNLocator, PercentFormatter

        figure = Figure(figsize=(9, 3.6), layout="constrained")
        loss, accuracy = figure.subplots(1, 2)
        numbers = [e.epoch for e in self]
        marker = "o" if len(self) < 3 else None
        for name, colour in (("train", "tab:blue"), ("valid", "tab:orange")):
            losses = [getattr(e, f"{name}_loss") for e in self]
            if any(value == value for value in losses):  # not all NaN
                label = {"train": "training", "valid": "validation"}[name]
                style: Any = {"color": colour, "label": label, "marker": marker}
                loss.plot(numbers, losses, **style)
                accuracy.plot(numbers, [getattr(e, f"{name}_accuracy") for e in self], **style)
        if self.epochs:
            best = self.best
            value = score(best)
            label = f"best: {value:.1%} at epoch {best.epoch}"
            accuracy.plot([best.epoch], [value], "*", color="tab:red", markersize=11, label=label)
        loss.set(xlabel="epoch", ylabel="cross-entropy (nats)", title="loss", ylim=(0, None))
        accuracy.set(xlabel="epoch", ylabel="accuracy", title="accuracy")
        accuracy.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        for axes, free_corner in ((loss, "upper right"), (accuracy, "lower right")):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.grid(alpha=0.3)
            if self.epochs:
                axes.legend(loc=free_corner, edgecolor="none")
        if title:
            figure.suptitle(title)
        figure.supxlabel(self._sentence(), fontsize=9, x=0.02, ha="left")
        return figure

    def _sentence(self) -> str:
        """What there is to see in the curves."""
        if not self.epochs:
            return "No epoch has ended yet."
        last = self.epochs[-1]
        held_out = last.valid_accuracy == last.valid_accuracy  # not NaN
        validation = f", validation {last.valid_accuracy:.1%}" if held_out else ""
        apart = "; curves that drift apart are overfitting" if held_out else ""
        return (
            f"After epoch {last.epoch}: training {last.train_accuracy:.1%}{validation}.\nA loss "
            f"that falls is learning, one that rises asks for a smaller learning rate{apart}."
        )

    def write_plot(self, path: str | Path, title: str = "") -> None:
        """Write the curves as a PNG picture, atomically."""
        with atomic_write(path) as file:
            self.plot(title).savefig(file, format="png", dpi=120)

    def _repr_html_(self) -> str:
        """What a notebook shows: the best epoch and the curves, and every epoch on demand."""
        if not self.epochs:
            return markup.line("History", "no epoch has ended yet")
        best, seconds = self.best, sum(e.seconds for e in self)
        head = markup.line(
            "History",
            f"{len(self)} epochs in {seconds:.0f} s",
            f"best: {score(best):.2%} at epoch {best.epoch}",
        )
        picture = io.BytesIO()
        self.plot().savefig(picture, format="png", dpi=80)
        data = base64.b64encode(picture.getvalue()).decode()
        curves = (
            f'<img alt="Loss and accuracy by epoch. {self._sentence()}" '
            f'src="data:image/png;base64,{data}" '
            'style="max-width:100%;background:#fff">'
        )
        return head + curves + markup.folded("all epochs", str(self))

    def __str__(self) -> str:
        head = "epoch  train loss  accuracy  valid loss  accuracy        lr  seconds"
        rows = [
            f"{e.epoch:5d}  {e.train_loss:10.4f}  {e.train_accuracy:8.2%}  {e.valid_loss:10.4f}  "
            f"{e.valid_accuracy:8.2%}  {e.lr:8.2g}  {e.seconds:7.1f}"
            for e in self
        ]
        return "\n".join([head, *rows])


def score(epoch: Epoch) -> float:
    """What the best epoch is chosen by: validation accuracy, or training accuracy without one."""
    value = epoch.valid_accuracy
    return value if value == value else epoch.train_accuracy
