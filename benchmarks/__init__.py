"""How fast minires is, and how much memory it takes: `python -m benchmarks`."""
