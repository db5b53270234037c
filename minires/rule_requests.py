"""What a rule asks for by name, and where a call has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any


def keeper(
    operation: str, requests: Sequence[str], arguments: Sequence[str], defaults: Mapping[str, Any]
) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """A function that picks from a call's values what a rule asked for, in its order.

    Parameters
    ----------
    operation : str
        Its name, for the error.
    requests : sequence of str
        The names of the rule's parameters, without `g`.
    arguments : sequence of str
        Of the forward. A call's values are these, `needs`, `saved`, `out` and its constants.
    defaults : mapping of str
        The forward's keywords and what they are where a call does not say.

    Raises
    ------
    TypeError
        If the rule asks for something else.
    """
    values = [*arguments, "needs", "saved", "out", "constants"]
    from_the_end = {name: i - len(values) for i, name in enumerate(values)}
    picks: list[Callable[[Sequence[Any]], Any]] = []
    for name in requests:
        if name in from_the_end:
            picks.append(itemgetter(from_the_end[name]))
        elif name.removesuffix("_shape") in arguments:
            picks.append(_shape(from_the_end[name.removesuffix("_shape")]))
        elif name in defaults:
            picks.append(_constant(name, defaults[name]))
        else:
            raise TypeError(f"{operation}'s rule asks for {name}, which the forward lacks")
    if len(requests) > 1 and all(name in from_the_end for name in requests):
        return itemgetter(*map(from_the_end.__getitem__, requests))  # the same in one call
    return lambda values: [pick(values) for pick in picks]


def _shape(place: int) -> Callable[[Sequence[Any]], Any]:
    return lambda values: getattr(values[place], "shape", ())


def _constant(name: str, default: Any) -> Callable[[Sequence[Any]], Any]:
    return lambda values: values[-1].get(name, default)
