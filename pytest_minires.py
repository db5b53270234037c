"""Gradient checks in pytest: the fixture `gradcheck` and the mark of the same name.

    def test_my_layer(gradcheck):
        gradcheck(my_layer, [x, w])

    @pytest.mark.gradcheck(order=2)
    def test_my_other_layer():
        return my_other_layer, [x, w]

A failure shows the report. The options of the mark are `minires.gradcheck`'s; they are defaults for
the fixture too. pytest imports this module in every run, so it stands outside the package and
imports it only when a check runs.
"""

from __future__ import annotations

import inspect
import unittest
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from minires.gradcheck import Report


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    config.addinivalue_line(
        "markers",
        "gradcheck(order, mode, h, atol, rtol, seed): check the gradients of the function that the "
        "test returns, as (function, inputs)",
    )


def _run(options: dict[str, Any], fn: Callable[..., Any], inputs: Any) -> Report:
    __tracebackhide__ = True
    from minires.gradcheck import gradcheck

    report = gradcheck(fn, inputs, **(options | {"raise_exception": False}))
    if not report:
        pytest.fail(str(report), pytrace=False)
    return report


OPTIONS = ("order", "mode", "h", "atol", "rtol", "seed")


def _options(item: Any) -> dict[str, Any]:
    mark = item.get_closest_marker("gradcheck")
    if mark is None:
        return {}
    unknown = [repr(a) for a in mark.args] + [name for name in mark.kwargs if name not in OPTIONS]
    if unknown:
        pytest.fail(
            f"the mark gradcheck takes {', '.join(OPTIONS)} by name, not {', '.join(unknown)}",
            pytrace=False,
        )
    return dict(mark.kwargs)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse marked tests whose result pytest hands to nobody, so that they cannot pass unseen."""
    if item.get_closest_marker("gradcheck") is None:
        return
    function = getattr(item, "obj", None)
    if inspect.iscoroutinefunction(function):
        pytest.fail("a test marked gradcheck cannot be async", pytrace=False)
    if issubclass(getattr(item, "cls", None) or object, unittest.TestCase):
        pytest.fail(
            "unittest drops what a test returns: call minires.gradcheck in it, without the mark",
            pytrace=False,
        )


@pytest.fixture(name="gradcheck")
def gradcheck_fixture(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """`gradcheck(fn, inputs, **options)` as in minires; a failure shows the report."""
    marked = _options(request.node)

    def check(fn: Callable[..., Any], inputs: Any, **options: Any) -> Report:
        __tracebackhide__ = True
        return _run(marked | options, fn, inputs)

    return check


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Check what a marked test returns; one that returns nothing uses the fixture."""
    __tracebackhide__ = True
    if pyfuncitem.get_closest_marker("gradcheck") is None:
        return None
    names = pyfuncitem._fixtureinfo.argnames
    returned = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    if returned is None:
        return True
    if not isinstance(returned, tuple) or len(returned) != 2 or not callable(returned[0]):
        pytest.fail(
            "a test marked gradcheck returns a function and its inputs, as in `return layer, [x]`; "
            f"this one returned {returned!r}",
            pytrace=False,
        )
    _run(_options(pyfuncitem), *returned)
    return True
