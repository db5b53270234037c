"""A stand-in for CuPy that computes with NumPy and refuses what CuPy refuses."""
