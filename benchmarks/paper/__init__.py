"""He et al. 2015, "Deep residual learning for image recognition" (arXiv:1512.03385), small-scale.

`python -m benchmarks.paper` lists the experiments. Each writes what it found to
benchmarks/results/paper, and `python -m benchmarks.paper pages` makes docs/paper.md from that.
"""
