"""A returned value against the right one.

`compare` judges values, `resnet8` a network that a student trained, `repaired` a row of trainings
that a student repaired; `mixed` makes a wrong answer of a right one.
"""
