"""How well the recipes of `minires train` do: many seeds, several of BLAS's kernels, distributions.

`python -m benchmarks.recipes` trains, and writes what docs/recipes.md and the README say of it.
"""
