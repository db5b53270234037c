"""All faults, by name: what they are, and how to make a training that has them.

>>> setup = FAULTS["zero_grad_forgotten"].make()

`source` says whose list a fault is from, or "own"; `cause` and `harm` what is wrong and what that
does; `epochs` how long it trains; `twin` the healthy training in `setups` that it was made from.
"""

from outside import debuggers, mutation_operators, own, questions
from outside.setups import FAULTS, Fault

__all__ = ["FAULTS", "Fault", "debuggers", "mutation_operators", "own", "questions"]
