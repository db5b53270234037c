"""The processes of one training: what they tell each other, and how none waits for ever."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import numpy as np

from minires.backend import Array

Error = TypeVar("Error", bound=BaseException)


class DistributedError(RuntimeError):
    """The processes cannot work together; the message says why."""


def agreed(error: Error) -> Error:
    """Mark an error which every process raises at this place, so that none waits for another.

    `Group.together` lets it through. Any other error is one process's own, and ends all of them.
    """
    error.__dict__["agreed"] = True
    return error


class Group:
    """One process by itself. `world()` gives those that `mpirun` started.

    Attributes
    ----------
    rank : int
        Which process this is, from 0. The first alone writes and prints.
    size : int
        How many there are.
    device : str
        Where this one computes: `"cpu"` or `"cuda:N"`.
    """

    rank, size, device = 0, 1, "cpu"
    _inside = False

    def sum(self, numbers: Array) -> None:
        """Put the sum of all processes' numbers in their place, with the same bits in each.

        Parameters
        ----------
        numbers : (n,) array
            Contiguous, of a length that `size` divides.
        """

    def gather(self, numbers: Array) -> Array:
        """All processes' arrays, which have one shape, in rank order: (size, ...), on the host."""
        return numbers[None]

    def broadcast(self, numbers: Array) -> None:
        """Put the first process's numbers in the place of these."""

    def exchange(self, value: Any) -> list[Any]:
        """All processes' values in rank order: what JSON can say, so that nothing is unpickled."""
        if self.size == 1:
            return [value]
        text = np.frombuffer(json.dumps(value).encode(), np.uint8)
        lengths = self.gather(np.array([text.size]))[:, 0]
        padded = np.zeros(lengths.max(), np.uint8)
        padded[: text.size] = text
        rows = zip(self.gather(padded), lengths, strict=True)
        return [json.loads(row[:length].tobytes()) for row, length in rows]

    @contextmanager
    def together(
        self, tell: Callable[[BaseException], int | None] = traceback.print_exception
    ) -> Iterator[None]:
        """Inside, an error that is not `agreed` ends all processes: the others would wait for ever.

        Parameters
        ----------
        tell : callable
            Says what happened, and returns the exit code. None: 130 after Ctrl-C, otherwise 1.
        """
        if self.size == 1 or self._inside:
            yield
            return
        self._inside = True
        try:
            yield
        except BaseException as error:
            if not hasattr(error, "agreed"):
                if self.rank > 0:  # where all have the same, the first one says it for all
                    time.sleep(0.5)
                self.abort(tell(error) or (130 if isinstance(error, KeyboardInterrupt) else 1))
            raise
        finally:
            self._inside = False

    def abort(self, code: int) -> NoReturn:
        """End all processes at once."""
        raise SystemExit(code)
