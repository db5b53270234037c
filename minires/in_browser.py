"""Smaller experiments in a browser, where Python takes ten times as long."""

from __future__ import annotations

import sys
from typing import TypeVar

Setting = TypeVar("Setting")


def sized(elsewhere: Setting, in_browser: Setting) -> Setting:
    """`elsewhere`, or `in_browser` where Python is WebAssembly, as in Pyodide and JupyterLite.

    For a number of steps, say, of which a notebook's text holds for both.

    Examples
    --------
    >>> from minires.in_browser import sized
    >>> sized(160, in_browser=60)
    160
    """
    return in_browser if sys.platform == "emscripten" else elsewhere
