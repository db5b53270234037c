"""minires on CuPy, without a GPU: on a strict stand-in and on the real wheel over a fake driver.

The folder is not called `cupy`, for then `import cupy` would find it.
"""
