"""What all kernels stand on: memory, threads, and how work is cut into pieces.

To read in this order:

- `workspace`: scratch memory;
- `threads`: a pool, with BLAS at one thread;
- `blocks`, `chunks`, `channel_rows`: images, a flat array, an array of channels in pieces;
- `matmul`, `panels`: a product in pieces, and constant factors laid out for it;
- `padding`: a frame of zeros;
- `partial_sums`: sums that are the same for any number of threads;
- `epilogue`: what follows a convolution block by block;
- `half_precision`: float16 computed in float32;
- `elementwise_kernel`: one launch on a GPU.
"""
