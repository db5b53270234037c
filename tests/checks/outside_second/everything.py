"""All faults and all healthy trainings of this folder."""

from outside_second import (
    augmentation,
    dtypes,
    evaluations,
    healthy_data,
    healthy_frozen,
    healthy_inputs,
    healthy_losses,
    healthy_models,
    healthy_tasks,
    healthy_updates,
    initialisation,
    inputs,
    labels,
    losses,
    norms,
    outputs,
    parameters,
    rates,
    regularisation,
    splits,
    steps,
    structures,
    two_at_once,
)
from outside_second.register import FAULTS, HEALTHY, Fault, Healthy

__all__ = ["FAULTS", "HEALTHY", "Fault", "Healthy"]

MODULES = (
    augmentation,
    dtypes,
    evaluations,
    healthy_data,
    healthy_frozen,
    healthy_inputs,
    healthy_losses,
    healthy_models,
    healthy_tasks,
    healthy_updates,
    initialisation,
    inputs,
    labels,
    losses,
    norms,
    outputs,
    parameters,
    rates,
    regularisation,
    splits,
    steps,
    structures,
    two_at_once,
)
"""Importing these fills the two registers."""
