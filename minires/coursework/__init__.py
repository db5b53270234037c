"""Coursework: assignments, a grader that runs students' code in a jail, and known mistakes.

`question` is how an assignment is written down, `bundle` what a grader needs of it. `sandbox`
starts a child, `jail` locks it in, `boot` loads what runs there: `child`, which calls a student's
code through `guard` and `handles` and tells with `values` and `wire` what came of it. `compare`,
`resnet8` and `feedback` judge that; `grade` puts them together. `collect` finds what a class handed
in (`entries` what there is, `platforms` and `folders` whose it is), `run` grades it, and `store`
keeps the results. The commands are `minires coursework`, `minires grade` and `minires check`.
"""

from minires.coursework.question import (
    Accuracy,
    Draws,
    Order,
    Question,
    ResNet8,
    Separate,
    question,
)
from minires.coursework.sandbox import Limits

__all__ = ["Accuracy", "Draws", "Limits", "Order", "Question", "ResNet8", "Separate", "question"]
