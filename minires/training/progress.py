"""Progress: a bar for the steps on a terminal, and everywhere a line for each epoch."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from minires.progress_bar import bar, write
from minires.training.history import Epoch


class Progress:
    """One bar over the steps of an epoch and its validation; a line stays when the epoch ends."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._bar: Any = None
        self._has_header = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def resume(self, epoch: int, epochs: int, step: int, steps: int) -> None:
        """Say where a training goes on: in `epoch`, from 0, after `step` of its `steps`."""
        if epoch == epochs:
            self._write(f"all {epochs} epochs have been trained")
        else:
            self._write(f"going on in epoch {epoch + 1}, after step {step} of {steps}")

    def start_epoch(self, epoch: int, epochs: int, steps: int, done: int) -> None:
        """Show a bar of `steps`, of which `done` were done in an earlier sitting."""
        self._close()
        if self._enabled:
            label = f"epoch {epoch + 1}/{epochs}"
            self._bar = bar(total=steps, initial=done, desc=label, unit="step")

    def step(self, loss: float) -> None:
        """One step further."""
        if self._bar is not None:
            self._bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            self._bar.update()

    def start_validation(self, images: int) -> None:
        """A bar over the held-out images."""
        self._close()
        if self._enabled:
            self._bar = bar(total=images, desc="validating", unit="image")

    def validated(self, images: int) -> None:
        """So many held-out images more."""
        if self._bar is not None:
            self._bar.update(images)

    def end_epoch(self, epoch: Epoch, epochs: int) -> None:
        """Leave one line behind."""
        self._close()
        if not self._has_header:
            self._has_header = True
            self._write("  epoch   train loss  accuracy   valid loss  accuracy      time")
        has_valid = epoch.valid_loss == epoch.valid_loss
        valid = f"{epoch.valid_loss:10.4f}  {epoch.valid_accuracy:8.2%}" if has_valid else " " * 20
        self._write(
            f"{epoch.epoch:3d}/{epochs:<3d}   {epoch.train_loss:10.4f}  {epoch.train_accuracy:8.2%}"
            f"   {valid}  {epoch.seconds:7.1f}s"
        )

    def _write(self, line: str) -> None:
        if self._enabled:
            write(line)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
