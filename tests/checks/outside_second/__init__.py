"""Training faults and healthy trainings, written without sight of the checks that look for them.

Each fault is a function that writes a training with it or without it, so that the two differ in
nothing else. `register` says what is known of each, `measure` what becomes of them.
"""
