"""The GPU: its kernels compiled, a model of its time, and what a real one takes."""
