"""Coursework: assignments, a grader that runs students' code in a jail, and known mistakes.

`question` is how an assignment is written down, `sources` where it is, and `bundle` what a grader
needs of it. `sandbox` starts a child, `jail` locks it in, `boot` loads what runs there: `child`,
which calls a student's code through `guard` and `handles` and tells with `values` and `wire` what
came of it. `compare`, `resnet8` and `feedback` judge that; `grade` puts them together. `collect`
finds what a class handed in (`entries` what there is, `platforms` and `folders` whose it is), `run`
grades it, and `store` keeps the results, of which `statistics` says how each question did.
`similarity` finds answers that are alike by their `fingerprints`, of `normalised` code. The
commands are `minires coursework`, `minires grade` and `minires check`.

Whether an assignment's tests are any good is found out by `trials`, of what authors wrote down, and
by `mechanical`, of all small changes of the solutions: `mutants` makes them with
`expression_mutants`, `statement_mutants` and `state_mutants` on `syntax`, `judging` judges each in
a `forked` process, `survivors` tells the rest, and `notes` what authors know of them.
"""

from minires.coursework.question import (
    Accuracy,
    Case,
    Draws,
    HiddenCase,
    Order,
    Question,
    ResNet8,
    Separate,
    question,
)
from minires.coursework.sandbox import Limits

__all__ = [
    "Accuracy",
    "Case",
    "Draws",
    "HiddenCase",
    "Limits",
    "Order",
    "Question",
    "ResNet8",
    "Separate",
    "question",
]
