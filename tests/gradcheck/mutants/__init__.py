"""Wrong gradients that students write, as operations. gradcheck must find every one.

A mutant is a forward with a rule that holds one misconception; the forward and the right rule stand
beside it, so that a test can show that nothing else is wrong.
"""

from mutants.mutant import MUTANTS, RIGHT

from mutants import batch_norm, convolution, cross_entropy, graph, relu_and_pooling  # noqa: F401 isort: skip

__all__ = ["MUTANTS", "RIGHT"]
