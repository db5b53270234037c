"""Measuring minires against other libraries: the same work, in turns, each in its own process.

`minires bench` shows the short form; `python -m benchmarks` in the repository has the rest.
"""

from minires.bench.measure import Comparison, Contestant, Timing, compare, parts, peak_memory
from minires.bench.tasks import Task

__all__ = ["Comparison", "Contestant", "Task", "Timing", "compare", "parts", "peak_memory"]
