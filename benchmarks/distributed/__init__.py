"""Training on several processes: how long a step takes, and what many machines would take."""
