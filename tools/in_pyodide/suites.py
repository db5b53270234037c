"""Run folders of tests in Pyodide, one after the other, with a line for each.

    node tools/in_pyodide/start.mjs PYODIDE LIBRARIES tools/in_pyodide/suites.py ops nn

What a test imports that is not in LIBRARIES (PyTorch) fails its file, which is counted.
"""

import contextlib
import io
import sys
from collections import Counter
from pathlib import Path

import js
import pytest

TESTS = Path(__file__).resolve().parents[2] / "tests"

NOT_THERE = "can't start new thread", "emscripten does not support processes"
"""What is said there of what a browser has not; tests that meet it are counted apart."""


class Outcomes:
    """What became of each test; a plugin of pytest."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test once: its call, or what kept it from being called."""
        apart = report.failed and any(text in _last(report) for text in NOT_THERE)
        if report.when == "call" or (report.when == "setup" and not report.passed):
            self.counts["want threads or processes" if apart else report.outcome] += 1
        if report.failed and not apart:
            self.failures.append(f"    {report.nodeid}: {_last(report)}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be imported has failed."""
        if report.failed:
            self.counts["not imported"] += 1
            self.failures.append(f"    {report.nodeid}: {_last(report)}")


def _last(report: pytest.TestReport | pytest.CollectReport) -> str:
    lines = [line for line in report.longreprtext.splitlines() if line.startswith("E ")]
    return lines[0][2:].strip()[:200] if lines else report.longreprtext[-200:]


def run(folder: str) -> bool:
    """Run the tests in a folder; whether all passed or were skipped."""
    outcomes, started = Outcomes(), js.process.cpuUsage()
    options = [
        "-q",
        "--capture=sys",  # files of the system cannot be reopened there
        "-p",
        "no:cacheprovider",
        "-p",
        "no:faulthandler",
        "--continue-on-collection-errors",
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        code = pytest.main([*options, str(TESTS / folder)], plugins=[outcomes])
    used = js.process.cpuUsage(started)
    counted = [f"{count} {what}" for what, count in sorted(outcomes.counts.items())]
    counts = ", ".join(counted) or f"nothing ran, pytest's code is {code}"
    print(f"{folder:12} {counts}, {(used.user + used.system) / 1e6:.0f} s", flush=True)
    print(*outcomes.failures, sep="\n", flush=True)
    return code in (0, 1) and not outcomes.failures


if __name__ == "__main__":
    passed = [run(folder) for folder in sys.argv[1:]]
    sys.exit(0 if all(passed) else 1)
