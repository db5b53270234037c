"""`minires.checkup`: facts about a training that does not learn, or before its first step.

Each check observes one thing and says "holds", "broken" with the numbers, or "not checked" and why.
None ranks causes or guesses. Read it in this order: `setup`, what a training is made of, and how a
check borrows it; `report`; then the checks, each module with its reach: `structure` and `settings`;
`inputs` and `neighbours`; of one batch `forward`, `outputs`, `between_images`, `layers`, and
`free_logits` and `loss_alone`; of one's own steps `trace`, `steps`, `gradients`, `updates` and
`own_gradient`; `learning`, `evaluation` and `own_evaluation`; `one_change`; `rates`. In `run` they
meet; `watching` is for anybody's loop, and `in_fit` for ours.
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
