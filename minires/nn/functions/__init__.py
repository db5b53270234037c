"""Functions of `minires.nn.functional` that are longer than a call of one operation, by theme."""
