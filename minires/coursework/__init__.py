"""Coursework: assignments, a grader that runs students' code in a jail, and known mistakes.

`question` is how an assignment is written down, `bundle` what a grader needs of it; `sandbox`,
`jail` and `child` run a student's code; `compare` and `feedback` judge what it returned; `grade`
puts them together. `collect` finds what a class handed in (`entries` what there is, `platforms` and
`folders` whose it is), `run` grades it, and `store` keeps the results. The commands are
`minires coursework`, `minires grade` and `minires check`.
"""

from minires.coursework.question import Accuracy, Draws, Question, question
from minires.coursework.sandbox import Limits

__all__ = ["Accuracy", "Draws", "Limits", "Question", "question"]
