"""`minires.checkup`: facts about a training that does not learn, or before its first step.

Each check observes one thing and says "holds", "broken" with the numbers, or "not checked" and why.
None ranks causes or guesses. Read it in this order: `setup`, what a training is made of, and how a
check borrows it; `report`; then the checks, each module with its reach: `structure`, `loss_alone`,
`inputs` and `neighbours`, `forward`, `trace` and `steps`, `learning`, `evaluation`, `one_change`,
`rates`; `run`, where they meet; `watching`, for anybody's loop, and `in_fit`, for ours.
"""

from minires.checks.in_fit import CheckWarning
from minires.checks.report import Finding, Rates, Report
from minires.checks.run import checkup
from minires.checks.setup import Setup, SetupError
from minires.checks.watching import Watch, watch

__all__ = [
    "CheckWarning",
    "Finding",
    "Rates",
    "Report",
    "Setup",
    "SetupError",
    "Watch",
    "checkup",
    "watch",
]
