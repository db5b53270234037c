"""Coursework: assignments, a grader that runs students' code in a sandbox, and known mistakes.

In which order to read: `question` is how an assignment is written down, `sources` where it is, and
`bundle` what a grader needs of it. `submissions` finds what a class handed in, `sandbox` runs a
student's code, `grading` has `answers` judged, and `marks` makes points, tables and pages of it.
`statistics` says how each question did, `similarity` which answers are alike. Whether an
assignment's tests are any good is found out by `trials`, of what authors wrote down, and by
`mutation`, of all small changes of the solutions. `commands` are what a terminal offers.
"""

from minires.coursework.question import (
    Accuracy,
    Case,
    Causes,
    Draws,
    HiddenCase,
    Order,
    Question,
    Repaired,
    ResNet8,
    Separate,
    question,
)
from minires.coursework.sandbox.parent import Limits

__all__ = [
    "Accuracy",
    "Case",
    "Causes",
    "Draws",
    "HiddenCase",
    "Limits",
    "Order",
    "Question",
    "Repaired",
    "ResNet8",
    "Separate",
    "question",
]
