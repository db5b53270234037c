"""A context manager around each step of a generator, where a decorator would be around none."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any


def each_step_inside(
    context: AbstractContextManager[Any], function: Callable[..., Generator[Any, Any, Any]]
) -> Callable[..., Generator[Any, Any, Any]]:
    """`function`, a generator function, which computes inside `context` and waits outside of it."""

    @wraps(function)
    def generator(*args: Any, **keywords: Any) -> Generator[Any, Any, Any]:
        steps = function(*args, **keywords)
        resume: Callable[[], Any] = steps.__next__
        while True:
            try:
                with context:
                    value = resume()
            except StopIteration as end:
                return end.value
            try:
                sent = yield value
            except GeneratorExit:
                with context:
                    steps.close()
                raise
            except BaseException as error:
                resume = _later(steps.throw, error)
            else:
                resume = _later(steps.send, sent)

    return generator


def _later(function: Callable[[Any], Any], argument: Any) -> Callable[[], Any]:
    return lambda: function(argument)
