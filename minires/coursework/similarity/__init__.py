"""Answers that are more alike than usual: a hint where to read, never a verdict.

`fingerprints` are of `normalised` code, `pairs` finds what shares them, `outputs` reports it.
"""
